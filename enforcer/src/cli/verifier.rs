//! `enforcer verifier`: what the programs cost the kernel's verifier. For those who change the programs, hence hidden.

use super::output::{OutputError, Table};
use super::{Exit, Failure, Output};
use crate::kernel::{Verification, verify_programs};

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
        tell(&verifications, output)?;
    }
    Ok(Exit::Yes)
}

fn tell(verifications: &[Verification], output: &mut Output) -> Result<(), OutputError> {
    let mut table = Table::new(["PROGRAM", "INSTRUCTIONS", "STATES", "STACK"]);
    for of in verifications {
        table.row([of.program.clone(), of.instructions.to_string(), of.states.to_string(), of.stack.to_string()]);
    }
    output.table(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::hold;

    #[test]
    fn each_program_has_its_row() {
        let of = |program: &str, instructions, states, stack| Verification { program: program.to_owned(), instructions, states, stack };
        hold("verifier/table", |output| tell(&[of("bprm_check_security", 412_345, 21_098, 488), of("brk", 97, 8, 0)], output));
    }
}
