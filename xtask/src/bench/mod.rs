//! `cargo xtask bench`: what enforcement costs, and how fast signatures are made and checked.

mod hooks;
mod signatures;
pub(crate) mod verifier;

use anyhow::Result;
use clap::{Args, ValueEnum};

/// Measure what enforcement costs, in guest instructions, and how fast signatures are made and checked on this machine.
#[derive(Args)]
pub(crate) struct Arguments {
    /// What to measure
    #[arg(value_enum)]
    group: Group,
    /// A kernel by its name in tests/kernels.toml; without it, 6.12 for `hooks`, and each for `verifier`
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// With `verifier`: accept what was measured, in tests/verifier.toml
    #[arg(long)]
    write: bool,
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
    /// What the eBPF programs cost each kernel's verifier, beside what tests/verifier.toml allows
    Verifier,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match arguments.group {
        Group::Hooks => hooks::run(arguments.kernel.as_deref().unwrap_or("6.12"), arguments.json),
        Group::Signatures => signatures::run(arguments.json),
        Group::Verifier => verifier::run(arguments.kernel.as_deref(), arguments.write, arguments.json),
    }
}
