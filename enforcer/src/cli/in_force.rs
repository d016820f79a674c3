//! Having the daemon read its policy, and waiting for what it says to that.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::{Exit, Failure};
use crate::audit::Timestamp;
use crate::daemon::{self, Notice, Suspension};
use crate::kernel;
use crate::measure;
use crate::policy::{MAX_SIZE, Policy};
use crate::text::{hex, printable, sha256};

/// Asks the daemon to read this policy, which lies in its place, and waits for so long until it is in force; an error when it is refused, or when nobody answers.
/// Why it is suspended all the same, if it is.
pub(super) fn ask(policy: &Policy, patience: Duration) -> Result<Option<Suspension>, Failure> {
    let began = Timestamp::now();
    if kernel::reload_daemon().map_err(|error| Failure::because(Exit::System, &error))?.is_none() {
        return Err(nobody());
    }
    let (sha256, deadline) = (hex(&policy.sha256), Instant::now() + patience);
    while Instant::now() < deadline {
        match Notice::read().map_or(Answer::NotYet, |notice| answer(notice, &sha256, began)) {
            Answer::InForce(suspension) => return Ok(suspension),
            Answer::Refused(why) => {
                return Err(Failure::new(Exit::Refused, format!("the daemon refuses it, and what was in force before still is: {why}")));
            }
            Answer::Another if !is_in_its_place(policy) => {
                let text = format!("`{}` was changed by somebody else meanwhile, and is left as it is", printable(&policy.path.to_string_lossy()));
                return Err(Failure::new(Exit::No, text).hint("look at it, and run this again"));
            }
            Answer::Another | Answer::NotYet => thread::sleep(Duration::from_millis(20)),
        }
    }
    Err(Failure::new(
        Exit::System,
        format!("the daemon has not put it in force within {} seconds; `journalctl -u enforcer` says why", patience.as_secs()),
    ))
}

/// Whether the text of this policy is what its file has now.
pub(super) fn is_in_its_place(policy: &Policy) -> bool {
    measure::read_bounded(&policy.path, MAX_SIZE).is_ok_and(|bytes| sha256(&bytes) == policy.sha256)
}

/// An error, unless there is a daemon, which only root sees.
pub(super) fn require_daemon() -> Result<(), Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new(Exit::System, "only root may ask the daemon to read its policy").hint("run it by `sudo`"));
    }
    kernel::daemon().map_err(|error| Failure::because(Exit::System, &error))?.map(drop).ok_or_else(nobody)
}

/// An error, unless there is a daemon, and this is its policy.
pub(super) fn require_daemon_of(path: &Path) -> Result<(), Failure> {
    require_daemon()?;
    match daemon::policy_in_force() {
        Some(its) if !is_same(&its, path) => Err(another(&its, path)),
        _ => Ok(()),
    }
}

fn another(its: &Path, path: &Path) -> Failure {
    let [its, path] = [its, path].map(|path| printable(&path.to_string_lossy()).into_owned());
    Failure::new(Exit::Usage, format!("the daemon goes by `{its}`, so `{path}` would not be put in force"))
        .hint("leave `--policy` away, or take `--print`, which only writes what the policy would be")
}

/// Whether two names lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    file(one) == file(other)
}

/// There is no daemon to be asked.
fn nobody() -> Failure {
    Failure::new(Exit::System, "no daemon is running, so nothing can be put in force: `systemctl start enforcer`")
}

/// What a daemon says to a policy that it was asked to read.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// Nothing since.
    NotYet,
    /// Something about another text, or about what the policy names: its turn is still to come, unless another text has taken its place.
    Another,
    InForce(Option<Suspension>),
    Refused(String),
}

/// The answer to the policy with this SHA-256, if it was asked about at that moment.
fn answer(notice: Notice, sha256: &str, began: Timestamp) -> Answer {
    let read = notice.policy.filter(|read| read.at >= began);
    let refused = notice.refused.filter(|refused| refused.at >= began);
    if read.as_ref().is_some_and(|read| read.sha256 == sha256) {
        return Answer::InForce(notice.suspension);
    }
    match refused {
        Some(refused) if refused.policy.as_deref() == Some(sha256) => Answer::Refused(refused.why),
        None if read.is_none() => Answer::NotYet,
        _ => Answer::Another,
    }
}

/// How long a daemon may take, with a policy of many manifests. The unit's `TimeoutStartSec=` is longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(110);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::{PolicyInForce, Refused};

    fn at(second: u32) -> Timestamp {
        Timestamp::parse(&format!("2026-01-31T09:30:{second:02}Z")).unwrap()
    }

    fn notice(read: Option<(&str, u32)>, refused: Option<(Option<&str>, u32)>) -> Notice {
        Notice {
            policy: read.map(|(sha256, second)| PolicyInForce { sha256: sha256.to_owned(), at: at(second) }),
            refused: refused.map(|(policy, second)| Refused { at: at(second), why: "why".to_owned(), policy: policy.map(str::to_owned) }),
            ..Notice::default()
        }
    }

    #[test]
    fn an_answer_is_one_to_the_policy_that_was_asked_about() {
        let answer = |notice| answer(notice, "ours", at(10));
        assert_eq!(answer(notice(Some(("ours", 11)), None)), Answer::InForce(None));
        assert_eq!(answer(notice(Some(("ours", 11)), Some((None, 12)))), Answer::InForce(None), "and then what it names was refused");
        assert_eq!(answer(notice(Some(("old", 1)), Some((Some("ours"), 11)))), Answer::Refused("why".to_owned()));
        assert_eq!(answer(notice(Some(("ours", 9)), None)), Answer::NotYet, "read before it was asked for");
        assert_eq!(answer(notice(None, Some((Some("ours"), 9)))), Answer::NotYet, "refused before");
        assert_eq!(answer(notice(Some(("old", 1)), Some((Some("theirs"), 11)))), Answer::Another);
        assert_eq!(answer(notice(Some(("old", 1)), Some((None, 11)))), Answer::Another, "what the policy names, or a text that could not be read");
        assert_eq!(answer(notice(Some(("theirs", 11)), None)), Answer::Another);
    }

    #[test]
    fn a_policy_is_the_daemons_by_whatever_name_and_no_other_is() {
        let folder = tempfile::tempdir().unwrap();
        let [policy, link, other] = ["policy.toml", "link.toml", "other.toml"].map(|name| folder.path().join(name));
        std::fs::write(&policy, "").unwrap();
        std::fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink("policy.toml", &link).unwrap();
        assert!(is_same(&policy, &link) && is_same(&link, &policy));
        assert!(!is_same(&policy, &other));
        assert!(!is_same(Path::new("/gone/policy.toml"), &policy) && is_same(Path::new("/gone/policy.toml"), Path::new("/gone/./policy.toml")));
    }
}
