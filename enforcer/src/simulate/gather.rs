//! What is tried on the two policies: what the log recorded, and what runs. Each distinct use once, however often it was seen; a bounded number of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use enforcer_common::{USE_EXEC, USE_SCRIPT};

use crate::audit::{Entry, EventReader, Next, Record, Timestamp};
use crate::judge::{Subject, Use};
use crate::kernel::without_mark;
use crate::policy::{Evidence, Interpreters, Policy};
use crate::processes::{self, Code, Process};

/// A use that was seen.
#[derive(Debug)]
pub(super) struct Observation {
    pub(super) asked: Asked,
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
    Running(File, Use),
    /// The same, of memory in a process of this program.
    Memory { program: File, is_writable: bool },
}

/// A file and its names.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// What to open.
    pub(super) handle: PathBuf,
    /// Where its signature would lie beside it.
    pub(super) place: PathBuf,
    /// Its path, as its users see it.
    pub(super) path: PathBuf,
}

impl File {
    pub(super) fn at(path: &Path) -> Self {
        Self { handle: path.to_owned(), place: path.to_owned(), path: path.to_owned() }
    }

    fn of_process(pid: u32, handle: PathBuf, path: &Path) -> Self {
        let path = without_mark(path.to_owned());
        let place = PathBuf::from(format!("/proc/{pid}/root")).join(path.strip_prefix("/").unwrap_or(&path));
        Self { handle, place, path }
    }

    /// Device and inode number.
    pub(super) fn identity(&self) -> io::Result<Identity> {
        fs::metadata(&self.handle).map(|metadata| (metadata.dev(), metadata.ino()))
    }
}

/// Device and inode number of a file.
pub(super) type Identity = (u64, u64);

impl Observation {
    /// The file that has to be examined, if there is one.
    pub(super) fn file(&self) -> Option<File> {
        match &self.asked {
            Asked::Event(_, Subject::File(file)) => file.path.as_deref().map(File::at),
            Asked::Event(_, Subject::Other) => None,
            Asked::Running(file, _) | Asked::Memory { program: file, .. } => Some(file.clone()),
        }
    }
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Gathered {
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

/// What makes two uses the same: where, by whom, what.
type Key = (Option<String>, Option<String>, What);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum What {
    Content(Option<String>, Use, Option<PathBuf>),
    Event(String, String, Option<String>),
    Running(Identity, Use),
    Memory(Identity, bool),
}

impl Gathered {
    /// Adds what the log recorded since then.
    pub(super) fn add_log(&mut self, log: &Path, since: Timestamp) -> io::Result<()> {
        let mut reader = EventReader::open(log)?;
        loop {
            match reader.read()? {
                Next::End => return Ok(()),
                Next::Unreadable => self.unreadable += 1,
                Next::Entry(Entry::Lost(lost)) if lost.time >= since => self.lost += lost.count,
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
        let last = Some(record.time);
        self.add((service.clone(), program.clone(), what), |before| match before {
            Some(before) => {
                before.events += 1;
                if before.last < last {
                    before.last = last;
                    before.asked = Asked::Event(record, subject);
                }
                None
            }
            None => Some(Observation { asked: Asked::Event(record, subject), service, program, events: 1, last, processes: 0 }),
        });
    }

    /// Adds what runs now. Scripts are those of the interpreters that either policy knows.
    pub(super) fn add_processes(&mut self, policies: [&Policy; 2]) -> io::Result<()> {
        let own = std::process::id();
        for pid in processes::pids()?.filter(|pid| *pid != own) {
            match Process::of(pid) {
                Ok(Some(process)) => self.add_process(&process, policies),
                Ok(None) => {}
                Err(_) => self.hidden += 1,
            }
        }
        Ok(())
    }

    fn add_process(&mut self, process: &Process, policies: [&Policy; 2]) {
        let Ok(code) = process.code() else {
            self.hidden += 1;
            return;
        };
        self.processes += 1;
        let (service, name) = (process.cgroup().as_deref().and_then(service), process.name());
        let mut seen: Vec<What> = Vec::new();
        let mut is_hidden = false;
        let program = File::of_process(process.pid, PathBuf::from(format!("/proc/{}/exe", process.pid)), &process.program);
        let script = script_of(process, policies.map(|policy| &policy.interpreters));
        let script = script.map(|file| (Asked::Running(file.clone(), Use(USE_SCRIPT)), file));
        let code = code.into_iter().map(|code| match code {
            Code::File(code) => {
                let file = File::of_process(process.pid, code.handle, &code.path);
                (Asked::Running(file.clone(), Use(code.wanted)), file)
            }
            Code::Memory { is_writable } => (Asked::Memory { program: program.clone(), is_writable }, program.clone()),
        });
        for (asked, file) in code.chain(script) {
            let identity = match file.identity() {
                Ok(identity) => identity,
                Err(error) => {
                    is_hidden |= !processes::is_gone(&error);
                    continue;
                }
            };
            let what = match &asked {
                Asked::Running(_, wanted) => What::Running(identity, *wanted),
                _ => What::Memory(identity, matches!(asked, Asked::Memory { is_writable: true, .. })),
            };
            // What a process has mapped in several places it runs once; and its own program, which it has mapped too, as that.
            if seen.contains(&what) || seen.contains(&What::Running(identity, Use(USE_EXEC))) && matches!(what, What::Running(..)) {
                continue;
            }
            seen.push(what.clone());
            self.add((service.clone(), name.clone(), what), |before| match before {
                Some(before) => {
                    before.processes += 1;
                    None
                }
                None => Some(Observation { asked, service: service.clone(), program: name.clone(), events: 0, last: None, processes: 1 }),
            });
        }
        self.hidden += u64::from(is_hidden);
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

/// The script that a process runs, if its program is an interpreter of one of the policies and its command line names one.
fn script_of(process: &Process, all: [&Interpreters; 2]) -> Option<File> {
    let program = without_mark(process.program.clone());
    let interpreter = all.into_iter().find_map(|interpreters| {
        let label = interpreters.label(Evidence::Lies(&program), std::iter::empty())?;
        interpreters.0.get((label.number as usize).checked_sub(1)?)
    })?;
    let mut words = process.words();
    let place = interpreter.grammar.script_word(&words)?;
    let word = words.swap_remove(place);
    let handle = process.place(&word);
    if !fs::metadata(&handle).is_ok_and(|metadata| metadata.is_file()) {
        return None;
    }
    let path = PathBuf::from(String::from_utf8_lossy(&word).into_owned());
    Some(File { place: handle.clone(), path, handle })
}

/// The service that a control group is, or belongs to: the last part of its path that names a unit.
pub(super) fn service(cgroup: &str) -> Option<String> {
    let is_unit = |ending: &'static str| move |part: &&str| part.ends_with(ending);
    let mut parts = cgroup.rsplit('/');
    let found = parts.clone().find(is_unit(".service")).or_else(|| parts.find(is_unit(".scope")));
    found.map(str::to_owned)
}

/// Distinct uses that are kept in mind, at about a kilobyte each.
const MOST: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_group_belongs_to_its_nearest_unit() {
        assert_eq!(service("/system.slice/nginx.service").as_deref(), Some("nginx.service"));
        assert_eq!(service("/system.slice/nginx.service/worker").as_deref(), Some("nginx.service"));
        assert_eq!(service("/user.slice/user-0.slice/session-2.scope").as_deref(), Some("session-2.scope"));
        assert_eq!(service("/user.slice/user-0.slice/user@0.service/app.slice/run-1.scope").as_deref(), Some("user@0.service"));
        assert_eq!((service("/"), service("/init")), (None, None));
    }
}
