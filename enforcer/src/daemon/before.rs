//! What ran before: the processes and kernel modules that were there when the programs were attached, and whether the policy covers their code.
//!
//! Nobody has judged them, and nothing here stops them. They are looked for right after the programs were attached, so that none is missed; one that was
//! started in between was judged, and is told all the same. What a process runs is taken from the kernel (`/proc/PID/exe`, `/proc/PID/map_files`), so a
//! file that was replaced or removed since is the one that runs.
//!
//! What is covered is shown to the programs, which from then on keep writers off it as off everything that they let in: a library of process 1 would
//! otherwise be changed under it.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use enforcer_common::Mode;
use serde::{Deserialize, Serialize};

use super::scan::LAST;
use super::{Ground, Shared, facts};
use crate::kernel::set_nice;
use crate::measure;
use crate::processes::{self, Process};
use crate::signature::Verified;
use crate::text::{clipped, printable};
use crate::worker::{self, Pool};

/// What ran before. Part of `status --json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Processes that were there, kernel threads left out.
    pub processes: u64,
    /// Those of them that run code which no signature covers that the policy trusts.
    pub uncovered_processes: u64,
    /// That code, by the names of its files, as many as fit.
    pub uncovered: Vec<String>,
    /// Kernel modules that were there.
    pub modules: u64,
    /// Those of them whose file no signature covers that the policy trusts, or was not found.
    pub uncovered_modules: u64,
    /// Their names, as many as fit.
    pub uncovered_module_names: Vec<String>,
    /// Whether something could not be looked at: more of it may be uncovered.
    pub incomplete: bool,
}

impl Before {
    /// Whether a trusted signature covers all of it, as far as it was looked at.
    pub fn is_covered(&self) -> bool {
        self.uncovered_processes == 0 && self.uncovered_modules == 0 && !self.incomplete
    }

    /// In one sentence or two.
    pub fn in_words(&self) -> String {
        let one = |count: u64, one: &str, many: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {many}") };
        let several = |names: &[String]| if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
        let mut text = format!("{} before enforcement began; ", one(self.processes, "program ran", "programs ran"));
        text += &match self.uncovered_processes {
            0 => "a trusted signature covers all their code".to_owned(),
            count => format!("{} code that no trusted signature covers{}", one(count, "of them runs", "of them run"), several(&self.uncovered)),
        };
        if self.modules > 0 {
            text += &format!(". {}", one(self.modules, "kernel module was loaded", "kernel modules were loaded"));
            text += &match self.uncovered_modules {
                0 => ", all covered".to_owned(),
                count => format!(", {count} not covered{}", several(&self.uncovered_module_names)),
            };
        }
        if self.incomplete {
            text += ". Not everything could be looked at";
        }
        text
    }
}

/// What was there, not examined yet.
#[derive(Default)]
pub(super) struct Snapshot {
    /// For each process, the files of its code.
    processes: Vec<Vec<Key>>,
    files: HashMap<Key, Code>,
    modules: Vec<String>,
    incomplete: bool,
}

/// Device and inode number; zeros are memory that no file stands behind.
type Key = (u64, u64);

struct Code {
    file: File,
    name: PathBuf,
    /// What a signature has to allow.
    wanted: u32,
}

impl Snapshot {
    /// What is there now. The daemon itself and its workers are not counted.
    pub(super) fn take() -> Self {
        let mut snapshot = Self::default();
        let own = std::process::id();
        match processes::pids() {
            Ok(pids) => {
                for pid in pids {
                    let keys = snapshot.code_of(pid);
                    snapshot.processes.extend(keys.filter(|_| pid != own && processes::parent(pid) != Some(own)));
                }
            }
            Err(_) => snapshot.incomplete = true,
        }
        match fs::read_to_string("/proc/modules") {
            Ok(modules) => snapshot.modules = modules.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect(),
            // A kernel without modules has no such file.
            Err(error) => snapshot.incomplete |= error.kind() != ErrorKind::NotFound,
        }
        snapshot
    }

    /// Opens the files of a process's code. Kernel threads run no file, and a process that has gone is no matter.
    fn code_of(&mut self, pid: u32) -> Option<Vec<Key>> {
        let process = Process::of(pid).ok()??;
        let mut keys = Vec::new();
        for code in process.code().ok()? {
            match code {
                processes::Code::File(file) => keys.extend(self.open(&file.handle, &file.path, file.wanted)),
                processes::Code::Memory { .. } => keys.push(NO_FILE),
            }
        }
        keys.sort_unstable();
        keys.dedup();
        Some(keys)
    }

    fn open(&mut self, handle: &Path, name: &Path, wanted: u32) -> Option<Key> {
        let metadata = match fs::metadata(handle) {
            Ok(metadata) => metadata,
            Err(error) => {
                // Whoever has ended or unmapped it since runs it no more.
                self.incomplete |= !processes::is_gone(&error);
                return None;
            }
        };
        let key = (metadata.dev(), metadata.ino());
        if self.files.contains_key(&key) {
            return Some(key);
        }
        match measure::open(handle) {
            Ok(file) if self.files.len() < MOST_FILES => {
                self.files.insert(key, Code { file, name: name.to_owned(), wanted });
                Some(key)
            }
            _ => {
                self.incomplete = true;
                None
            }
        }
    }
}

/// Shows the programs all that runs, before others that keep writers off it go. That nobody writes to it grants it nothing.
pub(super) fn take_over(shared: &Shared, snapshot: &Snapshot) {
    let missed = snapshot.files.values().filter(|code| !enter(shared, code)).count();
    if missed > 0 || snapshot.incomplete {
        tracing::warn!(missed, incomplete = snapshot.incomplete, "not all that runs is kept from being written to");
    }
}

/// Examines what was there on a thread of its own, at low priority, and leaves the result for `enforcer status`.
pub(super) fn start(shared: &Arc<Shared>, snapshot: Snapshot) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name("before".to_owned())
        .spawn(move || {
            set_nice(LAST);
            if let Some(before) = look(&shared, &snapshot) {
                shared.set_before(before);
            }
        })
        .map(drop)
}

/// Examines it, and shows the programs what is covered. What comes of it, for `enforcer status`.
pub(super) fn look(shared: &Shared, snapshot: &Snapshot) -> Option<Before> {
    let ground = shared.ground();
    let settings = worker::Settings::of_this_program(1, LAST, shared.strictest_mode() == Mode::Audit);
    let workers = match Pool::start(settings, Arc::clone(&shared.tally.workers)) {
        Ok(workers) => workers,
        Err(unfit) => {
            tracing::error!("what ran before is not looked at: {unfit}");
            return None;
        }
    };
    let verify = |file: &File, name: &Path| verify(shared, &ground, &workers, file, name);
    let mut before = Before {
        processes: snapshot.processes.len() as u64,
        modules: snapshot.modules.len() as u64,
        incomplete: snapshot.incomplete,
        ..Before::default()
    };
    let mut names: BTreeMap<Key, String> = BTreeMap::from([(NO_FILE, "(memory that no file stands behind)".to_owned())]);
    for (key, code) in &snapshot.files {
        let is_covered = || verify(&code.file, &code.name).is_some_and(|verified| verified.allows(code.wanted));
        // Once more when nobody can write to it any longer.
        if !(is_covered() && enter(shared, code) && is_covered()) {
            names.insert(*key, shown(&code.name.to_string_lossy()));
        }
    }
    let mut found = Vec::new();
    for keys in &snapshot.processes {
        let uncovered: Vec<&Key> = keys.iter().filter(|key| names.contains_key(key)).collect();
        before.uncovered_processes += u64::from(!uncovered.is_empty());
        found.extend(uncovered);
    }
    before.uncovered = some(found.into_iter().filter_map(|key| names.get(key).cloned()).collect());
    let files = module_files(Path::new(MODULES).join(rustix::system::uname().release().to_string_lossy().as_ref()).as_path());
    let is_covered_module = |name: &String| files.get(name).is_some_and(|path| measure::open(path).is_ok_and(|file| verify(&file, path).is_some()));
    let uncovered: Vec<String> = snapshot.modules.iter().filter(|name| !is_covered_module(name)).map(|name| shown(name)).collect();
    before.uncovered_modules = uncovered.len() as u64;
    before.uncovered_module_names = some(uncovered);
    tracing::info!(
        processes = before.processes,
        uncovered = before.uncovered_processes,
        modules = before.modules,
        uncovered_modules = before.uncovered_modules,
        "looked at what ran before"
    );
    Some(before)
}

/// What a trusted signature says of a file, if one covers it.
pub(super) fn verify(shared: &Shared, ground: &Ground, workers: &Pool, file: &File, name: &Path) -> Option<Verified> {
    let versions = shared.publisher.versions();
    let examination = ground.examiner.examine_by(workers, file, Some(name), &facts(&shared.clock, &versions)).ok()?;
    examination.outcome().ok().cloned()
}

/// Shows the programs what runs, so that they keep writers off it. Whether they do.
fn enter(shared: &Shared, code: &Code) -> bool {
    let entered = shared.maps.enter_code(&code.file);
    if let Err(error) = &entered {
        tracing::warn!("`{}` runs, and somebody may write to it: {error}", shown(&code.name.to_string_lossy()));
    }
    entered.is_ok()
}

/// The files of a kernel's modules, by the modules' names.
fn module_files(folder: &Path) -> HashMap<String, PathBuf> {
    let files = walkdir::WalkDir::new(folder).max_depth(MOST_FOLDERS).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let named = files.filter_map(|entry| {
        let (name, ending) = entry.file_name().to_str()?.split_once(".ko")?;
        // The kernel knows no hyphens in names, and files have them.
        matches!(ending, "" | ".xz" | ".zst" | ".gz").then(|| (name.replace('-', "_"), entry.path().to_owned()))
    });
    named.take(MOST_FILES).collect()
}

fn shown(name: &str) -> String {
    clipped(&printable(name), LONGEST).to_owned()
}

/// Each once, in order, as many as fit.
fn some(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names.truncate(MOST_NAMES);
    names
}

const NO_FILE: Key = (0, 0);
const MODULES: &str = "/lib/modules";
/// Files of code that are looked at; a host has some thousands.
const MOST_FILES: usize = 20_000;
const MOST_FOLDERS: usize = 16;
const MOST_NAMES: usize = 32;
const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_is_found_with_its_program_and_libraries() {
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut snapshot = Snapshot::default();
        let program = Path::new("/proc").join(other.id().to_string()).join("exe");
        while fs::read_link(&program).is_ok_and(|path| !path.ends_with("sleep")) {
            thread::yield_now();
        }
        let keys = snapshot.code_of(other.id()).unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        let names: Vec<String> = snapshot.files.values().map(|code| code.name.display().to_string()).collect();
        assert!(names.iter().any(|name| name.ends_with("sleep")), "{names:?}");
        assert_eq!(keys.len(), snapshot.files.len());
    }

    #[test]
    fn what_ran_before_is_said_in_words() {
        let mut before = Before { processes: 12, ..Before::default() };
        assert!(before.is_covered());
        assert_eq!(before.in_words(), "12 programs ran before enforcement began; a trusted signature covers all their code");
        before = Before { uncovered_processes: 1, uncovered: vec!["/usr/local/bin/x".to_owned()], modules: 1, ..before };
        let words = "12 programs ran before enforcement began; 1 of them runs code that no trusted signature covers: /usr/local/bin/x. \
            1 kernel module was loaded, all covered";
        assert_eq!(before.in_words(), words);
        assert!(!before.is_covered());
    }

    #[test]
    fn modules_are_known_by_the_kernels_names_for_them() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["snd-pcm.ko.xz", "ext4.ko", "modules.dep", "kobold.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let mut names: Vec<String> = module_files(folder.path()).into_keys().collect();
        names.sort();
        assert_eq!(names, ["ext4", "snd_pcm"]);
    }
}
