//! The maps, with the types of what is in them.

use std::fs::File;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use aya::maps::{Array, HashMap, Map, MapData, MapError, MapInfo, MapType, PerCpuArray, RingBuf, loaded_maps};
use enforcer_common::{
    Asker, Binding, BoundPath, CHARTER_SIZE, Charter, Counter, Digest, ENROL_CODE, ENROL_MEASUREMENT, Enrolment, ExecutableId, Heartbeat, InodeId,
    Interpreter, MEASURED, Name, ObjectId, OverlayLayout, POLICY_EPOCH, Reason, ScopeNode, ScopeStep, Settings, Verdict, Word,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::{ClockId, clock_gettime};

use super::KernelError;
use super::batch::Batch;

/// Every map that is pinned and shared with the programs, by the name it has in the object. The last ones are the programs' alone.
pub(super) const MAPS: [&str; 32] = [
    "VERDICTS",
    "NAMES",
    "PATHS",
    "REFUSALS",
    "GUARDED",
    "OBJECTS",
    "ENROLMENT",
    "SETTINGS",
    EPOCHS,
    SCOPES,
    "HEARTBEAT",
    "CHARTER",
    "COUNTERS",
    "EVENTS",
    "REQUESTS",
    "OVERLAY",
    "MEASURED",
    "CODE",
    "SHARED",
    "SHARED_FULL",
    "WAITING",
    "SCRATCH",
    "BLANK",
    "EXECUTABLES",
    INTERPRETERS,
    WORDS,
    "INTERPRETER_INODES",
    "STARTED",
    "ENFORCER_PROGRAMS",
    "ENFORCER_INODES",
    "ROOT",
    "AYA_LOGS",
];

/// Handles of the pinned maps. Each call is one system call on one map, or one for thousands of verdicts; the kernel replaces a value as a whole.
pub struct Maps {
    verdicts: Mutex<HashMap<MapData, Digest, Verdict>>,
    many_verdicts: Batch<Digest, Verdict>,
    max_verdicts: u32,
    names: Mutex<HashMap<MapData, Name, Binding>>,
    paths: Mutex<HashMap<MapData, BoundPath, u32>>,
    refusals: Mutex<HashMap<MapData, Asker, u32>>,
    guarded: Mutex<HashMap<MapData, InodeId, u32>>,
    objects: Mutex<HashMap<MapData, ObjectId, u32>>,
    enrolment: Mutex<Array<MapData, Enrolment>>,
    executables: Mutex<HashMap<MapData, ExecutableId, Digest>>,
    /// Not in builds before interpreters were held to anything.
    interpreters: Option<Mutex<HashMap<MapData, Digest, Interpreter>>>,
    words: Option<Mutex<HashMap<MapData, Word, u32>>>,
    settings: Mutex<Array<MapData, Settings>>,
    /// Not in builds before what is allowed was kept with inodes.
    epochs: Option<Mutex<Array<MapData, u64>>>,
    /// Not in builds before there were scopes.
    scopes: Option<Mutex<HashMap<MapData, ScopeStep, ScopeNode>>>,
    heartbeat: Mutex<Array<MapData, Heartbeat>>,
    /// Not in builds before there were charters.
    charter: Option<Mutex<Array<MapData, Charter>>>,
    /// Not in builds before overlays were looked into.
    overlay: Option<Mutex<Array<MapData, OverlayLayout>>>,
    counters: PerCpuArray<MapData, u64>,
}

impl Maps {
    /// Opens the maps that are pinned in a folder.
    pub fn open(folder: &Path) -> Result<Self, KernelError> {
        let verdicts = pinned(folder, "VERDICTS")?;
        let max_verdicts = verdicts.info().map_err(|error| failed("VERDICTS", &error))?.max_entries();
        Ok(Self {
            many_verdicts: Batch::of(&verdicts).map_err(|error| failed("VERDICTS", &error))?,
            verdicts: Mutex::new(HashMap::try_from(Map::HashMap(verdicts)).map_err(|error| failed("VERDICTS", &error))?),
            max_verdicts,
            names: Mutex::new(hash_map(folder, "NAMES")?),
            paths: Mutex::new(hash_map(folder, "PATHS")?),
            refusals: Mutex::new(HashMap::try_from(Map::LruHashMap(pinned(folder, "REFUSALS")?)).map_err(|error| failed("REFUSALS", &error))?),
            guarded: Mutex::new(hash_map(folder, "GUARDED")?),
            objects: Mutex::new(hash_map(folder, "OBJECTS")?),
            enrolment: Mutex::new(array(folder, "ENROLMENT")?),
            executables: Mutex::new(hash_map(folder, "EXECUTABLES")?),
            interpreters: folder.join(INTERPRETERS).exists().then(|| hash_map(folder, INTERPRETERS)).transpose()?.map(Mutex::new),
            words: folder.join(WORDS).exists().then(|| hash_map(folder, WORDS)).transpose()?.map(Mutex::new),
            settings: Mutex::new(array(folder, "SETTINGS")?),
            epochs: folder.join(EPOCHS).exists().then(|| array(folder, EPOCHS)).transpose()?.map(Mutex::new),
            scopes: folder.join(SCOPES).exists().then(|| hash_map(folder, SCOPES)).transpose()?.map(Mutex::new),
            heartbeat: Mutex::new(array(folder, "HEARTBEAT")?),
            charter: folder.join(CHARTER).exists().then(|| array(folder, CHARTER)).transpose()?.map(Mutex::new),
            overlay: folder.join(OVERLAY).exists().then(|| array(folder, OVERLAY)).transpose()?.map(Mutex::new),
            counters: PerCpuArray::try_from(Map::PerCpuArray(pinned(folder, "COUNTERS")?)).map_err(|error| failed("COUNTERS", &error))?,
        })
    }

    /// What is decided about a digest, if anything is.
    pub fn verdict(&self, digest: &Digest) -> Result<Option<Verdict>, KernelError> {
        match lock(&self.verdicts).get(digest, 0) {
            Ok(verdict) => Ok(Some(verdict)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(failed("VERDICTS", &error)),
        }
    }

    /// Publishes a verdict, replacing an older one. Whoever takes something away by it ends the grants afterwards.
    pub fn publish(&self, digest: &Digest, verdict: &Verdict) -> Result<(), KernelError> {
        match lock(&self.verdicts).insert(digest, verdict, 0) {
            Ok(()) => Ok(()),
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::E2BIG) => {
                Err(KernelError::VerdictsFull { max: self.max_verdicts })
            }
            Err(error) => Err(failed("VERDICTS", &error)),
        }
    }

    /// Ends what the programs have kept with inodes of what was allowed: something of it has been taken away.
    pub fn end_grants(&self) -> Result<(), KernelError> {
        let Some(epochs) = &self.epochs else { return Ok(()) };
        // A number that was never there before.
        lock(epochs).set(POLICY_EPOCH, boottime(), 0).map_err(|error| failed(EPOCHS, &error))
    }

    /// Publishes many verdicts, each replacing an older one. After an error, none or some of them are published. Whoever takes something away by it ends the
    /// grants afterwards.
    pub fn publish_all(&self, verdicts: &[(Digest, Verdict)]) -> Result<(), KernelError> {
        match self.many_verdicts.update(verdicts) {
            Ok(()) => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::E2BIG) => Err(KernelError::VerdictsFull { max: self.max_verdicts }),
            Err(error) => Err(failed("VERDICTS", &error)),
        }
    }

    /// Binds a name to a component, for the verdicts of the name's generation.
    pub fn bind_name(&self, name: &Name, binding: &Binding) -> Result<(), KernelError> {
        bind(&mut lock(&self.names), "NAMES", name, binding)
    }

    /// Binds a whole path to a component, for the verdicts of the path's generation.
    pub fn bind_path(&self, path: &BoundPath, component: u32) -> Result<(), KernelError> {
        bind(&mut lock(&self.paths), "PATHS", path, &component)
    }

    /// Removes the names and paths of all generations that `keep` refuses.
    pub fn retain_names(&self, keep: impl Fn(u32) -> bool) -> Result<(), KernelError> {
        unbind(&mut lock(&self.names), "NAMES", |name| keep(name.generation))?;
        unbind(&mut lock(&self.paths), "PATHS", |path| keep(path.generation))
    }

    /// Holds the program with this digest to something, replacing what it was held to before.
    pub fn hold(&self, digest: &Digest, interpreter: &Interpreter) -> Result<(), KernelError> {
        match &self.interpreters {
            Some(interpreters) => bind(&mut lock(interpreters), INTERPRETERS, digest, interpreter).and_then(|()| self.end_grants()),
            None => Err(KernelError::Map { map: INTERPRETERS, detail: "it is not there".to_owned() }),
        }
    }

    /// All programs that are held to something.
    pub fn interpreters(&self) -> Result<Vec<(Digest, Interpreter)>, KernelError> {
        let Some(interpreters) = &self.interpreters else { return Ok(Vec::new()) };
        lock(interpreters).iter().map(|held| held.map_err(|error| failed(INTERPRETERS, &error))).collect()
    }

    /// Holds a program to nothing any longer.
    pub fn let_go(&self, digest: &Digest) -> Result<(), KernelError> {
        let Some(interpreters) = &self.interpreters else { return Ok(()) };
        match lock(interpreters).remove(digest) {
            Err(error) if !is_missing(&error) => Err(failed(INTERPRETERS, &error)),
            _ => Ok(()),
        }
    }

    /// Gives a word its meaning.
    pub fn set_word(&self, word: &Word, meaning: u32) -> Result<(), KernelError> {
        match &self.words {
            Some(words) => bind(&mut lock(words), WORDS, word, &meaning),
            None => Err(KernelError::Map { map: WORDS, detail: "it is not there".to_owned() }),
        }
    }

    /// Removes the words of all interpreters that `keep` refuses.
    pub fn retain_words(&self, keep: impl Fn(u32) -> bool) -> Result<(), KernelError> {
        let Some(words) = &self.words else { return Ok(()) };
        unbind(&mut lock(words), WORDS, |word| keep(word.interpreter))
    }

    /// Adds a step on the way to a scope.
    pub fn set_scope_step(&self, step: &ScopeStep, node: &ScopeNode) -> Result<(), KernelError> {
        match &self.scopes {
            Some(scopes) => bind(&mut lock(scopes), SCOPES, step, node),
            None => Err(KernelError::Map { map: SCOPES, detail: "it is not there".to_owned() }),
        }
    }

    /// The steps to all scopes, and where they lead.
    pub fn scope_steps(&self) -> Result<Vec<(ScopeStep, ScopeNode)>, KernelError> {
        let Some(scopes) = &self.scopes else { return Ok(Vec::new()) };
        lock(scopes).iter().map(|step| step.map_err(|error| failed(SCOPES, &error))).collect()
    }

    /// Removes all steps that `keep` refuses.
    pub fn retain_scope_steps(&self, keep: impl Fn(&ScopeStep) -> bool) -> Result<(), KernelError> {
        let Some(scopes) = &self.scopes else { return Ok(()) };
        unbind(&mut lock(scopes), SCOPES, keep)
    }

    /// Refuses one waiting task.
    pub fn refuse(&self, asker: &Asker, reason: Reason) -> Result<(), KernelError> {
        lock(&self.refusals).insert(asker, reason as u32, 0).map_err(|error| failed("REFUSALS", &error))
    }

    /// Takes a verdict away, if there is one.
    pub fn withdraw(&self, digest: &Digest) -> Result<(), KernelError> {
        match lock(&self.verdicts).remove(digest) {
            Err(error) if !is_missing(&error) => Err(failed("VERDICTS", &error)),
            _ => self.end_grants(),
        }
    }

    /// What `of` makes of each verdict. One that is published or withdrawn meanwhile may be among them or not.
    pub fn select<T>(&self, of: impl Fn(&Digest, &Verdict) -> Option<T>) -> Result<Vec<(Digest, T)>, KernelError> {
        let mut selected = Vec::new();
        let walk = self.many_verdicts.each(|digest, verdict| selected.extend(of(digest, verdict).map(|made| (*digest, made))));
        walk.map(|()| selected).map_err(|error| failed("VERDICTS", &error))
    }

    /// Shows the programs an inode of the enforcer's own (`enforcer_common::Enrolment`).
    pub(super) fn enrol(&self, path: &Path, flags: u32) -> Result<(), KernelError> {
        self.show(flags, path, || {
            _ = rustix::fs::listxattr(path, &mut [0_u8; 0][..]);
        })
    }

    /// The same, of a file that is open.
    pub(super) fn enrol_file(&self, file: &File, flags: u32) -> Result<(), KernelError> {
        self.show(flags, &Path::new("descriptor").join(file.as_raw_fd().to_string()), || {
            _ = rustix::fs::flistxattr(file, &mut [0_u8; 0][..]);
        })
    }

    fn show(&self, flags: u32, path: &Path, list: impl FnOnce()) -> Result<(), KernelError> {
        let enrolment = &mut *lock(&self.enrolment);
        let before = enrolment.get(&0, 0).map_err(|error| failed("ENROLMENT", &error))?;
        let tid = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        let mut tell = |told: Enrolment| enrolment.set(0, told, 0).map_err(|error| failed("ENROLMENT", &error));
        tell(Enrolment { tid, flags, ..before })?;
        // What the call itself answers means nothing: the program has seen the inode.
        list();
        let after = enrolment.get(&0, 0).map_err(|error| failed("ENROLMENT", &error))?;
        enrolment.set(0, Enrolment { done: after.done, ..Enrolment::default() }, 0).map_err(|error| failed("ENROLMENT", &error))?;
        if after.done == before.done { Err(KernelError::NotEnrolled { path: path.to_owned() }) } else { Ok(()) }
    }

    /// Shows the programs a file that runs already: from here on they keep writers off it, as off everything that they let in.
    ///
    /// # Errors
    /// They do not: somebody has it open for writing, or there is no room for it.
    pub fn enter_code(&self, file: &File) -> Result<(), KernelError> {
        self.enrol_file(file, ENROL_CODE)
    }

    /// Has the programs measure a file, and keep what they measured with it.
    ///
    /// # Errors
    /// They could not.
    pub fn measure(&self, file: &File) -> Result<(), KernelError> {
        self.show(ENROL_MEASUREMENT, &Path::new("descriptor").join(file.as_raw_fd().to_string()), || {
            // SAFETY: a new mapping, which the programs refuse when they have seen it; where they do not, it is taken back.
            unsafe {
                let (protection, flags) = (rustix::mm::ProtFlags::READ, rustix::mm::MapFlags::PRIVATE);
                if let Ok(start) = rustix::mm::mmap(std::ptr::null_mut(), 1, protection, flags, file, 0) {
                    _ = rustix::mm::munmap(start, 1);
                }
            }
        })
    }

    /// Answers a task that waits for a file to be measured.
    pub fn answer_measured(&self, asker: &Asker) -> Result<(), KernelError> {
        lock(&self.refusals).insert(asker, MEASURED, 0).map_err(|error| failed("REFUSALS", &error))
    }

    /// The programs that were started with rights of their own and are still in memory, and what was measured of them then.
    pub fn executables(&self) -> Result<Vec<(ExecutableId, Digest)>, KernelError> {
        let executables = lock(&self.executables);
        executables.iter().map(|noted| noted.map_err(|error| failed("EXECUTABLES", &error))).collect()
    }

    /// Forgets what was enrolled as this and nothing else.
    pub(super) fn forget_guarded(&self, flags: u32) -> Result<(), KernelError> {
        let mut guarded = lock(&self.guarded);
        let stale: Vec<InodeId> = guarded.iter().filter_map(Result::ok).filter(|(_, of)| *of == flags).map(|(id, _)| id).collect();
        stale.iter().try_for_each(|id| guarded.remove(id).map_err(|error| failed("GUARDED", &error)))
    }

    /// Tells the programs that a BPF object is the enforcer's own.
    pub(super) fn own(&self, object: &ObjectId) -> Result<(), KernelError> {
        lock(&self.objects).insert(object, 1, 0).map_err(|error| failed("OBJECTS", &error))
    }

    /// How many verdicts there are.
    pub fn verdict_count(&self) -> Result<usize, KernelError> {
        let mut count = 0;
        self.many_verdicts.each(|_, _| count += 1).map(|()| count).map_err(|error| failed("VERDICTS", &error))
    }

    /// How many verdicts fit.
    pub fn max_verdicts(&self) -> u32 {
        self.max_verdicts
    }

    /// The settings in force.
    pub fn settings(&self) -> Result<Settings, KernelError> {
        lock(&self.settings).get(&0, 0).map_err(|error| failed("SETTINGS", &error))
    }

    /// Puts settings in force, for the next use of any file.
    pub fn set_settings(&self, settings: &Settings) -> Result<(), KernelError> {
        lock(&self.settings).set(0, settings, 0).map_err(|error| failed("SETTINGS", &error))?;
        self.end_grants()
    }

    /// Tells the programs how this kernel's overlays are built.
    pub fn set_overlay(&self, layout: &OverlayLayout) -> Result<(), KernelError> {
        let Some(overlay) = &self.overlay else { return Ok(()) };
        lock(overlay).set(0, layout, 0).map_err(|error| failed(OVERLAY, &error))
    }

    /// The daemon's last sign of life.
    pub fn heartbeat(&self) -> Result<Heartbeat, KernelError> {
        lock(&self.heartbeat).get(&0, 0).map_err(|error| failed("HEARTBEAT", &error))
    }

    /// Says that the daemon answers requests now.
    pub fn set_heartbeat(&self, heartbeat: &Heartbeat) -> Result<(), KernelError> {
        lock(&self.heartbeat).set(0, heartbeat, 0).map_err(|error| failed("HEARTBEAT", &error))
    }

    /// Puts a charter in force; no bytes are none.
    pub fn set_charter(&self, bytes: &[u8]) -> Result<(), KernelError> {
        let Some(charter) = &self.charter else {
            return if bytes.is_empty() { Ok(()) } else { Err(KernelError::Map { map: CHARTER, detail: "it is not there".to_owned() }) };
        };
        let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= CHARTER_SIZE);
        let length = length.ok_or_else(|| KernelError::Map { map: CHARTER, detail: format!("{} bytes do not fit", bytes.len()) })?;
        let mut value = Charter { length, reserved: 0, bytes: [0; CHARTER_SIZE] };
        value.bytes[..bytes.len()].copy_from_slice(bytes);
        lock(charter).set(0, value, 0).map_err(|error| failed(CHARTER, &error))
    }

    /// A counter, summed over the CPUs.
    pub fn counter(&self, counter: Counter) -> Result<u64, KernelError> {
        if counter as u32 >= self.counters.len() {
            // The programs in force are of a build before there was this counter.
            return Ok(0);
        }
        let values = self.counters.get(&(counter as u32), 0).map_err(|error| failed("COUNTERS", &error))?;
        Ok(values.iter().sum())
    }
}

/// Whether this is the map that an enforcer keeps its charter in.
pub(super) fn is_charter(info: &MapInfo) -> bool {
    info.name() == CHARTER.as_bytes() && matches!(info.map_type(), Ok(MapType::Array))
}

/// Every charter that the kernel holds, wherever its map is pinned: whoever looks from a mount namespace of their own sees the same.
pub fn charters() -> Result<Vec<Vec<u8>>, KernelError> {
    let mut charters = Vec::new();
    for info in loaded_maps() {
        let info = info.map_err(|error| failed(CHARTER, &error))?;
        if !is_charter(&info) {
            continue;
        }
        let map = match MapData::from_id(info.id()) {
            Ok(map) => map,
            // Gone in between.
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => continue,
            Err(error) => return Err(failed(CHARTER, &error)),
        };
        let map: Array<MapData, Charter> = Array::try_from(Map::Array(map)).map_err(|error| failed(CHARTER, &error))?;
        let value = map.get(&0, 0).map_err(|error| failed(CHARTER, &error))?;
        let bytes =
            value.bytes.get(..value.length as usize).ok_or_else(|| KernelError::Map { map: CHARTER, detail: "its length is wrong".to_owned() })?;
        if !bytes.is_empty() {
            charters.push(bytes.to_vec());
        }
        if charters.len() > MAX_CHARTERS {
            return Err(KernelError::Map { map: CHARTER, detail: format!("there are more than {MAX_CHARTERS} of them") });
        }
    }
    Ok(charters)
}

/// The records of a pinned ring buffer: `EVENTS` of [`enforcer_common::Event`], or `REQUESTS` of [`enforcer_common::Request`].
pub struct Records<T> {
    ring: RingBuf<MapData>,
    record: PhantomData<T>,
}

impl<T: aya::Pod> Records<T> {
    /// Opens the ring buffer pinned in a folder under a name.
    pub fn open(folder: &Path, name: &'static str) -> Result<Self, KernelError> {
        let ring = RingBuf::try_from(Map::RingBuf(pinned(folder, name)?)).map_err(|error| failed(name, &error))?;
        Ok(Self { ring, record: PhantomData })
    }

    /// Waits for records, at most this long.
    pub fn wait(&self, limit: Duration) -> rustix::io::Result<()> {
        let ring: BorrowedFd<'_> = self.ring.as_fd();
        let limit = rustix::time::Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: i64::from(limit.subsec_nanos()) };
        match poll(&mut [PollFd::new(&ring, PollFlags::IN)], Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes the next record that is there. `Err` is the length of one that is not of this version.
    pub fn take(&mut self) -> Option<Result<T, usize>> {
        let record = self.ring.next()?;
        if record.len() != size_of::<T>() {
            return Some(Err(record.len()));
        }
        // SAFETY: as long as a `T`, of which any bytes are a value (`Pod`); unaligned, because the ring buffer promises no alignment.
        Some(Ok(unsafe { std::ptr::read_unaligned(record.as_ptr().cast()) }))
    }
}

/// `CLOCK_BOOTTIME` in nanoseconds, the clock of verdicts, events and requests.
pub fn boottime() -> u64 {
    nanoseconds(ClockId::Boottime)
}

/// `CLOCK_MONOTONIC` in nanoseconds, the clock of the heartbeat.
pub fn monotonic() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

fn hash_map<K: aya::Pod, V: aya::Pod>(folder: &Path, name: &'static str) -> Result<HashMap<MapData, K, V>, KernelError> {
    HashMap::try_from(Map::HashMap(pinned(folder, name)?)).map_err(|error| failed(name, &error))
}

fn bind<K: aya::Pod, V: aya::Pod>(map: &mut HashMap<MapData, K, V>, name: &'static str, key: &K, value: &V) -> Result<(), KernelError> {
    match map.insert(key, value, 0) {
        Ok(()) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::E2BIG) => Err(KernelError::NamesFull { map: name }),
        Err(error) => Err(failed(name, &error)),
    }
}

fn unbind<K: aya::Pod, V: aya::Pod>(map: &mut HashMap<MapData, K, V>, name: &'static str, keep: impl Fn(&K) -> bool) -> Result<(), KernelError> {
    // Collected first: a removal during the walk would start the walk again from the beginning.
    let stale: Vec<K> = map.keys().filter_map(Result::ok).filter(|key| !keep(key)).collect();
    stale.iter().try_for_each(|key| map.remove(key).map_err(|error| failed(name, &error)))
}

fn is_missing(error: &MapError) -> bool {
    match error {
        MapError::KeyNotFound => true,
        MapError::SyscallError(error) => error.io_error.raw_os_error() == Some(libc::ENOENT),
        _ => false,
    }
}

fn array<T: aya::Pod>(folder: &Path, name: &'static str) -> Result<Array<MapData, T>, KernelError> {
    Array::try_from(Map::Array(pinned(folder, name)?)).map_err(|error| failed(name, &error))
}

fn pinned(folder: &Path, name: &'static str) -> Result<MapData, KernelError> {
    MapData::from_pin(folder.join(name)).map_err(|error| failed(name, &error))
}

fn failed(map: &'static str, error: &dyn std::error::Error) -> KernelError {
    KernelError::Map { map, detail: crate::text::chain(error) }
}

const CHARTER: &str = "CHARTER";
const EPOCHS: &str = "EPOCHS";
const SCOPES: &str = "SCOPES";
const OVERLAY: &str = "OVERLAY";
const INTERPRETERS: &str = "INTERPRETERS";
const WORDS: &str = "WORDS";
/// Builds that are in force at once: one, and two during an upgrade.
const MAX_CHARTERS: usize = 16;

/// A panic of another thread leaves the handle as good as before: each call is one system call.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
