//! The catalogue of bypasses, `tests/bypass.toml`: every technique is stopped, with the tests that show it, or stands in `docs/limitations.md`.
//!
//! [`complaints`] is the check that `cargo xtask lint` makes. Whether the tests pass is none of its business.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::tidy::rust_files;

/// The catalogue, below the root of the clone.
pub(crate) const CATALOGUE: &str = "tests/bypass.toml";
const LIMITATIONS: &str = "docs/limitations.md";
/// Where tests that run in a machine are named, in quotation marks.
const GUEST_TESTS: [&str; 3] = ["tests/src/rows", "tests/src/lifecycle", "tests/src/stress"];
/// Where tests of this machine are functions.
const HOST_TESTS: [&str; 3] = ["enforcer/src", "enforcer/tests", "enforcer-common/src"];
const FUZZ_TARGETS: &str = "fuzz/corpus";
const AREAS: [&str; 7] = ["loader", "no file", "trusted file, other bytes", "file systems", "other ways in", "the enforcer itself", "parsers"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    technique: Vec<Technique>,
}

/// One way round the enforcer.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Technique {
    /// The part of the system that it aims at.
    pub(crate) area: String,
    /// What is done, in words.
    pub(crate) name: String,
    /// Tests inside of a machine, without mode and outcome.
    #[serde(default)]
    pub(crate) tests: Vec<String>,
    /// Tests of this machine: the names of their functions.
    #[serde(default)]
    pub(crate) host: Vec<String>,
    /// Targets of the fuzzer, whose corpora are tests of this machine too.
    #[serde(default)]
    pub(crate) fuzz: Vec<String>,
    /// The beginning of a row of `docs/limitations.md`.
    pub(crate) limitation: Option<String>,
    /// Why these tests show it, where that is not plain.
    pub(crate) note: Option<String>,
}

/// Everything that names can be looked up in.
struct Known {
    guest: String,
    host: String,
    fuzz: Vec<String>,
    limitations: Vec<String>,
}

/// Reads the catalogue.
pub(crate) fn read(root: &Path) -> Result<Vec<Technique>> {
    let text = fs::read_to_string(root.join(CATALOGUE)).with_context(|| format!("cannot read `{CATALOGUE}`"))?;
    Ok(toml::from_str::<Catalogue>(&text).with_context(|| format!("`{CATALOGUE}`"))?.technique)
}

/// What is not as it should be, as `file:line: why`.
pub(crate) fn complaints(root: &Path) -> Result<Vec<String>> {
    let techniques = read(root)?;
    let known = Known::of(root)?;
    let mut found: Vec<String> = techniques.iter().flat_map(|technique| faults(technique, &known)).collect();
    found.extend(repeated(&techniques));
    Ok(found.into_iter().map(|why| format!("{CATALOGUE}:1: {why}")).collect())
}

/// What is wrong with one technique.
fn faults(technique: &Technique, known: &Known) -> Vec<String> {
    let mut found = Vec::new();
    let Technique { area, name, tests, host, fuzz, limitation, .. } = technique;
    let mut complain = |why: String| found.push(format!("`{name}`: {why}"));
    if !AREAS.contains(&area.as_str()) {
        complain(format!("`{area}` is no area; there are {AREAS:?}"));
    }
    let is_stopped = !(tests.is_empty() && host.is_empty());
    match (is_stopped, limitation) {
        (false, None) => complain(format!("neither stopped by a test nor a limitation of `{LIMITATIONS}`")),
        (true, Some(_)) => complain("stopped, and a limitation: make two techniques of it".to_owned()),
        (false, Some(limitation)) if !known.limitations.iter().any(|row| row.contains(limitation.as_str())) => {
            complain(format!("`{LIMITATIONS}` has no row that says `{limitation}`"));
        }
        _ => {}
    }
    for test in tests.iter().filter(|test| !known.guest.contains(&format!("\"{test}\""))) {
        complain(format!("no test of the machines is called `{test}`"));
    }
    for test in host.iter().filter(|test| !known.host.contains(&format!("#[test]\nfn {test}("))) {
        complain(format!("no test of this machine is called `{test}`"));
    }
    for target in fuzz.iter().filter(|target| !known.fuzz.contains(target)) {
        complain(format!("no target of the fuzzer is called `{target}`"));
    }
    found
}

/// Techniques that are there twice.
fn repeated(techniques: &[Technique]) -> Vec<String> {
    let is_earlier =
        |index: usize| techniques[..index].iter().any(|other| (&other.area, &other.name) == (&techniques[index].area, &techniques[index].name));
    (0..techniques.len()).filter(|&index| is_earlier(index)).map(|index| format!("`{}` is there twice", techniques[index].name)).collect()
}

impl Known {
    fn of(root: &Path) -> Result<Self> {
        let document = fs::read_to_string(root.join(LIMITATIONS)).with_context(|| format!("cannot read `{LIMITATIONS}`"))?;
        let corpora = fs::read_dir(root.join(FUZZ_TARGETS)).with_context(|| format!("cannot read `{FUZZ_TARGETS}`"))?;
        let fuzz = corpora.map(|corpus| Ok(corpus?.file_name().to_string_lossy().into_owned())).collect::<Result<_>>()?;
        Ok(Self { guest: sources(root, &GUEST_TESTS)?, host: sources(root, &HOST_TESTS)?, fuzz, limitations: first_columns(&document) })
    }
}

/// All sources below some folders, their lines without indentation.
fn sources(root: &Path, folders: &[&str]) -> Result<String> {
    let mut text = String::new();
    for folder in folders {
        for file in rust_files(&root.join(folder))? {
            for line in fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?.lines() {
                text += line.trim_start();
                text += "\n";
            }
        }
    }
    Ok(text)
}

/// What the rows of a document's tables begin with.
fn first_columns(document: &str) -> Vec<String> {
    let rows = document.lines().filter_map(|line| line.strip_prefix('|'));
    rows.filter_map(|row| row.split('|').next()).map(|cell| cell.trim().to_owned()).filter(|cell| !cell.starts_with("--")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known {
            guest: "Row::attack(\"unsigned_program\",".to_owned(),
            host: "#[test]\nfn hostile_nesting_is_refused() {".to_owned(),
            fuzz: vec!["cms".to_owned()],
            limitations: first_columns("| what | why |\n|---|---|\n| Raw writes to a mounted block device | They go past it. |\n"),
        }
    }

    fn technique(text: &str) -> Technique {
        toml::from_str(&format!("area = \"loader\"\nname = \"a\"\n{text}")).unwrap()
    }

    #[test]
    fn a_technique_that_is_stopped_or_a_limitation_passes() {
        let good = [
            "tests = ['unsigned_program']",
            "host = ['hostile_nesting_is_refused']\nfuzz = ['cms']",
            "limitation = 'Raw writes to a mounted block device'",
        ];
        for text in good {
            assert!(faults(&technique(text), &known()).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_technique_in_neither_or_in_both_or_with_an_unknown_name_is_told() {
        let bad = [
            "",
            "tests = []",
            "fuzz = ['cms']",
            "tests = ['unsigned_program']\nlimitation = 'Raw writes'",
            "tests = ['unsigned']",
            "host = ['hostile_nesting']",
            "host = ['hostile_nesting_is_refused']\nfuzz = ['elf']",
            "limitation = 'They go past it'",
            "limitation = 'what it is not'",
        ];
        for text in bad {
            assert_eq!(faults(&technique(text), &known()).len(), 1, "{text}");
        }
        assert_eq!(repeated(&[technique(""), technique("")]).len(), 1);
        assert_eq!(repeated(&[technique("")]).len(), 0);
    }
}
