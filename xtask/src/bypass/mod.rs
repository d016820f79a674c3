//! `cargo xtask test bypass`: what the catalogue says, tried technique by technique, and told as a table.
//!
//! Runs the tests that `tests/bypass.toml` names and no others: those of this machine, and one boot of each kernel, which goes through enforce mode,
//! audit mode, and no enforcement. They are part of the ordinary tests too.

pub(crate) mod catalogue;
mod host;
mod outcome;

use anyhow::{Result, bail};

use self::catalogue::Technique;
use self::outcome::Judged;
use crate::guest_tests::{self, GuestTests, Line};
use crate::lanes::Job;
use crate::setup::kernels::Kernel;
use crate::test::{Arguments, PATIENCE, run_machine};
use crate::vm::Output;
use crate::{ui, workspace};

/// Runs the catalogue's tests on some kernels, and fails when a technique is not what the catalogue says.
pub(crate) fn run(kernels: &[Kernel], arguments: &Arguments) -> Result<()> {
    let techniques = catalogue::read(&workspace::root())?;
    let host = host::run(&techniques)?;
    let tests = GuestTests::prepare()?;
    let machines = kernels.iter().map(|kernel| -> Job<'_, Result<Vec<Line>>> { Box::new(|| on_kernel(&tests, kernel, &techniques, arguments)) });
    let lines: Vec<Vec<Line>> = arguments.lanes.run(machines.collect()).into_iter().collect::<Result<_>>()?;
    let results: Vec<(&Kernel, &[Line])> = kernels.iter().zip(lines.iter().map(Vec::as_slice)).collect();
    let judged: Vec<Judged> = techniques.iter().map(|technique| Judged::of(technique, &host, &results)).collect();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&judged)?);
    } else {
        print!("{}", outcome::table(&judged, kernels));
    }
    for fault in judged.iter().flat_map(Judged::faults) {
        eprintln!("{fault}");
    }
    let wrong = judged.iter().filter(|judged| judged.faults().next().is_some()).count();
    eprintln!(
        "{} techniques: {} stopped, {} limitations, {wrong} not as they should be",
        judged.len(),
        count(&judged, false) - wrong,
        count(&judged, true)
    );
    if wrong == 0 { Ok(()) } else { bail!("{wrong} techniques are not what `{}` says", catalogue::CATALOGUE) }
}

fn count(judged: &[Judged], limitations: bool) -> usize {
    judged.iter().filter(|judged| judged.is_limitation() == limitations).count()
}

/// The results of one boot.
fn on_kernel(tests: &GuestTests, kernel: &Kernel, techniques: &[Technique], arguments: &Arguments) -> Result<Vec<Line>> {
    ui::remark(&format!("the catalogue of bypasses on kernel {}", kernel.name));
    let mut names: Vec<&str> = techniques.iter().flat_map(|technique| &technique.tests).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let mut script = format!("exec guest-tests suite --json --named '{}'", names.join(","));
    for lack in &kernel.lacks {
        script += &format!(" --skip '{}'", lack.test);
    }
    let mut spec = tests.machine(&script);
    spec.kernel.clone_from(&kernel.name);
    spec.accel = arguments.accel;
    spec.output = Output::StdoutCaptured;
    spec.label = Some(kernel.name.clone());
    spec.timeout = PATIENCE;
    let outcome = run_machine(&spec)?;
    let lines: Vec<Line> = guest_tests::lines(&outcome)?;
    if outcome.status != 0 && lines.iter().all(|line| line.pass) {
        bail!("the suite ended with status {} on kernel {}; the console's log is `{}`", outcome.status, kernel.name, outcome.console.display());
    }
    Ok(lines)
}
