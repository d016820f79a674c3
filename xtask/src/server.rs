//! A plain server on which the package is to be installed, with what an administrator brings there: the package, whom to trust, the signed lists of the system
//! and of the kernel's modules, and the script that uses them. Keys lie in a folder that stands for another machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::package::{self, Signing};
use crate::setup::guest::{Image, Release};
use crate::setup::{kernels, pki};
use crate::test::run_machine;
use crate::vm::{Accel, Mode, Outcome, Output, Spec};

/// Where the guest has it all.
const FOLDER: &str = "/root/brought";
/// What the scripts have in common, which each reads first.
const PRELUDE: &str = include_str!("../guest/server.sh");

/// A machine and what is brought there.
pub(crate) struct Server {
    spec: Spec,
    /// Kept until the machine was run.
    files: TempDir,
}

impl Server {
    /// One with this root, of this release, that runs this script of bash.
    pub(crate) fn new(image: Image, release: Release, enforcer: &Path, script: &str, accel: Accel) -> Result<Self> {
        let kernel = kernels::find(release.kernel())?;
        let pki = pki::open()?;
        let signing = Signing { key: pki.signer_key(), certificate: pki.signer(), chain: None, security_version: Some(1), with_certificate: false };
        let package = package::make(enforcer, "0.1.0-1", Some(&signing))?;
        let files = TempDir::new()?;
        let mut server = Self { spec: Spec::new(["bash".to_owned(), format!("{FOLDER}/script.sh")]), files };
        for (name, text) in [("server.sh", PRELUDE), ("script.sh", script)] {
            let path = server.files.path().join(name);
            fs::write(&path, text)?;
            server.bring(path, name);
        }
        server.bring(package, "enforcer.deb");
        server.bring(pki.authority(), "ca.pem");
        server.bring(pki.signer_key(), "elsewhere/signer.key");
        server.bring(pki.signer(), "elsewhere/signer.pem");
        settle(&mut server.spec, FOLDER, (image, kernel), accel)?;
        Ok(server)
    }

    /// Brings one more file.
    pub(crate) fn bring(&mut self, host: PathBuf, at: &str) {
        self.spec.add.push((host, format!("{FOLDER}/{at}")));
    }

    /// Boots it. An error, too, when its script failed.
    pub(crate) fn run(&self) -> Result<Outcome> {
        let outcome = run_machine(&self.spec)?;
        ensure!(outcome.status == 0, "the script ended with status {}; the console's log is `{}`", outcome.status, outcome.console.display());
        Ok(outcome)
    }
}

/// Has a machine be a plain server, with nobody in force before its script, and the lists of its image and of its kernel's modules in this folder of the guest's.
pub(crate) fn settle(spec: &mut Spec, folder: &str, (image, kernel): (Image, kernels::Kernel), accel: Accel) -> Result<()> {
    spec.add_signed(&image.manifest()?, &format!("{folder}/manifests/root.manifest"));
    spec.add_signed(&kernel.manifest()?, &format!("{folder}/manifests/modules.manifest"));
    spec.image = image;
    spec.kernel = kernel.name;
    spec.mode = Some(Mode::Off);
    spec.accel = accel;
    // Emulated, the package's daemon is started nine times.
    spec.timeout = Duration::from_secs(30 * 60);
    spec.output = Output::StdoutCaptured;
    Ok(())
}
