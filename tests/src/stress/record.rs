//! What was counted, and what must not have been.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A run of bytes that no verdict covers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Foreign {
    /// The directed interleaving, or `random`.
    pub scenario: String,
    /// What was done, and what ran.
    pub what: String,
}

/// What happened on one file system.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    pub fs: String,
    /// Random turns.
    pub turns: u64,
    /// The directed interleavings that were tried, and how often.
    pub tried: BTreeMap<String, u64>,
    /// How often what came of a turn.
    pub counts: BTreeMap<String, u64>,
    /// Denials of signed files that nobody touched, by the reason in the event.
    pub false_denials: BTreeMap<String, u64>,
    pub foreign: Vec<Foreign>,
}

impl Record {
    pub fn new(fs: &str) -> Self {
        Self { fs: fs.to_owned(), ..Self::default() }
    }

    pub fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    pub fn found(&mut self, scenario: &str, what: String) {
        self.foreign.push(Foreign { scenario: scenario.to_owned(), what });
    }

    /// Adds what another process counted.
    pub fn add(&mut self, other: Self) {
        self.turns += other.turns;
        for (into, from) in [(&mut self.tried, other.tried), (&mut self.counts, other.counts), (&mut self.false_denials, other.false_denials)] {
            for (name, number) in from {
                *into.entry(name).or_default() += number;
            }
        }
        self.foreign.extend(other.foreign);
    }
}

impl fmt::Display for Record {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let list = |numbers: &BTreeMap<String, u64>| numbers.iter().map(|(name, number)| format!("{name} {number}")).collect::<Vec<_>>().join(", ");
        write!(out, "{}: {} interleavings, {} random turns ({})", self.fs, self.tried.values().sum::<u64>(), self.turns, list(&self.counts))?;
        if !self.false_denials.is_empty() {
            write!(out, "; untouched signed files denied: {}", list(&self.false_denials))?;
        }
        write!(out, "; {} runs of foreign bytes", self.foreign.len())?;
        for Foreign { scenario, what } in self.foreign.iter().take(SHOWN) {
            write!(out, "; {scenario}: {what}")?;
        }
        Ok(())
    }
}

const SHOWN: usize = 8;
