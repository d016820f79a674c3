//! `enforcer manifest diff`: what changed between two manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use enforcer_common::Digest;
use serde::Serialize;

use super::super::output::{Cell, Style, Table};
use super::super::{Exit, Failure, Output, ReportOption};
use super::{kind, parse, read};
use crate::signature::manifest::Entry;
use crate::text::hex;

/// Compare two manifests, path by path.
///
/// Exit status 0: they list the same. 1: they differ.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer manifest diff yesterday.manifest today.manifest")]
pub(super) struct Diff {
    /// The manifest before.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The manifest now.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    #[command(flatten)]
    report: ReportOption,
}

impl Diff {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let (old_text, new_text) = (read(&self.old)?, read(&self.new)?);
        let (old, new) = (by_path(&parse(&self.old, &old_text)?), by_path(&parse(&self.new, &new_text)?));
        let report = Report::new(&old, &new);
        if self.report.json {
            output.json(&report)?;
        } else if report.is_empty() {
            output.line(format!("no difference in {} paths", new.len()))?;
        } else {
            report.show(output)?;
        }
        Ok(if report.is_empty() { Exit::Yes } else { Exit::No })
    }
}

/// The same path may be listed twice, so a path has a set of digests.
type ByPath = BTreeMap<Vec<u8>, BTreeSet<Digest>>;

fn by_path(entries: &[Entry<'_>]) -> ByPath {
    let mut paths = ByPath::new();
    for entry in entries {
        paths.entry(entry.path.to_vec()).or_default().insert(entry.digest);
    }
    paths
}

#[derive(Serialize)]
struct Report {
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<Changed>,
}

#[derive(Serialize)]
struct Changed {
    path: String,
    old: Vec<Value>,
    new: Vec<Value>,
}

#[derive(Serialize)]
struct Value {
    kind: &'static str,
    digest: String,
}

impl Report {
    fn new(old: &ByPath, new: &ByPath) -> Self {
        let only_in = |one: &ByPath, other: &ByPath| one.keys().filter(|path| !other.contains_key(*path)).map(|path| text(path)).collect();
        let both = old.iter().filter_map(|(path, before)| Some((path, before, new.get(path)?)));
        let changed = both.filter(|(_, before, now)| before != now);
        Self {
            added: only_in(new, old),
            removed: only_in(old, new),
            changed: changed.map(|(path, before, now)| Changed { path: text(path), old: values(before), new: values(now) }).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    fn show(&self, output: &mut Output) -> Result<(), Failure> {
        let mut table = Table::new(["CHANGE", "PATH"]);
        let changed: Vec<_> = self.changed.iter().map(|changed| changed.path.clone()).collect();
        for (word, style, paths) in [("added", Style::Good, &self.added), ("removed", Style::Bad, &self.removed), ("changed", Style::Warn, &changed)]
        {
            for path in paths {
                table.row([Cell::styled(word, style), Cell::from(path)]);
            }
        }
        output.table(&table)?;
        output.line("")?;
        Ok(output.line(format!("{} added, {} removed, {} changed", self.added.len(), self.removed.len(), self.changed.len()))?)
    }
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn values(digests: &BTreeSet<Digest>) -> Vec<Value> {
    digests.iter().map(|digest| Value { kind: kind(digest), digest: hex(&digest.bytes) }).collect()
}
