//! `cargo xtask bench memory`: what enforcement costs in memory, in the daemon and in the kernel.
//!
//! How each number is measured, and why so, is told where it is: `tests/src/bench/memory.rs`.

use anyhow::{Context, Result, bail};

use super::figure::{Figure, Figures};
use super::report::{self, Cost};
use super::staged::Staged;
use crate::guest_tests::GuestTests;
use crate::vm;

pub(super) fn measure(kernel: &str) -> Result<Figures> {
    let tests = GuestTests::prepare()?;
    let staged = Staged::make(&SIZES)?;
    let mut spec = staged.machine(&tests, kernel, "", "guest-tests bench memory --json")?;
    spec.timeout = super::LONG;
    let outcome = vm::run(&spec)?;
    if outcome.status != 0 {
        bail!("the measurement ended with status {}:\n{}", outcome.status, String::from_utf8_lossy(&outcome.stderr));
    }
    let said = String::from_utf8_lossy(&outcome.stdout);
    let costs = report::read::<report::Cost>(said.trim())?;
    let figures: Vec<Figure> = costs.iter().map(|cost| figure(cost, kernel)).collect();
    for (work, _) in TARGETS {
        figures.iter().find(|figure| figure.work == work).with_context(|| format!("`{work}` was not measured"))?;
    }
    Ok(Figures { of: figures, remarks: vec![HOW.to_owned()] })
}

/// Megabytes for what is large, bytes for what is of one verdict or file.
fn figure(cost: &Cost, kernel: &str) -> Figure {
    let target = TARGETS.iter().find(|(work, _)| *work == cost.work).map(|(_, most)| *most);
    let (value, unit) = if cost.value < LARGE { (cost.value as f64, "bytes") } else { ((cost.value as f64 / 1e4).round() / 1e2, "MB") };
    Figure::new(&cost.work, kernel, value, unit).at_most(target)
}

const SIZES: [u32; 2] = [1_000, 100_000];
const LARGE: u64 = 100_000;
const TARGETS: [(&str, f64); 2] = [("daemon, resident, 100000 entries", 40.0), ("kernel memory for a verdict, with its share of the table", 200.0)];
const HOW: &str = "Kernel memory is what the service's control group is charged for: unreclaimable slab, vmalloc and per-CPU memory. The table of \
                   verdicts has a bucket for each that fits (`max-verdicts`, 262144 by default), whether there are any or not; its share is that of \
                   100,000 verdicts.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_held_against_the_unit_that_is_shown() {
        let cost = |work: &str, value| serde_json::from_value(serde_json::json!({ "work": work, "value": value, "unit": "bytes" })).unwrap();
        let daemon = figure(&cost(TARGETS[0].0, 41_000_000), "6.12");
        assert_eq!((daemon.value, daemon.unit, daemon.missed), (41.0, "MB", true));
        let verdict = figure(&cost(TARGETS[1].0, 176), "6.12");
        assert_eq!((verdict.value, verdict.unit, verdict.missed), (176.0, "bytes", false));
    }
}
