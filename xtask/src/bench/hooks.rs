//! `cargo xtask bench hooks`: what enforcement costs, in guest instructions.
//!
//! One machine with one emulated CPU counts an instruction as a nanosecond, so what is measured does not depend on the host. With and without the
//! enforcer are measured in the same boot.

use anyhow::{Result, bail, ensure};

use super::report::{self, Cost, Row};
use crate::guest_tests::GuestTests;
use crate::ui;
use crate::vm::{self, Accel, Mode};

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
    report::show(&compare(&String::from_utf8_lossy(&outcome.stdout), kernel)?, json)
}

/// The guest prints two reports: enforced first, then without.
fn compare(printed: &str, kernel: &str) -> Result<Vec<Row>> {
    let reports: Vec<Vec<Cost>> = printed.lines().filter(|line| !line.trim().is_empty()).map(report::costs).collect::<Result<_>>()?;
    let [enforced, baseline] = reports.as_slice() else { bail!("the guest printed {} reports, not two", reports.len()) };
    ensure!(enforced.len() == baseline.len(), "the guest's two reports differ in length");
    enforced
        .iter()
        .zip(baseline)
        .map(|(enforced, baseline)| {
            ensure!(enforced.work == baseline.work, "the guest's two reports do not match at `{}`", enforced.work);
            Row::new(&enforced.work, kernel, "enforcer", (baseline.value as f64, enforced.value as f64), &enforced.unit)
        })
        .collect()
}
