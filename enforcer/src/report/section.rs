//! Findings put together by one thing that they share.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::{Cause, Report, Tally};

/// What findings are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Why it would have been denied.
    Cause,
    /// The command name of the process.
    Program,
    /// The package of the file.
    Package,
    /// Where the process ran.
    Service,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cause, Self::Program, Self::Package, Self::Service];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cause => "cause",
            Self::Program => "program",
            Self::Package => "package",
            Self::Service => "service",
        }
    }
}

impl Serialize for By {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Findings that share something.
#[derive(Debug, PartialEq, Eq)]
pub struct Section {
    /// What they share, for people.
    pub title: String,
    /// The cause, if they are put together by that.
    pub cause: Option<Cause>,
    /// How often, and when.
    pub tally: Tally,
    /// Indices in [`Report::findings`], the most frequent first, with what belongs in here of each.
    pub members: Vec<(usize, Tally)>,
}

impl Report {
    /// The findings by cause in its own order, or by anything else with the most frequent first.
    pub fn sections(&self, by: By) -> Vec<Section> {
        let mut sections = BTreeMap::<(Option<Cause>, String), BTreeMap<usize, Tally>>::new();
        for one in &self.uses {
            let finding = &self.findings[one.finding];
            let title = match by {
                By::Cause => (Some(finding.cause), finding.cause.title().to_owned()),
                By::Program => (None, one.program.clone()),
                By::Package => (None, finding.package.as_ref().map_or_else(|| NO_PACKAGE.to_owned(), |package| package.name.clone())),
                By::Service => (None, one.service.to_string()),
            };
            sections.entry(title).or_default().entry(one.finding).or_default().merge(&one.tally);
        }
        let mut sections: Vec<Section> = sections.into_iter().map(|((cause, title), members)| Section::new(title, cause, members)).collect();
        if by != By::Cause {
            sections.sort_by_key(|section| Reverse(section.tally.events));
        }
        sections
    }
}

impl Section {
    fn new(title: String, cause: Option<Cause>, members: BTreeMap<usize, Tally>) -> Self {
        let mut members: Vec<(usize, Tally)> = members.into_iter().collect();
        members.sort_by_key(|(_, tally)| Reverse(tally.events));
        let mut tally = Tally::default();
        members.iter().for_each(|(_, of_one)| tally.merge(of_one));
        Self { title, cause, tally, members }
    }
}

const NO_PACKAGE: &str = "(no package)";
