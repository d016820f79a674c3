//! Events in the journal: one entry for each, with its facts as fields (`ENFORCER_REASON`, `ENFORCER_PATH` …), so that `journalctl` can look for them.
//!
//! Whoever floods the enforcer with denials must not push everything else out of the journal: beyond a bound, events are in the log on disk alone, and
//! how many is told.

use std::time::{Duration, Instant};

use crate::audit::Record;

/// Writes events to the daemon's own log, a bounded number of them in a time.
pub(super) struct Journal {
    began: Instant,
    written: u32,
    left_out: u64,
    total_left_out: u64,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), written: 0, left_out: 0, total_left_out: 0 }
    }

    /// Writes one event, or counts it.
    pub(super) fn write(&mut self, record: &Record) {
        if self.has_room(Instant::now()) {
            entry(record);
        }
    }

    /// Tells how many were left out, as soon as there is room again.
    pub(super) fn settle(&mut self, now: Instant) {
        if now.duration_since(self.began) < WINDOW {
            return;
        }
        (self.began, self.written) = (now, 0);
        let left_out = std::mem::take(&mut self.left_out);
        if left_out > 0 {
            tracing::warn!("{left_out} events are in the event log alone: there were more than {MOST} within {} seconds", WINDOW.as_secs());
        }
    }

    /// Events that are in the log on disk alone, since the daemon started.
    pub(super) fn total_left_out(&self) -> u64 {
        self.total_left_out
    }

    fn has_room(&mut self, now: Instant) -> bool {
        self.settle(now);
        let has_room = self.written < MOST;
        if has_room {
            self.written += 1;
        } else {
            self.left_out += 1;
            self.total_left_out += 1;
        }
        has_room
    }
}

/// The fields are an interface, like those of [`Record`] as JSON. What is a text stays one: a formatter for terminals escapes it, the journal takes any bytes.
fn entry(record: &Record) {
    let (reason, hook, mode) = (record.reason.to_string(), record.hook.to_string(), record.mode.to_string());
    tracing::warn!(
        target: "enforcer::event",
        reason = reason.as_str(),
        denied = record.denied,
        mode = mode.as_str(),
        hook = hook.as_str(),
        rejection = record.rejection.as_deref(),
        explanation = record.explanation.as_deref(),
        path = record.path.as_deref(),
        digest = record.digest.as_deref(),
        device = record.device.as_deref(),
        inode = record.inode,
        comm = record.comm.as_str(),
        pid = record.pid,
        parent_pid = record.parent_pid,
        uid = record.uid,
        cgroup = record.cgroup.as_deref(),
        remedy = record.remedy.as_str(),
        "{}",
        record.line()
    );
}

/// Fewer than journald takes of a service by default (10,000 in 30 seconds, `RateLimitBurst=` of journald.conf(5)), so that it drops none of the rest.
const MOST: u32 = 3000;
const WINDOW: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::text::Written;

    fn record() -> Record {
        let json = serde_json::json!({
            "time": "2026-01-31T09:30:00Z", "denied": false, "mode": "audit", "hook": "bprm_check_security", "reason": "untrusted",
            "rejection": "unsigned", "path": "/tmp/\u{1b}[2J\nx", "path_kind": "full", "comm": "sh", "pid": 7, "tid": 7, "parent_pid": 1, "uid": 0,
            "cgroup_id": 1, "remedy": "Sign it."
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn an_event_is_one_entry_with_a_field_for_each_fact_that_is_known() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::registry().with(tracing_subscriber::fmt::layer().json().with_writer(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || entry(&record()));
        let text = written.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let fields = &value["fields"];
        assert_eq!((&fields["path"], &fields["rejection"]), (&"/tmp/\u{1b}[2J\nx".into(), &"unsigned".into()));
        assert_eq!((&fields["denied"], &fields["uid"], &fields["digest"]), (&false.into(), &0.into(), &serde_json::Value::Null));
    }

    #[test]
    fn a_flood_is_counted_and_leaves_room_again_after_a_while() {
        let mut journal = Journal::new();
        let now = journal.began;
        assert!((0..MOST).all(|_| journal.has_room(now)));
        assert!((0..5).all(|_| !journal.has_room(now + WINDOW / 2)));
        assert_eq!((journal.left_out, journal.total_left_out()), (5, 5));
        journal.settle(now + WINDOW);
        assert_eq!((journal.left_out, journal.total_left_out()), (0, 5));
        assert!(journal.has_room(now + WINDOW));
    }
}
