//! Results: one line each, and the closing line that the runner believes.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::Value;

/// Which tests to run, and how to tell about them.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Selection {
    /// Print each result as a JSON line on stdout.
    #[arg(long)]
    pub json: bool,
    /// Run only the tests whose name contains this.
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// Leave out the test of this name, and count it. For what a kernel lacks; a name that no test has is an error.
    #[arg(long, value_name = "NAME")]
    pub skip: Vec<String>,
    /// Run exactly the tests of these names, which are told without mode and outcome, and the honest twins of those that are attacks.
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "only")]
    pub named: Vec<String>,
}

/// One result.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The test, and what it proves.
    pub name: String,
    /// The same without mode and outcome.
    pub test: String,
    /// `attack`, `absent`, `honest`, `lifecycle` or `stress`.
    pub kind: &'static str,
    /// What was tried, in words.
    pub title: String,
    /// An attack's honest twin: the row that shows that the same thing works with what is trusted.
    pub twin: Option<&'static str>,
    /// What should have happened.
    pub expected: String,
    /// What did.
    pub happened: String,
    /// The event that proves it, as the log has it.
    pub event: Option<Value>,
    /// Whether the two agree.
    pub pass: bool,
    /// Why not, or what else was seen.
    pub detail: String,
}

/// Collects results.
#[derive(Debug, Default)]
pub struct Report {
    selection: Selection,
    skips_that_matched: Vec<String>,
    names_that_matched: BTreeSet<String>,
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Report {
    /// An empty report.
    pub fn new(selection: Selection) -> Self {
        Self { selection, ..Self::default() }
    }

    /// Whether this test is to be run, of which `test` is the name without mode and outcome. Counts what is left out on purpose.
    pub fn wants(&mut self, name: &str, test: &str) -> bool {
        let named = &self.selection.named;
        if named.iter().any(|named| named == test) {
            self.names_that_matched.insert(test.to_owned());
        } else if !named.is_empty() {
            return false;
        }
        if self.selection.skip.iter().any(|skip| skip == name) {
            self.skips_that_matched.push(name.to_owned());
            self.skipped += 1;
            eprintln!("skipped {name}");
            return false;
        }
        self.selection.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    /// Whether everything is to be run.
    pub fn is_whole(&self) -> bool {
        self.selection.only.is_none() && self.selection.named.is_empty()
    }

    /// Adds and prints a result.
    pub fn add(&mut self, line: &Line) -> Result<()> {
        if self.selection.json {
            println!("{}", serde_json::to_string(line)?);
        }
        if line.pass {
            self.passed += 1;
            eprintln!("ok {}", line.name);
        } else {
            self.failed += 1;
            eprintln!("FAILED {}: expected {}, but {}{}", line.name, line.expected, line.happened, suffix(&line.detail));
        }
        Ok(())
    }

    /// Prints the closing line.
    pub fn close(self) -> Result<ExitCode> {
        let left_out = if self.skipped == 0 { String::new() } else { format!(", {} skipped", self.skipped) };
        eprintln!("{} passed, {} failed{left_out}", self.passed, self.failed);
        let unknown: Vec<&String> = self.selection.skip.iter().filter(|skip| !self.skips_that_matched.contains(skip)).collect();
        ensure!(unknown.is_empty() || !self.is_whole(), "no test is called {unknown:?}, so it cannot be skipped");
        let unknown: Vec<&String> = self.selection.named.iter().filter(|named| !self.names_that_matched.contains(*named)).collect();
        ensure!(unknown.is_empty(), "no test is called {unknown:?}");
        ensure!(self.passed + self.failed > 0, "no test was run");
        Ok(if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn suffix(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(" ({})", detail.replace('\n', " / ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pass: bool) -> Line {
        Line {
            name: "enforce::a_is_denied".to_owned(),
            test: "a".to_owned(),
            kind: "attack",
            title: String::new(),
            twin: None,
            expected: String::new(),
            happened: String::new(),
            event: None,
            pass,
            detail: String::new(),
        }
    }

    #[test]
    fn one_failure_fails_the_whole() {
        let mut report = Report::default();
        report.add(&line(true)).unwrap();
        report.add(&line(false)).unwrap();
        assert_eq!(format!("{:?}", report.close().unwrap()), format!("{:?}", ExitCode::FAILURE));
    }

    #[test]
    fn running_nothing_is_no_success() {
        assert!(Report::default().close().is_err());
    }

    #[test]
    fn only_what_is_named_is_run_and_a_name_that_no_test_bears_is_an_error() {
        let selection = |named: &[&str]| Selection { named: named.iter().map(|&name| name.to_owned()).collect(), ..Selection::default() };
        let mut report = Report::new(selection(&["a"]));
        assert!(report.wants("enforce::a_is_denied", "a"));
        assert!(!report.wants("enforce::ab_is_denied", "ab"));
        report.add(&line(true)).unwrap();
        assert!(report.close().is_ok());
        let mut report = Report::new(selection(&["a", "b"]));
        assert!(report.wants("enforce::a_is_denied", "a"));
        report.add(&line(true)).unwrap();
        assert!(report.close().is_err());
    }

    #[test]
    fn a_skip_that_no_test_bears_is_an_error() {
        let mut report = Report::new(Selection { skip: vec!["no_such_test".to_owned()], ..Selection::default() });
        report.add(&line(true)).unwrap();
        assert!(report.close().is_err());
    }
}
