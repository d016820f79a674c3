//! Forbidden things, each done by a process of its own: it ends with the foreign code's words on stdout, or with the kernel's error on stderr.
//!
//! The honest twins use the same code with signed files, so that a test cannot pass because its own tool is broken.

mod bpf;
mod change;
mod exec;
mod faults;
mod helpers;
mod kernel;
mod library;
mod mapping;
mod memory;
mod mounts;
mod odd;
mod tracing;

use std::process::ExitCode;

use anyhow::Result;

pub use exec::MAY_BE_STARTED;
pub use library::open_and_ask;

/// What to do.
#[derive(clap::Subcommand)]
pub enum Attack {
    /// Start a file.
    #[command(flatten)]
    Exec(exec::Start),
    /// Bring a library's code in.
    #[command(flatten)]
    Library(library::Library),
    /// Make memory executable.
    #[command(flatten)]
    Memory(memory::Memory),
    /// Change a process's memory from outside.
    #[command(flatten)]
    Tracing(tracing::Tracing),
    /// Reach for the enforcer's own things.
    #[command(flatten)]
    Bpf(bpf::Reach),
    /// Bring code into the kernel.
    #[command(flatten)]
    Kernel(kernel::Kernel),
    /// Change a trusted library.
    #[command(flatten)]
    Change(change::Change),
    /// Supply pages.
    #[command(flatten)]
    Faults(faults::Faults),
    /// Let the kernel start a program.
    #[command(flatten)]
    Helpers(helpers::Helpers),
    /// Start a file of an odd file system.
    #[command(flatten)]
    Mounts(mounts::Mounts),
    /// Take another way in.
    #[command(flatten)]
    Odd(odd::Odd),
}

/// Does it. An error is the kernel's refusal.
pub fn run(attack: &Attack) -> Result<ExitCode> {
    match attack {
        Attack::Exec(start) => exec::run(start)?,
        Attack::Library(library) => library::run(library)?,
        Attack::Memory(memory) => memory::run(memory)?,
        Attack::Tracing(tracing) => tracing::run(tracing)?,
        Attack::Bpf(reach) => bpf::run(reach)?,
        Attack::Kernel(kernel) => kernel::run(kernel)?,
        Attack::Change(change) => change::run(change)?,
        Attack::Faults(faults) => faults::run(faults)?,
        Attack::Helpers(helpers) => helpers::run(helpers)?,
        Attack::Mounts(mounts) => mounts::run(mounts)?,
        Attack::Odd(odd) => odd::run(odd)?,
    }
    Ok(ExitCode::SUCCESS)
}
