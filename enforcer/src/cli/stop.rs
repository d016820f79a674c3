//! `enforcer stop`: the only way to take enforcement off.

use super::{Exit, Failure, Output};

/// Stop the daemon, or take enforcement off.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer stop --release      take enforcement off this machine, until the next `enforcer run`")]
pub(super) struct Arguments {
    /// Take enforcement off: remove the pinned programs. Without it, known code goes on running and unknown code is denied.
    #[arg(long)]
    release: bool,
}

pub(super) fn run(arguments: Arguments, _output: &mut Output) -> Result<Exit, Failure> {
    let _ = arguments.release;
    Err(Failure::new(Exit::System, "this build cannot reach the kernel's programs yet"))
}
