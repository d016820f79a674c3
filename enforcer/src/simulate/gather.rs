//! What is tried on the two policies: what the log recorded, and what runs. Each distinct use once, however often it was seen; a bounded number of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::audit::{Entry, EventReader, Next, Record, Timestamp, service};
use crate::judge::{Subject, Use};
use crate::policy::{Mode, Policy};
use crate::processes::{self, Part, Process, RunningFile};

/// A use that was seen.
#[derive(Debug)]
pub(super) struct Observation {
    pub(super) asked: Asked,
    /// The modes where it was seen, by both policies.
    pub(super) modes: [Mode; 2],
    /// The service it was seen in.
    pub(super) service: Option<String>,
    /// The process's name.
    pub(super) program: Option<String>,
    /// How many events there are of it.
    pub(super) events: u64,
    /// When the last of them happened.
    pub(super) last: Option<Timestamp>,
    /// How many processes run it.
    pub(super) processes: u64,
}

/// What was asked.
#[derive(Debug)]
pub(super) enum Asked {
    /// By a hook, and recorded.
    Event(Box<Record>, Subject),
    /// By nobody: it runs already.
    Running(RunningFile, Use),
    /// The same, of memory in a process of this program.
    Memory { program: RunningFile, is_writable: bool },
}

/// Device and inode number of a file.
pub(super) type Identity = (u64, u64);

impl Observation {
    /// The file that has to be examined, if there is one.
    pub(super) fn file(&self) -> Option<RunningFile> {
        match &self.asked {
            Asked::Event(_, Subject::File(file)) => {
                let path = file.path.as_deref()?;
                let metadata = fs::metadata(path).ok()?;
                let identity = (metadata.dev(), metadata.ino());
                Some(RunningFile { handle: path.to_owned(), place: path.to_owned(), path: path.to_owned(), identity })
            }
            Asked::Event(_, Subject::Other) => None,
            Asked::Running(file, _) | Asked::Memory { program: file, .. } => Some(file.clone()),
        }
    }
}

/// Everything that was seen.
#[derive(Debug)]
pub(super) struct Gathered<'a> {
    policies: [&'a Policy; 2],
    pub(super) observations: Vec<Observation>,
    by_key: HashMap<Key, usize>,
    /// Events that were looked at.
    pub(super) events: u64,
    /// Events of which the log says that they are missing.
    pub(super) lost: u64,
    /// Lines of the log that could not be read.
    pub(super) unreadable: u64,
    /// Processes that were looked at.
    pub(super) processes: u64,
    /// Processes, or code of theirs, that could not be.
    pub(super) hidden: u64,
    /// Uses that were seen, and found no room.
    pub(super) beyond: u64,
}

/// What makes two uses the same: where, in which modes, by whom, what.
type Key = (Option<String>, [Mode; 2], Option<String>, What);

#[derive(Debug, PartialEq, Eq, Hash)]
enum What {
    Content(Option<String>, Use, Option<PathBuf>),
    Event(String, String, Option<String>),
    Running(Identity, Use),
    Memory(Identity, bool),
}

impl<'a> Gathered<'a> {
    /// Nothing yet, for the old policy and the new one.
    pub(super) fn new(policies: [&'a Policy; 2]) -> Self {
        Self { policies, observations: Vec::new(), by_key: HashMap::new(), events: 0, lost: 0, unreadable: 0, processes: 0, hidden: 0, beyond: 0 }
    }

    /// The modes in a control group; in one that is not known, those of the machine.
    fn modes(&self, cgroup: Option<&str>) -> [Mode; 2] {
        self.policies.map(|policy| cgroup.map_or(policy.mode, |cgroup| policy.mode_in(Path::new(cgroup))))
    }

    /// Adds what the log recorded since then.
    pub(super) fn add_log(&mut self, log: &Path, since: Timestamp) -> io::Result<()> {
        let mut reader = EventReader::open(log)?;
        loop {
            match reader.read()? {
                Next::End => return Ok(()),
                Next::Unreadable => self.unreadable += 1,
                Next::Entry(Entry::Lost(lost)) if lost.time >= since => self.lost = self.lost.saturating_add(lost.count),
                Next::Entry(Entry::Event(record)) if record.time >= since => self.add_event(record),
                Next::Entry(_) => {}
            }
        }
    }

    fn add_event(&mut self, record: Box<Record>) {
        self.events += 1;
        let subject = Subject::of(&record);
        let what = match &subject {
            // The same content under several names is one use, and a content that is not known is known by its name.
            Subject::File(file) => What::Content(record.digest.clone(), file.wanted, file.path.clone().filter(|_| record.digest.is_none())),
            Subject::Other => What::Event(record.hook.to_string(), record.reason.to_string(), record.path.clone()),
        };
        let service = record.cgroup.as_deref().and_then(service);
        let program = Some(record.comm.clone());
        let (last, modes) = (Some(record.time), self.modes(record.cgroup.as_deref()));
        self.add((service.clone(), modes, program.clone(), what), |before| match before {
            Some(before) => {
                before.events += 1;
                if before.last < last {
                    before.last = last;
                    before.asked = Asked::Event(record, subject);
                }
                None
            }
            None => Some(Observation { asked: Asked::Event(record, subject), modes, service, program, events: 1, last, processes: 0 }),
        });
    }

    /// Adds what runs now. Scripts are those of the interpreters that either policy knows.
    pub(super) fn add_processes(&mut self) -> io::Result<()> {
        let own = std::process::id();
        for pid in processes::pids()?.filter(|pid| *pid != own) {
            match Process::of(pid) {
                Ok(Some(process)) => self.add_process(&process),
                Ok(None) => {}
                Err(_) => self.hidden += 1,
            }
        }
        Ok(())
    }

    fn add_process(&mut self, process: &Process) {
        let Ok(parts) = process.parts(&self.policies.map(|policy| &policy.interpreters)) else {
            self.hidden += 1;
            return;
        };
        self.processes += 1;
        self.hidden += u64::from(parts.is_hidden);
        let (cgroup, name) = (process.cgroup(), process.name());
        let (service, modes) = (cgroup.as_deref().and_then(service), self.modes(cgroup.as_deref()));
        let program = parts.program().cloned();
        for part in parts.all {
            let (asked, what) = match part {
                Part::File(file, wanted) => {
                    let what = What::Running(file.identity, Use(wanted));
                    (Asked::Running(file, Use(wanted)), what)
                }
                Part::Memory { is_writable } => {
                    let Some(program) = program.clone() else { continue };
                    let what = What::Memory(program.identity, is_writable);
                    (Asked::Memory { program, is_writable }, what)
                }
            };
            self.add((service.clone(), modes, name.clone(), what), |before| match before {
                Some(before) => {
                    before.processes += 1;
                    None
                }
                None => Some(Observation { asked, modes, service: service.clone(), program: name.clone(), events: 0, last: None, processes: 1 }),
            });
        }
    }

    fn add(&mut self, key: Key, add: impl FnOnce(Option<&mut Observation>) -> Option<Observation>) {
        let is_full = self.observations.len() >= MOST;
        match self.by_key.entry(key) {
            Slot::Occupied(place) => _ = add(self.observations.get_mut(*place.get())),
            Slot::Vacant(_) if is_full => self.beyond += 1,
            Slot::Vacant(place) => {
                if let Some(observation) = add(None) {
                    place.insert(self.observations.len());
                    self.observations.push(observation);
                }
            }
        }
    }
}

/// Distinct uses that are kept in mind, at about a kilobyte each.
const MOST: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests;

    #[test]
    fn the_same_use_is_kept_once_with_its_last_event_and_only_so_many_at_all() {
        let mut record = tests::record(&tests::event());
        let policy = Policy::parse("version = 1\nmode = \"audit\"\n", Path::new("policy.toml")).unwrap();
        let mut gathered = Gathered::new([&policy, &policy]);
        for number in 0..MOST + 3 {
            record.digest = Some(format!("sha256:{number:064x}"));
            for id in ["first", "last"] {
                record.id = id.to_owned();
                record.time = Timestamp::parse(if id == "last" { "2026-01-02T00:00:00Z" } else { "2026-01-01T00:00:00Z" }).unwrap();
                gathered.add_event(Box::new(record.clone()));
            }
        }
        assert_eq!((gathered.observations.len(), gathered.beyond, gathered.events), (MOST, 6, 2 * (MOST as u64 + 3)));
        let observation = &gathered.observations[0];
        assert!(matches!(&observation.asked, Asked::Event(record, Subject::File(_)) if record.id == "last"), "{observation:?}");
        assert_eq!(observation.events, 2);
    }
}
