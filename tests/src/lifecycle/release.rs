//! Taking enforcement off, which only `enforcer stop --release` does, and putting it on again.

use std::path::Path;

use anyhow::{Result, ensure};

use super::uses::{program_runs, start, unsigned_is_denied};
use super::{Test, staged};
use crate::mode::Mode;
use crate::scene::Scene;
use crate::service::{self, Journal};

pub const TESTS: &[Test] =
    &[Test::new("release_opens_the_door_and_a_start_closes_it", "enforcer stop --release, then systemctl start enforcer", release)];

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
