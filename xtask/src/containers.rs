//! `cargo xtask test containers`: scopes over the containers of a real engine, podman, on plain Debian 12 and 13, as a script of user commands
//! (`xtask/guest/containers.sh`).

use anyhow::{Context as _, Result, ensure};

use crate::lanes::{Job, Lanes};
use crate::server::Server;
use crate::setup::guest::{Image, Release};
use crate::setup::kernels::Kernel;
use crate::vm::{self, Accel};
use crate::{setup, ui};

/// What happens in the guest.
const CONTAINERS: &str = include_str!("../guest/containers.sh");

/// A boot of each release with one of these kernels.
pub(crate) fn run(kernels: &[Kernel], lanes: &Lanes, accel: Accel) -> Result<()> {
    setup::for_package()?;
    let enforcer = &vm::enforcer()?;
    let is_wanted = |release: &Release| kernels.iter().any(|kernel| kernel.name == release.kernel());
    let mut servers = Vec::new();
    for release in Release::ALL.into_iter().filter(is_wanted) {
        setup::for_vm(Image::Containers(release), false)?;
        servers.push((release, Server::new(Image::Containers(release), release, enforcer, CONTAINERS, accel)?));
    }
    ensure!(!servers.is_empty(), "no release of Debian has that kernel for its own: take one of {}", Release::ALL.map(Release::kernel).join(", "));
    let jobs = servers.iter().map(|(release, server)| -> Job<'_, Result<()>> {
        Box::new(move || {
            ui::remark(&format!("containers on {}", release.name()));
            server.run().map(drop).with_context(|| format!("containers on {}", release.name()))
        })
    });
    let failed = lanes.run(jobs.collect()).into_iter().filter_map(Result::err).inspect(ui::error).count();
    ensure!(failed == 0, "containers are not held as they should be on {failed} of {} releases", servers.len());
    Ok(())
}
