//! What a manifest of installed packages does not list, told so that nobody misses it.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use crate::inventory::debian::LeftOut;
use crate::text::{chain, printable};

/// Everything that was left out.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct LeftOutReport {
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    path: Option<String>,
    package: Option<String>,
    reason: &'static str,
    message: String,
    hint: &'static str,
    /// Whether something that a package meant to be run will not be.
    gap: bool,
}

impl LeftOutReport {
    pub(super) fn new(all: &[LeftOut]) -> Self {
        let line = |left_out: &LeftOut| Line {
            path: left_out.path.as_ref().map(|path| path.to_string_lossy().into_owned()),
            package: left_out.package.clone(),
            reason: left_out.reason.code(),
            message: chain(&left_out.reason),
            hint: left_out.reason.hint(),
            gap: left_out.reason.leaves_a_gap(),
        };
        Self { lines: all.iter().map(line).collect() }
    }

    pub(super) fn leaves_a_gap(&self) -> bool {
        self.lines.iter().any(|line| line.gap)
    }

    /// On stderr: the gaps one by one, the rest by kind with a few examples.
    pub(super) fn tell(&self) {
        let mut by_reason = BTreeMap::<(bool, &str), Vec<&Line>>::new();
        for line in &self.lines {
            by_reason.entry((!line.gap, line.reason)).or_default().push(line);
        }
        // When stderr is closed, nobody is left to tell.
        let mut stderr = std::io::stderr().lock();
        for lines in by_reason.values() {
            let shown = if lines[0].gap { lines.len() } else { lines.len().min(EXAMPLES) };
            let kind = if lines[0].gap { "warning" } else { "note" };
            for line in &lines[..shown] {
                _ = writeln!(stderr, "{kind}: {}: left out: {}", line.name(), printable(&line.message));
            }
            if lines.len() > shown {
                _ = writeln!(stderr, "{kind}: and {} more like this, all of them with `--json -o FILE`", lines.len() - shown);
            }
            _ = writeln!(stderr, "hint: {}", lines[0].hint);
        }
    }
}

impl Line {
    fn name(&self) -> String {
        match (&self.path, &self.package) {
            (Some(path), Some(package)) => format!("{} (of {})", printable(path), printable(package)),
            (Some(path), None) => printable(path).into_owned(),
            (None, package) => format!("package {}", printable(package.as_deref().unwrap_or_default())),
        }
    }
}

/// Files of one kind that are told one by one, where nothing hinges on them.
const EXAMPLES: usize = 5;
