//! `cargo xtask test rollout`: from a server on which nothing is installed to one that denies what nobody signed, and back, as a script of user commands
//! (`xtask/guest/rollout.sh`); and the report's page in a real browser.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::guest_tests::GuestTests;
use crate::package::{self, Signing};
use crate::setup::guest::{Image, Release};
use crate::setup::{self, kernels, pki};
use crate::test::run_machine;
use crate::vm::{Accel, Mode, Output, Spec};
use crate::{browser, ui, workspace};

/// What happens in the guest.
const ROLLOUT: &str = include_str!("../guest/rollout.sh");
/// Where the guest has what it needs.
const FOLDER: &str = "/root/rollout";
/// In the fixtures: a program that nobody signed.
const PROGRAM: &str = "unsigned/program";

/// The whole path in one boot, and then the page.
pub(crate) fn run(accel: Accel) -> Result<()> {
    setup::for_package()?;
    let image = Image::Server(Release::Bookworm);
    setup::for_vm(image, false)?;
    let tests = GuestTests::prepare()?;
    let said = in_a_machine(&tests, image, accel)?;
    let artefacts = workspace::target_dir().join("rollout");
    fs::create_dir_all(&artefacts)?;
    let page = artefacts.join("report.html");
    fs::write(&page, artefact(&said, "REPORT")?)?;
    browser::try_report(&page, &artefacts)?;
    ui::remark(&format!("the page and its pictures are in `{}`", artefacts.display()));
    Ok(())
}

fn in_a_machine(tests: &GuestTests, image: Image, accel: Accel) -> Result<String> {
    let kernel = kernels::find(Release::Bookworm.kernel())?;
    let pki = pki::open()?;
    let signing = Signing { key: pki.signer_key(), certificate: pki.signer(), chain: None, security_version: Some(1), with_certificate: false };
    let package = package::make(tests.enforcer(), "0.1.0-1", Some(&signing))?;
    let files = TempDir::new()?;
    let script = files.path().join("rollout.sh");
    fs::write(&script, ROLLOUT)?;
    let mut spec = Spec::new(["bash".to_owned(), format!("{FOLDER}/rollout.sh")]);
    let mut add = |host: PathBuf, at: &str| spec.add.push((host, format!("{FOLDER}/{at}")));
    add(script, "rollout.sh");
    add(package, "enforcer.deb");
    add(tests.fixture(PROGRAM), "program");
    add(pki.authority(), "ca.pem");
    add(pki.signer_key(), "elsewhere/signer.key");
    add(pki.signer(), "elsewhere/signer.pem");
    spec.add_signed(&image.manifest()?, &format!("{FOLDER}/manifests/root.manifest"));
    spec.add_signed(&kernel.manifest()?, &format!("{FOLDER}/manifests/modules.manifest"));
    spec.image = image;
    spec.kernel = kernel.name;
    spec.mode = Some(Mode::Off);
    spec.accel = accel;
    spec.timeout = Duration::from_secs(30 * 60);
    spec.output = Output::StdoutCaptured;
    let outcome = run_machine(&spec)?;
    ensure!(outcome.status == 0, "the rollout ended with status {}; the console's log is `{}`", outcome.status, outcome.console.display());
    Ok(String::from_utf8_lossy(&outcome.stdout).into_owned())
}

/// A file that the guest printed.
fn artefact(said: &str, name: &str) -> Result<Vec<u8>> {
    let (begin, end) = (format!("-----BEGIN {name}-----"), format!("-----END {name}-----"));
    let text = said.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end)).with_context(|| format!("the guest printed no {name}"))?.0;
    STANDARD.decode(text.trim()).with_context(|| format!("the {name} that the guest printed"))
}
