//! `cargo xtask bench boot`: the time from the service's start until it is ready.
//!
//! Measured where instructions are counted: a nanosecond is one instruction, or a nanosecond of waiting for a timer. A real processor executes two or three
//! instructions in a nanosecond, and hashes with instructions of its own, so these seconds are more than a real machine takes: a target that is met
//! here is met there.

use anyhow::{Result, bail, ensure};
use serde::Deserialize;

use super::figure::{Figure, Figures};
use super::staged::Staged;
use crate::guest_tests::{self, GuestTests};
use crate::ui;
use crate::vm::{self, Accel};

/// One start in the guest.
#[derive(Deserialize)]
struct Start {
    kind: Kind,
    entries: u64,
    nanoseconds: u64,
    phases: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    First,
    Restart,
}

pub(super) fn measure(kernel: &str) -> Result<Figures> {
    let tests = GuestTests::prepare()?;
    let staged = Staged::make(&SIZES)?;
    ui::remark("one emulated CPU that counts instructions: this takes some minutes");
    let mut spec = staged.machine(&tests, kernel, "", "guest-tests bench boot")?;
    spec.icount = true;
    spec.smp = 1;
    spec.accel = Accel::Tcg;
    spec.timeout = super::LONG;
    let outcome = vm::run(&spec)?;
    if outcome.status != 0 {
        bail!("the measurement ended with status {}:\n{}", outcome.status, String::from_utf8_lossy(&outcome.stderr));
    }
    let starts: Vec<Start> = guest_tests::lines(&outcome)?;
    ensure!(starts.len() == SIZES.len() * 2, "the guest measured {} starts", starts.len());
    let figures: Vec<Figure> = starts.iter().map(|start| figure(start, kernel)).collect();
    let profile = starts.iter().zip(&figures).map(|(start, figure)| format!("{} on {kernel}, in milliseconds: {}", figure.work, start.phases));
    let remarks = [vec![HOW.to_owned()], profile.collect()].concat();
    Ok(Figures { of: figures, remarks })
}

fn figure(start: &Start, kernel: &str) -> Figure {
    let work = match start.kind {
        Kind::First => format!("start to READY, {} entries", start.entries),
        Kind::Restart => format!("restart to READY, {} entries", start.entries),
    };
    Figure::new(work, kernel, start.nanoseconds as f64 / 1e9, "s").at_most(Some(TARGET))
}

const SIZES: [u32; 2] = [1_000, 100_000];
/// Seconds.
const TARGET: f64 = 1.0;
const HOW: &str = "Seconds of a processor that executes one instruction in a nanosecond and has none for hashing; a real one takes less. The target \
                   is for a manifest of 100,000 entries. A start loads and attaches the programs, as at a boot; a restart finds them in force.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_takes_longer_than_a_second_is_told() {
        let start = |nanoseconds| Start { kind: Kind::First, entries: 100_000, nanoseconds, phases: String::new() };
        assert!(figure(&start(1_100_000_000), "6.12").missed && !figure(&start(900_000_000), "6.12").missed);
    }
}
