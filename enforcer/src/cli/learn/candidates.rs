//! The reported files as they are now.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use enforcer_common::Digest;
use serde::{Serialize, Serializer};

use super::super::manifest::listing::digests;
use crate::measure::{self, MeasureError};
use crate::report::{Finding, Report, Service, Tally};

/// A reported file that still has the content that was reported.
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    /// SHA-256, and the fs-verity digest if the kernel guarantees one.
    pub(super) digests: Vec<Digest>,
    pub(super) seen: Seen,
}

/// When and by whom it was used.
#[derive(Clone, Default)]
pub(super) struct Seen {
    pub(super) tally: Tally,
    pub(super) programs: BTreeSet<String>,
    pub(super) services: BTreeSet<Service>,
    pub(super) users: BTreeSet<u32>,
}

/// A reported file that nothing can be learnt of.
#[derive(Debug, Serialize)]
pub(super) struct LeftOut {
    #[serde(serialize_with = "lossy")]
    pub(super) path: PathBuf,
    pub(super) why: String,
    /// Whether it is not there any more, so that nobody misses it.
    #[serde(skip)]
    pub(super) is_gone: bool,
}

/// Everything that was reported.
pub(super) struct Found {
    pub(super) there: Vec<Candidate>,
    pub(super) left_out: Vec<LeftOut>,
    /// Events that are about no file of this machine, or that no signature would mend.
    pub(super) elsewhere: u64,
}

impl Found {
    /// Measures each reported file once.
    pub(super) fn of(report: &Report) -> Self {
        let mut by_path = BTreeMap::<&Path, (BTreeSet<Digest>, Seen)>::new();
        let mut elsewhere = report.beyond;
        for finding in &report.findings {
            match finding.local_file().filter(|_| finding.cause.is_about_signatures() && finding.is_open()) {
                Some(path) => {
                    let (digests, seen) = by_path.entry(path).or_default();
                    digests.extend(finding.content);
                    seen.add(finding);
                }
                None => elsewhere += finding.tally.events,
            }
        }
        let mut found = Self { there: Vec::new(), left_out: Vec::new(), elsewhere };
        for (path, outcome) in measure::in_parallel(by_path.into_iter(), |(path, (reported, seen))| (path, judged(path, &reported, seen))) {
            match outcome {
                Ok(candidate) => found.there.push(candidate),
                Err((why, is_gone)) => found.left_out.push(LeftOut { path: path.to_owned(), why, is_gone }),
            }
        }
        found
    }
}

fn judged(path: &Path, reported: &BTreeSet<Digest>, seen: Seen) -> Result<Candidate, (String, bool)> {
    let digests = digests(path).map_err(|error| match &error {
        MeasureError::Open { source } if source.kind() == ErrorKind::NotFound => ("it is not there any more".to_owned(), true),
        _ => (error.to_string(), false),
    })?;
    if reported.is_empty() {
        return Err(("it was not measured when it was reported, so nobody knows whether it is the same".to_owned(), false));
    }
    if !digests.iter().any(|digest| reported.contains(digest)) {
        return Err(("it has changed since it was reported".to_owned(), false));
    }
    Ok(Candidate { path: path.to_owned(), digests, seen })
}

impl Seen {
    fn add(&mut self, finding: &Finding) {
        self.tally.merge(&finding.tally);
        self.programs.extend(finding.programs.iter().cloned());
        self.services.extend(finding.services.iter().cloned());
        self.users.extend(&finding.users);
    }
}

fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}
