//! What operations cost inside of the guest: one module for each group of measurements.
//!
//! Each group prints its [`Cost`]s, one JSON array in a line of stdout. Under QEMU's `-icount shift=0` a nanosecond of the guest's is one instruction. What
//! is measured in which machine, and beside whom, is told by `cargo xtask bench`; nothing here knows who enforces.

pub mod cold;
mod cost;
pub mod first_use;
mod hooks;
mod machine;
mod proof;

use std::process::ExitCode;

use anyhow::Result;

use self::cost::Cost;
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
    /// No measurement: whether what nobody signed is denied.
    Proof,
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
        Bench::Proof => {
            println!("{}", serde_json::to_string(&proof::attempt(scene)?)?);
            return Ok(ExitCode::SUCCESS);
        }
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
