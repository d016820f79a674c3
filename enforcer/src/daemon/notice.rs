//! What the daemon leaves for `enforcer status` and `enforcer revoke`: what cannot be seen in the kernel.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::before::Before;
use super::run::RUN_FOLDER;
use super::suspension::Suspension;
use crate::audit::{Timestamp, Watched};

/// The daemon's own view of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What is added to the time since boot to make the trusted time, in nanoseconds.
    pub clock_offset: u64,
    /// Which revocations are in force ([`crate::trust::Revoked::id`]).
    pub revocations: String,
    /// SHA-256 of the file of revocations that was read last. What was taken out of it may be in force all the same.
    #[serde(default)]
    pub revocations_read: Option<String>,
    /// The policy in force.
    #[serde(default)]
    pub policy: Option<PolicyInForce>,
    /// Since when what is on the disk is not what is in force, and why.
    pub refused: Option<Refused>,
    /// What the daemon lost, dropped or gave up since it started.
    #[serde(default)]
    pub counters: BTreeMap<String, u64>,
    /// Whether the workers that look into files are kept from the file system by landlock too.
    #[serde(default)]
    pub landlock: Option<bool>,
    /// Why nothing is denied though the policy says so.
    #[serde(default)]
    pub suspension: Option<Suspension>,
    /// What ran before the programs were attached, once it has been looked at.
    #[serde(default)]
    pub before: Option<Before>,
    /// What it counts of its own work.
    #[serde(default)]
    pub watched: Option<Watched>,
}

/// A policy that was put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyInForce {
    /// SHA-256 of its text, in hexadecimal.
    pub sha256: String,
    /// When the daemon began to read it.
    pub at: Timestamp,
}

/// A reload that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: String,
    /// SHA-256 of the policy's text, in hexadecimal; `None` when there was none that could be read, or when what the policy in force names was refused.
    #[serde(default)]
    pub policy: Option<String>,
}

impl Notice {
    /// What the daemon of this boot has left, if it has.
    pub fn read() -> Option<Self> {
        serde_json::from_slice(&crate::measure::read_bounded(&Path::new(RUN_FOLDER).join(FILE), MAX_SIZE).ok()?).ok()
    }

    /// Leaves it. Whole or not at all, and gone after a reboot.
    pub(super) fn leave(&self) -> io::Result<()> {
        let draft = Path::new(RUN_FOLDER).join("notice.json.new");
        fs::write(&draft, serde_json::to_vec(self)?)?;
        fs::rename(draft, Path::new(RUN_FOLDER).join(FILE))
    }
}

const FILE: &str = "notice.json";
/// More than every kind of event and every date come to.
const MAX_SIZE: u64 = 4 << 20;
