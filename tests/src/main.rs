//! The tests that run inside the virtual machine, and the files that they run.
//!
//! Every attack must work where nothing is enforced, be stopped and recorded in enforce mode, and work and be recorded in audit mode; beside it stands
//! an honest twin that must run in every mode. A result is only believed when it was seen: by the output of the code in question, by the error
//! that the kernel gave, and by the event with the right process, hook, reason and file.
//!
//! JSON lines go to stdout, everything for people to stderr, and the last line there is `N passed, N failed`.

mod attack;
mod bench;
mod child;
mod elf;
mod events;
mod fixtures;
mod lifecycle;
mod mode;
mod report;
mod rows;
mod scene;
mod scripts;
mod service;
mod stress;
mod suite;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::mode::Mode;
use crate::report::Selection;
use crate::scene::Scene;

/// Attacks, honest twins, the daemon's life, and the cost.
#[derive(Parser)]
#[command(name = "guest-tests", max_term_width = 100)]
struct Arguments {
    /// The folder with the prepared files.
    #[arg(long, global = true, value_name = "DIR", default_value = "/opt/enforcer-tests")]
    fixtures: PathBuf,
    /// A folder on a disk file system for files made by the tests.
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/tmp/enforcer-tests")]
    work: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the attacks and their honest twins in the mode that is in force.
    Rows {
        /// The mode that is in force.
        #[arg(long, value_enum)]
        mode: Mode,
        #[command(flatten)]
        selection: Selection,
    },
    /// Run the tests of the daemon's life, in enforce mode.
    Lifecycle {
        #[command(flatten)]
        selection: Selection,
    },
    /// Run everything in one boot: enforce mode, audit mode, and with enforcement taken off.
    Suite {
        /// Only what a demonstration shows: the rows, in enforce and in audit mode.
        #[arg(long)]
        demo: bool,
        #[command(flatten)]
        selection: Selection,
    },
    /// Have interpreters run code that nobody signed, in every form; in one boot, or in a phase that is in force.
    Scripts {
        /// Only the table, in what is in force.
        #[arg(long, value_enum)]
        phase: Option<scripts::Phase>,
        #[command(flatten)]
        selection: Selection,
    },
    /// Change files in every way while they run, and look whether only signed bytes do; in enforce mode.
    Stress(stress::Arguments),
    /// Do one forbidden thing in this process, and say how it went.
    #[command(subcommand)]
    Attack(attack::Attack),
    /// Measure what operations cost.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Build and sign the files that the tests use. Runs on the machine that holds the key, not in the guest.
    Fixtures(fixtures::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let scene = || Scene::new(&arguments.fixtures, &arguments.work);
    let outcome = match arguments.command {
        Command::Rows { mode, selection } => scene().and_then(|scene| rows::run(&scene, mode, selection)),
        Command::Lifecycle { selection } => scene().and_then(|scene| lifecycle::run(&scene, selection)),
        Command::Suite { demo, selection } => scene().and_then(|scene| suite::run(&scene, selection, demo)),
        Command::Scripts { phase, selection } => scene().and_then(|scene| scripts::run(&scene, phase, selection)),
        Command::Stress(arguments) => scene().and_then(|scene| stress::run(&scene, &arguments)),
        Command::Attack(attack) => attack::run(&attack),
        Command::Bench(bench) => scene().and_then(|scene| bench::run(&scene, &bench)),
        Command::Fixtures(arguments) => fixtures::run(&arguments).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("guest-tests: {error:#}");
        ExitCode::FAILURE
    })
}
