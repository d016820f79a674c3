//! What operations cost inside of the guest: one module for each group of measurements.
//!
//! Each group prints its [`Cost`]s, one JSON array in a line of stdout. Under QEMU's `-icount shift=0` a nanosecond of the guest's is one instruction. What
//! is measured in which machine, and beside whom, is told by `cargo xtask bench`; nothing here knows who enforces.

mod boot;
pub mod cold;
mod cost;
pub mod first_use;
mod hooks;
mod machine;
mod memory;
mod profile;
mod proof;
mod scale;
mod staged;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use self::cost::Cost;
use self::staged::Staged;
use crate::scene::Scene;

/// A group of measurements.
#[derive(clap::Subcommand)]
pub enum Bench {
    /// Operations that hooks see, with everything in the caches.
    Hooks(Arguments),
    /// The first start of what is on the disk only.
    Cold(Arguments),
    /// The first use of signed files that nobody has seen.
    FirstUse(Arguments),
    /// What the enforcer's programs have a part in at each operation of `hooks`; JSON.
    Profile,
    /// No measurement: whether what nobody signed is denied.
    Proof,
    /// The hot path with more and more verdicts; JSON lines.
    Scale(Manifests),
    /// The daemon's memory, and the kernel's.
    Memory {
        #[command(flatten)]
        manifests: Manifests,
        #[command(flatten)]
        arguments: Arguments,
    },
    /// The service's start; JSON lines.
    Boot(Manifests),
}

#[derive(clap::Args)]
pub struct Manifests {
    /// The folder with manifests that the host staged.
    #[arg(long, value_name = "DIR")]
    staged: PathBuf,
}

#[derive(clap::Args)]
pub struct Arguments {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// `guest-tests bench`.
pub fn run(scene: &Scene, bench: &Bench) -> Result<ExitCode> {
    let (costs, arguments) = match bench {
        Bench::Hooks(arguments) => (hooks::measure(scene)?, arguments),
        Bench::Cold(arguments) => (cold::measure(scene)?, arguments),
        Bench::FirstUse(arguments) => (first_use::measure(scene)?, arguments),
        Bench::Profile => {
            println!("{}", serde_json::to_string(&profile::measure(scene)?)?);
            return Ok(ExitCode::SUCCESS);
        }
        Bench::Proof => {
            println!("{}", serde_json::to_string(&proof::attempt(scene)?)?);
            return Ok(ExitCode::SUCCESS);
        }
        Bench::Scale(manifests) => return scale::run(scene, &Staged::open(&manifests.staged)?),
        Bench::Memory { manifests, arguments } => (memory::measure(scene, &Staged::open(&manifests.staged)?)?, arguments),
        Bench::Boot(manifests) => return boot::run(&Staged::open(&manifests.staged)?),
    };
    print(&costs, arguments)?;
    Ok(ExitCode::SUCCESS)
}

fn print(costs: &[Cost], arguments: &Arguments) -> Result<()> {
    if arguments.json {
        println!("{}", serde_json::to_string(costs)?);
        return Ok(());
    }
    for cost in costs {
        println!("{:>12} {:<6} {}", cost.value, cost.unit.name(), cost.work);
    }
    Ok(())
}
