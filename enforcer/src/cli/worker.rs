//! `enforcer worker`: what the daemon starts to look into untrusted files. Of no use to people, hence hidden.

use super::{Exit, Failure, Output};
use crate::worker;

/// Look into files that the daemon hands over on descriptor 0, without any rights.
#[derive(clap::Args)]
#[command(hide = true)]
pub(super) struct Arguments {
    /// The place in the queue for the processor.
    #[arg(long, value_name = "LEVEL", default_value_t = 0, allow_negative_numbers = true)]
    nice: i32,
}

pub(super) fn run(arguments: Arguments, _output: &mut Output) -> Result<Exit, Failure> {
    worker::serve(arguments.nice).map(|()| Exit::Yes).map_err(|error| Failure::because(Exit::System, &error))
}
