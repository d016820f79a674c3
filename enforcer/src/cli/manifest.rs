//! `enforcer manifest`.

use super::{Exit, Failure, Output};

/// Make and show signed lists of digests.
#[derive(clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: Arguments, _output: &mut Output) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::System, "this build has no `manifest` yet"))
}
