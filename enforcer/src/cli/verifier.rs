//! `enforcer verifier`: what the programs cost the kernel's verifier. For those who change the programs, hence hidden.

use super::output::Table;
use super::{Exit, Failure, Output};
use crate::kernel::verify_programs;

/// What do the eBPF programs cost this kernel's verifier?
///
/// Loads each program as the daemon would, without attaching it, and takes nothing off that is in force. Needs root.
#[derive(clap::Args)]
#[command(hide = true)]
pub(super) struct Arguments {
    /// Reports as JSON, on one line.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let verifications = verify_programs().map_err(|error| {
        let failure = Failure::because(Exit::System, &error);
        if rustix::process::geteuid().is_root() { failure } else { failure.hint("only root may load programs: `sudo enforcer verifier`") }
    })?;
    if arguments.json {
        output.json_line(&verifications)?;
    } else {
        let mut table = Table::new(["PROGRAM", "INSTRUCTIONS", "STATES", "STACK"]);
        for of in verifications {
            table.row([of.program, of.instructions.to_string(), of.states.to_string(), of.stack.to_string()]);
        }
        output.table(&table)?;
    }
    Ok(Exit::Yes)
}
