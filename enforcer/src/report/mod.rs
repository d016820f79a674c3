//! What the event log says would have been denied: gathered by cause, looked at as it is now, with what mends it.
//!
//! [`gather`] reads the log in bounded memory, [`Survey`] looks at each file once, [`page`] is the report as one HTML page. Nothing here decides about a
//! file, and nothing is changed.

mod cause;
mod finding;
mod gather;
mod mend;
mod page;
mod section;
mod service;
mod survey;
#[cfg(test)]
pub(crate) mod tests;

use serde::Serialize;

use crate::audit::Timestamp;

pub use cause::Cause;
pub use finding::{Finding, Owner, State, Subject, Tally};
pub use gather::gather;
pub use mend::command_line;
pub use page::page;
pub use section::{By, Section};
pub use service::Service;
pub use survey::{Appraiser, Survey};

/// What was gathered from a log. Its JSON form is an interface: fields are added, never renamed.
#[derive(Debug, Serialize)]
pub struct Report {
    /// From when on events count; `None` for all that the log has.
    pub since: Option<Timestamp>,
    /// When the log was read.
    pub made: Timestamp,
    /// All events that count, with the times of the first and the last.
    pub tally: Tally,
    /// Whether nothing of what was reported would be denied now, and no event is missing.
    pub ready: bool,
    /// What was or would have been denied, the most frequent first.
    pub findings: Vec<Finding>,
    /// Who ran into which finding how often.
    pub uses: Vec<Use>,
    /// Events that are missing in the log, by what was the cause.
    pub lost: Vec<Missing>,
    /// Lines of the log that are no entries.
    pub unreadable: u64,
    /// Events that are in `tally` and in no finding: about more different things than are kept apart.
    pub beyond: u64,
}

/// How often a program of a service ran into a finding.
#[derive(Debug, Serialize)]
pub struct Use {
    /// The index in [`Report::findings`].
    pub finding: usize,
    /// The command name of the process.
    pub program: String,
    /// Where the process ran.
    pub service: Service,
    /// How often, and when.
    pub tally: Tally,
}

/// Events that are missing.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Where they were lost, in words.
    pub cause: String,
    /// How many.
    pub count: u64,
}

impl Report {
    /// Findings that would be denied in enforce mode now, as far as anybody knows.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_open())
    }

    /// Events that nobody can be told about.
    pub fn missing(&self) -> u64 {
        self.lost.iter().fold(self.beyond, |sum, missing| sum.saturating_add(missing.count))
    }

    fn settle(&mut self) {
        self.ready = self.open().next().is_none() && self.missing() == 0 && self.unreadable == 0;
    }
}
