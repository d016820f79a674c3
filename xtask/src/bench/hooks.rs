//! `cargo xtask bench hooks`: what enforcement costs, in guest instructions.
//!
//! One machine with one emulated CPU counts an instruction as a nanosecond, so what is measured does not depend on the host. With and without the
//! enforcer are measured in the same boot.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::guest_tests::GuestTests;
use crate::ui;
use crate::vm::{self, Accel, Mode};

/// A row of the guest's report.
#[derive(Deserialize)]
struct Cost {
    work: String,
    nanoseconds: u64,
}

/// A row of ours: guest instructions per operation.
#[derive(Serialize)]
struct Comparison {
    work: String,
    kernel: String,
    baseline: u64,
    enforced: u64,
    ratio: f64,
}

pub(super) fn run(kernel: &str, json: bool) -> Result<()> {
    let tests = GuestTests::prepare()?;
    ui::remark("one emulated CPU that counts instructions: this takes some minutes");
    let mut spec = tests.machine("guest-tests bench hooks --json && enforcer stop --release >&2 && guest-tests bench hooks --json");
    // The demo's: no names are bound.
    spec.policy = None;
    kernel.clone_into(&mut spec.kernel);
    spec.mode = Some(Mode::Enforce);
    spec.icount = true;
    spec.smp = 1;
    spec.accel = Accel::Tcg;
    let outcome = vm::run(&spec)?;
    if outcome.status != 0 {
        bail!("the measurement ended with status {}:\n{}", outcome.status, String::from_utf8_lossy(&outcome.stderr));
    }
    let comparisons = compare(&String::from_utf8_lossy(&outcome.stdout), kernel)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&comparisons)?);
        return Ok(());
    }
    println!("{:24} {:>12} {:>12} {:>9} {:>7}", "GUEST INSTRUCTIONS FOR", "BASELINE", "ENFORCED", "MORE", "RATIO");
    for row in &comparisons {
        let more = i128::from(row.enforced) - i128::from(row.baseline);
        println!("{:24} {:>12} {:>12} {more:>+9} {:>7.3}", row.work, row.baseline, row.enforced, row.ratio);
    }
    Ok(())
}

/// The guest prints two reports: enforced first, then without.
fn compare(printed: &str, kernel: &str) -> Result<Vec<Comparison>> {
    let reports: Vec<Vec<Cost>> = printed
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).with_context(|| format!("the guest printed `{line}`, which is no report")))
        .collect::<Result<_>>()?;
    let [enforced, baseline] = reports.as_slice() else { bail!("the guest printed {} reports, not two", reports.len()) };
    ensure!(enforced.len() == baseline.len() && !enforced.is_empty(), "the guest's two reports differ in length");
    let mut rows = Vec::new();
    for (enforced, baseline) in enforced.iter().zip(baseline) {
        ensure!(enforced.work == baseline.work && baseline.nanoseconds > 0, "the guest's two reports do not match at `{}`", enforced.work);
        rows.push(Comparison {
            work: enforced.work.clone(),
            kernel: kernel.to_owned(),
            baseline: baseline.nanoseconds,
            enforced: enforced.nanoseconds,
            ratio: (enforced.nanoseconds as f64 / baseline.nanoseconds as f64 * 1e4).round() / 1e4,
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_reports_become_ratios() {
        let rows = compare("[{\"work\":\"exec\",\"nanoseconds\":1010}]\n[{\"work\":\"exec\",\"nanoseconds\":1000}]\n", "6.12").unwrap();
        assert_eq!((rows[0].baseline, rows[0].enforced, rows[0].ratio), (1000, 1010, 1.01));
    }

    #[test]
    fn reports_that_do_not_match_are_refused() {
        assert!(compare("[{\"work\":\"exec\",\"nanoseconds\":1}]\n", "6.12").is_err());
        assert!(compare("[{\"work\":\"a\",\"nanoseconds\":1}]\n[{\"work\":\"b\",\"nanoseconds\":1}]\n", "6.12").is_err());
    }
}
