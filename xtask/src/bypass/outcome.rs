//! What came of each technique: judged by the results of its tests, never by what the catalogue hopes for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::catalogue::Technique;
use super::host::Results;
use crate::guest_tests::Line;
use crate::setup::kernels::Kernel;

/// A technique with what was seen of it.
#[derive(Serialize)]
pub(crate) struct Judged {
    area: String,
    technique: String,
    /// The row of `docs/limitations.md`, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    limitation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// By kernel.
    outcomes: BTreeMap<String, Outcome>,
    /// Hooks and reasons of the events that were seen in enforce mode, and what else speaks for it.
    evidence: BTreeSet<String>,
    /// What is not as it should be.
    faults: Vec<String>,
}

/// In a word.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// Every test has passed, in every mode, with its honest twin.
    Stopped,
    /// `docs/limitations.md` says that it is not stopped.
    Limitation,
    /// `tests/kernels.toml` says that this kernel cannot show it.
    Excused,
    /// A test has failed.
    Failed,
    /// A test was not run.
    Missing,
}

impl Judged {
    /// Judges one technique by what was seen on this machine and on each kernel.
    pub(crate) fn of(technique: &Technique, host: &Results, kernels: &[(&Kernel, &[Line])]) -> Self {
        let mut judged = Self {
            area: technique.area.clone(),
            technique: technique.name.clone(),
            limitation: technique.limitation.clone(),
            note: technique.note.clone(),
            outcomes: BTreeMap::new(),
            evidence: BTreeSet::new(),
            faults: Vec::new(),
        };
        let mut on_host = Outcome::Stopped;
        for test in &technique.host {
            let outcome = match host.get(test) {
                Some(true) => Outcome::Stopped,
                Some(false) => judged.fault("this machine", test, Outcome::Failed),
                None => judged.fault("this machine", test, Outcome::Missing),
            };
            on_host = on_host.with(outcome);
        }
        if !technique.host.is_empty() {
            judged.evidence.insert("tests of the host".to_owned());
        }
        judged.evidence.extend(technique.fuzz.iter().map(|target| format!("fuzzed: {target}")));
        for (kernel, lines) in kernels {
            let mut outcome = if technique.limitation.is_some() { Outcome::Limitation } else { on_host };
            for test in &technique.tests {
                outcome = outcome.with(judged.in_machine(kernel, test, lines));
            }
            judged.outcomes.insert(kernel.name.clone(), outcome);
        }
        judged
    }

    /// One test on one kernel.
    fn in_machine(&mut self, kernel: &Kernel, test: &str, lines: &[Line]) -> Outcome {
        let of = |name: &str| lines.iter().filter(|line| line.test == name).cloned().collect::<Vec<_>>();
        let own = of(test);
        let kind = own.first().map_or("", |line| line.kind.as_str());
        // A row is seen in enforce mode, in audit mode, and with nothing in force; a test of the daemon's life, or of the stress, in enforce mode.
        let expected = if matches!(kind, "lifecycle" | "stress") { 1 } else { MODES };
        let excused =
            kernel.lacks.iter().filter(|lack| lack.test.contains(&format!("::{test}_")) || lack.test == format!("lifecycle::{test}")).count();
        if own.len() + excused < expected {
            return self.fault(&kernel.name, test, Outcome::Missing);
        }
        let twins: Vec<Line> = own.iter().filter_map(|line| line.twin.as_deref()).flat_map(of).collect();
        if let Some(line) = own.iter().chain(&twins).find(|line| !line.pass) {
            return self.fault(&kernel.name, &format!("{}: {}", line.name, line.happened), Outcome::Failed);
        }
        let events = own.iter().filter(|line| line.name.starts_with("enforce::")).filter_map(|line| line.event.as_ref());
        self.evidence.extend(events.map(|event| format!("{}: {}", word(event, "hook"), word(event, "reason"))));
        match kind {
            "lifecycle" | "stress" => _ = self.evidence.insert(test.replace('_', " ")),
            "absent" => _ = self.evidence.insert("no kernel has it".to_owned()),
            _ => {}
        }
        if excused == 0 { Outcome::Stopped } else { Outcome::Excused }
    }

    fn fault(&mut self, place: &str, test: &str, outcome: Outcome) -> Outcome {
        self.faults.push(format!("{}: `{}`, on {place}: {test}", outcome.word(), self.technique));
        outcome
    }

    /// What is not as it should be, each in a line.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &str> {
        self.faults.iter().map(String::as_str)
    }

    /// Whether it is one that is not stopped.
    pub(crate) fn is_limitation(&self) -> bool {
        self.limitation.is_some()
    }

    /// The evidence in one line.
    fn ground(&self) -> String {
        match &self.limitation {
            Some(limitation) => format!("docs/limitations.md: {limitation}"),
            None => self.evidence.iter().map(String::as_str).collect::<Vec<_>>().join("; "),
        }
    }
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Limitation => "limitation",
            Self::Excused => "excused",
            Self::Failed => "FAILED",
            Self::Missing => "MISSING",
        }
    }

    /// The worse of two.
    fn with(self, other: Self) -> Self {
        let badness = |outcome| match outcome {
            Self::Stopped => 0,
            Self::Limitation => 1,
            Self::Excused => 2,
            Self::Missing => 3,
            Self::Failed => 4,
        };
        if badness(other) > badness(self) { other } else { self }
    }
}

/// One line for each technique, with a column for each kernel.
pub(crate) fn table(judged: &[Judged], kernels: &[Kernel]) -> String {
    let width = judged.iter().map(|judged| judged.technique.chars().count()).max().unwrap_or(0);
    let mut text = format!("{:width$}", "TECHNIQUE");
    for kernel in kernels {
        text += &format!("  {:COLUMN$}", kernel.name);
    }
    text += "  EVIDENCE\n";
    let mut area = "";
    for judged in judged {
        if area != judged.area {
            area = &judged.area;
            text += &format!("\n{area}\n");
        }
        text += &format!("{:width$}", judged.technique);
        for kernel in kernels {
            text += &format!("  {:COLUMN$}", judged.outcomes.get(&kernel.name).map_or("", |outcome| outcome.word()));
        }
        text += &format!("  {}\n", judged.ground());
    }
    text + "\n"
}

fn word<'a>(event: &'a serde_json::Value, name: &str) -> &'a str {
    event.get(name).and_then(serde_json::Value::as_str).unwrap_or("-")
}

/// Enforce, audit, and off.
const MODES: usize = 3;
/// The longest word.
const COLUMN: usize = "limitation".len();
