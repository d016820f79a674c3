//! `enforcer reload`: the daemon reads its policy again, and whoever asked knows what came of it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::failure::note;
use super::output::OutputError;
use super::{Exit, Failure, Output, ReportOption, in_force};
use crate::daemon::{self, Suspension};
use crate::policy::{DEFAULT_PATH, Policy};
use crate::text::printable;

/// Have the daemon read its policy again, and wait until that is in force.
///
/// This is what `systemctl reload enforcer` does. A policy that is refused changes nothing: what was in force stays so. Needs root.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo enforcer reload
  sudo systemctl reload enforcer     the same; fails when the policy is refused

Exit status: 0 when it is in force, 2 when it is no policy, 4 when the daemon
refuses it.")]
pub(super) struct Arguments {
    #[command(flatten)]
    report: ReportOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    in_force::require_daemon()?;
    // What is no policy at all is told with its line; the daemon would refuse it, too.
    let policy = Policy::load(&daemon::policy_in_force().unwrap_or_else(|| PathBuf::from(DEFAULT_PATH)))?;
    let suspension = in_force::ask(&policy, in_force::PATIENCE)?;
    if arguments.report.json {
        output.json(&Reloaded { policy: &policy.path, mode: policy.mode.name(), suspension })?;
        return Ok(Exit::Yes);
    }
    tell(&policy, output)?;
    if let Some(suspension) = suspension {
        note(&format!("ENFORCEMENT IS SUSPENDED: {}", suspension.in_words()));
    }
    Ok(Exit::Yes)
}

fn tell(policy: &Policy, output: &mut Output) -> Result<(), OutputError> {
    output.paragraph(0, &format!("in force: {}, mode {}", printable(&policy.path.to_string_lossy()), policy.mode.name()))
}

#[derive(Serialize)]
struct Reloaded<'a> {
    policy: &'a Path,
    /// As it is written, suspended or not.
    mode: &'static str,
    suspension: Option<Suspension>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::hold;

    #[test]
    fn what_is_in_force_is_told() {
        let policy = Policy::parse("version = 1\nmode = \"audit\"\n", Path::new(DEFAULT_PATH)).unwrap();
        hold("reload/in-force", |output| tell(&policy, output));
    }
}
