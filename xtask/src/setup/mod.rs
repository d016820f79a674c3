//! `cargo xtask setup`: everything the other subcommands need, from nothing, on a Debian machine with Rust.

pub(crate) mod bpf_linker;
pub(crate) mod rust_src;

use anyhow::Result;
use clap::Args;

/// Bring everything that building and testing need (idempotent, resumable).
#[derive(Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_arguments: &Arguments) -> Result<()> {
    rust_src::library()?;
    bpf_linker::install()
}
