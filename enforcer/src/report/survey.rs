//! What the files of a report are now: there or gone, changed, in a package, and whether the policy lets them run by now.
//!
//! Each file is opened and read once, the most frequent first, and a bounded number of them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use enforcer_common::Digest;

use super::{Cause, Finding, Report, State, Subject};
use crate::inventory::{self, Owners};
use crate::measure::{self, MeasureError, Plan};
use crate::policy::Policy;
use crate::signature::{Examination, Examiner, Facts, Verified};

/// By what files are appraised as the daemon would do it (RFC 9334 §8.1: evidence against a policy). What it says is about files alone; about uses, by the settings
/// too, [`crate::judge::Judge`] decides.
#[derive(Clone, Copy)]
pub struct Appraiser<'a> {
    /// With the policy's signers, manifests and revocations.
    pub examiner: &'a Examiner,
    /// The time, and what was accepted before.
    pub facts: &'a Facts<'a>,
    /// The policy.
    pub policy: &'a Policy,
}

/// A look at the files of a report.
pub struct Survey<'a> {
    /// Without one, files are measured and not appraised.
    pub appraiser: Option<Appraiser<'a>>,
    /// How many files are looked at.
    pub most: usize,
}

impl Survey<'_> {
    /// Files that are looked at, if nobody says otherwise.
    pub const MOST: usize = 4096;

    /// Looks at each file that a signature or a manifest can mend, and writes down what it is. `counted` is told of files done. What could not be asked is
    /// returned, for people.
    pub fn look(&self, report: &mut Report, counted: &(dyn Fn(u64) + Sync)) -> Vec<String> {
        let paths = wanted(report, self.most);
        let owners = Owners::of(&paths.iter().cloned().collect());
        let looked: HashMap<PathBuf, Now> = measure::in_parallel(paths.into_iter(), |path| {
            let now = self.at(&path);
            counted(1);
            (path, now)
        })
        .into_iter()
        .collect();
        for finding in &mut report.findings {
            if !(finding.cause.is_about_signatures() || finding.cause == Cause::Revoked) {
                continue;
            }
            let here = finding.local_file().and_then(|path| Some((path.to_owned(), looked.get(path)?)));
            match here {
                // What a container has at that path is not mended by what lies there on this machine, unless it is the same.
                Some((path, now)) if !finding.is_in_container() || now.has(finding.content) => finding.meet(now, owners.owner(&path)),
                _ if finding.is_in_container() => finding.meet_lists(self.appraiser.as_ref()),
                _ => {}
            }
        }
        report.findings.iter_mut().for_each(Finding::advise);
        report.settle();
        owners.problems
    }

    fn at(&self, path: &Path) -> Now {
        let examined = measure::open(path).and_then(|file| match &self.appraiser {
            Some(appraiser) => {
                let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
                let examination = appraiser.examiner.examine(&file, Some(&place), appraiser.facts)?;
                let digests = [Some(examination.digest), examination.fsverity].into_iter().flatten().collect();
                Ok(Now::There { digests, verdict: Some(appraiser.verdict(&examination, &place)) })
            }
            None => {
                let measured = measure::measure(&file, &Plan { max_size: u64::MAX, parts: Vec::new(), witnesses: &[] })?;
                Ok(Now::There { digests: [Some(measured.digest), measured.fsverity].into_iter().flatten().collect(), verdict: None })
            }
        });
        examined.unwrap_or_else(|error| match &error {
            MeasureError::Open { source } if source.kind() == std::io::ErrorKind::NotFound => Now::Gone,
            _ => Now::Unreadable(error.to_string()),
        })
    }
}

impl Appraiser<'_> {
    /// The uses that are allowed, or why none is.
    fn verdict(&self, examination: &Examination, place: &Path) -> Result<u32, &'static str> {
        self.uses(examination.outcome().map_err(|rejected| rejected.code())?, place)
    }

    /// The same for a content that is nowhere on this machine: what the manifests and revocations say of it, if anything.
    fn verdict_of(&self, content: Digest, place: &Path) -> Option<Result<u32, &'static str>> {
        let outcome = self.examiner.examine_digest(content, self.facts)?;
        Some(outcome.map_err(|rejected| rejected.code()).and_then(|verified| self.uses(&verified, place)))
    }

    fn uses(&self, verified: &Verified, place: &Path) -> Result<u32, &'static str> {
        match self.policy.component_at(place) {
            Some(bound) if bound != verified.component() => Err("wrong-component"),
            _ => Ok(verified.uses()),
        }
    }
}

/// What a file is now.
enum Now {
    There { digests: Vec<Digest>, verdict: Option<Result<u32, &'static str>> },
    Gone,
    Unreadable(String),
}

impl Now {
    /// Whether it has this content; anything has one that is not known.
    fn has(&self, content: Option<Digest>) -> bool {
        matches!(self, Self::There { digests, .. } if content.is_none_or(|digest| digests.contains(&digest)))
    }
}

impl Finding {
    /// Takes over what is said of its content, of which there is no file here.
    fn meet_lists(&mut self, appraiser: Option<&Appraiser<'_>>) {
        let Subject::File(path) = &self.subject else { return };
        let verdict = appraiser.zip(self.content).and_then(|(appraiser, content)| appraiser.verdict_of(content, path));
        if verdict.is_some_and(|verdict| verdict.is_ok_and(|uses| self.needs().all(|needed| uses & needed != 0))) {
            self.state = State::Runs;
        }
    }

    /// Takes over what was found at its path.
    fn meet(&mut self, now: &Now, owner: Option<&inventory::Owner>) {
        let mut modified = false;
        let is_same = now.has(self.content);
        self.state = match now {
            Now::Gone => State::Gone,
            Now::Unreadable(why) => State::Unreadable(why.clone()),
            Now::There { digests, verdict } => {
                modified = owner.is_some_and(|owner| owner.contradicts(digests));
                match verdict {
                    Some(Ok(uses)) if self.needs().all(|needed| uses & needed != 0) => State::Runs,
                    _ if !is_same => State::Changed,
                    Some(Ok(_)) => State::Denied("use-not-allowed"),
                    Some(Err(code)) => State::Denied(code),
                    None => State::Unchanged,
                }
            }
        };
        if let State::Denied(code) = self.state {
            // What is known now is more than what was noted, if anything was.
            self.cause = match (self.cause, code) {
                (cause @ (Cause::NotExamined | Cause::Revoked), _) => cause,
                (_, "wrong-component" | "use-not-allowed") => Cause::NotAllowed,
                (_, code) => Cause::of_rejection(Some(code)),
            };
        }
        if modified && self.cause == Cause::Unsigned && self.state != State::Changed {
            self.cause = Cause::Modified;
        }
        self.package = owner.map(|owner| super::Owner { name: owner.package.clone(), manager: owner.manager, modified });
    }
}

/// The files to look at; `findings` has the most frequent first.
fn wanted(report: &Report, most: usize) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let of_interest = report.findings.iter().filter(|finding| finding.cause.is_about_signatures() || finding.cause == Cause::Revoked);
    of_interest.filter_map(Finding::local_file).filter(|path| seen.insert(path.to_owned())).take(most).map(Path::to_owned).collect()
}
