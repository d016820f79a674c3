//! What the daemon counts and finds out for whoever watches it: events, answers, reloads, and dates to be kept in mind.
//!
//! Shapes only. The daemon fills them in; [`super::Status`] carries them to reports and metrics.

use serde::{Deserialize, Serialize};

use enforcer_common::{Hook, Mode, Reason};

use super::{Code, Record, Timestamp};
use crate::trust::{Expiry, NextUpdate};

/// What a daemon knows of its own work. Its JSON form is an interface: fields are added, never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// When the daemon started; it counts since then.
    pub started: Timestamp,
    /// Events by what they have in common.
    pub events: Vec<EventCount>,
    /// How long first uses took, from the question to the daemon's answer.
    pub first_uses: Durations,
    /// What became of the policies and the grounds of trust that were to be put in force.
    pub reloads: Reloads,
    /// When the policy in force was last written to, where that is known.
    pub policy_modified: Option<Timestamp>,
    /// The certificates that the policy names, by who is trusted through them.
    pub certificates: Vec<Expiry>,
    /// The revocation lists in force whose issuer promised a next one.
    pub revocation_lists: Vec<NextUpdate>,
}

/// How many events had all of this in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCount {
    /// What they had in common.
    #[serde(flatten)]
    pub kind: EventKind,
    /// How many, since the daemon started.
    pub count: u64,
}

/// What events are counted by: no name, path or number that somebody else chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventKind {
    /// Why.
    pub reason: Code<Reason>,
    /// The hook that asked.
    pub hook: Code<Hook>,
    /// The mode at that time.
    pub mode: Code<Mode>,
    /// Whether it was stopped.
    pub denied: bool,
}

impl EventKind {
    /// The kind of this event.
    pub fn of(record: &Record) -> Self {
        Self { reason: record.reason, hook: record.hook, mode: record.mode, denied: record.denied }
    }
}

/// How long something took, as a histogram.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// The upper bounds of the buckets in microseconds, ascending; each belongs to its bucket.
    pub bounds_microseconds: Vec<u64>,
    /// How many fell into each bucket and into no lower one; the last is for those above every bound.
    pub counts: Vec<u64>,
    /// The sum of all.
    pub sum_microseconds: u64,
}

impl Durations {
    /// One more.
    pub fn observe(&mut self, microseconds: u64) {
        let bucket = self.bounds_microseconds.partition_point(|bound| *bound < microseconds);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
            self.sum_microseconds = self.sum_microseconds.saturating_add(microseconds);
        }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl Default for Durations {
    fn default() -> Self {
        Self { bounds_microseconds: BOUNDS.to_vec(), counts: vec![0; BOUNDS.len() + 1], sum_microseconds: 0 }
    }
}

/// What became of reloads. The start counts as the first one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloads {
    /// How many are or were in force.
    pub accepted: u64,
    /// How many were refused.
    pub refused: u64,
    /// When the last one was put in force.
    pub last_accepted: Option<Timestamp>,
}

/// From a signature that is found at once to the longest deadline that a policy may set.
const BOUNDS: [u64; 14] = [500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 60_000_000];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_lowest_bucket_that_holds_it() {
        let mut durations = Durations::default();
        for microseconds in [0, 500, 501, 60_000_000, 60_000_001, u64::MAX] {
            durations.observe(microseconds);
        }
        assert_eq!((durations.counts[0], durations.counts[1], durations.counts[13], durations.counts[14]), (2, 1, 1, 2));
        assert_eq!((durations.count(), durations.sum_microseconds), (6, u64::MAX));
    }
}
