//! `cargo xtask test stress`: do only bytes run that a verdict covers, whatever happens to the files? And would the test notice if not?
//!
//! The work is done by `guest-tests stress` in a machine. With `--mutate`, the machine's eBPF programs lack clauses of the rule by which a measurement
//! is reused, and foreign bytes have to be seen to run ([`mutations`]).

mod mutations;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::Args;
use serde::Deserialize;

use crate::guest_tests::{GuestTests, lines};
use crate::lanes::{Job, Lanes};
use crate::setup::kernels::Kernel;
use crate::test::run_machine;
use crate::ui;
use crate::vm::{Accel, Mode, Output, Spec};

/// What `test stress` takes besides.
#[derive(Args)]
pub(crate) struct Stress {
    /// With `stress`: random turns on each file system
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    turns: u64,
    /// With `stress`: only on this file system (ext4, xfs, btrfs, overlay); may be given more than once
    #[arg(long, value_name = "FS")]
    fs: Vec<String>,
    /// With `stress`: what the random turns follow from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// With `stress`: leave out these clauses of the rule, and demand that foreign bytes are seen to run; `all` for each mutation in turn
    #[arg(long, value_name = "CLAUSE[+CLAUSE…]")]
    mutate: Option<String>,
}

/// What was seen on one file system: a JSON line of `guest-tests stress`.
#[derive(Deserialize)]
struct Record {
    fs: String,
    turns: u64,
    tried: BTreeMap<String, u64>,
    counts: BTreeMap<String, u64>,
    false_denials: BTreeMap<String, u64>,
    foreign: Vec<Foreign>,
}

#[derive(Deserialize)]
struct Foreign {
    scenario: String,
    what: String,
}

pub(crate) fn run(kernels: &[Kernel], arguments: &Stress, lanes: &Lanes, accel: Accel) -> Result<()> {
    if let Some(wanted) = &arguments.mutate {
        return mutations::run(kernels, wanted, lanes, accel);
    }
    let tests = GuestTests::prepare()?;
    let machines = kernels.iter().map(|kernel| -> Job<'_, Result<bool>> { Box::new(|| on_kernel(&tests, kernel, arguments, accel)) });
    let mut failed = Vec::new();
    for (kernel, passed) in kernels.iter().zip(lanes.run(machines.collect())) {
        if !passed? {
            failed.push(kernel.name.clone());
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("the stress failed on kernel {}", failed.join(" and ")) }
}

/// All of it on one kernel. Whether it passed.
fn on_kernel(tests: &GuestTests, kernel: &Kernel, arguments: &Stress, accel: Accel) -> Result<bool> {
    ui::remark(&format!("{} random turns on each file system on kernel {}, seed {}", arguments.turns, kernel.name, arguments.seed));
    let mut script = format!("exec guest-tests stress --json --turns {} --seed {}", arguments.turns, arguments.seed);
    for fs in &arguments.fs {
        script += &format!(" --fs '{fs}'");
    }
    let mut spec = machine(tests, kernel, &script, accel);
    spec.timeout = Duration::from_secs(600 + arguments.turns / 10);
    let outcome = run_machine(&spec)?;
    let records: Vec<Record> = lines(&outcome)?;
    ensure!(!records.is_empty(), "nothing was tried on kernel {}; the console's log is `{}`", kernel.name, outcome.console.display());
    for record in &records {
        println!("{}", record.line(&kernel.name));
        for Foreign { scenario, what } in &record.foreign {
            println!("    {scenario}: {what}");
        }
    }
    Ok(outcome.status == 0)
}

/// A machine in enforce mode for a part of the stress.
fn machine(tests: &GuestTests, kernel: &Kernel, script: &str, accel: Accel) -> Spec {
    let mut spec = tests.machine(script);
    spec.kernel.clone_from(&kernel.name);
    spec.mode = Some(Mode::Enforce);
    spec.accel = accel;
    spec.output = Output::StdoutCaptured;
    spec.label = Some(kernel.name.clone());
    spec
}

impl Record {
    fn line(&self, kernel: &str) -> String {
        let list = |numbers: &BTreeMap<String, u64>| numbers.iter().map(|(name, number)| format!("{name} {number}")).collect::<Vec<_>>().join(", ");
        format!(
            "{kernel} {}: {} directed interleavings, {} random turns ({}); untouched signed files denied: {} ({}); runs of foreign bytes: {}",
            self.fs,
            self.tried.values().sum::<u64>(),
            self.turns,
            list(&self.counts),
            self.false_denials.values().sum::<u64>(),
            list(&self.false_denials),
            self.foreign.len()
        )
    }
}
