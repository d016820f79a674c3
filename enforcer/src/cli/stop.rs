//! `enforcer stop`: ends the daemon; with `--release` it is the only way to take enforcement off.

use super::{Exit, Failure, Output};
use crate::kernel;

/// Stop the daemon, or take enforcement off.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer stop                end the daemon; what is known runs on, what is unknown is denied
  enforcer stop --release      take enforcement off this machine, until the next `enforcer run`")]
pub(super) struct Arguments {
    /// Take enforcement off: remove the pinned programs.
    #[arg(long)]
    release: bool,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new(Exit::System, "only root can stop the enforcer"));
    }
    let failed = |error: kernel::KernelError| Failure::because(Exit::System, &error);
    if !arguments.release {
        return match kernel::end_daemon().map_err(failed)? {
            Some(pid) => told(output, &format!("ended the daemon (process {pid}); enforcement goes on without it")),
            None => Err(Failure::new(Exit::No, "no daemon is running").hint("`enforcer stop --release` takes enforcement off")),
        };
    }
    let released = kernel::release().map_err(failed)?;
    if released.builds == 0 {
        return told(output, "nothing was enforced");
    }
    record(&released);
    told(output, "enforcement is off: nothing is denied or reported until the next `enforcer run`")
}

/// Leaves a record in the journal, wherever this was called from.
fn record(released: &kernel::Released) {
    use tracing_subscriber::layer::SubscriberExt as _;
    let Ok(journal) = tracing_journald::layer() else { return };
    let subscriber = tracing_subscriber::registry().with(journal.with_syslog_identifier("enforcer".to_owned()));
    let login = std::fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    tracing::subscriber::with_default(subscriber, || {
        tracing::warn!(login = login.trim(), daemon = released.daemon.unwrap_or(0), "enforcement was taken off by `enforcer stop --release`");
    });
}

fn told(output: &mut Output, text: &str) -> Result<Exit, Failure> {
    output.line(text)?;
    Ok(Exit::Yes)
}
