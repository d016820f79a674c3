//! Suspended enforcement: the policy says `enforce`, and nothing is denied all the same, because of its fuse or of its break-glass codes.
//!
//! Both are told loudly, both are written down before anything else, and neither outlives what it is for: a fuse stays blown until the policy is changed or
//! `enforcer enforce` is run again, a code is good for the one boot at which it was typed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use enforcer_common::Mode;
use serde::{Deserialize, Serialize};

use super::run::{RUN_FOLDER, STATE_FOLDER};
use crate::audit::Timestamp;
use crate::kernel::{boot_id, kernel_command_line};
use crate::policy::{Fuse, Policy, display_duration};
use crate::text::{hex, sha256};
use crate::trust::record;

/// Why nothing is denied. Part of `status --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Suspension {
    /// As much was denied as blows the policy's fuse.
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

/// Why a policy is not in force as it is written: by the code that was given at this boot, or by a fuse that has blown, if that is this policy's own.
pub(super) fn of(broken_glass: Option<&Suspension>, blown: Option<&Blown>, policy: &[u8; 32]) -> Option<Suspension> {
    broken_glass.cloned().or_else(|| blown.filter(|blown| blown.policy == hex(policy)).map(Blown::suspension))
}

/// The strictest mode in which a policy comes into force with what suspends it.
pub(super) fn strictest_mode(policy: &Policy, broken_glass: Option<&Suspension>, blown: Option<&Blown>) -> Mode {
    if of(broken_glass, blown, &policy.sha256).is_some() { Mode::Audit } else { policy.strictest_mode() }
}

/// Whether the policy knows the code that the kernel was given at this boot, and nobody used it before. That it is used is written down: only for the daemon.
pub(super) fn broken_glass(policy: &Policy) -> Option<Suspension> {
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
    if let Some(known) = known.as_ref().filter(|known| known.boot_id != boot) {
        tracing::error!("the break-glass code of this boot was used before, at {}: enforcement is not suspended", known.at);
        return None;
    }
    // At each start and reload: the one that wrote it down may have run before there was a journal.
    tracing::error!("ENFORCEMENT IS SUSPENDED for this boot, by a break-glass code: nothing is denied");
    if let Some(known) = known {
        return Some(Suspension::BreakGlass { since: known.at });
    }
    let since = Timestamp::now();
    used.code.push(UsedCode { sha256: hex(&sha256), at: since, boot_id: boot });
    if let Err(error) = record::write(&path, BREAK_GLASS_COMMENT, &used, MAX_SIZE) {
        tracing::error!("that a break-glass code was used could not be written down: {error}");
    }
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
    pub(super) denials: u32,
    within_seconds: u64,
}

impl Blown {
    /// The fuse of the policy with this SHA-256 has just blown.
    pub(super) fn new(policy: &[u8; 32], fuse: &Fuse, since: Timestamp) -> Self {
        Self { policy: hex(policy), since, denials: fuse.denials, within_seconds: fuse.within.as_secs() }
    }

    fn suspension(&self) -> Suspension {
        Suspension::Fuse { since: self.since, denials: self.denials, within_seconds: self.within_seconds }
    }
}

/// The fuse that has blown, as it was written down.
pub(super) fn blown() -> Option<Blown> {
    match record::read::<Blown>(&state_file(FUSE_FILE), MAX_SIZE) {
        Ok(document) => document.map(|document| document.content),
        Err(error) => {
            tracing::error!("whether the fuse has blown is not known, and it counts as whole: {error}");
            None
        }
    }
}

/// Writes down that one has.
pub(super) fn keep_blown(blown: &Blown) {
    if let Err(error) = record::write(&state_file(FUSE_FILE), FUSE_COMMENT, blown, MAX_SIZE) {
        tracing::error!("that the fuse blew could not be written down, and ends with this daemon: {error}");
    }
}

/// It is whole again.
pub(super) fn forget_blown() {
    if let Err(error) = remove(&state_file(FUSE_FILE)) {
        tracing::error!("the fuse is put in again, and would count as blown at the next start: {error}");
    }
}

/// Asks for the fuse to be put in again that has blown. The daemon does it with the next policy that it accepts.
///
/// # Errors
/// That cannot be written down.
pub fn ask_for_fuse() -> std::io::Result<()> {
    fs::write(run_file(MEND_FILE), "")
}

/// Whether that was asked for.
pub(super) fn is_fuse_asked_for() -> bool {
    run_file(MEND_FILE).exists()
}

/// It is done, or refused, or not waited for any more.
///
/// # Errors
/// The next reload will do it.
pub fn forget_asking() -> std::io::Result<()> {
    remove(&run_file(MEND_FILE))
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
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

fn run_file(name: &str) -> PathBuf {
    Path::new(RUN_FOLDER).join(name)
}

/// On the kernel's command line, followed by the code.
pub const PARAMETER: &str = "enforcer.break_glass=";
const FUSE_FILE: &str = "fuse.toml";
const FUSE_COMMENT: &str =
    "# The fuse of this policy has blown: nothing is denied until `enforcer enforce` is run again, or the policy is changed.\n";
/// There while somebody asks for the fuse to be put in again. It is for the daemon that runs, and so it goes with the boot.
const MEND_FILE: &str = "mend-fuse";
const BREAK_GLASS_FILE: &str = "break-glass.toml";
const BREAK_GLASS_COMMENT: &str = "# Break-glass codes that were used; each of them counts for the boot at which it was.\n";
const MAX_SIZE: u64 = 1 << 16;
