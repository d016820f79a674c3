//! `cargo xtask bench`: what enforcement costs, and how fast signatures are made and checked.

mod hooks;
mod report;
mod signatures;

use anyhow::Result;
use clap::{Args, ValueEnum};

/// Measure what enforcement costs, in guest instructions, and how fast signatures are made and checked on this machine.
#[derive(Args)]
pub(crate) struct Arguments {
    /// What to measure
    #[arg(value_enum)]
    group: Group,
    /// The kernel of `hooks`: a name in tests/kernels.toml
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Group {
    /// Operations that the hooks see: exec, open, mmap, mprotect
    Hooks,
    /// Verifying all code of this machine and signing many files, beside sha256sum, openssl and evmctl
    Signatures,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match arguments.group {
        Group::Hooks => hooks::run(&arguments.kernel, arguments.json),
        Group::Signatures => signatures::run(arguments.json),
    }
}
