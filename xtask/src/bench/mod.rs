//! `cargo xtask bench`: what enforcement costs, beside others that do a part of the same work, and how fast signatures are made and checked.
//!
//! | module | what it is responsible for |
//! |---|---|
//! | `stages` | what is measured in machines that count instructions: `hooks`, `cold`, `first-use` |
//! | `peers` | who enforces in such a machine, and the proof that he does |
//! | `report` | the rows that all groups print |
//! | `targets` | what we want to reach |
//! | `document`, `plot` | docs/performance.md and its pictures, from the rows of earlier runs and of this one |
//! | `scale` | whether the hot path costs the same with a million verdicts |
//! | `memory`, `boot` | what the service takes of the memory, and how long until it is ready |
//! | `staged`, `figure` | manifests that fill the kernel's map, and numbers that nobody is compared by |
//! | `footprint` | docs/footprint.md, from what these and `scan` found |
//! | `verifier` | what the programs cost each kernel's verifier, and the budget for it |
//! | `scan`, `signatures` | verifying and signing on this machine, beside other tools; `native` has what both need |

mod boot;
mod document;
mod figure;
mod footprint;
mod memory;
mod native;
mod peers;
mod plot;
mod report;
mod scale;
mod scan;
mod signatures;
mod staged;
mod stages;
mod targets;
pub(crate) mod verifier;

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};

use self::peers::Peer;
use self::stages::Stage;
use crate::setup::kernels::{self, Kernel};
use crate::ui;

/// Measure what enforcement costs, and how fast signatures are made and checked on this machine.
#[derive(Args)]
pub(crate) struct Arguments {
    /// What to measure
    #[arg(value_enum, required = true, value_name = "GROUP")]
    groups: Vec<Group>,
    /// Guests of this kernel only; may be given more than once [default: 6.12 and 7]
    #[arg(long, value_name = "NAME")]
    kernel: Vec<String>,
    /// Beside this peer only; may be given more than once [default: all]
    #[arg(long, value_enum, value_name = "NAME")]
    peer: Vec<Peer>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Also put what was measured into docs/performance.md and its pictures, into docs/footprint.md, or, with `verifier`, into tests/verifier.toml
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    /// All that docs/performance.md shows
    All,
    /// Operations that the hooks see, with everything in the caches: exec, open, mmap, mprotect
    Hooks,
    /// The first start of what is on the disk only, sealed with fs-verity and not
    Cold,
    /// The first use of a signed file that nobody has seen
    FirstUse,
    /// Nothing: only write docs/performance.md anew, from what earlier runs measured
    Document,
    /// The hot path with a thousand to a million verdicts
    Scale,
    /// The daemon's memory, and the kernel's for each verdict and each measured file
    Memory,
    /// The time from the service's start until it is ready
    Boot,
    /// Verifying all code of this machine, beside sha256sum and openssl, which only hash it
    Scan,
    /// Signing many files, beside evmctl
    Signatures,
    /// What the eBPF programs cost each kernel's verifier, beside what tests/verifier.toml allows
    Verifier,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let kernels = kernels(&arguments.kernel)?;
    let own = [Group::Scale, Group::Memory, Group::Boot, Group::Scan, Group::Signatures, Group::Verifier];
    if let Some(group) = arguments.groups.iter().find(|group| own.contains(group)) {
        if arguments.groups.len() > 1 || (arguments.write && *group == Group::Signatures) {
            bail!("this group has rows of its own: measure it alone, and `signatures` without `--write`");
        }
        let output = (arguments.json, arguments.write);
        return match group {
            Group::Scale => scale::run(&kernels, output),
            Group::Memory => figure::show("memory", &kernels, memory::measure, output),
            Group::Boot => figure::show("boot", &kernels, boot::measure, output),
            Group::Scan => scan::run(output),
            Group::Verifier => verifier::run(&arguments.kernel, arguments.write, arguments.json),
            _ => signatures::run(arguments.json),
        };
    }
    let wants = |group| arguments.groups.contains(&group) || arguments.groups.contains(&Group::All);
    let stages: Vec<Stage> =
        [(Group::Hooks, Stage::Hooks), (Group::Hooks, Stage::Profile), (Group::Cold, Stage::Cold), (Group::FirstUse, Stage::FirstUse)]
            .into_iter()
            .filter_map(|(group, stage)| wants(group).then_some(stage))
            .collect();
    if stages.is_empty() {
        return document::write(report::Report::default());
    }
    let peers = if arguments.peer.is_empty() { Peer::value_variants() } else { &arguments.peer };
    let (report, failed) = stages::run(&stages, &kernels, peers)?;
    report.show(arguments.json)?;
    if arguments.write {
        document::write(report)?;
    }
    failed.iter().for_each(ui::error);
    ensure!(failed.is_empty(), "{} of the boots gave no figures", failed.len());
    Ok(())
}

/// Those that were asked for, or those that figures are published of.
fn kernels(names: &[String]) -> Result<Vec<Kernel>> {
    let published = PUBLISHED.map(str::to_owned);
    let names = if names.is_empty() { published.as_slice() } else { names };
    names.iter().map(|name| kernels::find(name)).collect()
}

/// Kernels whose figures are in docs/performance.md.
const PUBLISHED: [&str; 2] = ["6.12", "7"];

/// What a machine may take whose kernel has very many verdicts, with every instruction counted.
const LONG: Duration = Duration::from_secs(3600);
