//! Events from the kernel to the log: each denial with its reason, its explanation and its remedy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aya_log::EbpfLogger;
use enforcer_common::{Counter, Event};

use super::Shared;
use super::journal::Journal;
use super::tally::Loss;
use crate::audit::{Cgroups, EventLog, Record};
use crate::kernel::Records;

/// The thread that writes events.
pub(super) struct Events {
    writer: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Events {
    /// Starts writing. What a former daemon left unread comes first. The programs' own messages go to the daemon's log.
    pub(super) fn start(
        shared: &Arc<Shared>,
        mut records: Records<Event>,
        mut messages: EbpfLogger<&'static dyn log::Log>,
        mut log: EventLog,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, shared) = (Arc::clone(&stop), Arc::clone(shared));
        let writer = thread::Builder::new().name("events".to_owned()).spawn(move || {
            let mut cgroups = Cgroups::of_this_machine();
            let mut journal = Journal::new();
            let mut lost = shared.maps.counter(Counter::EventsLost).unwrap_or_default();
            loop {
                let last = stopped.load(Ordering::Relaxed);
                if let Err(error) = records.wait(INTERVAL) {
                    tracing::error!("cannot wait for events: {error}");
                    return;
                }
                while let Some(record) = records.take() {
                    match record {
                        Ok(event) => {
                            if let Some(record) = told(&shared, &mut cgroups, &event) {
                                // The disk first: the journal may make its writers wait.
                                log.append(&record);
                                journal.write(&record);
                            }
                        }
                        Err(length) => {
                            shared.tally.count(Loss::RecordsMalformed);
                            tracing::error!("an event of {length} bytes is not one of this version");
                        }
                    }
                }
                messages.flush();
                let now_lost = shared.maps.counter(Counter::EventsLost).unwrap_or(lost);
                if now_lost > lost {
                    log.note_loss(now_lost - lost, "the kernel's ring buffer was full");
                    lost = now_lost;
                }
                journal.settle(Instant::now());
                shared.tally.set(Loss::EventsNotInJournal, journal.total_left_out());
                shared.tally.set(Loss::EventsUnwritten, log.counters().unwritten);
                shared.tally.set(Loss::EventsRotatedAway, log.counters().rotated_away);
                if last {
                    return;
                }
            }
        })?;
        Ok(Self { writer, stop })
    }

    /// Whether the thread has ended without being told to.
    pub(super) fn is_dead(&self) -> bool {
        self.writer.is_finished()
    }

    /// Writes what is left, and ends.
    pub(super) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.writer.join());
    }
}

/// The record of an event with what the daemon knows about it; none of the canary.
fn told(shared: &Shared, cgroups: &mut Cgroups, event: &Event) -> Option<Record> {
    if shared.explanations.is_canary(&event.digest) {
        return None;
    }
    let mut record = Record::from_event(event);
    if let Some(explanation) = shared.explanations.of(&event.digest) {
        record.rejection = explanation.rejection.map(str::to_owned);
        record.explanation = Some(explanation.text);
    }
    record.cgroup = cgroups.path(event.cgroup, event.pid).map(str::to_owned);
    shared.meters.event(&record);
    if record.denied {
        shared.note_denial(event.time);
    }
    Some(record)
}

const INTERVAL: Duration = Duration::from_millis(200);
