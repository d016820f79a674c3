//! Taking enforcement off, which only `enforcer stop --release` does, and putting it on again.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::uses::{program_is_denied, program_runs, start, unsigned_is_denied};
use super::{Test, staged};
use crate::mode::Mode;
use crate::scene::Scene;
use crate::service::{self, Journal};

pub const TESTS: &[Test] = &[
    Test::new("release_opens_the_door_and_a_start_closes_it", "enforcer stop --release, then systemctl start enforcer", release),
    Test::new("what_ran_before_enforcement_is_told", "start an unsigned program while nothing is enforced, then the service; restart that", before),
    Test::new(
        "library_that_was_mapped_before_enforcement_is_not_written_to",
        "map a signed library while nothing is enforced, start the service, open the library for writing",
        mapped_before,
    ),
];

fn mapped_before(scene: &Scene) -> Result<String> {
    let library = scene.copy("lib/libanswer.so", "mapped-before.so")?;
    let write = || OpenOptions::new().write(true).open(&library).map(drop);
    service::succeed("enforcer", &["stop", "--release"])?;
    let running = Command::new("/usr/bin/sleep").arg("600").env("LD_PRELOAD", &library).spawn();
    let opened = write();
    let told = service::start().and_then(|()| told_before());
    let refused = write();
    let mut running = running?;
    running.kill()?;
    running.wait()?;
    opened.context("before the start it could not be opened for writing")?;
    let told = told?;
    let is_refused = refused.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EPERM));
    ensure!(is_refused, "the library was opened for writing under a process that had mapped it: {refused:?}; what ran before: {told}");
    write().context("nobody uses the library any more, and still it cannot be written to")?;
    Ok("it was refused as long as the process lived".to_owned())
}

fn before(scene: &Scene) -> Result<String> {
    // A program that the system's manifest covers, and one byte that makes it another one.
    let unsigned = scene.disk("sleeps-unsigned");
    fs::write(&unsigned, [&fs::read("/usr/bin/sleep")?[..], b"."].concat())?;
    fs::set_permissions(&unsigned, fs::Permissions::from_mode(0o755))?;
    service::succeed("enforcer", &["stop", "--release"])?;
    let running = Command::new(&unsigned).arg("600").spawn();
    let told = service::start().and_then(|()| told_before());
    // A later daemon has to say the same: it did not see what ran before.
    let restarted = told.and_then(|told| {
        service::succeed("systemctl", &["restart", service::UNIT])?;
        Ok((told, told_before()?))
    });
    let mut running = running?;
    running.kill()?;
    running.wait()?;
    let (told, again) = restarted?;
    let name = unsigned.to_string_lossy();
    let names = |before: &Value| before["uncovered"].as_array().is_some_and(|names| names.iter().any(|found| *found == *name));
    ensure!(names(&told) && told["uncovered_processes"] == 1, "{told}");
    ensure!(told["processes"].as_u64().is_some_and(|count| count > 3) && told["incomplete"] == false, "{told}");
    ensure!(again == told, "after a restart it is {again}");
    program_is_denied(scene, &unsigned, Duration::from_secs(20))?;
    Ok(format!("of {} programs that ran before, the unsigned one was named, and a restart of the daemon did not forget it", told["processes"]))
}

fn told_before() -> Result<Value> {
    let mut told = Value::Null;
    service::wait_until("what ran before was looked at", || {
        told = service::status()?["before"].clone();
        Ok(told.is_object())
    })?;
    Ok(told)
}

fn release(scene: &Scene) -> Result<String> {
    unsigned_is_denied(scene)?;
    let journal = Journal::now()?;
    service::succeed("enforcer", &["stop", "--release"])?;
    let ended = start(scene, &scene.fixture("unsigned/program"));
    let mode = service::mode_in_force();
    let pins_left = Path::new(service::PINS).read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let recorded = journal.wait_for(&["taken off"]);
    service::start()?;
    let ended = ended?;
    ensure!(ended.ran("unsigned code ran"), "after the release the unsigned program {}", ended.describe());
    ensure!(mode? == Mode::Off, "after the release something was still in force");
    ensure!(!pins_left, "there were pins left");
    recorded?;
    unsigned_is_denied(scene)?;
    program_runs(scene, &scene.fixture("bin/program"))?;
    program_runs(scene, &staged::program(scene)?)?;
    Ok("unsigned code ran in between, and was denied again".to_owned())
}
