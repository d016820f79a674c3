//! `enforcer status`.

use super::{Exit, Failure, Output};

/// What is enforced on this machine right now?
#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: Arguments, _output: &mut Output) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::System, "this build has no `status` yet"))
}
