//! The catalogue's tests that need no machine: run by cargo, told one by one.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::catalogue::Technique;
use crate::{build, setup, workspace};

/// The results by the names of the functions; `true` has passed.
pub(crate) type Results = BTreeMap<String, bool>;

/// Runs every test of this machine that the catalogue names.
pub(crate) fn run(techniques: &[Technique]) -> Result<Results> {
    let names: Vec<&str> = techniques.iter().flat_map(|technique| &technique.host).map(String::as_str).collect();
    if names.is_empty() {
        return Ok(Results::new());
    }
    setup::for_tests()?;
    build::ebpf()?;
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--no-fail-fast", "--package", "enforcer", "--package", "enforcer-common", "--"]).args(names);
    // Data goes to stdout, and this is none: it is told as part of the table. A failure is seen in it, so the status adds nothing.
    let output = cargo.stdout(Stdio::piped()).stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    Ok(results(&String::from_utf8_lossy(&output.stdout)))
}

/// What libtest printed.
fn results(text: &str) -> Results {
    let line = |line: &str| {
        let (path, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
        Some((path.rsplit("::").next()?.to_owned(), outcome == "ok"))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::results;

    #[test]
    fn what_passed_and_what_failed_is_told_by_the_functions_name() {
        let found = results("running 2 tests\ntest hostile::nesting_is_refused ... ok\ntest cut ... FAILED\ntest result: FAILED. 1 passed\n");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("cut".to_owned(), false), ("nesting_is_refused".to_owned(), true)]);
    }
}
