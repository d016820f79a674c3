//! What the programs keep and share. User space pins every map.

use core::ptr::read_volatile;

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::{Array, HashMap, InodeStorage, LruHashMap, PerCpuArray, RingBuf},
    macros::btf_map,
};
use enforcer_common::{
    Asker, Binding, BoundPath, Charter, Counter, Digest, EPOCHS_COUNT, Enrolment, Event, ExecutableId, Heartbeat, InodeId, Interpreter, Name,
    ObjectId, OverlayLayout, Request, ScopeNode, ScopeStep, Settings, Verdict, Word,
};

use crate::{
    atomic,
    code::Code,
    measure::Measured,
    names::Scratch,
    scripts::{INODE_WORDS, Started},
    task_storage::TaskStorage,
};

/// What is decided about each digest. The loader sets the size from the policy.
#[btf_map]
pub(crate) static VERDICTS: HashMap<Digest, Verdict, 262_144, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// File names that belong to components.
#[btf_map]
pub(crate) static NAMES: HashMap<Name, Binding, 65_536, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Whole paths that belong to components.
#[btf_map]
pub(crate) static PATHS: HashMap<BoundPath, u32, 16_384, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Room for a path, for each task that is looking one up. A CPU's own room would not do: the programs may be preempted.
#[btf_map]
pub(crate) static SCRATCH: HashMap<u64, Scratch, 65_536, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// What [`SCRATCH`] begins with: one element, all zeros.
#[btf_map]
pub(crate) static BLANK: Array<Scratch, 1> = Array::new();

/// What was measured of each inode, dropped by the kernel together with the inode.
#[btf_map]
pub(crate) static MEASURED: InodeStorage<Measured> = InodeStorage::new();

/// The inodes in memory whose content was measured, by their addresses.
#[btf_map]
pub(crate) static CODE: HashMap<u64, Code, 131_072> = HashMap::new();

/// The inodes in memory whose content was mapped shared by somebody who may write to it, by their addresses.
#[btf_map]
pub(crate) static SHARED: HashMap<u64, u32, 65_536> = HashMap::new();

/// What a [`Grant`](crate::grant) ends by when it moves, by [`POLICY_EPOCH`](enforcer_common::POLICY_EPOCH) and its like.
#[btf_map]
pub(crate) static EPOCHS: Array<u64, { EPOCHS_COUNT as usize }> = Array::new();

/// Whether one of them did not fit: one element.
#[btf_map]
pub(crate) static SHARED_FULL: Array<u32, 1> = Array::new();

/// Where overlayfs keeps what its files stand for: one element.
#[btf_map]
pub(crate) static OVERLAY: Array<OverlayLayout, 1> = Array::new();

/// The programs that have rights of their own, by the file they were started from: what was measured of it then.
#[btf_map]
pub(crate) static EXECUTABLES: HashMap<ExecutableId, Digest, 16_384, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// What the programs with these digests may read as code.
#[btf_map]
pub(crate) static INTERPRETERS: HashMap<Digest, Interpreter, 4096, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// What means something to an interpreter: names of files, options, variables.
#[btf_map]
pub(crate) static WORDS: HashMap<Word, u32, 65_536, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// A bit for each inode number, modulo their count, of a program of which something is noted: a quick no for the others. One element.
#[btf_map]
pub(crate) static INTERPRETER_INODES: Array<[u64; INODE_WORDS], 1> = Array::new();

/// What the tasks are told to run that have started an interpreter.
#[btf_map]
pub(crate) static STARTED: TaskStorage<Started> = TaskStorage::new();

/// The enforcer's own programs in the same way. Apart, so that no crowd of other programs takes their place.
#[btf_map]
pub(crate) static ENFORCER_PROGRAMS: HashMap<ExecutableId, Digest, 1024, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// The root folder below which the enforcer stands: its mount and its dentry. One element.
#[btf_map]
pub(crate) static ROOT: Array<[u64; 2], 1> = Array::new();

/// The inode numbers of the enforcer's own program, the latest ones: a quick no for everybody else.
#[btf_map]
pub(crate) static ENFORCER_INODES: Array<[u64; 4], 1> = Array::new();

/// Folders and control groups that belong to the enforcer.
#[btf_map]
pub(crate) static GUARDED: HashMap<InodeId, u32, 1024, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// BPF objects that belong to the enforcer.
#[btf_map]
pub(crate) static OBJECTS: HashMap<ObjectId, u32, 1024, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// What the daemon adds to [`EXECUTABLES`] and [`GUARDED`]: one element.
#[btf_map]
pub(crate) static ENROLMENT: Array<Enrolment, 1> = Array::new();

/// The control groups in which another mode holds, as steps on the way to them.
#[btf_map]
pub(crate) static SCOPES: HashMap<ScopeStep, ScopeNode, 65_536, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// The policy's settings: one element.
#[btf_map]
pub(crate) static SETTINGS: Array<Settings, 1> = Array::new();

/// The daemon's sign of life: one element.
#[btf_map]
pub(crate) static HEARTBEAT: Array<Heartbeat, 1> = Array::new();

/// By whose word the policy may be changed: one element, which no program reads.
#[btf_map]
pub(crate) static CHARTER: Array<Charter, 1> = Array::new();

/// How many tasks wait for the daemon: one element.
#[btf_map]
pub(crate) static WAITING: Array<u64, 1> = Array::new();

/// Denials, for people. A flood of them cannot crowd out [`REQUESTS`].
#[btf_map]
pub(crate) static EVENTS: RingBuf<Event, { 1 << 20 }> = RingBuf::new();

/// Questions to the daemon.
#[btf_map]
pub(crate) static REQUESTS: RingBuf<Request, { 1 << 20 }> = RingBuf::new();

/// The daemon's refusals, each for one waiting task. The oldest gives way.
#[btf_map]
pub(crate) static REFUSALS: LruHashMap<Asker, u32, 4096> = LruHashMap::new();

/// Sums, by [`Counter`].
#[btf_map]
pub(crate) static COUNTERS: PerCpuArray<u64, { Counter::ALL.len() }> = PerCpuArray::new();

/// Adds one to a counter.
pub(crate) fn count(counter: Counter) {
    if let Some(value) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: an aligned element of this CPU's own; atomic, because a sleepable program may be preempted by another one here.
        unsafe { atomic::fetch_add(value, 1) };
    }
}

/// Copies a digest that others may write at the same time, a word at a time.
///
/// # Safety
///
/// `digest` points to a map value.
#[inline(always)]
pub(crate) unsafe fn read_digest(digest: *const Digest) -> Digest {
    const WORDS: usize = size_of::<Digest>() / 4;
    let mut words = [0_u32; WORDS];
    // SAFETY: a digest is a multiple of four bytes long, aligned to four, and any bytes make one.
    unsafe {
        for (index, word) in words.iter_mut().enumerate() {
            *word = read_volatile(digest.cast::<u32>().add(index));
        }
        core::mem::transmute::<[u32; WORDS], Digest>(words)
    }
}

/// A digest as a key: up to 6.1, a function that the verifier looks at by itself cannot take the caller's. `None` for null.
#[inline(always)]
pub(crate) fn key(digest: *const Digest) -> Option<Digest> {
    // SAFETY: the caller's, which the verifier checks.
    if digest.is_null() { None } else { Some(unsafe { read_digest(digest) }) }
}

/// Whether two digests are the same, without a call and without a copy.
///
/// # Safety
///
/// Both can be read.
#[inline(always)]
pub(crate) unsafe fn is_same(digest: *const Digest, other: *const Digest) -> bool {
    const WORDS: usize = size_of::<Digest>() / 4;
    let (digest, other) = (digest.cast::<u32>(), other.cast::<u32>());
    // Left at the first difference, because a sum of them would be kept on the stack.
    for word in 0..WORDS {
        // SAFETY: a digest is nine aligned words.
        if unsafe { read_volatile(digest.add(word)) != read_volatile(other.add(word)) } {
            return false;
        }
    }
    true
}
