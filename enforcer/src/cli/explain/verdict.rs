//! A decision, as it is reported: what comes of it, why, by which rule in which line, and what would have to change.

use serde::Serialize;

use super::super::output::{OutputError, Style};
use super::super::simulate::tell_ways;
use super::super::{Exit, Output};
use super::ground::Ground;
use crate::judge::{Judgement, Outcome, Rationale, Use, Way, ways};
use crate::policy::{Lines, Mode};
use crate::text::printable;

/// A decision.
#[derive(Serialize)]
pub(super) struct Verdict {
    /// None, where the facts do not tell.
    pub(super) outcome: Option<Outcome>,
    pub(super) rationale: Rationale,
    /// The rule of the policy, with its file and line where it is written.
    pub(super) rule: Option<String>,
    pub(super) line: Option<usize>,
    pub(super) ways: Vec<Way>,
    #[serde(skip)]
    mode: Mode,
}

impl Verdict {
    pub(super) fn new(judgement: &Judgement, ground: &Ground, lines: &Lines, paths: &[&str], wanted: Option<Use>, digest: Option<&[u8; 32]>) -> Self {
        let mode = ground.mode();
        match judgement {
            Judgement::Unknown(why) => {
                let rationale = Rationale { code: "unknown", text: why.clone(), hint: None };
                Self { outcome: None, rationale, rule: None, line: None, ways: Vec::new(), mode }
            }
            Judgement::Ruled(ruling) => Self {
                outcome: Some(ruling.outcome),
                rationale: ruling.rationale.clone(),
                rule: Some(lines.told(&ruling.rule, &ground.policy)),
                line: lines.line(&ruling.rule),
                ways: if ruling.outcome == Outcome::Allowed { Vec::new() } else { ways(ruling, &ground.policy, lines, paths, wanted, digest) },
                mode,
            },
        }
    }

    /// In a few words.
    pub(super) const fn words(&self) -> &'static str {
        match (self.outcome, self.mode) {
            (Some(Outcome::Reported), Mode::Audit) => "not covered: reported in audit mode, denied in enforce mode",
            (Some(outcome), _) => outcome.words(),
            (None, _) => "not known",
        }
    }

    pub(super) const fn style(&self) -> Style {
        match self.outcome {
            Some(Outcome::Allowed) => Style::Good,
            Some(Outcome::Denied) => Style::Bad,
            _ => Style::Warn,
        }
    }

    pub(super) const fn exit(&self) -> Exit {
        match self.outcome {
            Some(Outcome::Allowed) => Exit::Yes,
            _ => Exit::No,
        }
    }

    /// Why, by which rule, and what would have to change.
    pub(super) fn tell(&self, indent: usize, output: &mut Output) -> Result<(), OutputError> {
        output.item(indent, NAME_WIDTH, "why", &printable(&self.rationale.text))?;
        if let Some(rule) = &self.rule {
            output.item(indent, NAME_WIDTH, "rule", rule)?;
        }
        tell_ways(indent, NAME_WIDTH, &self.ways, output)
    }
}

/// Columns of the longest name.
pub(super) const NAME_WIDTH: usize = 11;
