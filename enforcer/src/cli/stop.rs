//! `enforcer stop`: ends the daemon; with `--release` it is the only way to take enforcement off.

mod order;

use std::path::PathBuf;

use super::run::journal_layer;
use super::{Exit, Failure, Output, PolicyOption};
use crate::kernel;

/// Stop the daemon, or take enforcement off.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo enforcer stop               end the daemon; what is known runs on, and
                                   what is unknown is denied
  sudo enforcer stop --release     take enforcement off this machine, until the
                                   next `enforcer run`
  sudo enforcer stop --release --order release-order
                                   the same where the policy names
                                   `policy-signers`: release-order.p7s by one of
                                   them lies beside it")]
pub(super) struct Arguments {
    /// Take enforcement off: remove the pinned programs.
    #[arg(long)]
    release: bool,
    /// The order to do so, with its signature `FILE.p7s` beside it. Without it, `--release` says what has to be signed.
    #[arg(long, value_name = "FILE", requires = "release")]
    order: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new(Exit::System, "only root can stop the enforcer"));
    }
    let failed = |error: kernel::KernelError| Failure::because(Exit::System, &error);
    if !arguments.release {
        return match kernel::end_daemon().map_err(failed)? {
            Some(pid) => Done::Ended(pid).tell(output),
            None => Err(Failure::new(Exit::No, "no daemon is running").hint("`enforcer stop --release` takes enforcement off")),
        };
    }
    let ordered_by = order::require(arguments.order.as_deref(), &arguments.policy.policy)?;
    let released = kernel::release().map_err(failed)?;
    if released.builds == 0 {
        return Done::Nothing.tell(output);
    }
    record(&released, ordered_by.as_deref());
    Done::Released.tell(output)
}

/// Leaves a record in the journal, wherever this was called from.
fn record(released: &kernel::Released, ordered_by: Option<&str>) {
    use tracing_subscriber::layer::SubscriberExt as _;
    let Ok(journal) = journal_layer() else { return };
    let subscriber = tracing_subscriber::registry().with(journal);
    let login = std::fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    tracing::subscriber::with_default(subscriber, || {
        let (login, daemon, ordered_by) = (login.trim(), released.daemon.unwrap_or(0), ordered_by.unwrap_or("nobody"));
        tracing::warn!(login, daemon, ordered_by, "enforcement was taken off by `enforcer stop --release`");
    });
}

/// What was done.
enum Done {
    /// The daemon with this process id ended.
    Ended(u32),
    /// There was nothing to take off.
    Nothing,
    /// Enforcement was taken off.
    Released,
}

impl Done {
    fn tell(&self, output: &mut Output) -> Result<Exit, Failure> {
        output.paragraph(0, &self.in_words())?;
        Ok(Exit::Yes)
    }

    fn in_words(&self) -> String {
        match self {
            Self::Ended(pid) => format!("ended the daemon (process {pid}); enforcement goes on without it"),
            Self::Nothing => "nothing was enforced".to_owned(),
            Self::Released => "enforcement is off: nothing is denied or reported until the next `enforcer run`".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::hold;

    #[test]
    fn what_was_done_is_told() {
        hold("stop/done", |output| {
            [Done::Ended(812), Done::Nothing, Done::Released].iter().try_for_each(|done| output.paragraph(0, &done.in_words()))
        });
    }
}
