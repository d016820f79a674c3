//! Measuring: from an open file to the digest of the bytes that are about to run.
//!
//! The fs-verity digest where the file has one; else IMA's hash of the current content. A measurement is kept with the inode and reused only while
//! this rule proves that the bytes have not changed (each clause has an attack that it stops):
//!
//! 1. nobody can write: no open writer and no shared writable mapping, before and after the hash, and at each reuse;
//! 2. the stamp (`i_version`, ctime, size, the last opening for writing, the clock: [`stamp`](crate::stamp)) is the same before and after the hash, and at each reuse;
//! 3. the file system is one whose stamp is known to move with the content (ext4, xfs, btrfs): never tmpfs, FUSE or network;
//! 4. a first measurement is *pending*: it is reused only after a second hash, begun two clock ticks later, found the same stamp and digest; unless the file
//!    system counts versions, which it does from the moment that IMA asks, before it reads.
//!
//! Whoever lets content in says so ([`code`]) before it looks for writers a last time ([`confirm`]), because the kernel makes the mapping later.
//!
//! All of it is asked of the inode that has the content, which for a file of an overlay is one in a layer ([`overlay`]); writers are looked for on both.
//!
//! fs-verity content is sealed by the kernel and needs none of this.

use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::{
    bindings::bpf_dynptr,
    helpers::generated::{bpf_dynptr_from_mem, bpf_ima_file_hash, bpf_jiffies64, bpf_loop},
};
use enforcer_common::{ALGORITHM_FSVERITY_SHA256, ALGORITHM_SHA256, Counter, DIGEST_SIZE, Digest, KFUNC_BPF_GET_FSVERITY_DIGEST, Reason, Settings};

use crate::{
    atomic, code,
    filesystem::{Filesystem, OVERLAYFS_SUPER_MAGIC, filesystem},
    first_use,
    grant::{self, Grant},
    inode_at,
    kernel::{self, file, inode},
    maps::{self, MEASURED},
    overlay, rule,
    stamp::{
        ANOTHER_STAMP, Imprint, Stamp, WRITABLE, content_is_writable, imprint_of_kept, is_writable_somewhere, kept_is, observe, read_content,
        read_stamp, version_counts,
    },
    tail,
};

/// What is kept with an inode (`MEASURED`): a sequence lock around a digest and the stamp at which it was true.
#[repr(C)]
pub(crate) struct Measured {
    /// Odd while somebody writes the rest.
    pub(crate) sequence: u64,
    /// `jiffies` after the first hash.
    since: u64,
    pub(crate) grant: Grant,
    pub(crate) stamp: Stamp,
    pub(crate) digest: Digest,
    pub(crate) state: u32,
    /// Where `bpf_get_fsverity_digest` writes: `struct fsverity_digest` (`include/uapi/linux/fsverity.h`). Every writer writes the same bytes.
    fsverity: FsverityDigest,
}

#[repr(C, align(4))]
struct FsverityDigest {
    algorithm: u16,
    size: u16,
    digest: [u8; 64],
}

// The states; 0 is an inode of which nothing is known.
/// Hashed once; not yet to be reused.
const PENDING: u32 = 1;
/// Hashed twice, two ticks apart, with the same stamp.
const SETTLED: u32 = 2;
/// Sealed by fs-verity.
pub(crate) const SEALED: u32 = 3;

/// Why there is no measurement.
pub(crate) struct Unmeasured {
    pub(crate) reason: Reason,
    pub(crate) detail: i32,
}

/// Where a file's content is, and what is known of it. No more than that, for it stands on the stack of those who ask the daemon.
#[repr(C)]
pub(crate) struct Subject {
    /// The address of the inode that has the content; 0 where that is the file's own.
    pub(crate) real: u64,
    /// The content's stamp when it was measured.
    stamp: Imprint,
}

impl Subject {
    pub(crate) const UNKNOWN: Self = Self { real: 0, stamp: Imprint::NONE };
}

/// Finds out where a file's content is, or why that cannot be told.
#[inline(always)]
pub(crate) fn locate(file: *mut file, subject: &mut Subject) -> Result<(), Reason> {
    let fault = real_inode(file, &mut subject.real);
    if fault == 0 { Ok(()) } else { Err(overlay::reason(fault)) }
}

/// The same, and waits for the daemon to look at an overlay module that was loaded a moment ago. Sleeps.
#[inline(always)]
pub(crate) fn locate_or_wait(file: *mut file, subject: &mut Subject) -> Result<(), Reason> {
    match locate(file, subject) {
        Err(Reason::UnknownOverlay) => {
            wait_for_overlay(file);
            locate(file, subject)
        }
        located => located,
    }
}

#[inline(never)]
fn real_inode(file: *mut file, real: &mut u64) -> i64 {
    let inode = kernel::file_inode(file);
    if !rule::REAL_INODE || kernel::inode_filesystem(inode).1 != OVERLAYFS_SUPER_MAGIC {
        return 0;
    }
    overlay::real_inode_at(kernel::address(file), kernel::address(inode), real)
}

/// Puts the digest of the file's content into `digest`, or says why it cannot be had. Sleeps.
#[inline(never)]
pub(crate) fn measure(file: *mut file, subject: &mut Subject, settings: &Settings, digest: &mut Digest) -> Result<(), Unmeasured> {
    rule::mark();
    let inode = kernel::file_inode(file);
    if !kernel::inode_is_regular(inode) {
        return Err(Unmeasured { reason: Reason::MeasurementFailed, detail: EINVAL });
    }
    if kernel::has_fsverity_digest() && fsverity(file, inode, digest) {
        subject.stamp = Imprint::SEAL;
        return Ok(());
    }
    if kernel::inode_size(inode) > settings.max_file_size {
        return Err(Unmeasured { reason: Reason::TooLarge, detail: 0 });
    }
    let content = overlay::content(kernel::address(inode), subject.real);
    if !code::note(content) {
        maps::count(Counter::CodeFull);
        return Err(Unmeasured { reason: Reason::CodeFull, detail: 0 });
    }
    let mut attempts = Attempts { file, subject, digest, stamp: Stamp::NONE, second_from: 0, give_up: now() + RETRYING_TICKS, fault: 0 };
    // SAFETY: the callback takes what is passed here, and outlives the call.
    unsafe { bpf_loop(MAX_TURNS, attempt as *mut _, (&raw mut attempts).cast(), 0) };
    // Through a helper, so that the verifier does not follow each outcome from the loop into all that comes after.
    match kernel::word_at((&raw const attempts.fault) as u64) as i64 {
        SURE | UNSURE | UNSURE_STILL if tail::may_be_written(content) != 0 => Err(Unmeasured { reason: Reason::UnwrittenTail, detail: 0 }),
        SURE | UNSURE | UNSURE_STILL => Ok(()),
        CHANGED => Err(Unmeasured { reason: Reason::ChangedWhileMeasured, detail: 0 }),
        OPEN => Err(Unmeasured { reason: Reason::OpenForWriting, detail: 0 }),
        algorithm => Err(Unmeasured { reason: Reason::MeasurementFailed, detail: algorithm as i32 }),
    }
}

/// What [`measure`] carries from one hash to the next.
#[repr(C)]
struct Attempts {
    file: *mut file,
    subject: *mut Subject,
    digest: *mut Digest,
    stamp: Stamp,
    /// 0 for a first hash; else from when on, in `jiffies`, a second one makes sense. Numbers that the verifier does not know, and a deadline instead of a count,
    /// because it would follow every turn with every value.
    second_from: u64,
    /// When a file that changes and changes is given up, in `jiffies`.
    give_up: u64,
    fault: i64,
}

/// A hash, or a turn of the wait for one. 1 ends it. In a loop of the kernel's, because its verifiers would otherwise follow each hash from each outcome of
/// the one before.
extern "C" fn attempt(_index: u32, attempts: *mut Attempts) -> i64 {
    // SAFETY: `bpf_loop` hands on the pointer that `measure` gave it, whose own pointers live as long.
    let (attempts, subject, digest) = unsafe { (&mut *attempts, &mut *(*attempts).subject, &mut *(*attempts).digest) };
    if now() < attempts.second_from {
        give_way(attempts.file);
        return 0;
    }
    let (inode, real) = (kernel::file_inode(attempts.file), subject.real);
    let (counted_before, began) = (kernel::opaque(u64::from(version_counts(inode, real))) != 0, now());
    let fault = hash(attempts.file, subject, &mut attempts.stamp, digest, attempts.second_from != 0);
    let mut fault = kernel::opaque(fault as u64) as i64;
    if fault == SURE {
        let is_stamped = filesystem(inode, real) == Filesystem::Stamped;
        // IMA asks for the version before it reads, so whatever has changed since has moved it; and a change that was under way shows by who opened the file.
        let counts = version_counts(inode, real);
        let is_sure = counts && rule::OPENINGS && real == 0;
        let is_confirmed = is_stamped && kernel::opaque(u64::from(keep(inode, began, &attempts.stamp, digest, is_sure))) != 0;
        if !is_confirmed && rule::SETTLING && !counted_before && !is_sure {
            fault = if counts { UNSURE } else { UNSURE_STILL };
        }
    }
    attempts.fault = fault;
    if fault == CHANGED && now() < attempts.give_up {
        // xfs up to 6.12 counts a new atime, which reading a file gives it, as a version, and so it does what it writes back: once more, when that is done.
        return 0;
    }
    if attempts.second_from != 0 || (fault != UNSURE && fault != UNSURE_STILL) {
        return 1;
    }
    // A change during the first hash need not have shown: the version did not count yet, and in the clock tick of the last change another one does not move
    // the ctime. By now the version counts, or that tick will be over.
    attempts.second_from = if fault == UNSURE_STILL { now() + SETTLING_TICKS } else { now() };
    0
}

/// The last word before the content is let in: it is still what was measured, nobody can write to it, and whoever opens it for writing from here on will see
/// that it is code in use. Between the measurement and this, the daemon may have been asked.
#[inline(always)]
pub(crate) fn confirm(file: *mut file, subject: &Subject) -> Result<(), Reason> {
    match confirm_at(kernel::address(file), kernel::address(kernel::file_inode(file)), subject) {
        CONFIRMED => Ok(()),
        NOT_NOTED => {
            maps::count(Counter::CodeFull);
            Err(Reason::CodeFull)
        }
        OPENED => Err(Reason::OpenForWriting),
        DIVIDED => Err(Reason::DividedContent),
        _ => Err(Reason::ChangedWhileMeasured),
    }
}

// What `confirm_at` came to.
const CONFIRMED: u64 = 0;
const NOT_NOTED: u64 = 1;
const OPENED: u64 = 2;
const DIVIDED: u64 = 3;
const ANOTHER: u64 = 4;

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn confirm_at(file: u64, inode: u64, subject: *const Subject) -> u64 {
    // SAFETY: a local variable of the caller's, which the verifier checks.
    let Some(subject) = (unsafe { subject.as_ref() }) else { return ANOTHER };
    let real = subject.real;
    if subject.stamp.is_seal() {
        return CONFIRMED;
    }
    if real != 0 {
        let mut real_now = 0;
        if overlay::real_inode_at(file, inode, &mut real_now) != 0 || real_now != real {
            return DIVIDED;
        }
    }
    let content = overlay::content(inode, real);
    if !code::let_in(content) {
        return NOT_NOTED;
    }
    if content_is_writable(inode, real) != 0 {
        return OPENED;
    }
    let mut stamp = Stamp::NONE;
    read_content(inode, real, &mut stamp);
    if !rule::STAMP_ACROSS || subject.stamp.is_of(&stamp) { CONFIRMED } else { ANOTHER }
}

/// Puts the measurement at hand into `digest`, if the rule allows its reuse. Never hashes, never sleeps.
#[inline(never)]
pub(crate) fn reusable(inode: *mut inode, subject: &mut Subject, digest: &mut Digest) -> bool {
    let real = subject.real;
    // SAFETY: the hook keeps the inode alive.
    let measured = unsafe { MEASURED.get_ptr_mut(inode) };
    if measured.is_null() {
        return false;
    }
    // SAFETY: a map value that was checked for null. Volatile, because others write it at the same time; the sequence tells whether they did.
    unsafe {
        let sequence = read_volatile(addr_of!((*measured).sequence));
        let state = read_volatile(addr_of!((*measured).state));
        let holds = match state {
            SEALED => true,
            SETTLED => stamp_holds(measured, inode, real) && !is_writable_somewhere(inode, real),
            _ => false,
        };
        if sequence & 1 != 0 || !holds {
            return false;
        }
        *digest = maps::read_digest(addr_of!((*measured).digest));
        if state == SEALED {
            subject.stamp = Imprint::SEAL;
        } else {
            subject.stamp = imprint_of_kept(addr_of!((*measured).stamp));
        }
        sequence == read_volatile(addr_of!((*measured).sequence))
    }
}

/// Whether the file is still what was measured of it last, as far as the kernel's bookkeeping tells: nobody can write to it, and its stamp has not moved.
/// Where nothing is kept (file systems without such a stamp), that nobody can write has to do.
#[inline(always)]
pub(crate) fn holds(file: *mut file) -> bool {
    let mut real = 0;
    if real_inode(file, &mut real) != 0 {
        return false;
    }
    let inode = kernel::file_inode(file);
    if is_writable_somewhere(inode, real) {
        return false;
    }
    // SAFETY: the hook keeps the inode alive.
    let measured = unsafe { MEASURED.get_ptr_mut(inode) };
    if measured.is_null() {
        return filesystem(inode, real) != Filesystem::Stamped;
    }
    // SAFETY: a map value that was checked for null; volatile, because others write it at the same time.
    unsafe { read_volatile(addr_of!((*measured).state)) == SEALED || stamp_holds(measured, inode, real) }
}

/// Somebody who may write to the file is about to map it shared.
#[inline(always)]
pub(crate) fn note_shared_mapping(file: *mut file) {
    let mut real = 0;
    // Where it cannot be told whose content it is, it is not code either.
    _ = real_inode(file, &mut real);
    tail::note_shared_mapping(overlay::content(kernel::address(kernel::file_inode(file)), real));
}

/// The inode at this address runs already: from here on its content is code in use. Whether nobody can write to it.
#[inline(always)]
pub(crate) fn enter(inode: u64) -> bool {
    let content = if inode_at::magic(inode) == OVERLAYFS_SUPER_MAGIC { overlay::inode_that_is_read(inode) } else { inode };
    content != 0 && code::note(content) && code::let_in(content) && content_is_writable(inode, content) == 0
}

/// Whether the content is in use as code ([`code`]).
#[inline(always)]
pub(crate) fn is_code_in_use(inode: *mut inode) -> bool {
    let content = content_by_name(inode);
    rule::MAPPED && content != 0 && code::is_in_use(content)
}

/// Somebody is about to change the content.
#[inline(always)]
pub(crate) fn note_writer(inode: *mut inode) {
    let content = content_by_name(inode);
    if !code::note_writer(content) {
        return;
    }
    // The layer's own inode cannot be got hold of from here.
    if content == kernel::address(inode) { grant::end(inode) } else { grant::end_all() }
}

/// The inode whose content a change of this one reaches. Of an overlay: what is in a lower layer is not reached; an opening comes by again with the layer's own
/// file.
#[inline(always)]
fn content_by_name(inode: *mut inode) -> u64 {
    let content = kernel::address(inode);
    if kernel::inode_filesystem(inode).1 == OVERLAYFS_SUPER_MAGIC { overlay::upper_inode(content) } else { content }
}

#[inline(never)]
fn wait_for_overlay(file: *mut file) {
    let mut pause = Pause { file, until: now() + OVERLAY_TICKS };
    // SAFETY: the callback takes what is passed here, and outlives the call.
    unsafe { bpf_loop(MAX_TURNS, turn_for_overlay as *mut _, (&raw mut pause).cast(), 0) };
}

/// One turn of that. 1 ends it.
extern "C" fn turn_for_overlay(_index: u32, pause: *mut Pause) -> i64 {
    // SAFETY: `bpf_loop` hands on the pointer that `wait_for_overlay` gave it.
    let pause = unsafe { &*pause };
    if now() >= pause.until || overlay::is_known() {
        return 1;
    }
    give_way(pause.file);
    0
}

/// What that carries from turn to turn.
#[repr(C)]
struct Pause {
    file: *mut file,
    /// `jiffies`.
    until: u64,
}

/// With a stack of its own.
#[inline(never)]
fn give_way(file: *mut file) {
    first_use::give_way(kernel::current_task(), file);
}

/// `jiffies`.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_jiffies64() }
}

/// Whether the stamp that was kept is the inode's stamp now.
///
/// # Safety
///
/// `measured` points to a map value.
#[inline(always)]
unsafe fn stamp_holds(measured: *const Measured, inode: *mut inode, real: u64) -> bool {
    let mut now = Stamp::NONE;
    read_stamp(inode, real, &mut now);
    // SAFETY: the caller's.
    unsafe { kept_is(addr_of!((*measured).stamp), &now) }
}

// What a hash came to; other numbers are what IMA answered.
/// Taken, and nothing can have changed meanwhile.
const SURE: i64 = 0;
/// Taken, and a change meanwhile need not have shown; one during a second hash would.
const UNSURE: i64 = 1 << 32;
/// The same, and a second hash is no better before the tick is over.
const UNSURE_STILL: i64 = 2 << 32;
const CHANGED: i64 = 3 << 32;
const OPEN: i64 = 4 << 32;

/// Hashes the content. `is_second`: it has to be that of the subject's stamp.
#[inline(always)]
fn hash(file: *mut file, subject: &mut Subject, stamp: &mut Stamp, digest: &mut Digest, is_second: bool) -> i64 {
    let (inode, real) = (kernel::address(kernel::file_inode(file)), subject.real);
    let before = observe(inode, real, stamp, &mut subject.stamp);
    // At once: what was read of it before this hook was asked may have been another content.
    if before & WRITABLE != 0 {
        return OPEN;
    }
    if is_second && before & ANOTHER_STAMP != 0 {
        return CHANGED;
    }

    maps::count(Counter::Measurements);
    // SAFETY: the buffer is as long as it says; the verifier checks the file pointer.
    let algorithm = unsafe { bpf_ima_file_hash(file, digest.bytes.as_mut_ptr().cast(), DIGEST_SIZE as u32) };
    if algorithm != HASH_ALGO_SHA256 {
        return if algorithm == 0 { EINVAL as i64 } else { algorithm };
    }
    digest.algorithm = ALGORITHM_SHA256;

    let after = observe(inode, real, stamp, &mut subject.stamp);
    if rule::STAMP_ACROSS && after & ANOTHER_STAMP != 0 {
        return CHANGED;
    }
    if after & WRITABLE != 0 { OPEN } else { SURE }
}

/// Keeps a hash with its inode: pending at first, unless it is sure, and settled when a later one agrees. Whether it agrees with one that was taken long enough
/// before.
#[inline(never)]
fn keep(inode: *mut inode, began: u64, stamp: &Stamp, digest: &Digest, is_sure: bool) -> bool {
    let Some(measured) = storage(inode) else { return false };
    // SAFETY: a map value that was checked for null, under its sequence lock.
    unsafe {
        // Locked before it is read: what another task wrote a moment ago must not pass for what was found two ticks earlier.
        let Some(lock) = write_lock(measured) else { return false };
        let agrees = kept_is(addr_of!((*measured).stamp), stamp) && maps::is_same(addr_of!((*measured).digest), digest);
        let state = read_volatile(addr_of!((*measured).state));
        let since = read_volatile(addr_of!((*measured).since));
        let mut is_confirmed = state == SETTLED && agrees;
        if state == PENDING && agrees {
            if began >= since + SETTLING_TICKS {
                is_confirmed = true;
                write_volatile(addr_of_mut!((*measured).state), SETTLED);
            }
        } else if !(state == SETTLED && agrees) {
            write_volatile(addr_of_mut!((*measured).state), if rule::SETTLING && !is_sure { PENDING } else { SETTLED });
            write_volatile(addr_of_mut!((*measured).since), bpf_jiffies64());
            write_volatile(addr_of_mut!((*measured).stamp), *stamp);
            write_volatile(addr_of_mut!((*measured).digest), *digest);
        }
        write_unlock(measured, lock);
        is_confirmed
    }
}

/// Puts the fs-verity digest into `digest`, if the file has one with SHA-256. Constant time: the kernel read it when the file was opened.
#[inline(never)]
fn fsverity(file: *mut file, inode: *mut inode, digest: &mut Digest) -> bool {
    let Some(measured) = storage(inode) else { return false };
    // SAFETY: the buffer is a map value that was checked for null, as long as it says; the kfunc's marker is replaced by the loader, and the call
    // is unreachable where the kernel lacks it.
    unsafe {
        let buffer = addr_of_mut!((*measured).fsverity);
        let mut dynptr = bpf_dynptr { __opaque: [0; 2] };
        if bpf_dynptr_from_mem(buffer.cast(), size_of::<FsverityDigest>() as u32, 0, &mut dynptr) != 0 {
            return false;
        }
        let bpf_get_fsverity_digest: unsafe extern "C" fn(*mut file, *mut bpf_dynptr) -> i32 =
            core::mem::transmute(KFUNC_BPF_GET_FSVERITY_DIGEST as usize);
        if bpf_get_fsverity_digest(file, &mut dynptr) < 0 {
            return false;
        }
        if read_volatile(addr_of!((*buffer).algorithm)) != FS_VERITY_HASH_ALG_SHA256 || read_volatile(addr_of!((*buffer).size)) != DIGEST_SIZE as u16
        {
            return false;
        }
        // The algorithm's word stands right before the digest, in the buffer as in `Digest`.
        *digest = maps::read_digest(buffer.cast());
        digest.algorithm = ALGORITHM_FSVERITY_SHA256;
        if let Some(lock) = write_lock(measured) {
            write_volatile(addr_of_mut!((*measured).digest), *digest);
            write_volatile(addr_of_mut!((*measured).state), SEALED);
            write_unlock(measured, lock);
        }
        true
    }
}

/// The inode's storage, made when missing. `None` when the kernel has no memory for it: then nothing is cached, and nothing is lost.
#[inline(always)]
fn storage(inode: *mut inode) -> Option<*mut Measured> {
    // SAFETY: the hook keeps the inode alive.
    let measured = unsafe { MEASURED.get_or_insert_ptr_mut(inode, None) };
    if measured.is_null() { None } else { Some(measured) }
}

/// Makes the sequence odd. `None` when somebody else is writing, who then knows as much as we do.
#[inline(always)]
unsafe fn write_lock(measured: *mut Measured) -> Option<u64> {
    // SAFETY: the caller's map value; an aligned u64.
    unsafe {
        let sequence = addr_of_mut!((*measured).sequence);
        let current = read_volatile(sequence);
        let free = current & 1 == 0 && atomic::compare_exchange(sequence, current, current.wrapping_add(1));
        if free { Some(current) } else { None }
    }
}

#[inline(always)]
unsafe fn write_unlock(measured: *mut Measured, sequence: u64) {
    // SAFETY: as in `write_lock`, which returned this sequence. It is another one afterwards, which ends the grant that goes with the former.
    unsafe { write_volatile(addr_of_mut!((*measured).sequence), sequence.wrapping_add(2)) };
}

/// How long a file that changes is measured again, in ticks.
const RETRYING_TICKS: u64 = 25;
/// How long the daemon is waited for that looks for the overlay module ten times a second, in ticks.
const OVERLAY_TICKS: u64 = 500;
/// The kernel's own bound on `bpf_loop` (`BPF_MAX_LOOPS`).
const MAX_TURNS: u32 = 1 << 23;
/// How many clock ticks a second hash must lie behind the first.
const SETTLING_TICKS: u64 = 2;
/// `enum hash_algo` (`include/uapi/linux/hash_info.h`).
const HASH_ALGO_SHA256: i64 = 4;
/// `include/uapi/linux/fsverity.h`.
const FS_VERITY_HASH_ALG_SHA256: u16 = 1;
const EINVAL: i32 = -22;
