//! What the daemon counts of its work, beside what it loses ([`super::tally`]).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Ground;
use crate::audit::{Durations, EventCount, EventKind, Record, Reloads, Timestamp, Watched};

/// The counts, since the daemon started.
pub(super) struct Meters {
    started: Timestamp,
    events: Mutex<HashMap<EventKind, u64>>,
    first_uses: Mutex<Durations>,
    reloads: Mutex<Reloads>,
}

impl Meters {
    /// Nothing has happened yet, but that a first ground is about to be in force.
    pub(super) fn start() -> Self {
        let started = Timestamp::now();
        let reloads = Reloads { accepted: 1, refused: 0, last_accepted: Some(started) };
        Self { started, events: Mutex::default(), first_uses: Mutex::default(), reloads: Mutex::new(reloads) }
    }

    /// One more event.
    pub(super) fn event(&self, record: &Record) {
        *lock(&self.events).entry(EventKind::of(record)).or_default() += 1;
    }

    /// The daemon is done with a question that was asked so long ago.
    pub(super) fn first_use(&self, nanoseconds: u64) {
        lock(&self.first_uses).observe(nanoseconds / 1000);
    }

    /// A ground was put in force, or refused.
    pub(super) fn reload(&self, accepted: bool) {
        let mut reloads = lock(&self.reloads);
        if accepted {
            reloads.accepted += 1;
            reloads.last_accepted = Some(Timestamp::now());
        } else {
            reloads.refused += 1;
        }
    }

    /// All of it, with the dates of the ground in force.
    pub(super) fn watched(&self, ground: &Ground) -> Watched {
        let mut events: Vec<EventCount> = lock(&self.events).iter().map(|(kind, count)| EventCount { kind: *kind, count: *count }).collect();
        events
            .sort_by_cached_key(|event| (event.kind.reason.to_string(), event.kind.hook.to_string(), event.kind.mode.to_string(), event.kind.denied));
        let trust = ground.examiner.trust();
        Watched {
            started: self.started,
            events,
            first_uses: lock(&self.first_uses).clone(),
            reloads: lock(&self.reloads).clone(),
            policy_modified: ground.policy.modified.map(Timestamp::from),
            certificates: trust.expiries(),
            revocation_lists: trust.next_updates(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
