//! `enforcer run`: the daemon.

use std::io::IsTerminal as _;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::{Exit, Failure, Output, PolicyOption};
use crate::daemon::{self, DaemonError, Options};

/// Start the daemon: verify, publish verdicts, enforce.
///
/// In enforce mode it starts only when this machine really enforces: a canary program must be denied first. Once it runs, its programs are
/// pinned in the kernel: killing the daemon does not open the door.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer run
  enforcer run --policy /etc/enforcer/policy.toml --log json
  enforcer run --once             in an early boot, without a service manager

Reload the policy with SIGHUP (systemctl reload enforcer). A broken new policy
leaves the old one in force.
ENFORCER_LOG chooses what is logged, for example ENFORCER_LOG=debug.")]
pub(super) struct Arguments {
    #[command(flatten)]
    policy: PolicyOption,
    /// Where the daemon's own log goes.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Auto)]
    log: LogFormat,
    /// End as soon as the policy is in force. It stays in force; first uses of unknown code are denied until there is a daemon.
    #[arg(long)]
    once: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
enum LogFormat {
    /// The journal under systemd, text on a terminal, else JSON lines.
    Auto,
    /// The journal, with fields.
    Journald,
    /// JSON lines on stderr.
    Json,
    /// Text on stderr.
    Text,
}

pub(super) fn run(arguments: Arguments, _output: &mut Output) -> Result<Exit, Failure> {
    start_log(arguments.log)?;
    daemon::run(&Options { policy: arguments.policy.policy, once: arguments.once }).map(|()| Exit::Yes).map_err(Failure::from)
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        match error {
            DaemonError::Policy(error) => error.into(),
            DaemonError::Trust(error) => error.into(),
            DaemonError::Charter(error) => Self::because(Exit::Refused, &error).hint(error.hint()),
            DaemonError::Kernel(_) => {
                Self::because(Exit::Refused, &error).hint("nothing is enforced by this start; `enforcer doctor` shows what this machine lacks")
            }
            DaemonError::Untrusted { .. } => Self::because(Exit::Refused, &error)
                .hint("sign it (`enforcer sign`) or list it in a signed manifest, or begin with `mode = \"audit\"`"),
            DaemonError::State(problem) => Self::new(Exit::Refused, format!("what the daemon kept for its next start cannot be used: {}", problem.report()))
                .hint("put the file back from a backup; or remove it, and what it kept is forgotten: older releases and a clock that was set back are believed. While \
                    enforcement is on nobody may write there: `enforcer stop --release` first"),
            DaemonError::Workers(_) => Self::because(Exit::Refused, &error)
                .hint("files would be looked into with all the daemon's rights; `docs/operations.md` says what a worker needs"),
            DaemonError::Unprotected(_) => Self::because(Exit::Usage, &error),
            DaemonError::AlreadyRunning { .. } => Self::because(Exit::System, &error).hint("`enforcer status` shows it"),
            DaemonError::System { .. } | DaemonError::NeedsRestart { .. } | DaemonError::Deaf | DaemonError::Mute => Self::because(Exit::System, &error),
        }
    }
}

fn start_log(format: LogFormat) -> Result<(), Failure> {
    let filter = EnvFilter::try_from_env("ENFORCER_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let text = || tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let layer = match format {
        LogFormat::Journald => journal().map_err(|error| Failure::because(Exit::System, &error))?,
        LogFormat::Auto if std::env::var_os("JOURNAL_STREAM").is_some() => match journal() {
            Ok(layer) => layer,
            // Early in the boot there may be no journal yet; systemd keeps what is written to stderr.
            Err(_) => text().json().boxed(),
        },
        LogFormat::Auto if std::io::stderr().is_terminal() => text().boxed(),
        LogFormat::Auto | LogFormat::Json => text().json().boxed(),
        LogFormat::Text => text().boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).try_init().map_err(|error| Failure::because(Exit::System, &error))
}

type Layer = Box<dyn tracing_subscriber::Layer<tracing_subscriber::Registry> + Send + Sync>;

fn journal() -> std::io::Result<Layer> {
    Ok(journal_layer()?.boxed())
}

/// The journal, where the fields of what is logged are `ENFORCER_REASON` and so on.
pub(super) fn journal_layer() -> std::io::Result<tracing_journald::Layer> {
    let layer = tracing_journald::layer()?.with_syslog_identifier("enforcer".to_owned());
    Ok(layer.with_field_prefix(Some("ENFORCER".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KernelError;
    use crate::policy::Policy;
    use crate::trust::TrustStore;

    #[test]
    fn every_refusal_says_what_to_do() {
        let policy = |text: &str| Policy::parse(text, std::path::Path::new("/etc/enforcer/policy.toml"));
        let anchored = "version = 1\nmode = \"enforce\"\n[[signer]]\nname = \"ops\"\nanchors = [\"/nowhere/ca.pem\"]\n";
        let trust = TrustStore::load(&policy(anchored).unwrap(), rustls_pki_types::UnixTime::now()).err().unwrap();
        let io = || std::io::Error::from_raw_os_error(libc::ENOSPC);
        let refusals = [
            DaemonError::Policy(policy("version = 1\nmode = \"enforced\"\n").unwrap_err()),
            DaemonError::Trust(trust),
            DaemonError::Kernel(KernelError::NoBpfLsm { active: "lockdown,capability,yama".to_owned() }),
            DaemonError::Kernel(KernelError::SkipsOverlappingRuns),
            DaemonError::System { action: "write `/run/enforcer/notice.json`".to_owned(), source: io() },
            DaemonError::AlreadyRunning { path: "/run/enforcer/lock".into() },
            DaemonError::NeedsRestart { old: 262_144, new: 524_288 },
            DaemonError::Untrusted { path: "/usr/sbin/enforcer".into(), detail: "it is not signed".to_owned() },
            DaemonError::Deaf,
            DaemonError::Mute,
        ];
        let transcripts = refusals.into_iter().map(|refusal| Failure::from(refusal).transcript());
        crate::snapshot::pipe("run/refusals", &transcripts.collect::<Vec<_>>().join("\n"));
    }
}
