//! Suspended enforcement: the policy says `enforce`, and nothing is denied all the same, because of its fuse or of its break-glass codes.
//!
//! Both are told loudly, both are written down before anything else, and neither outlives what it is for: a fuse stays blown until the policy is changed or
//! `enforcer enforce` is run again, a code is good for the one boot at which it was typed.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use enforcer_common::Mode;
use serde::{Deserialize, Serialize};

use super::run::STATE_FOLDER;
use crate::audit::Timestamp;
use crate::kernel::{boot_id, kernel_command_line};
use crate::policy::{Fuse, Policy, display_duration};
use crate::text::{hex, sha256};
use crate::trust::record;

/// Why nothing is denied. Part of `status --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Suspension {
    /// More was denied than the policy's fuse lets pass.
    Fuse {
        /// When it blew.
        since: Timestamp,
        /// How many denials there were.
        denials: u32,
        /// In which time, in seconds.
        within_seconds: u64,
    },
    /// Somebody gave one of the policy's codes to the kernel that was booted.
    BreakGlass {
        /// When it was first seen at this boot.
        since: Timestamp,
    },
}

impl Suspension {
    /// In one sentence.
    pub fn in_words(&self) -> String {
        match self {
            Self::Fuse { since, denials, within_seconds } => {
                let (since, within) = (since.to_the_second(), display_duration(Duration::from_secs(*within_seconds)));
                format!("the fuse blew at {since}, after {denials} denials within {within}; nothing is denied until `enforcer enforce` is run again")
            }
            Self::BreakGlass { since } => {
                format!("a break-glass code was given at this boot (seen at {}); nothing is denied until the next one", since.to_the_second())
            }
        }
    }
}

/// The policy as it is to be put in force, and why it is another one than what is written.
pub(super) fn apply(policy: Policy, blown: Option<&Blown>) -> (Policy, Option<Suspension>) {
    let suspension = broken_glass(&policy).or_else(|| blown_fuse(&policy, blown));
    let Some(cause) = &suspension else { return (policy, None) };
    let mut suspended = policy.suspended();
    if matches!(cause, Suspension::BreakGlass { .. }) {
        suspended.guards = Mode::Audit;
    }
    (suspended, suspension)
}

/// Whether the policy knows the code that the kernel was given at this boot, and nobody used it before.
fn broken_glass(policy: &Policy) -> Option<Suspension> {
    let line = kernel_command_line().inspect_err(|error| tracing::error!("the kernel's command line cannot be read: {error}")).ok()?;
    let code = line.split_whitespace().find_map(|word| word.strip_prefix(PARAMETER))?;
    let sha256 = sha256(normal(code).as_bytes());
    if !policy.break_glass.codes.contains(&sha256) {
        tracing::error!("a break-glass code was given at this boot, and the policy knows no such code: enforcement is not suspended");
        return None;
    }
    let boot = boot_id().inspect_err(|error| tracing::error!("the boot's id cannot be read: {error}")).ok()?;
    let path = state_file(BREAK_GLASS_FILE);
    let mut used = match record::read::<Used>(&path, MAX_SIZE) {
        Ok(document) => document.map(|document| document.content).unwrap_or_default(),
        Err(error) => {
            // What a damaged disk has to be mended under, too. Whoever can type it once knows it anyway.
            tracing::error!("which break-glass codes were used before is not known: {error}");
            Used::default()
        }
    };
    let known = used.code.iter().find(|used| used.sha256 == hex(&sha256)).cloned();
    if let Some(known) = &known {
        if known.boot_id != boot {
            tracing::error!("the break-glass code of this boot was used before, at {}: enforcement is not suspended", known.at);
            return None;
        }
        return Some(Suspension::BreakGlass { since: known.at });
    }
    let since = Timestamp::now();
    used.code.push(UsedCode { sha256: hex(&sha256), at: since, boot_id: boot });
    if let Err(error) = record::write(&path, BREAK_GLASS_COMMENT, &used, MAX_SIZE) {
        tracing::error!("that a break-glass code was used could not be written down: {error}");
    }
    tracing::error!("ENFORCEMENT IS SUSPENDED for this boot, by a break-glass code: nothing is denied");
    Some(Suspension::BreakGlass { since })
}

/// A code as it was hashed: people write it in groups, and in small letters.
pub fn normal(code: &str) -> String {
    code.chars().filter(|character| *character != '-').map(|character| character.to_ascii_uppercase()).collect()
}

/// A fuse that blew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Blown {
    /// SHA-256 of the policy whose fuse it is, in hexadecimal.
    policy: String,
    since: Timestamp,
    denials: u32,
    within_seconds: u64,
}

/// Whether this policy's fuse has blown, as the daemon remembers it, or as a former one wrote it down.
fn blown_fuse(policy: &Policy, blown: Option<&Blown>) -> Option<Suspension> {
    let is_its = |blown: &Blown| blown.policy == hex(&policy.sha256);
    let written = || match record::read::<Blown>(&state_file(FUSE_FILE), MAX_SIZE) {
        Ok(document) => document.map(|document| document.content),
        Err(error) => {
            tracing::error!("whether the fuse has blown is not known, and it counts as whole: {error}");
            None
        }
    };
    let Blown { since, denials, within_seconds, .. } = blown.cloned().filter(&is_its).or_else(|| written().filter(&is_its))?;
    Some(Suspension::Fuse { since, denials, within_seconds })
}

/// Puts a fuse in again that has blown.
///
/// # Errors
/// The record of it cannot be removed.
pub fn mend_fuse() -> std::io::Result<()> {
    match fs::remove_file(state_file(FUSE_FILE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Counts denials, and blows once.
#[derive(Default)]
pub(super) struct FuseBox {
    /// When the last denials were, the oldest first; never more than blow the fuse.
    recent: Mutex<VecDeque<Instant>>,
    blown: Mutex<Option<Blown>>,
    /// Why nothing is denied by the ground in force.
    suspension: Mutex<Option<Suspension>>,
    /// Told when a fuse has blown.
    pub(super) blew: tokio::sync::Notify,
}

impl FuseBox {
    /// Counts a denial. `true` when it is the one that blows the fuse: then whoever called suspends enforcement at once.
    pub(super) fn count(&self, policy: &Policy, fuse: &Fuse, now: Timestamp) -> bool {
        let mut blown = self.blown.lock().unwrap_or_else(PoisonError::into_inner);
        if blown.as_ref().is_some_and(|blown| blown.policy == hex(&policy.sha256)) || now >= fuse.until {
            return false;
        }
        let (mut recent, moment) = (self.recent.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        recent.push_back(moment);
        while recent.front().is_some_and(|first| moment.duration_since(*first) > fuse.within) {
            recent.pop_front();
        }
        if recent.len() < fuse.denials as usize {
            return false;
        }
        recent.clear();
        let now = Blown { policy: hex(&policy.sha256), since: now, denials: fuse.denials, within_seconds: fuse.within.as_secs() };
        if let Err(error) = record::write(&state_file(FUSE_FILE), FUSE_COMMENT, &now, MAX_SIZE) {
            tracing::error!("that the fuse blew could not be written down, and ends with this daemon: {error}");
        }
        self.set_suspension(Some(Suspension::Fuse { since: now.since, denials: now.denials, within_seconds: now.within_seconds }));
        *blown = Some(now);
        true
    }

    /// The fuse that blew while this daemon runs.
    pub(super) fn blown(&self) -> Option<Blown> {
        self.blown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A policy is read anew: what blew before is what is written down.
    pub(super) fn forget(&self) {
        *self.blown.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why nothing is denied by the ground in force, if that is so.
    pub(super) fn suspension(&self) -> Option<Suspension> {
        self.suspension.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, of the ground that has just been put in force.
    pub(super) fn set_suspension(&self, suspension: Option<Suspension>) {
        *self.suspension.lock().unwrap_or_else(PoisonError::into_inner) = suspension;
    }
}

#[derive(Default, Deserialize, Serialize)]
struct Used {
    #[serde(default)]
    code: Vec<UsedCode>,
}

#[derive(Clone, Deserialize, Serialize)]
struct UsedCode {
    sha256: String,
    at: Timestamp,
    boot_id: String,
}

fn state_file(name: &str) -> PathBuf {
    Path::new(STATE_FOLDER).join(name)
}

/// On the kernel's command line, followed by the code.
pub const PARAMETER: &str = "enforcer.break_glass=";
const FUSE_FILE: &str = "fuse.toml";
const FUSE_COMMENT: &str =
    "# The fuse of this policy has blown: nothing is denied until `enforcer enforce` is run again, or the policy is changed.\n";
const BREAK_GLASS_FILE: &str = "break-glass.toml";
const BREAK_GLASS_COMMENT: &str = "# Break-glass codes that were used; each of them counts for the boot at which it was.\n";
const MAX_SIZE: u64 = 1 << 16;
