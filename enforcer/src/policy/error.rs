//! What is wrong with a policy, where, and how to mend it.

use std::fmt::{self, Write};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use unicode_width::UnicodeWidthChar;

use crate::text::{character_boundary, printable};

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file could not be read.
    #[error("cannot read the policy `{}`", printable(&path.to_string_lossy()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path names a folder, pipe, socket or device.
    #[error("the policy `{}` is not a regular file", printable(&path.to_string_lossy()))]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than any policy has reason to be.
    #[error("the policy `{}` is larger than {} bytes", printable(&path.to_string_lossy()), super::MAX_SIZE)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not UTF-8.
    #[error("the policy `{}` is not UTF-8 text (line {line})", printable(&path.to_string_lossy()))]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line of the first byte that is not.
        line: usize,
    },
    /// The text was read and says something that cannot be.
    #[error(transparent)]
    Invalid(#[from] Box<Invalid>),
}

impl PolicyError {
    /// Whether the machine failed (an unreadable file), rather than what somebody wrote.
    pub fn is_system(&self) -> bool {
        matches!(self, Self::Unreadable { .. })
    }

    /// How to mend it, where that is not part of the report.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Some(
                    "name the file that holds the policy, or begin with the commented policy.toml that \
                    comes with Enforcer",
                ),
                io::ErrorKind::PermissionDenied => Some("run as root, or make the file readable"),
                _ => None,
            },
            Self::NotAFile { .. } => Some("name a file, such as /etc/enforcer/policy.toml"),
            Self::TooLarge { .. } => Some("is this really a policy? put digests into signed manifests, not into the policy"),
            Self::NotText { .. } => Some("save the file as UTF-8"),
            Self::Invalid(_) => None,
        }
    }

    /// The whole report for people: every problem with its line and a caret.
    pub fn report(&self) -> String {
        match self {
            Self::Invalid(invalid) => invalid.report(),
            other => other.to_string(),
        }
    }
}

/// A policy that was read, with everything that is wrong with it. Its `Display` is one line; [`Invalid::report`] shows the places.
#[derive(Debug)]
pub struct Invalid {
    path: PathBuf,
    text: String,
    problems: Vec<Problem>,
}

impl Invalid {
    pub(crate) fn new(path: &Path, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.span.start);
        Self { path: path.into(), text: text.into(), problems }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong, in the order of the file, each with its line and column.
    pub fn problems(&self) -> impl Iterator<Item = (Place, &Problem)> {
        self.problems.iter().map(|problem| (Place::of(&problem.span, &self.text), problem))
    }

    /// Every problem with its source line, a caret and the way to mend it.
    pub fn report(&self) -> String {
        let mut report = String::new();
        for (place, problem) in self.problems() {
            if !report.is_empty() {
                report.push('\n');
            }
            _ = self.write_problem(&mut report, &place, problem);
        }
        report.truncate(report.trim_end().len());
        report
    }

    fn write_problem(&self, report: &mut String, place: &Place, problem: &Problem) -> fmt::Result {
        let margin = place.line.to_string().len();
        let (before, marked, after) = place.parts(&self.text);
        let line = [before, marked, after].map(on_one_line);
        let caret = format!("{}{}", " ".repeat(width(&line[0])), "^".repeat(width(&line[1]).max(1)));
        writeln!(report, "{}:{}:{}: {}", printable(&self.path.to_string_lossy()), place.line, place.column, problem.message)?;
        writeln!(report, "{:margin$} |", "")?;
        writeln!(report, "{} | {}", place.line, line.concat().trim_end())?;
        writeln!(report, "{:margin$} | {caret}{}", "", problem.label.as_ref().map(|label| format!(" {label}")).unwrap_or_default())?;
        match &problem.remedy {
            Some(remedy) => writeln!(report, "{:margin$} = {remedy}", ""),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((place, problem)) = self.problems().next() else { return write!(out, "invalid policy") };
        write!(out, "{}:{}:{}: {}", printable(&self.path.to_string_lossy()), place.line, place.column, problem.message)?;
        if let Some(label) = &problem.label {
            write!(out, "; {label}")?;
        }
        match self.problems.len() {
            1 => Ok(()),
            2 => write!(out, " (and one more problem)"),
            more => write!(out, " (and {} more problems)", more - 1),
        }
    }
}

impl std::error::Error for Invalid {}

/// One thing that is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What stands beside the caret: mostly "did you mean …".
    pub label: Option<String>,
    /// How to mend it, or what is allowed here.
    pub remedy: Option<String>,
}

impl Problem {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), label: None, remedy: None }
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// A misspelt `found`, where only `allowed` is right: suggests the nearest, and lists all.
    pub(super) fn misspelt(span: Range<usize>, what: &str, found: &str, allowed: &[&str]) -> Self {
        let problem = Self::new(span, format!("unknown {what} `{}`", printable(found)));
        let problem = match nearest(found, allowed) {
            Some(near) => problem.label(format!("did you mean `{near}`?")),
            None => problem,
        };
        problem.remedy(format!("allowed here: {}", list(allowed)))
    }
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    bytes: Range<usize>,
}

impl Place {
    /// The place of `span` in `text`; what goes beyond its first line is cut off.
    fn of(span: &Range<usize>, text: &str) -> Self {
        let start = character_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        let end = character_boundary(text, span.end.clamp(start, line_end));
        Self { line: text[..start].matches('\n').count() + 1, column: text[line_start..start].chars().count() + 1, bytes: start..end }
    }

    /// The line of the place: what stands before, the marked part, what stands after.
    fn parts<'a>(&self, text: &'a str) -> (&'a str, &'a str, &'a str) {
        let line_start = text[..self.bytes.start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[self.bytes.end..].find('\n').map_or(text.len(), |length| self.bytes.end + length);
        (&text[line_start..self.bytes.start], &text[self.bytes.clone()], &text[self.bytes.end..line_end])
    }
}

/// What the TOML reader found wrong: the syntax, a type, or a key that is not in the policy.
pub(crate) fn from_toml(error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    // serde has no structured form of this error. Its wording is pinned by this module's tests.
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let words: Vec<_> = rest.split('`').skip(1).step_by(2).collect();
        if let [found, allowed @ ..] = words.as_slice() {
            return Problem::misspelt(span, "key", found, allowed);
        }
    }
    Problem::new(span, printable(&message.trim_end().replace('\n', ", ")))
}

/// The allowed word that `found` most likely was meant to be.
pub(super) fn nearest<'a>(found: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let normal = |word: &str| word.to_lowercase().replace(['_', ' '], "-");
    let found = normal(found);
    let score = |word: &str| {
        let plural = word.strip_suffix('s') == Some(&found) || found.strip_suffix('s') == Some(word);
        if plural { 1.0 } else { strsim::jaro_winkler(&found, word) }
    };
    let best = allowed.iter().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(best) > 0.75).then_some(*best)
}

/// Words in backticks, with commas.
pub(super) fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// A part of a source line as it is shown: tabs become one space, so that the caret stands below its word.
fn on_one_line(text: &str) -> String {
    printable(&text.replace('\t', " ").replace('\r', "")).replace("\\\\", "\\")
}

fn width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}
