//! What the hot path costs with few verdicts in the kernel's map, and with many.
//!
//! All in one boot, with one map: only the number of verdicts changes between two measurements. What enforcement costs at all is told by the last
//! measurement, without it.

use std::fs::File;
use std::process::ExitCode;

use anyhow::Result;
use rustix::mm::ProtFlags;
use serde::Serialize;

use super::cost::{Cost, warm};
use super::hooks;
use super::staged::{self, Staged};
use crate::scene::Scene;
use crate::service;

/// What was measured at one number of verdicts.
#[derive(Serialize)]
struct Step {
    /// Entries of the manifest; 0 where nothing was enforced.
    entries: u64,
    /// Verdicts in the kernel's map.
    verdicts: u64,
    costs: Vec<Cost>,
}

/// One JSON line for each step.
pub fn run(scene: &Scene, staged: &Staged) -> Result<ExitCode> {
    for &entries in &staged.sizes {
        staged.install(entries)?;
        service::reload_in_force()?;
        tell(&Step { entries, verdicts: staged::verdicts(entries)?, costs: costs(scene)? })?;
    }
    service::succeed("enforcer", &["stop", "--release"])?;
    tell(&Step { entries: 0, verdicts: 0, costs: costs(scene)? })?;
    Ok(ExitCode::SUCCESS)
}

fn costs(scene: &Scene) -> Result<Vec<Cost>> {
    let library = File::open(scene.fixture("lib/libanswer.so"))?;
    Ok(vec![
        warm("dynamic exec", EXECS, || hooks::start(&scene.fixture("bin/quiet")))?,
        warm("exec with 30 libraries", EXECS, || hooks::start(&scene.fixture("bin/thirty")))?,
        warm("mmap of code", MAPPINGS, || hooks::map(&library, ProtFlags::READ | ProtFlags::EXEC))?,
    ])
}

fn tell(step: &Step) -> Result<()> {
    println!("{}", serde_json::to_string(step)?);
    Ok(())
}

const EXECS: usize = 31;
const MAPPINGS: usize = 501;
