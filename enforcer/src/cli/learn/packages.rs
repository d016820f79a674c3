//! Which files are exactly what a package holds, and which nobody knows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::Output;
use super::super::output::OutputError;
use super::candidates::{Candidate, Seen};
use crate::inventory::debian;
use crate::inventory::{Listed, Manager, Owner, Owners};
use crate::report::Tally;
use crate::text::{chain, counted, hex, printable};

/// Where .debs come from.
pub(super) struct Request<'a> {
    pub(super) debs: &'a [PathBuf],
    pub(super) download: bool,
}

/// The files, sorted.
pub(super) struct Sorted {
    /// What packages hold.
    pub(super) known: Vec<Candidate>,
    /// The rest.
    pub(super) unknown: Vec<Unknown>,
    /// What could not be asked, for people.
    pub(super) problems: Vec<String>,
}

/// A file that no package vouches for.
pub(super) struct Unknown {
    pub(super) candidate: Candidate,
    /// The package that it should be of.
    package: Option<String>,
    why: String,
    /// Whether somebody wants it in a manifest.
    pub(super) included: bool,
}

/// The same as JSON.
#[derive(Serialize)]
pub(super) struct UnknownReport {
    path: String,
    sha256: String,
    package: Option<String>,
    why: String,
    tally: Tally,
    programs: BTreeSet<String>,
    services: Vec<String>,
    users: BTreeSet<u32>,
    pub(super) included: bool,
}

/// Sorts files by what the package managers of this machine say. `counted` is told of packages done.
pub(super) fn sort(candidates: Vec<Candidate>, request: &Request<'_>, counted: &(dyn Fn(u64) + Sync)) -> Sorted {
    let owners = Owners::of(&candidates.iter().map(|candidate| candidate.path.clone()).collect::<HashSet<_>>());
    let debian = Debian::compare(&owners, &candidates, request, counted);
    let mut sorted = Sorted { known: Vec::new(), unknown: Vec::new(), problems: owners.problems.clone() };
    for candidate in candidates {
        let owner = owners.owner(&candidate.path);
        match owner.map_or(Err("it belongs to no package".to_owned()), |owner| debian.vouches(owner, &candidate)) {
            Ok(()) => sorted.known.push(candidate),
            Err(why) => {
                sorted.unknown.push(Unknown { candidate, package: owner.map(|owner| owner.package.clone()), why, included: false });
            }
        }
    }
    sorted.problems.extend(debian.problem);
    sorted
}

/// What the .debs of the packages hold that the files belong to.
#[derive(Default)]
struct Debian {
    /// Files that are what their package holds.
    same: HashSet<PathBuf>,
    /// Why files are not.
    files: HashMap<PathBuf, String>,
    /// Why packages cannot be compared.
    packages: BTreeMap<String, String>,
    /// Why none can.
    problem: Option<String>,
}

impl Debian {
    fn compare(owners: &Owners, candidates: &[Candidate], request: &Request<'_>, counted: &(dyn Fn(u64) + Sync)) -> Self {
        let owned = candidates.iter().filter_map(|candidate| owners.owner(&candidate.path));
        let names: BTreeSet<&str> = owned.filter(|owner| owner.manager == Manager::Debian).map(|owner| owner.package.as_str()).collect();
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let mut outcome = Self::default();
        // No name would mean all packages.
        if names.is_empty() {
            return outcome;
        }
        match debian::check(&debian::Request { packages: &names, folders: request.debs, download: request.download }, counted) {
            Ok(found) => {
                outcome.same.extend(found.files.into_iter().map(|file| file.path));
                for left_out in found.left_out {
                    let why = chain(&left_out.reason);
                    match (left_out.path, left_out.package) {
                        (Some(path), _) => _ = outcome.files.insert(path, why),
                        (None, Some(package)) => _ = outcome.packages.insert(package, why),
                        (None, None) => {}
                    }
                }
            }
            Err(error) => outcome.problem = Some(format!("no package can be compared: {} ({})", chain(&error), error.hint())),
        }
        outcome
    }

    /// Why a file is not known to be what its package holds.
    fn vouches(&self, owner: &Owner, candidate: &Candidate) -> Result<(), String> {
        let of = &owner.package;
        match owner.manager {
            Manager::Rpm => match owner.listed {
                Listed::As(digest) if candidate.digests.contains(&digest) => Ok(()),
                Listed::As(_) | Listed::Other => Err(format!("it is not what `{of}` holds: it was changed after it was installed")),
                Listed::Unlisted => Err(format!("rpm's database has no SHA-256 of it, as `{of}` installed it")),
            },
            Manager::Debian if self.same.contains(&candidate.path) => Ok(()),
            Manager::Debian => Err(match (self.files.get(&candidate.path), self.packages.get(of)) {
                (Some(why), _) => format!("of `{of}`: {why}"),
                (None, Some(why)) => format!("`{of}` cannot be compared: {why}"),
                (None, None) if self.problem.is_some() => format!("`{of}` cannot be compared"),
                (None, None) => format!("`{of}` made it when it was installed, and does not hold it as code"),
            }),
        }
    }
}

impl Unknown {
    /// For people, in a few lines.
    pub(super) fn show(&self, output: &mut Output) -> Result<(), OutputError> {
        let Seen { tally, programs, services, users } = &self.candidate.seen;
        output.line(printable(&self.candidate.path.to_string_lossy()))?;
        let mut item = |name: &str, text: String| output.item(4, NAME_WIDTH, name, &printable(&text));
        item("sha256", self.sha256())?;
        let at = |time: Option<crate::audit::Timestamp>| time.map_or_else(String::new, crate::audit::Timestamp::to_the_second);
        let times = counted(tally.events, "time", "times");
        item(
            "seen",
            if tally.first == tally.last {
                format!("{times}, {}", at(tally.last))
            } else {
                format!("{times}, {} to {}", at(tally.first), at(tally.last))
            },
        )?;
        item("by", format!("{} (uid {}) in {}", joined(programs), joined(users), joined(services)))?;
        item("why", self.why.clone())
    }

    pub(super) fn report(&self) -> UnknownReport {
        let Seen { tally, programs, services, users } = self.candidate.seen.clone();
        UnknownReport {
            path: self.candidate.path.to_string_lossy().into_owned(),
            sha256: self.sha256(),
            package: self.package.clone(),
            why: self.why.clone(),
            tally,
            programs,
            services: services.iter().map(ToString::to_string).collect(),
            users,
            included: self.included,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.candidate.path
    }

    fn sha256(&self) -> String {
        self.candidate.digests.first().map_or_else(String::new, |digest| hex(&digest.bytes))
    }
}

fn joined(names: &BTreeSet<impl ToString>) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Columns of the longest name.
const NAME_WIDTH: usize = 6;
