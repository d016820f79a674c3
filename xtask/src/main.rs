//! `cargo xtask`: the whole development system of Enforcer, one file per subcommand.
//!
//! Data goes to stdout; progress, notes and errors go to stderr. A command exits with 0 when it did what was asked, with 1 when it could not, with 2
//! when the command line is wrong, and `vm` with the status of the command it ran (125 when the machine itself failed).

mod bench;
mod browser;
mod build;
mod bypass;
mod cache;
mod conformance;
mod containers;
mod demo;
mod documents;
mod early;
mod fuzz;
mod guest_tests;
mod lanes;
mod lint;
mod package;
mod process;
mod rollout;
mod server;
mod setup;
mod stress;
mod test;
mod tidy;
mod ui;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, tests and shows Enforcer.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Setup(setup::Arguments),
    Build(build::Arguments),
    Lint(lint::Arguments),
    Package(package::Arguments),
    Demo(demo::Arguments),
    Test(test::Arguments),
    Vm(vm::Arguments),
    Bench(bench::Arguments),
    Fuzz(fuzz::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Setup(arguments) => setup::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Build(arguments) => build::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Package(arguments) => package::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Lint(arguments) => lint::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Demo(arguments) => demo::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Test(arguments) => test::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Bench(arguments) => bench::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Vm(arguments) => Ok(vm::main(arguments)),
    };
    outcome.unwrap_or_else(|error| {
        ui::error(&error);
        ExitCode::FAILURE
    })
}
