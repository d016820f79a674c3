//! Having the daemon read its policy, and waiting until that is in force.

use std::thread;
use std::time::{Duration, Instant};

use super::super::{Exit, Failure};
use crate::audit::Timestamp;
use crate::daemon::Notice;
use crate::kernel;
use crate::policy::{Mode, Policy};
use crate::text::hex;

/// Asks the daemon to read this policy, and waits until it has; an error when it refuses it, or when there is no daemon.
pub(super) fn wait(policy: &Policy) -> Result<(), Failure> {
    let began = Timestamp::now();
    let failed = |error: kernel::KernelError| Failure::because(Exit::System, &error);
    if kernel::reload_daemon().map_err(failed)?.is_none() {
        return Err(Failure::new(Exit::System, "no daemon is running, so nothing can be put in force: `systemctl start enforcer`"));
    }
    let (sha256, deadline) = (hex(&policy.sha256), Instant::now() + PATIENCE);
    while Instant::now() < deadline {
        if let Some(notice) = Notice::read() {
            if let Some(refused) = notice.refused.filter(|refused| refused.at >= began) {
                return Err(Failure::new(Exit::Refused, format!("the daemon refuses it, and what was in force before still is: {}", refused.why)));
            }
            if notice.policy.is_some_and(|told| told.sha256 == sha256 && told.at >= began) {
                return match notice.suspension.filter(|_| policy.strictest_mode() == Mode::Enforce) {
                    Some(suspension) => Err(Failure::new(Exit::Refused, format!("it is read, and suspended: {}", suspension.in_words()))),
                    None => Ok(()),
                };
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(Failure::new(
        Exit::System,
        format!("the daemon has not put it in force within {} seconds; `journalctl -u enforcer` says why", PATIENCE.as_secs()),
    ))
}

/// How long a daemon may take, with a policy of many manifests.
const PATIENCE: Duration = Duration::from_secs(120);
