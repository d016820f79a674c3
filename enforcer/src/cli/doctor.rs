//! `enforcer doctor`.

use super::{Exit, Failure, Output};

/// Can this machine enforce? Looks before anything is installed.
#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: Arguments, _output: &mut Output) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::System, "this build has no `doctor` yet"))
}
