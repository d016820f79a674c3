//! `enforcer verify`.

use super::{Exit, Failure, Output};

/// Would these files run, by whose signature, or why not?
#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: Arguments, _output: &mut Output) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::System, "this build has no `verify` yet"))
}
