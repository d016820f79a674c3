//! What would change if another policy were in force: what the log recorded, what runs and what lies on the disk, tried on both.
//!
//! Nothing is changed and nothing is guessed: a file that is gone, or has another content than it had, is decided by its digest where a manifest lists that, and else
//! counted as what cannot be judged. Memory is bounded, and each distinct file is read once, for both policies.

mod gather;
mod result;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use enforcer_common::{USE_EXEC, USE_SCRIPT};
use rustls_pki_types::UnixTime;

use crate::audit::Timestamp;
use crate::code::{Beginning, code_files, likely_use};
use crate::judge::{FileUse, Judge, Judgement, Subject as About, Use, recorded_file};
use crate::measure::{self, Filesystem, MeasureError, Stability, in_parallel};
use crate::policy::{Interpreters, Policy};
use crate::processes::RunningFile;
use crate::signature::{Compared, Examiner, Facts};
use crate::trust::{SecurityVersions, TrustError, TrustStore};
use gather::{Asked, Gathered, Identity, Observation};
use result::{Finding, Groups};

pub use result::{Change, Count, Group, LookedAt, Side, Simulation, Subject};

/// What to look at, and what decisions rest on besides policy and content.
pub struct Options<'a> {
    /// The event log; none is looked at without it.
    pub log: Option<PathBuf>,
    /// Events before that do not count.
    pub since: Timestamp,
    /// Folders whose code is looked at, used or not.
    pub scan: Vec<PathBuf>,
    /// Whether to look at what runs.
    pub processes: bool,
    /// The time.
    pub now: UnixTime,
    /// The highest security version that was accepted of each identifier.
    pub security_versions: &'a SecurityVersions,
    /// Called for each file that was examined.
    pub advance: &'a (dyn Fn() + Sync),
}

/// Why nothing could be tried.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// A certificate, list or revocation that a policy names cannot be used.
    #[error("the policy `{}`", policy.display())]
    Trust {
        /// The policy.
        policy: PathBuf,
        /// What is wrong.
        source: TrustError,
    },
    /// The log cannot be read.
    #[error("cannot read the event log `{}`", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The processes cannot be listed.
    #[error("cannot list the processes")]
    Processes(#[source] io::Error),
}

/// Tries both policies on everything that the options name.
///
/// # Errors
/// [`SimulateError`]: a policy cannot be loaded whole, or what was asked for cannot be read at all.
pub fn run(old: &Policy, new: &Policy, options: &Options<'_>) -> Result<Simulation, SimulateError> {
    let facts = Facts { now: options.now, security_versions: options.security_versions };
    let mut gathered = Gathered::new([old, new]);
    if let Some(log) = &options.log {
        gathered.add_log(log, options.since).map_err(|source| SimulateError::Log { path: log.clone(), source })?;
    }
    if options.processes {
        gathered.add_processes().map_err(SimulateError::Processes)?;
    }
    let trial = Trial::new(old, new, facts)?;
    let mut incomplete = gathered.incomplete();
    for (examiner, policy) in [(Some(&trial.by_old), old), (trial.by_new.as_ref(), new)] {
        let errors = examiner.into_iter().flat_map(Examiner::manifest_errors);
        incomplete.extend(errors.map(|error| format!("{error}; `{}` names it", policy.path.display())));
    }
    let looked_at = LookedAt { events: gathered.events, since: options.log.as_ref().map(|_| options.since), processes: gathered.processes, files: 0 };
    let desk = Desk { groups: Mutex::default(), seen: Mutex::default(), unreadable: AtomicU64::new(0), files: AtomicU64::new(0) };
    trial.try_observations(&desk, gathered.observations, options.advance);
    trial.try_files(&desk, &options.scan, options.advance);
    let unreadable = desk.unreadable.load(Ordering::Relaxed);
    if unreadable > 0 {
        incomplete.push(format!("{unreadable} of the files in the folders cannot be read"));
    }
    let files = desk.files.load(Ordering::Relaxed);
    let (counts, groups) = desk.groups.into_inner().unwrap_or_else(PoisonError::into_inner).finish(new);
    let side = |policy: &Policy| Side { policy: policy.path.clone(), mode: policy.mode.name() };
    Ok(Simulation { old: side(old), new: side(new), looked_at: LookedAt { files, ..looked_at }, counts, groups, incomplete })
}

impl Gathered<'_> {
    /// What it misses, in words.
    fn incomplete(&self) -> Vec<String> {
        let counted = [
            (self.lost, "event is missing in the log", "events are missing in the log"),
            (self.unreadable, "line of the log cannot be read", "lines of the log cannot be read"),
            (self.hidden, "process may not be looked at, or not wholly", "processes may not be looked at, or not wholly"),
            (self.beyond, "use more was seen than are kept in mind", "uses more were seen than are kept in mind"),
        ];
        counted
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
            .collect()
    }
}

/// The two policies, ready to decide.
struct Trial<'a> {
    old: Judge<'a>,
    new: Judge<'a>,
    by_old: Examiner,
    /// `None`, where the other one's word on a file is the same.
    by_new: Option<Examiner>,
    facts: Facts<'a>,
    /// All interpreters of both.
    interpreters: Interpreters,
}

/// What comes of it, from all threads.
struct Desk {
    groups: Mutex<Groups>,
    seen: Mutex<HashSet<Identity>>,
    unreadable: AtomicU64,
    files: AtomicU64,
}

impl Desk {
    fn add(&self, finding: Finding) {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).add(finding);
    }

    /// Whether this file comes for the first time.
    fn is_new(&self, identity: Identity) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(identity)
    }
}

impl<'a> Trial<'a> {
    fn new(old: &'a Policy, new: &'a Policy, facts: Facts<'a>) -> Result<Self, SimulateError> {
        let examiner = |policy: &Policy| {
            let trust = TrustStore::load(policy, facts.now).map_err(|source| SimulateError::Trust { policy: policy.path.clone(), source })?;
            Ok(Examiner::new(policy, trust, &facts))
        };
        Ok(Self {
            old: Judge::new(old),
            new: Judge::after(new, old),
            by_old: examiner(old)?,
            by_new: if says_the_same_of_files(old, new) { None } else { Some(examiner(new)?) },
            facts,
            interpreters: Interpreters([&old.interpreters, &new.interpreters].into_iter().flat_map(|all| all.0.iter().cloned()).collect()),
        })
    }

    fn examiners(&self) -> [&Examiner; 2] {
        [&self.by_old, self.by_new.as_ref().unwrap_or(&self.by_old)]
    }

    /// What both say of a file, which is read once.
    fn examine(&self, file: &File, place: &Path) -> Examined {
        let stability = Filesystem::of(file).stability;
        let (old, new) = match &self.by_new {
            None => (self.by_old.examine(file, Some(place), &self.facts), None),
            Some(by_new) => match self.by_old.compare(by_new, file, Some(place), &self.facts) {
                Ok([old, new]) => (old, Some(new)),
                Err(error) => (Err(error), None),
            },
        };
        Examined { stability, old, new }
    }

    /// Tries what was seen: what is about the same file together, so that it is read once.
    fn try_observations(&self, desk: &Desk, observations: Vec<Observation>, advance: &(dyn Fn() + Sync)) {
        let mut by_file: BTreeMap<Identity, Vec<(RunningFile, Observation)>> = BTreeMap::new();
        for observation in observations {
            match observation.file() {
                Some(file) => by_file.entry(file.identity).or_default().push((file, observation)),
                None => self.observed(desk, observation, None, false),
            }
        }
        in_parallel(by_file.into_iter(), |(identity, observations)| {
            desk.is_new(identity);
            desk.files.fetch_add(1, Ordering::Relaxed);
            let Some((first, _)) = observations.first() else { return };
            let opened = measure::open(&first.handle);
            let is_script = opened.as_ref().is_ok_and(|file| Beginning::of_file(file) == Beginning::Interpreter);
            let examined = match opened {
                Ok(file) => self.examine(&file, &first.place),
                Err(error) => Examined { stability: Stability::Local, old: Err(error), new: None },
            };
            for (_, observation) in observations {
                self.observed(desk, observation, Some(&examined), is_script);
            }
            advance();
        });
    }

    fn observed(&self, desk: &Desk, observation: Observation, examined: Option<&Examined>, is_script: bool) {
        let stability = examined.map_or(Stability::Local, |examined| examined.stability);
        let Observation { asked, modes, service, program, events, last, processes } = observation;
        let both = |judge: &dyn Fn(&Judge<'_>, &Examiner, Option<&Compared>) -> Judgement| {
            let [by_old, by_new] = self.examiners();
            let [old, new] = [self.old.in_mode(modes[0]), self.new.in_mode(modes[1])];
            (judge(&old, by_old, examined.map(|examined| &examined.old)), judge(&new, by_new, examined.map(Examined::by_new)))
        };
        let (subject, wanted, (old, new)) = match &asked {
            Asked::Event(record, About::File(file)) => {
                let wanted = if is_script && file.wanted == Use(USE_EXEC) { Use(USE_SCRIPT) } else { file.wanted };
                let file = FileUse { path: file.path.clone(), wanted };
                let subject = Subject { path: record.path.clone(), what: wanted.noun().to_owned(), event: Some(record.id.clone()) };
                let judged = both(&|judge, examiner, examined| recorded_file(judge, examiner, &self.facts, record, &file, examined));
                (subject, Some(wanted), judged)
            }
            Asked::Event(record, About::Other) => {
                let subject = Subject { path: record.path.clone(), what: record.attempt(), event: Some(record.id.clone()) };
                (subject, None, both(&|judge, _, _| judge.other(record)))
            }
            Asked::Running(file, wanted) => {
                let path = Some(file.path.to_string_lossy().into_owned());
                let subject = Subject { path, what: wanted.noun().to_owned(), event: None };
                (
                    subject,
                    Some(*wanted),
                    both(&|judge, _, examined| of_running(examined, |examined| judge.file_on(stability, examined, &file.path, *wanted))),
                )
            }
            Asked::Memory { program, is_writable } => {
                let what = format!("executable memory of {}", program.path.display());
                let subject = Subject { path: None, what, event: None };
                (subject, None, both(&|judge, _, examined| of_running(examined, |examined| judge.memory(*is_writable, examined))))
            }
        };
        desk.add(Finding { service, program: Some(program.unwrap_or_default()), subject, wanted, events, last, processes, old, new });
    }

    /// Tries the code below these folders that was not tried already.
    fn try_files(&self, desk: &Desk, roots: &[PathBuf], advance: &(dyn Fn() + Sync)) {
        let names = self.interpreters.script_names();
        let found = roots.iter().filter(|root| root.exists()).flat_map(|root| code_files(root, &names));
        in_parallel(found, |(path, found)| {
            match found.and_then(|()| self.on_disk(desk, &path)) {
                Ok(Some(finding)) => desk.add(finding),
                Ok(None) => {}
                Err(_) => _ = desk.unreadable.fetch_add(1, Ordering::Relaxed),
            }
            advance();
        });
    }

    fn on_disk(&self, desk: &Desk, path: &Path) -> Result<Option<Finding>, MeasureError> {
        let file = measure::open(path)?;
        let metadata = file.metadata().map_err(|source| MeasureError::Read { source })?;
        if !desk.is_new((metadata.dev(), metadata.ino())) {
            return Ok(None);
        }
        desk.files.fetch_add(1, Ordering::Relaxed);
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let wanted = Use(likely_use(&place, metadata.permissions().mode() & 0o111 != 0, Beginning::of_file(&file)));
        let examined = self.examine(&file, &place);
        Ok(Some(Finding {
            service: None,
            program: None,
            subject: Subject { path: Some(path.to_string_lossy().into_owned()), what: wanted.noun().to_owned(), event: None },
            wanted: Some(wanted),
            events: 0,
            last: None,
            processes: 0,
            old: self.old.file_on(examined.stability, &examined.old, &place, wanted),
            new: self.new.file_on(examined.stability, examined.by_new(), &place, wanted),
        }))
    }
}

/// What both policies say of a file.
struct Examined {
    stability: Stability,
    old: Compared,
    /// `None` is the same.
    new: Option<Compared>,
}

impl Examined {
    const fn by_new(&self) -> &Compared {
        match &self.new {
            Some(new) => new,
            None => &self.old,
        }
    }
}

/// A judgement on what a process runs; it may have ended since.
fn of_running(examined: Option<&Compared>, judge: impl FnOnce(&Compared) -> Judgement) -> Judgement {
    examined.map_or_else(|| Judgement::Unknown("the process has ended".to_owned()), judge)
}

/// Whether two policies differ in nothing that a file's signatures are judged by.
fn says_the_same_of_files(old: &Policy, new: &Policy) -> bool {
    (&old.signers, &old.components, &old.timestamp_authorities, &old.signatures)
        == (&new.signers, &new.components, &new.timestamp_authorities, &new.signatures)
        && (&old.revocation, &old.sources, &old.interpreters) == (&new.revocation, &new.sources, &new.interpreters)
        && old.limits.max_file_size == new.limits.max_file_size
}
