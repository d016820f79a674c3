//! `cargo xtask test`: every test. Those of the host first, then the suite inside of a machine for each kernel of `tests/kernels.toml`.
//!
//! A test that a kernel cannot pass is skipped only when `tests/kernels.toml` names it with the reason. A kernel whose machine fails counts as a
//! failed test.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::bench::verifier;
use crate::guest_tests::{self, GuestTests};
use crate::lanes::{Job, Lanes};
use crate::setup::kernels::{self, Kernel};
use crate::vm::{Accel, Outcome, Output, Spec};
use crate::{bypass, conformance, containers, documents, early, package, process, rollout, setup, stress, ui, vm, workspace};

/// Run every test: on this machine, and in a virtual machine for each kernel.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only these parts
    #[arg(value_enum, value_name = "PART")]
    parts: Vec<Part>,
    /// Guests of this kernel only; may be given more than once
    #[arg(long, value_name = "NAME")]
    kernel: Vec<String>,
    /// Only tests of the guest's suite, or documents, whose name contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    #[command(flatten)]
    pub(crate) lanes: Lanes,
    /// How the guest's CPU is made
    #[arg(long, default_value = "auto")]
    pub(crate) accel: Accel,
    /// With `bypass`: print the results as JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    stress: stress::Stress,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The tests of the crates, which need no kernel of their own
    Host,
    /// Of those, only our verdicts beside the verdicts of other tools, with a table
    Signatures,
    /// Of all tests, only those that the catalogue of bypasses names, with a table of the techniques
    Bypass,
    /// The suite inside of a machine, for each kernel
    Guest,
    /// A boot with enforcement before the system's own init, for each kernel
    Early,
    /// The commands in the documents, as written, inside of a machine; with `--only`, those of documents whose name contains it
    Documents,
    /// Only when named: whether only signed bytes run, whatever happens to the files meanwhile
    Stress,
    /// Only when named: the Debian package, and its life on plain Debian 12 and 13
    Package,
    /// Only when named: every interpreter in every form, and what a plain Debian system does, with scripts enforced
    Scripts,
    /// Only when named: from a server on which nothing is installed to one that enforces, and back, as a user does it; and the report's page in a browser
    Rollout,
    /// Only when named: scopes over the containers of a real engine, on plain Debian 12 and 13
    Containers,
}

/// An emulated machine on a busy host takes its time for all tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45 * 60);

/// What the machines came to.
#[derive(Default)]
struct Tally {
    passed: usize,
    /// What failed and why, each in a line or more.
    failed: Vec<String>,
    skipped: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let names = |part| arguments.parts.contains(&part);
    let wants = |part| arguments.parts.is_empty() || names(part);
    if wants(Part::Host) {
        host()?;
    }
    if names(Part::Signatures) {
        conformance::run()?;
    }
    if names(Part::Bypass) {
        bypass::run(&kernels(arguments)?, arguments)?;
    }
    if names(Part::Stress) {
        stress::run(&kernels(arguments)?, &arguments.stress, &arguments.lanes, arguments.accel)?;
    }
    if names(Part::Rollout) {
        rollout::run(arguments.accel)?;
    }
    if names(Part::Containers) {
        containers::run(&kernels(arguments)?, &arguments.lanes, arguments.accel)?;
    }
    if names(Part::Package) {
        package::test::run(&arguments.lanes, arguments.accel)?;
    }
    if names(Part::Scripts) {
        scripts(&kernels(arguments)?, arguments)?;
    }
    if ![Part::Guest, Part::Early, Part::Documents].into_iter().any(wants) {
        return Ok(());
    }
    let tests = if [Part::Guest, Part::Early].into_iter().any(wants) { Some(GuestTests::prepare()?) } else { None };
    let enforcer = &tests.as_ref().map_or_else(vm::enforcer, |tests| Ok(tests.enforcer().to_owned()))?;
    let tests = tests.as_ref();
    let kernels = &kernels(arguments)?;
    let mut machines: Vec<Job<'_, Tally>> = Vec::new();
    if let Some(tests) = tests.filter(|_| wants(Part::Guest)) {
        machines.extend(on_each(kernels, "the suite", |kernel| suite(tests, kernel, arguments)));
    }
    if let Some(tests) = tests.filter(|_| wants(Part::Early)) {
        machines.extend(kernels.iter().map(|kernel| -> Job<'_, Tally> {
            Box::new(move || {
                ui::remark(&format!("a boot with enforcement before init, on kernel {}", kernel.name));
                Tally::of(early::run(tests, kernel, arguments.accel).with_context(|| format!("enforcement before init on kernel {}", kernel.name)))
            })
        }));
    }
    if wants(Part::Documents) {
        machines.push(Box::new(|| {
            ui::remark("the documents' commands, as written");
            Tally::of(documents::run(enforcer, arguments.accel, arguments.only.as_deref()))
        }));
    }
    Tally::sum(&arguments.lanes.run(machines))
}

/// A machine for each kernel that runs a suite there. The newest first: its verifier takes longest.
fn on_each<'a>(
    kernels: &'a [Kernel],
    what: &'a str,
    suite: impl Fn(&Kernel) -> Result<Tally> + Copy + Send + 'a,
) -> impl Iterator<Item = Job<'a, Tally>> {
    kernels.iter().rev().map(move |kernel| -> Job<'a, Tally> {
        Box::new(move || {
            ui::remark(&format!("{what} on kernel {}", kernel.name));
            let tally = suite(kernel).unwrap_or_else(|error| Tally::of(Err(error.context(format!("kernel {}", kernel.name)))));
            ui::remark(&format!("kernel {}: {}", kernel.name, tally.line()));
            tally
        })
    })
}

/// The table of interpreters and forms, and a plain Debian system, in one boot of each kernel.
fn scripts(kernels: &[Kernel], arguments: &Arguments) -> Result<()> {
    let tests = GuestTests::prepare_for_scripts()?;
    let on_kernel = |kernel: &Kernel| {
        let mut spec = tests.machine(&(format!("guest-tests scripts --json{}", only(arguments)) + AND_ITS_JOURNAL));
        spec.memory = 2048;
        spec.timeout = PATIENCE * 2;
        Ok(results(spec, kernel, arguments)?.0)
    };
    Tally::sum(&arguments.lanes.run(on_each(kernels, "scripts", &on_kernel).collect()))
}

/// Those that were asked for, or all.
fn kernels(arguments: &Arguments) -> Result<Vec<Kernel>> {
    match arguments.kernel.as_slice() {
        [] => kernels::catalog(),
        names => names.iter().map(|name| kernels::find(name)).collect(),
    }
}

/// The tests of the crates, which need no kernel of their own.
fn host() -> Result<()> {
    setup::for_tests()?;
    crate::build::ebpf()?;
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--workspace", "--exclude", "enforcer-ebpf"]);
    let mut export = workspace::cargo();
    export.args(["test", "--package", "enforcer", "--features", crate::build::OTLP, "--test", "export"]);
    for cargo in [&mut cargo, &mut export] {
        if !process::pass_through(cargo)?.success() {
            bail!("a test of this machine failed");
        }
    }
    Ok(())
}

/// The suite of `guest-tests` in one boot of one kernel. What the programs cost the verifier is asked first, unless certain tests are wanted.
fn suite(tests: &GuestTests, kernel: &Kernel, arguments: &Arguments) -> Result<Tally> {
    let is_whole = arguments.only.is_none();
    let mut script = if is_whole { format!("{}; ", verifier::COMMAND) } else { String::new() };
    script += "guest-tests suite --json";
    for lack in &kernel.lacks {
        eprintln!("excused on {}: {} ({})", kernel.name, lack.test, lack.reason);
        script += &format!(" --skip '{}'", lack.test);
    }
    script += &only(arguments);
    script += AND_ITS_JOURNAL;
    let mut spec = tests.machine(&script);
    spec.timeout = PATIENCE;
    let (mut tally, verified) = results(spec, kernel, arguments)?;
    tally.skipped = kernel.lacks.len();
    if is_whole {
        tally.add(&Tally::of(verifier::judge(kernel, verified).with_context(|| format!("the verifier of kernel {}", kernel.name))));
    }
    Ok(tally)
}

/// The option for the tests that were asked for.
fn only(arguments: &Arguments) -> String {
    arguments.only.as_ref().map(|only| format!(" --only '{only}'")).unwrap_or_default()
}

/// A line that a machine prints.
#[derive(Deserialize)]
#[serde(untagged)]
enum Printed {
    Result(Box<guest_tests::Line>),
    Verified(Vec<verifier::Verification>),
}

/// Boots one kernel, and counts the results that a suite prints there. With what the enforcer says there of the verifier's work.
fn results(mut spec: Spec, kernel: &Kernel, arguments: &Arguments) -> Result<(Tally, Vec<Vec<verifier::Verification>>)> {
    spec.kernel.clone_from(&kernel.name);
    spec.accel = arguments.accel;
    spec.output = Output::StdoutCaptured;
    spec.label = Some(kernel.name.clone());
    let outcome = run_machine(&spec)?;
    let (mut lines, mut verified) = (Vec::new(), Vec::new());
    for printed in guest_tests::lines(&outcome)? {
        match printed {
            Printed::Result(line) => lines.push(*line),
            Printed::Verified(report) => verified.push(report),
        }
    }
    let failed: Vec<&guest_tests::Line> = lines.iter().filter(|line| !line.pass).collect();
    if failed.is_empty() && outcome.status != 0 {
        bail!("the suite ended with status {}; the console's log is `{}`", outcome.status, outcome.console.display());
    }
    let tell =
        |line: &&guest_tests::Line| format!("{} {}: expected {}, but {} {}", kernel.name, line.name, line.expected, line.happened, line.detail);
    Ok((Tally { passed: lines.len() - failed.len(), failed: failed.iter().map(tell).collect(), skipped: 0 }, verified))
}

/// What the service says of itself, where a test failed: all but the denials, which are the tests'.
const AND_ITS_JOURNAL: &str = " || { status=$?; journalctl --unit enforcer --no-pager --output short-monotonic \
    | grep --invert-match --extended-regexp 'enforcer\\[[0-9]+\\]: (denied|would deny)' | tail --lines 200 >&2; exit $status; }";

/// Emulated machines sometimes break by themselves (the emulator races with a kernel that patches its own code): then once more, and no third time. A
/// machine that broke in or near a BPF program is ours, and is not tried again, unless it was at a place that the kernel had patched.
pub(crate) fn run_machine(spec: &Spec) -> Result<Outcome> {
    vm::run(spec).or_else(|error| {
        let told = format!("{error:#}");
        if told.contains("bpf") && !told.contains(vm::PATCHED_CODE) {
            return Err(error);
        }
        ui::error(&error);
        ui::remark("the machine broke, not a test: once more");
        vm::run(spec)
    })
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed.iter().cloned());
        self.skipped += other.skipped;
    }

    /// Tells what all machines came to, and once more what failed: before it lies what the machines had to say. Nothing but passed tests is a success.
    fn sum(tallies: &[Self]) -> Result<()> {
        let mut total = Self::default();
        tallies.iter().for_each(|tally| total.add(tally));
        total.failed.iter().for_each(|failure| println!("FAILED {failure}"));
        println!("{}", total.line());
        if !total.failed.is_empty() || total.passed == 0 { bail!("not every test passed") } else { Ok(()) }
    }

    /// One test that is no suite.
    fn of(outcome: Result<()>) -> Self {
        match outcome {
            Ok(()) => Self { passed: 1, ..Self::default() },
            Err(error) => {
                ui::error(&error);
                Self { failed: vec![format!("{error:#}")], ..Self::default() }
            }
        }
    }

    /// The closing line.
    fn line(&self) -> String {
        let skipped = if self.skipped == 0 { String::new() } else { format!(", {} skipped", self.skipped) };
        format!("{} passed, {} failed{skipped}", self.passed, self.failed.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_the_verifiers_report_are_told_apart_and_nothing_else_is_taken() {
        let result = r#"{"name":"enforce::a","test":"a","kind":"honest","title":"","twin":null,"expected":"","happened":"","event":null,"pass":true,"detail":""}"#;
        assert!(matches!(serde_json::from_str(result), Ok(Printed::Result(line)) if line.pass));
        let report = r#"[{"program":"bpf","instructions":1,"states":2,"stack":3}]"#;
        assert!(matches!(serde_json::from_str(report), Ok(Printed::Verified(programs)) if programs.len() == 1));
        assert!(serde_json::from_str::<Printed>(r#"[{"program":"bpf"}]"#).is_err());
    }
}
