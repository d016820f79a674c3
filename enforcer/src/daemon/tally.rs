//! What the daemon lost, dropped or gave up, counted by name. `docs/operations.md` says of each name what happens and what to do; a test holds the two
//! together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::worker::{Counters, Counts};

/// A kind of loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// A request found the queue to the verifying threads full.
    RequestsDropped,
    /// A record of the kernel is not one of this version.
    RecordsMalformed,
    /// A verdict could not be written into the kernel's map.
    VerdictsUnpublished,
    /// A verifying thread panicked over a file.
    VerifyingPanicked,
    /// A rejection was not remembered, because too many others were.
    RejectionsForgotten,
    /// The explanation of an older denial made room for a newer one.
    ExplanationsForgotten,
    /// The kernel's queue of changed files was full.
    WatchOverflows,
    /// An event could not be written to the log.
    EventsUnwritten,
    /// Events made room for newer ones in the log.
    EventsRotatedAway,
    /// More events came in a time than the journal is given.
    EventsNotInJournal,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::RequestsDropped,
        Self::RecordsMalformed,
        Self::VerdictsUnpublished,
        Self::VerifyingPanicked,
        Self::RejectionsForgotten,
        Self::ExplanationsForgotten,
        Self::WatchOverflows,
        Self::EventsUnwritten,
        Self::EventsRotatedAway,
        Self::EventsNotInJournal,
    ];

    /// The name in `status --json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestsDropped => "requests-dropped",
            Self::RecordsMalformed => "records-malformed",
            Self::VerdictsUnpublished => "verdicts-unpublished",
            Self::VerifyingPanicked => "verifying-panicked",
            Self::RejectionsForgotten => "rejections-forgotten",
            Self::ExplanationsForgotten => "explanations-forgotten",
            Self::WatchOverflows => "watch-overflows",
            Self::EventsUnwritten => "events-unwritten",
            Self::EventsRotatedAway => "events-rotated-away",
            Self::EventsNotInJournal => "events-not-in-journal",
        }
    }
}

/// The counters, since the daemon started.
#[derive(Default)]
pub struct Tally {
    losses: [AtomicU64; Loss::ALL.len()],
    /// Those of the workers, which count themselves.
    pub workers: Arc<Counters>,
}

impl Tally {
    /// One more.
    pub fn count(&self, loss: Loss) {
        self.losses[loss as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// So many in all, where somebody else counts.
    pub fn set(&self, loss: Loss, total: u64) {
        self.losses[loss as usize].store(total, Ordering::Relaxed);
    }

    /// How many until now.
    pub fn of(&self, loss: Loss) -> u64 {
        self.losses[loss as usize].load(Ordering::Relaxed)
    }

    /// All by name.
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        let own = Loss::ALL.map(|loss| (loss.name(), self.of(loss)));
        own.into_iter().chain(workers(self.workers.counts())).map(|(name, count)| (name.to_owned(), count)).collect()
    }
}

/// The workers' counters by name.
fn workers(counts: Counts) -> [(&'static str, u64); 5] {
    let Counts { started: _, ended, timed_out, garbled, none_free, not_started } = counts;
    [
        ("workers-ended", ended),
        ("workers-timed-out", timed_out),
        ("workers-garbled", garbled),
        ("workers-none-free", none_free),
        ("workers-not-started", not_started),
    ]
}

#[cfg(test)]
mod tests {
    use enforcer_common::{Counter, Reason};

    use super::*;

    /// Every name that a machine may show must be in the table of failures, as a name between backticks.
    #[test]
    fn every_counter_and_every_reason_is_in_the_table_of_failures() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
        let document = std::fs::read_to_string(path).unwrap();
        let (_, table) = document.split_once("## What can fail").expect("the table of failures");
        let counters = Tally::default().by_name().into_keys();
        // Those that count what went well are no failures.
        let well = [Counter::CacheHits, Counter::Measurements, Counter::Allowed, Counter::Granted, Counter::Requests];
        let kernels = Counter::ALL.iter().filter(|counter| !well.contains(counter)).map(|counter| counter.name().to_owned());
        let reasons = Reason::ALL.iter().map(|reason| reason.name().to_owned());
        let missing: Vec<String> = counters.chain(kernels).chain(reasons).filter(|name| !table.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "docs/operations.md, \"What can fail\", says nothing about {missing:?}");
    }
}
