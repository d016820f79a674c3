//! A headless Chromium in a root of its own, from Debian: what it needs is not installed on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{archive, guest, packages};
use crate::cache::{self, Item};
use crate::process;
use crate::ui::Step;

/// Becomes a command below the root that is its own name, with the machine's devices and processes.
const INSIDE: &str = r#"mount --rbind /dev "$0/dev" && mount --rbind /proc "$0/proc" && exec chroot "$0" "$@""#;
const PACKAGES: &str = "chromium-headless-shell,fonts-dejavu-core";

/// The browser, and the root that it runs in.
pub(crate) struct Chromium {
    root: PathBuf,
}

/// The browser, which is fetched if it is not there.
pub(crate) fn chromium() -> Result<Chromium> {
    let _lock = cache::lock()?;
    packages::install(packages::VM)?;
    let release = packages::release()?;
    let item = Item::new("browser", &format!("1 {release} {PACKAGES}"))?;
    if !item.is_fresh() {
        let step = Step::start(format!("a browser, Debian {release}"));
        let folder = item.workshop()?;
        let (root, tar) = (folder.join("root"), folder.join("root.tar"));
        let mut bootstrap = Command::new("mmdebstrap");
        bootstrap
            .args(["--quiet", "--variant=apt", &format!("--include={PACKAGES}"), &release])
            .arg(&tar)
            .arg(format!("deb {} {release} main", archive::address()?));
        process::run(bootstrap.env("PATH", guest::ADMIN_PATH), &step)?;
        fs::create_dir_all(root.join("work"))?;
        // Devices are the machine's own.
        process::run(
            Command::new("tar").args(["--extract", "--no-same-owner", "--exclude=./dev/*", "--file"]).arg(&tar).arg("--directory").arg(&root),
            &step,
        )?;
        fs::remove_file(&tar)?;
        item.publish(&folder)?;
        step.done("made");
    }
    Ok(Chromium { root: item.path().join("root") })
}

impl Chromium {
    /// Its root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A folder that it can read and write.
    pub(crate) fn folder(&self) -> PathBuf {
        self.root.join("work")
    }

    /// To start it with arguments.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("unshare");
        command.env("PATH", guest::ADMIN_PATH).arg("--mount");
        if !packages::is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["sh", "-c", INSIDE]).arg(&self.root).args(["/usr/bin/env", "HOME=/work", "/usr/bin/chromium-headless-shell"]);
        command
    }
}
