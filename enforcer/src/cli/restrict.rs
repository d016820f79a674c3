//! `enforcer restrict`: a command whose interpreters have to ask the kernel about scripts.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::{Exit, Failure, Output};
use crate::kernel::restrict_scripts;

/// Start a command whose interpreters have to ask the kernel before they run a script.
///
/// Sets the secure bits SECBIT_EXEC_RESTRICT_FILE and, with --deny-interactive, SECBIT_EXEC_DENY_INTERACTIVE, locks them, and becomes the command: it
/// and all that it starts cannot take them back. An interpreter that heeds them runs only files about which the kernel says yes (execveat with
/// AT_EXECVE_CHECK), which is Enforcer's answer. One that does not is held to the policy's [scripts] all the same. Needs kernel 6.14.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer restrict -- /usr/bin/my-service --config /etc/my.conf
  enforcer restrict --deny-interactive -- /usr/bin/python3 /srv/app/main.py

In a unit of systemd:
  ExecStart=/usr/sbin/enforcer restrict -- /usr/bin/my-service")]
pub(super) struct Arguments {
    /// Also refuse text that is typed, or comes through a pipe.
    #[arg(long)]
    deny_interactive: bool,
    /// The command and its arguments.
    #[arg(required = true, value_name = "COMMAND", trailing_var_arg = true)]
    command: Vec<OsString>,
}

pub(super) fn run(arguments: Arguments, _output: &mut Output) -> Result<Exit, Failure> {
    restrict_scripts(arguments.deny_interactive).map_err(|error| refused(&error))?;
    let (program, rest) = arguments.command.split_first().ok_or_else(|| Failure::new(Exit::Usage, "no command".to_owned()))?;
    let error = Command::new(program).args(rest).exec();
    Err(Failure::new(Exit::System, format!("cannot start `{}`: {error}", program.display())))
}

fn refused(error: &std::io::Error) -> Failure {
    let failure = Failure::new(Exit::System, format!("the kernel refuses the secure bits: {error}"));
    failure.hint(
        "they need kernel 6.14, and nobody may have locked them otherwise; without them, the policy's [scripts] hold for interpreters all the same",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_these_bits_is_told_what_holds_all_the_same() {
        let refusal = refused(&std::io::Error::from_raw_os_error(libc::EPERM));
        crate::snapshot::pipe("restrict/refused", &refusal.transcript());
    }
}
