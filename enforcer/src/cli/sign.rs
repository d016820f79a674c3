//! `enforcer sign`.

use super::{Exit, Failure, Output};

/// Sign files with a PEM key and certificate.
#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: Arguments, _output: &mut Output) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::System, "this build has no `sign` yet"))
}
