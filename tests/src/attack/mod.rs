//! Forbidden things, each done by a process of its own: it ends with the foreign code's words on stdout, or with the kernel's error on stderr.
//!
//! The honest twins use the same code with signed files, so that a test cannot pass because its own tool is broken.

mod exec;
mod library;
mod mapping;
mod memory;

use std::process::ExitCode;

use anyhow::Result;

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
}

/// Does it. An error is the kernel's refusal.
pub fn run(attack: &Attack) -> Result<ExitCode> {
    match attack {
        Attack::Exec(start) => exec::run(start)?,
        Attack::Library(library) => library::run(library)?,
        Attack::Memory(memory) => memory::run(memory)?,
    }
    Ok(ExitCode::SUCCESS)
}
