//! From a log to findings, in bounded memory: what happens more often takes no more room.

use std::collections::hash_map::Entry as Slot;
use std::collections::{BTreeMap, HashMap};
use std::io;

use super::finding::MOST_NAMES;
use super::{Cause, Finding, Missing, Report, Service, Subject, Tally, Use};
use crate::audit::{Code, Entry, EventReader, Lost, Next, Record, Timestamp};
use crate::text::clipped;

/// Reads a log to its end; events before `since` do not count.
///
/// # Errors
/// The log cannot be read any further.
pub fn gather(reader: &mut EventReader, since: Option<Timestamp>) -> io::Result<Report> {
    let mut gathering = Gathering::new(since, Bounds::default());
    loop {
        match reader.read()? {
            Next::End => return Ok(gathering.finish()),
            Next::Unreadable => gathering.unreadable += 1,
            Next::Entry(Entry::Event(record)) => gathering.add(*record),
            Next::Entry(Entry::Lost(lost)) => gathering.lose(lost),
        }
    }
}

/// How much is kept apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Findings.
    pub(super) findings: usize,
    /// Findings by program and service.
    pub(super) uses: usize,
    /// Causes of loss.
    pub(super) losses: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { findings: 10_000, uses: 20_000, losses: 64 }
    }
}

/// What makes two events one finding.
type Key = (Cause, Code<enforcer_common::Reason>, Subject, Option<String>);

pub(super) struct Gathering {
    since: Option<Timestamp>,
    bounds: Bounds,
    tally: Tally,
    findings: Vec<Finding>,
    index: HashMap<Key, usize>,
    uses: HashMap<(usize, String, Service), Tally>,
    lost: BTreeMap<String, u64>,
    unreadable: u64,
    beyond: u64,
}

impl Gathering {
    pub(super) fn new(since: Option<Timestamp>, bounds: Bounds) -> Self {
        Self {
            since,
            bounds,
            tally: Tally::default(),
            findings: Vec::new(),
            index: HashMap::new(),
            uses: HashMap::new(),
            lost: BTreeMap::new(),
            unreadable: 0,
            beyond: 0,
        }
    }

    pub(super) fn add(&mut self, mut record: Record) {
        if self.since.is_some_and(|since| record.time < since) {
            return;
        }
        // The kernel's are shorter; a log may hold anything.
        record.path = record.path.take().map(|path| clipped(&path, LONGEST_PATH).to_owned());
        record.comm = clipped(&record.comm, LONGEST_NAME).to_owned();
        record.digest = record.digest.take().map(|digest| clipped(&digest, LONGEST_NAME).to_owned());
        self.tally.add(&record);
        let cause = Cause::of(record.reason, record.rejection.as_deref());
        let key = (cause, record.reason, Subject::of(&record), record.digest.clone());
        let number = match self.index.entry(key) {
            Slot::Occupied(slot) => *slot.get(),
            Slot::Vacant(_) if self.findings.len() >= self.bounds.findings => {
                self.beyond += 1;
                return;
            }
            Slot::Vacant(slot) => {
                let (cause, reason, subject, digest) = slot.key().clone();
                self.findings.push(Finding::new(cause, reason, subject, digest));
                *slot.insert(self.findings.len() - 1)
            }
        };
        let service = Service::of(record.cgroup.as_deref());
        self.findings[number].note(&record, &service);
        let has_room = self.uses.len() < self.bounds.uses;
        match self.uses.entry((number, record.comm.clone(), service)) {
            Slot::Occupied(mut slot) => slot.get_mut().add(&record),
            Slot::Vacant(slot) if has_room => slot.insert(Tally::default()).add(&record),
            // Nobody in particular.
            Slot::Vacant(_) => self.uses.entry((number, OTHERS.to_owned(), Service::Unknown)).or_default().add(&record),
        }
    }

    pub(super) fn lose(&mut self, lost: Lost) {
        if self.since.is_some_and(|since| lost.time < since) {
            return;
        }
        let has_room = self.lost.len() < self.bounds.losses;
        let cause = clipped(&lost.cause, LONGEST_PATH);
        let cause = if has_room || self.lost.contains_key(cause) { cause } else { OTHERS };
        let count = self.lost.entry(cause.to_owned()).or_default();
        *count = count.saturating_add(lost.count);
    }

    pub(super) fn finish(self) -> Report {
        let mut order: Vec<(usize, Finding)> = self.findings.into_iter().enumerate().collect();
        order.sort_by(|(_, one), (_, other)| other.tally.events.cmp(&one.tally.events).then_with(|| one.subject.cmp(&other.subject)));
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(now, (before, _))| place[*before] = now);
        let mut uses: Vec<Use> =
            self.uses.into_iter().map(|((number, program, service), tally)| Use { finding: place[number], program, service, tally }).collect();
        uses.sort_by(|one, other| (one.finding, &one.program, &one.service).cmp(&(other.finding, &other.program, &other.service)));
        let mut report = Report {
            since: self.since,
            made: Timestamp::now(),
            tally: self.tally,
            ready: false,
            findings: order.into_iter().map(|(_, finding)| finding).collect(),
            uses,
            lost: self.lost.into_iter().map(|(cause, count)| Missing { cause, count }).collect(),
            unreadable: self.unreadable,
            beyond: self.beyond,
        };
        report.findings.iter_mut().for_each(Finding::advise);
        report.settle();
        report
    }
}

impl Finding {
    /// Another event of it.
    fn note(&mut self, record: &Record, service: &Service) {
        self.tally.add(record);
        self.content = record.content();
        if self.hooks.len() < MOST_NAMES {
            self.hooks.insert(record.hook);
        }
        if self.users.len() < MOST_NAMES {
            self.users.insert(record.uid);
        }
        if self.programs.len() < MOST_NAMES && !self.programs.contains(&record.comm) {
            self.programs.insert(record.comm.clone());
        }
        // Whether some of them are containers, and some are not, decides whose path it is.
        let is_alike = |known: &Service| (known.is_container(), known.is_local()) == (service.is_container(), service.is_local());
        if self.services.len() < MOST_NAMES || !self.services.iter().any(is_alike) {
            self.services.insert(service.clone());
        }
        if let Some(explanation) = &record.explanation {
            self.explanation = Some(clipped(explanation, LONGEST_PATH).to_owned());
        }
    }
}

/// `PATH_MAX` (linux/limits.h).
const LONGEST_PATH: usize = 4096;
/// More than any command name or digest.
const LONGEST_NAME: usize = 128;
/// Where there is no room to keep things apart.
const OTHERS: &str = "(others)";
