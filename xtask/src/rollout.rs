//! `cargo xtask test rollout`: from a server on which nothing is installed to one that denies what nobody signed, and back, as a script of user commands
//! (`xtask/guest/rollout.sh`); and the report's page in a real browser.

use std::fs;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::guest_tests::GuestTests;
use crate::server::Server;
use crate::setup::guest::{Image, Release};
use crate::vm::Accel;
use crate::{browser, setup, ui, workspace};

/// What happens in the guest.
const ROLLOUT: &str = include_str!("../guest/rollout.sh");
/// In the fixtures: a program that nobody signed.
const PROGRAM: &str = "unsigned/program";

/// The whole path in one boot, and then the page.
pub(crate) fn run(accel: Accel) -> Result<()> {
    setup::for_package()?;
    let release = Release::Bookworm;
    setup::for_vm(Image::Server(release), false)?;
    let said = in_a_machine(&GuestTests::prepare()?, release, accel)?;
    let artefacts = workspace::target_dir().join("rollout");
    fs::create_dir_all(&artefacts)?;
    let page = artefacts.join("report.html");
    fs::write(&page, artefact(&said, "REPORT")?)?;
    browser::try_report(&page, &artefacts)?;
    ui::remark(&format!("the page and its pictures are in `{}`", artefacts.display()));
    Ok(())
}

/// What the script printed.
fn in_a_machine(tests: &GuestTests, release: Release, accel: Accel) -> Result<String> {
    let mut server = Server::new(Image::Server(release), release, tests.enforcer(), ROLLOUT, accel)?;
    server.bring(tests.fixture(PROGRAM), "program");
    Ok(String::from_utf8_lossy(&server.run()?.stdout).into_owned())
}

/// A file that the guest printed.
fn artefact(said: &str, name: &str) -> Result<Vec<u8>> {
    let (begin, end) = (format!("-----BEGIN {name}-----"), format!("-----END {name}-----"));
    let text = said.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end)).with_context(|| format!("the guest printed no {name}"))?.0;
    STANDARD.decode(text.trim()).with_context(|| format!("the {name} that the guest printed"))
}
