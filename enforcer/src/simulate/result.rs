//! What a simulation found: how many uses would change in which way, in groups, the worst first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;

use crate::audit::Timestamp;
use crate::judge::{Judgement, Outcome, Rationale, Use, Way, ways};
use crate::policy::{Lines, Policy, Rule};

/// What would change if one policy took the place of another one. Its JSON form is an interface: fields are added, never renamed.
#[derive(Clone, Debug, Serialize)]
pub struct Simulation {
    /// The policy that it is compared with.
    pub old: Side,
    /// The policy that was tried.
    pub new: Side,
    /// What was looked at.
    pub looked_at: LookedAt,
    /// Distinct uses, by what becomes of them. What is allowed before and after is not counted.
    pub counts: BTreeMap<Change, Count>,
    /// The same uses, by where they were seen, by whom and for which reason.
    pub groups: Vec<Group>,
    /// What could not be looked at: what would change there is not known.
    pub incomplete: Vec<String>,
}

impl Simulation {
    /// Whether nothing would newly be denied, of what could be looked at and judged.
    pub fn is_safe(&self) -> bool {
        self.count(Change::NewlyDenied).uses() == 0
    }

    /// How many distinct uses would change in this way.
    pub fn count(&self, change: Change) -> Count {
        self.counts.get(&change).copied().unwrap_or_default()
    }
}

/// One of the two policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Its file.
    pub policy: PathBuf,
    /// `audit` or `enforce`.
    pub mode: &'static str,
    /// The scopes in which another one may hold, with theirs.
    pub scopes: Vec<String>,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LookedAt {
    /// Events of the log.
    pub events: u64,
    /// Since when; none without a log.
    pub since: Option<Timestamp>,
    /// Processes.
    pub processes: u64,
    /// Distinct files, each examined once.
    pub files: u64,
}

/// What becomes of a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It happens now, and would be stopped.
    NewlyDenied,
    /// The facts do not tell.
    Unjudged,
    /// It happens now without a word, and would be reported.
    NewlyReported,
    /// It is stopped or reported now, and would happen; reported at most, where it was stopped.
    NewlyAllowed,
    /// It is stopped now, and would be.
    StillDenied,
    /// It is reported now, and would be.
    StillReported,
}

impl Change {
    /// Every one, the worst first.
    pub const ALL: [Self; 6] = [Self::NewlyDenied, Self::Unjudged, Self::NewlyReported, Self::NewlyAllowed, Self::StillDenied, Self::StillReported];

    fn between(old: Outcome, new: Outcome) -> Option<Self> {
        Some(match (old, new) {
            (Outcome::Denied, Outcome::Denied) => Self::StillDenied,
            (_, Outcome::Denied) => Self::NewlyDenied,
            (Outcome::Allowed, Outcome::Reported) => Self::NewlyReported,
            (Outcome::Reported, Outcome::Reported) => Self::StillReported,
            (Outcome::Allowed, Outcome::Allowed) => return None,
            (Outcome::Denied, Outcome::Reported) | (_, Outcome::Allowed) => Self::NewlyAllowed,
        })
    }

    /// In two words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::NewlyDenied => "newly denied",
            Self::Unjudged => "cannot be judged",
            Self::NewlyReported => "newly reported",
            Self::NewlyAllowed => "newly allowed",
            Self::StillDenied => "still denied",
            Self::StillReported => "still reported",
        }
    }
}

/// How many distinct uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Those that were seen: in the log, or in a process.
    pub seen: u64,
    /// Files on the disk that nobody was seen to use.
    pub on_disk: u64,
}

impl Count {
    /// All of them.
    pub const fn uses(self) -> u64 {
        self.seen + self.on_disk
    }
}

/// Uses that change in the same way, for the same reason, in the same place.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// What becomes of them.
    pub change: Change,
    /// The service that they were seen in, where there is one.
    pub service: Option<String>,
    /// The process's name; none for files on the disk that nobody was seen to use.
    pub program: Option<String>,
    /// Why, by the policy that was tried; by the other one, where this one allows.
    pub rationale: Rationale,
    /// The rule of the policy that was tried, with its line.
    pub rule: Option<String>,
    /// How many distinct uses.
    pub uses: u64,
    /// How many events there are of them.
    pub events: u64,
    /// When the last of these happened.
    pub last: Option<Timestamp>,
    /// How many times they run now.
    pub running: u64,
    /// What is used, as many as fit.
    pub subjects: Vec<Subject>,
    /// How many did not fit.
    pub subjects_left_out: u64,
    /// What would have to change to have them allowed, the best first.
    pub ways: Vec<Way>,
}

/// What is used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Subject {
    /// The file, where there is one.
    pub path: Option<String>,
    /// What for; or what was tried, where there is no file.
    pub what: String,
    /// The last event of it.
    pub event: Option<String>,
}

/// A use, and what both policies say of it.
pub(super) struct Finding {
    pub(super) service: Option<String>,
    pub(super) program: Option<String>,
    pub(super) subject: Subject,
    pub(super) wanted: Option<Use>,
    pub(super) events: u64,
    pub(super) last: Option<Timestamp>,
    pub(super) processes: u64,
    pub(super) old: Judgement,
    pub(super) new: Judgement,
}

/// Findings as they come, in groups of bounded size.
#[derive(Default)]
pub(super) struct Groups {
    counts: BTreeMap<Change, Count>,
    groups: BTreeMap<Key, Gathering>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    change: Change,
    service: Option<String>,
    program: Option<String>,
    rationale: Rationale,
    rule: Option<Rule>,
}

struct Gathering {
    new: Judgement,
    wanted: Option<Use>,
    uses: u64,
    events: u64,
    last: Option<Timestamp>,
    running: u64,
    subjects: BTreeSet<Subject>,
}

impl Groups {
    pub(super) fn add(&mut self, finding: Finding) {
        let (change, rationale, rule) = match (&finding.old, &finding.new) {
            (_, Judgement::Unknown(why)) => (Change::Unjudged, unknown(why), None),
            (Judgement::Unknown(why), Judgement::Ruled(new)) if new.outcome == Outcome::Denied => (Change::Unjudged, unknown(why), None),
            // Whatever it was, it would not be stopped.
            (Judgement::Unknown(_), Judgement::Ruled(_)) => return,
            (Judgement::Ruled(old), Judgement::Ruled(new)) => match Change::between(old.outcome, new.outcome) {
                Some(change) => (change, new.rationale.clone(), Some(new.rule.clone())),
                None => return,
            },
        };
        let is_seen = finding.program.is_some();
        let count = self.counts.entry(change).or_default();
        *(if is_seen { &mut count.seen } else { &mut count.on_disk }) += 1;
        let key = Key { change, service: finding.service, program: finding.program, rationale, rule };
        let group = self.groups.entry(key).or_insert_with(|| Gathering {
            new: finding.new,
            wanted: finding.wanted,
            uses: 0,
            events: 0,
            last: None,
            running: 0,
            subjects: BTreeSet::new(),
        });
        group.uses += 1;
        group.events += finding.events;
        group.last = group.last.max(finding.last);
        group.running += finding.processes;
        group.subjects.insert(finding.subject);
        if group.subjects.len() > MOST_SUBJECTS {
            group.subjects.pop_last();
        }
    }

    /// The counts, and the groups with what would have to change.
    pub(super) fn finish(self, policy: &Policy) -> (BTreeMap<Change, Count>, Vec<Group>) {
        let lines = Lines::of(policy);
        let mut groups: Vec<Group> = self.groups.into_iter().map(|(key, gathering)| gathering.group(key, policy, &lines)).collect();
        groups.sort_by_key(|group| (group.change, group.program.is_none(), Reverse((group.running, group.events, group.uses))));
        (self.counts, groups)
    }
}

impl Gathering {
    fn group(self, key: Key, policy: &Policy, lines: &Lines) -> Group {
        let Key { change, service, program, rationale, rule } = key;
        let subjects: Vec<Subject> = self.subjects.into_iter().collect();
        let ways = match &self.new {
            Judgement::Ruled(ruling) if ruling.outcome != Outcome::Allowed => {
                let paths: Vec<&str> = subjects.iter().filter_map(|subject| subject.path.as_deref()).collect();
                ways(ruling, policy, lines, &paths, self.wanted, None)
            }
            _ => Vec::new(),
        };
        Group {
            change,
            service,
            program,
            rationale,
            rule: rule.map(|rule| lines.told(&rule, policy)),
            uses: self.uses,
            events: self.events,
            last: self.last,
            running: self.running,
            subjects_left_out: self.uses.saturating_sub(subjects.len() as u64),
            subjects,
            ways,
        }
    }
}

fn unknown(why: &str) -> Rationale {
    Rationale { code: "unknown", text: why.to_owned(), hint: None }
}

/// Subjects of one group that are kept.
const MOST_SUBJECTS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_by_what_comes_of_a_use_before_and_after() {
        use Outcome::{Allowed, Denied, Reported};
        let between = Change::between;
        assert_eq!(between(Allowed, Allowed), None);
        assert_eq!((between(Allowed, Denied), between(Reported, Denied)), (Some(Change::NewlyDenied), Some(Change::NewlyDenied)));
        assert_eq!((between(Denied, Allowed), between(Denied, Reported)), (Some(Change::NewlyAllowed), Some(Change::NewlyAllowed)));
        assert_eq!((between(Reported, Allowed), between(Allowed, Reported)), (Some(Change::NewlyAllowed), Some(Change::NewlyReported)));
        assert_eq!((between(Denied, Denied), between(Reported, Reported)), (Some(Change::StillDenied), Some(Change::StillReported)));
    }
}
