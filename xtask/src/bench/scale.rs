//! `cargo xtask bench scale`: whether the hot path costs the same with a million verdicts as with a thousand.
//!
//! Instructions are counted, so what a larger map costs by missing the processor's caches does not show; what a longer way through its buckets costs does.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::footprint;
use super::report::Cost;
use super::staged::Staged;
use crate::guest_tests::{self, GuestTests};
use crate::setup::kernels::Kernel;
use crate::ui;
use crate::vm::{self, Accel};

/// What the guest measured at one number of verdicts.
#[derive(Deserialize)]
struct Step {
    /// Entries of the manifest; 0 where nothing was enforced.
    entries: u64,
    verdicts: u64,
    costs: Vec<Cost>,
}

/// One piece of work at one number of verdicts, in guest instructions.
#[derive(Debug, Clone, Serialize)]
struct Row {
    work: String,
    kernel: String,
    peer: &'static str,
    verdicts: u64,
    baseline: u64,
    enforced: u64,
    ratio: f64,
    /// What enforcement costs by itself, by what it costs with the fewest verdicts.
    growth: f64,
    missed: bool,
}

pub(super) fn run(kernels: &[Kernel], (json, write): (bool, bool)) -> Result<()> {
    let found = kernels.iter().map(|kernel| measure(&kernel.name)).collect::<Result<Vec<_>>>()?;
    if write {
        kernels.iter().zip(&found).try_for_each(|(kernel, rows)| footprint::write("scale", &kernel.name, &markdown(rows)))?;
    }
    let rows = found.concat();
    if json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    println!("{:24} {:6} {:>9} {:>10} {:>10} {:>7} {:>7} {:>7}", "WORK", "KERNEL", "VERDICTS", "BASELINE", "ENFORCED", "MORE", "RATIO", "GROWTH");
    for Row { work, kernel, verdicts, baseline, enforced, ratio, growth, missed, .. } in &rows {
        let (more, missed) = (enforced - baseline, if *missed { "  missed" } else { "" });
        println!("{work:24} {kernel:6} {verdicts:>9} {baseline:>10} {enforced:>10} {more:>+7} {ratio:>7.4} {growth:>7.3}{missed}");
    }
    println!(
        "\nGuest instructions. GROWTH: what enforcement costs by itself, beside what it costs with the fewest\nverdicts; the target is at most {TARGET}. \
         {NO_SCOPES}"
    );
    Ok(())
}

fn markdown(rows: &[Row]) -> String {
    let cells = rows.iter().map(|Row { work, verdicts, baseline, enforced, ratio, growth, missed, .. }| {
        let (more, target) = (enforced - baseline, footprint::judged(&format!("≤ {TARGET}"), *missed));
        vec![work.clone(), verdicts.to_string(), baseline.to_string(), format!("{ratio} (+{more})"), growth.to_string(), target]
    });
    footprint::table(&["work", "verdicts", "no enforcer", "enforcer", "growth", "target"], cells) + &format!("\n{}\n", NO_SCOPES.replace('\n', " "))
}

fn measure(kernel: &str) -> Result<Vec<Row>> {
    let tests = GuestTests::prepare()?;
    let staged = Staged::make(&SIZES)?;
    ui::remark("one emulated CPU that counts instructions: this takes some minutes");
    let mut spec = staged.machine(&tests, kernel, &format!("max-verdicts = {ROOM}"), "guest-tests bench scale")?;
    spec.icount = true;
    spec.smp = 1;
    spec.accel = Accel::Tcg;
    spec.memory = MEMORY;
    spec.timeout = super::LONG;
    let outcome = vm::run(&spec)?;
    if outcome.status != 0 {
        bail!("the measurement ended with status {}:\n{}", outcome.status, String::from_utf8_lossy(&outcome.stderr));
    }
    rows(&guest_tests::lines(&outcome)?, kernel)
}

/// Each step beside the last one, where nothing was enforced.
fn rows(steps: &[Step], kernel: &str) -> Result<Vec<Row>> {
    let Some((without, enforced)) = steps.split_last().filter(|(without, _)| without.entries == 0) else {
        bail!("the guest did not measure what the work costs without enforcement");
    };
    ensure!(!enforced.is_empty(), "the guest did not measure what the work costs with enforcement");
    let mut rows = Vec::new();
    for (place, baseline) in without.costs.iter().enumerate() {
        let mut least = None;
        for step in enforced {
            let cost =
                step.costs.get(place).filter(|cost| cost.work == baseline.work).with_context(|| format!("`{}` was not measured", baseline.work))?;
            let more = cost.value.checked_sub(baseline.value).filter(|more| *more > 0);
            let more = more.with_context(|| format!("`{}` costs {} with enforcement and {} without", cost.work, cost.value, baseline.value))?;
            let growth = rounded(more as f64 / *least.get_or_insert(more) as f64);
            rows.push(Row {
                work: cost.work.clone(),
                kernel: kernel.to_owned(),
                peer: "enforcer",
                verdicts: step.verdicts,
                baseline: baseline.value,
                enforced: cost.value,
                ratio: rounded(cost.value as f64 / baseline.value as f64),
                growth,
                missed: growth > TARGET,
            });
        }
    }
    Ok(rows)
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// Entries of the manifests.
const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Verdicts that fit: the largest manifest and the system's own.
const ROOM: u32 = 1_048_576;
/// Mebibytes: a manifest of a million entries is read as a whole.
const MEMORY: u32 = 2048;
/// Of the hot path's own cost.
const TARGET: f64 = 1.05;
const NO_SCOPES: &str = "Scopes (cgroups with a\nmode of their own) are not measured: this version has none.";

#[cfg(test)]
mod tests {
    use super::*;

    fn step(entries: u64, value: u64) -> Step {
        let cost = serde_json::json!([{ "work": "exec", "value": value, "unit": "nanoseconds" }]);
        Step { entries, verdicts: entries, costs: serde_json::from_value(cost).unwrap() }
    }

    #[test]
    fn growth_is_of_what_enforcement_costs_by_itself() {
        let rows = rows(&[step(1000, 1100), step(1_000_000, 1110), step(0, 1000)], "6.12").unwrap();
        let told: Vec<_> = rows.iter().map(|row| (row.verdicts, row.ratio, row.growth, row.missed)).collect();
        assert_eq!(told, [(1000, 1.1, 1.0, false), (1_000_000, 1.11, 1.1, true)]);
    }

    #[test]
    fn nothing_is_compared_with_a_baseline_that_is_missing_or_dearer() {
        assert!(rows(&[step(1000, 1100)], "6.12").is_err());
        assert!(rows(&[step(1000, 900), step(0, 1000)], "6.12").is_err());
    }
}
