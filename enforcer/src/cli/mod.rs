//! The command line: one file per subcommand, which turns arguments into a call and its result into a report.
//!
//! Data goes to stdout, everything else to stderr. Every report has `--json`. The exit status is one of [`Exit`], whatever happens.
//! Nothing is decided here: what is signed, trusted or enforced is the business of the other modules.

mod break_glass;
mod completions;
mod doctor;
mod event_log;
mod events;
mod exit;
mod explain;
#[cfg(feature = "otlp")]
mod export;
mod failure;
mod in_force;
mod learn;
mod man;
mod manifest;
pub mod output;
mod policy;
mod reload;
mod report;
mod restrict;
mod revoke;
mod run;
mod seal;
mod sign;
mod simulate;
mod since;
mod status;
mod stop;
mod switch;
mod timestamp;
mod top;
mod trust;
mod verifier;
mod verify;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use rustls_pki_types::UnixTime;

pub use exit::Exit;
pub use failure::Failure;
pub use output::Output;

use crate::daemon;
use crate::trust::SecurityVersions;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let exit = match CommandLine::try_parse_from(std::env::args_os()) {
        Ok(line) => match line.command.give_up_rights() {
            Ok(()) => execute(line, &mut Output::stdout()),
            Err(failure) => failure.tell(),
        },
        Err(error) => {
            // clap's own statuses are those of `Exit`: 0 for --help and --version, 2 for what it does not understand.
            _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    ExitCode::from(exit as u8)
}

/// Runs one command line, given as its words with the program's name first, and writes its report to `output`.
///
/// # Errors
/// What clap says about words that are no command line.
pub fn run_words(words: impl IntoIterator<Item = impl Into<OsString> + Clone>, output: &mut Output) -> Result<Exit, clap::Error> {
    Ok(execute(CommandLine::try_parse_from(words)?, output))
}

fn execute(line: CommandLine, output: &mut Output) -> Exit {
    let result = match line.command {
        Command::Run(arguments) => run::run(arguments, output),
        Command::Enforce(arguments) => switch::enforce(arguments, output),
        Command::Audit(arguments) => switch::audit(arguments, output),
        Command::Reload(arguments) => reload::run(arguments, output),
        Command::BreakGlass(arguments) => break_glass::run(arguments, output),
        Command::Stop(arguments) => stop::run(arguments, output),
        Command::Status(arguments) => status::run(arguments, output),
        Command::Events(arguments) => events::run(arguments, output),
        Command::Top(arguments) => top::run(arguments, output),
        #[cfg(feature = "otlp")]
        Command::Export(arguments) => export::run(arguments, output),
        Command::Report(arguments) => report::run(arguments, output),
        Command::Learn(arguments) => learn::run(arguments, output),
        Command::Doctor(arguments) => doctor::run(arguments, output),
        Command::Explain(arguments) => explain::run(arguments, output),
        Command::Verify(arguments) => verify::run(arguments, output),
        Command::Sign(arguments) => sign::run(arguments, output),
        Command::Manifest(arguments) => manifest::run(arguments, output),
        Command::Seal(arguments) => seal::run(arguments, output),
        Command::Timestamp(arguments) => timestamp::run(arguments, output),
        Command::Trust(arguments) => trust::run(arguments, output),
        Command::Revoke(arguments) => revoke::run(arguments, output),
        Command::Policy(arguments) => policy::run(arguments, output),
        Command::Simulate(arguments) => simulate::run(arguments, output),
        Command::Restrict(arguments) => restrict::run(arguments, output),
        Command::Completions(arguments) => completions::run(arguments, output),
        Command::Man(arguments) => man::run(arguments, output),
        Command::Worker(arguments) => worker::run(arguments, output),
        Command::Verifier(arguments) => verifier::run(arguments, output),
    };
    match result.and_then(|exit| output.flush().map(|()| exit).map_err(Failure::from)) {
        Ok(exit) => exit,
        Err(failure) => failure.tell(),
    }
}

/// Only code signed by someone you trust runs on this machine.
///
/// Enforcer measures every program, script and library in the kernel when it is about to run, and asks whether a trusted signer signed
/// exactly these bytes. In audit mode it reports what it would deny; in enforce mode it denies.
#[derive(Parser)]
#[command(name = "enforcer", version, disable_help_subcommand = true, max_term_width = output::WIDTH, after_help = after_help())]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

// In the order in which somebody new needs them.
#[derive(Subcommand)]
enum Command {
    Doctor(doctor::Arguments),
    Run(run::Arguments),
    Status(status::Arguments),
    Events(events::Arguments),
    Top(top::Arguments),
    #[cfg(feature = "otlp")]
    Export(export::Arguments),
    Explain(explain::Arguments),
    Report(report::Arguments),
    Learn(learn::Arguments),
    Verify(verify::Arguments),
    Sign(sign::Arguments),
    Manifest(manifest::Arguments),
    Seal(seal::Arguments),
    Timestamp(timestamp::Arguments),
    Trust(trust::Arguments),
    Policy(policy::Arguments),
    Simulate(simulate::Arguments),
    Enforce(switch::EnforceArguments),
    Audit(switch::AuditArguments),
    Reload(reload::Arguments),
    BreakGlass(break_glass::Arguments),
    Revoke(revoke::Arguments),
    Stop(stop::Arguments),
    Restrict(restrict::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
    Worker(worker::Arguments),
    Verifier(verifier::Arguments),
}

impl Command {
    /// The enforcer's program may touch what is guarded, whoever starts it. A command that writes where it is told to would do that for anybody, so it gives
    /// this right up first, for good.
    fn give_up_rights(&self) -> Result<(), Failure> {
        // `enforce`, `audit` and `reload` ask the daemon to read its policy; `revoke` and `explain` have to ask the kernel what is in force. All of them give the right up
        // before they write, or look into files. `restrict` writes nothing, and what it becomes may need to
        // start others with more rights.
        if matches!(
            self,
            Self::Restrict(_)
                | Self::Run(_)
                | Self::Enforce(_)
                | Self::Audit(_)
                | Self::Reload(_)
                | Self::Stop(_)
                | Self::Status(_)
                | Self::Top(_)
                | Self::Doctor(_)
                | Self::Explain(_)
                | Self::Policy(_)
                | Self::Revoke(_)
                | Self::Verifier(_)
        ) {
            return Ok(());
        }
        give_up_rights()
    }
}

/// The calling thread can no longer touch what is guarded.
fn give_up_rights() -> Result<(), Failure> {
    crate::kernel::give_up_rights().map_err(|error| Failure::new(Exit::System, format!("cannot give up this program's rights: {error}")))
}

/// Writes something on a thread that cannot touch what is guarded: where to may be anybody's word, and this program may write there.
fn without_rights<T: Send>(write: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    let panicked = |_| Failure::new(Exit::System, "writing failed in an unforeseen way");
    std::thread::scope(|scope| scope.spawn(|| give_up_rights().and_then(|()| write())).join()).map_err(panicked)?
}

/// The option of every command that needs a policy.
#[derive(Args, Clone, Debug)]
pub struct PolicyOption {
    /// The policy.
    #[arg(long, value_name = "FILE", default_value = crate::policy::DEFAULT_PATH)]
    pub policy: PathBuf,
}

/// The option of every command that reports.
#[derive(Args, Clone, Copy, Debug)]
pub struct ReportOption {
    /// Reports as JSON.
    #[arg(long)]
    pub json: bool,
}

/// The time and the floors that the daemon decides by, where they may be read.
fn facts() -> (UnixTime, SecurityVersions) {
    daemon::trusted_facts().unwrap_or_else(|_| (UnixTime::now(), verify::security_versions()))
}

/// The command line's definition, for completions, manual pages, and whoever checks that a document's commands exist.
pub fn definition() -> clap::Command {
    CommandLine::command()
}

fn after_help() -> String {
    format!("Examples:\n{EXAMPLES}\n{}", exit::help())
}

const EXAMPLES: &str = "  enforcer doctor                        can this machine enforce?
  enforcer policy check                  is the policy right?
  enforcer run                           start the daemon (systemd does this)
  enforcer status                        what is enforced right now?
  enforcer events --follow               what is denied, or would be?
  enforcer top                           the same, live, with rates
  enforcer explain 3f9a0c1b              why was that denied, and what mends it?
  enforcer report --since 7d             what is left to mend before enforcing?
  enforcer simulate --enforce            what would be denied in enforce mode?
  enforcer verify /usr/bin/python3       would this file run, and if not, why?
";

#[cfg(test)]
mod tests {
    #[test]
    fn the_definition_is_consistent() {
        super::definition().debug_assert();
    }
}
