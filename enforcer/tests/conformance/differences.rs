//! The reviewed list of differences, `differences.toml`: every one has a reason, and every one still occurs.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::compare::Verdict;

/// How one variant came out.
pub struct Outcome {
    pub variant: String,
    pub ought: Option<Verdict>,
    pub ours: Verdict,
    pub our_reason: String,
    pub theirs: Verdict,
    pub their_reason: String,
}

/// What is written down about one group.
pub struct Differences {
    group: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    difference: Vec<Entry>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// `group/variant`; a `*` stands for anything.
    variant: String,
    ours: String,
    theirs: String,
    /// How many variants it covers, so that a pattern hides nothing new and nothing gone.
    count: usize,
    reason: String,
}

impl Differences {
    pub fn of_group(group: &str) -> Self {
        let mut entries = all();
        entries.retain(|entry| entry.group() == group);
        Self { group: group.to_owned(), entries }
    }

    /// Everything that is not as it should be.
    pub fn complaints(&self, outcomes: &[Outcome]) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut covered = vec![0; self.entries.len()];
        let mut names = BTreeMap::<&str, usize>::new();
        for outcome in outcomes {
            let name = format!("{}/{}", self.group, outcome.variant);
            *names.entry(&outcome.variant).or_default() += 1;
            if let Some(ought) = outcome.ought.filter(|ought| *ought != outcome.ours) {
                complaints.push(format!("{name}: ought to be {}, and is {}: {}", ought.word(), outcome.ours.word(), outcome.our_reason));
            }
            if outcome.ours == outcome.theirs {
                continue;
            }
            match self.entries.iter().position(|entry| entry.covers(&name, outcome)) {
                Some(entry) => covered[entry] += 1,
                None => complaints.push(format!(
                    "{name}: ours {} ({}), theirs {} ({}), and not listed",
                    outcome.ours.word(),
                    outcome.our_reason,
                    outcome.theirs.word(),
                    outcome.their_reason
                )),
            }
        }
        complaints.extend(names.iter().filter(|(_, times)| **times > 1).map(|(name, _)| format!("two variants have the name {name}")));
        for (entry, covered) in self.entries.iter().zip(covered) {
            if covered != entry.count {
                complaints.push(format!("`{}` is listed with {} differences, and has {covered}", entry.variant, entry.count));
            }
        }
        complaints
    }
}

impl Entry {
    fn group(&self) -> &str {
        self.variant.split('/').next().unwrap_or_default()
    }

    fn covers(&self, name: &str, outcome: &Outcome) -> bool {
        fits(&self.variant, name) && self.ours == outcome.ours.word() && self.theirs == outcome.theirs.word()
    }
}

/// The groups that the list speaks about, for the test that none of them is unknown.
pub fn groups() -> Vec<String> {
    all().iter().map(|entry| entry.group().to_owned()).collect()
}

/// Those entries that say too little.
pub fn without_reason() -> Vec<String> {
    let speaks = |entry: &Entry| entry.reason.trim().len() >= 20 && entry.ours != entry.theirs;
    all().into_iter().filter(|entry| !speaks(entry)).map(|entry| entry.variant).collect()
}

fn all() -> Vec<Entry> {
    let file: File = toml::from_str(include_str!("differences.toml")).unwrap_or_else(|error| panic!("differences.toml: {error}"));
    file.difference
}

/// Whether a pattern with `*` fits a name.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            name.strip_prefix(before).is_some_and(|rest| (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| fits(after, &rest[at..])))
        }
    }
}
