//! `enforcer events`.

use super::{Exit, Failure, Output};

/// Show what was denied, or would have been.
#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: Arguments, _output: &mut Output) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::System, "this build has no `events` yet"))
}
