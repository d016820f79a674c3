//! `enforcer run`: the daemon.

use super::{Exit, Failure, Output, PolicyOption};
use crate::policy::Policy;

/// Start the daemon: verify, publish verdicts, enforce.
///
/// In enforce mode it starts only when this machine really enforces: a canary program must be denied first. Once it runs, its programs are
/// pinned in the kernel: killing the daemon does not open the door.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer run
  enforcer run --policy /etc/enforcer/policy.toml

Reload the policy with SIGHUP (systemctl reload enforcer). A broken new policy leaves the old one in force.")]
pub(super) struct Arguments {
    #[command(flatten)]
    policy: PolicyOption,
}

pub(super) fn run(arguments: Arguments, _output: &mut Output) -> Result<Exit, Failure> {
    let _policy = Policy::load(&arguments.policy.policy)?;
    Err(Failure::new(Exit::Refused, "this build cannot load the kernel's programs yet"))
}
