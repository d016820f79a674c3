//! Measuring: from an open file to the digest of the bytes that are about to run.
//!
//! The fs-verity digest where the file has one; else IMA's hash of the current content. A measurement is kept with the inode and reused only while
//! this rule proves that the bytes have not changed (each clause has an attack that it stops):
//!
//! 1. nobody can write: no open writer and no shared writable mapping, before and after the hash, and at each reuse;
//! 2. the stamp (generation, `i_version`, ctime, size) is the same before and after the hash, and at each reuse;
//! 3. the file system is one whose stamp is known to move with the content (ext4, xfs, btrfs): never tmpfs, FUSE, network or overlay;
//! 4. a first measurement is *pending*: it is reused only after a second hash, begun two clock ticks later, found the same stamp and digest.
//!
//! fs-verity content is sealed by the kernel and needs none of this.

use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::{
    bindings::bpf_dynptr,
    helpers::generated::{bpf_dynptr_from_mem, bpf_ima_file_hash, bpf_jiffies64},
};
use enforcer_common::{ALGORITHM_FSVERITY_SHA256, ALGORITHM_SHA256, Counter, DIGEST_SIZE, Digest, KFUNC_BPF_GET_FSVERITY_DIGEST, Reason, Settings};

use crate::{
    atomic,
    kernel::{self, file, inode},
    maps::{self, MEASURED},
    rule,
};

/// What is kept with an inode (`MEASURED`): a sequence lock around a digest and the stamp at which it was true.
#[repr(C)]
pub(crate) struct Measured {
    /// Odd while somebody writes the rest.
    sequence: u64,
    /// `jiffies` after the first hash.
    since: u64,
    stamp: Stamp,
    digest: Digest,
    state: u32,
    /// Where `bpf_get_fsverity_digest` writes: `struct fsverity_digest` (`include/uapi/linux/fsverity.h`). Every writer writes the same bytes.
    fsverity: FsverityDigest,
}

/// What changes when a file's content changes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    version: u64,
    ctime: u64,
    size: u64,
    ctime_nanoseconds: u32,
    generation: u32,
}

#[repr(C, align(4))]
struct FsverityDigest {
    algorithm: u16,
    size: u16,
    digest: [u8; 64],
}

/// The states: nothing is known.
const NOTHING: u32 = 0;
/// Hashed once; not yet to be reused.
const PENDING: u32 = 1;
/// Hashed twice, two ticks apart, with the same stamp.
const SETTLED: u32 = 2;
/// Sealed by fs-verity.
const SEALED: u32 = 3;

/// Why there is no measurement.
pub(crate) struct Unmeasured {
    pub(crate) reason: Reason,
    pub(crate) detail: i32,
}

/// How a file system's content can change, by its magic number (`include/uapi/linux/magic.h`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filesystem {
    /// The stamp moves with the content.
    Stamped,
    /// Local, hashed at every use.
    Local,
    /// Can change under a pinned page, with nothing to see it by.
    Volatile,
    /// Somebody else decides what is read.
    Foreign,
}

/// Puts the digest of the file's content into `digest`, or says why it cannot be had. Sleeps.
#[inline(always)]
pub(crate) fn measure(file: *mut file, settings: &Settings, digest: &mut Digest) -> Result<(), Unmeasured> {
    rule::mark();
    let inode = kernel::file_inode(file);
    if !kernel::inode_is_regular(inode) {
        return Err(Unmeasured { reason: Reason::MeasurementFailed, detail: EINVAL });
    }
    if kernel::has_fsverity_digest() && fsverity(file, inode, digest) {
        return Ok(());
    }
    if kernel::inode_size(inode) > settings.max_file_size {
        return Err(Unmeasured { reason: Reason::TooLarge, detail: 0 });
    }
    // Made before it is hashed, on every file system: by it the file is known as code, and not written to as long as it is mapped. Without memory for it
    // (the memory is the daemon's control group's) the file is not known, which is no reason to deny what is signed.
    _ = storage(inode);
    hash(file, inode, digest)
}

/// Drops what was measured: somebody may write now, and not everything that they can do moves the stamp (`EXT4_IOC_MOVE_EXT`).
#[inline(always)]
pub(crate) fn forget(inode: *mut inode) {
    // SAFETY: the hook keeps the inode alive; the value was checked for null, and is written under its sequence lock.
    unsafe {
        let measured = MEASURED.get_ptr_mut(inode);
        if measured.is_null() {
            return;
        }
        if let Some(lock) = write_lock(measured) {
            write_volatile(addr_of_mut!((*measured).state), NOTHING);
            write_unlock(measured, lock);
        }
    }
}

/// Puts the measurement at hand into `digest`, if the rule allows its reuse. Never hashes, never sleeps.
#[inline(always)]
pub(crate) fn reusable(inode: *mut inode, digest: &mut Digest) -> bool {
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
            SETTLED => stamp_holds(measured, inode) && !kernel::inode_is_writable_somewhere(inode),
            _ => false,
        };
        if sequence & 1 != 0 || !holds {
            return false;
        }
        *digest = read_digest(addr_of!((*measured).digest));
        sequence == read_volatile(addr_of!((*measured).sequence))
    }
}

/// Whether the file is still what was measured of it last, as far as the kernel's bookkeeping tells: nobody can write to it, and its stamp has not moved.
/// Where nothing is kept (file systems without such a stamp), that nobody can write has to do.
#[inline(always)]
pub(crate) fn holds(inode: *mut inode) -> bool {
    if kernel::inode_is_writable_somewhere(inode) {
        return false;
    }
    // SAFETY: the hook keeps the inode alive.
    let measured = unsafe { MEASURED.get_ptr_mut(inode) };
    if measured.is_null() {
        return filesystem(inode) != Filesystem::Stamped;
    }
    // SAFETY: a map value that was checked for null; volatile, because others write it at the same time.
    unsafe { read_volatile(addr_of!((*measured).state)) == SEALED || stamp_holds(measured, inode) }
}

/// Whether a file is mapped that has been measured, and so was to be code, since the kernel has had its inode in memory.
#[inline(always)]
pub(crate) fn is_mapped_code(inode: *mut inode) -> bool {
    // SAFETY: the hook keeps the inode alive.
    rule::MAPPED && kernel::inode_is_mapped(inode) && !unsafe { MEASURED.get_ptr_mut(inode) }.is_null()
}

/// Whether the stamp that was kept is the inode's stamp now.
///
/// # Safety
///
/// `measured` points to a map value.
#[inline(always)]
unsafe fn stamp_holds(measured: *const Measured, inode: *mut inode) -> bool {
    let now = stamp_of(inode);
    // SAFETY: the caller's.
    unsafe {
        let stamp = addr_of!((*measured).stamp);
        read_volatile(addr_of!((*stamp).version)) == now.version
            && read_volatile(addr_of!((*stamp).ctime)) == now.ctime
            && read_volatile(addr_of!((*stamp).ctime_nanoseconds)) == now.ctime_nanoseconds
            && read_volatile(addr_of!((*stamp).size)) == now.size
            && read_volatile(addr_of!((*stamp).generation)) == now.generation
    }
}

/// Hashes the content, and keeps what may be kept.
#[inline(never)]
fn hash(file: *mut file, inode: *mut inode, digest: &mut Digest) -> Result<(), Unmeasured> {
    let writable_before = kernel::inode_is_writable_somewhere(inode);
    let before = stamp_of(inode);
    // SAFETY: no arguments.
    let began = unsafe { bpf_jiffies64() };

    maps::count(Counter::Measurements);
    // SAFETY: the buffer is as long as it says; the verifier checks the file pointer.
    let algorithm = unsafe { bpf_ima_file_hash(file, digest.bytes.as_mut_ptr().cast(), DIGEST_SIZE as u32) };
    if algorithm != HASH_ALGO_SHA256 {
        return Err(Unmeasured { reason: Reason::MeasurementFailed, detail: algorithm as i32 });
    }
    digest.algorithm = ALGORITHM_SHA256;

    // Writers first: one who has come and gone by then has moved the stamp, which is read after it.
    let writable = writable_before || kernel::inode_is_writable_somewhere(inode);
    let after = stamp_of(inode);
    if rule::STAMP_ACROSS && before != after {
        return Err(Unmeasured { reason: Reason::ChangedWhileMeasured, detail: 0 });
    }
    if writable {
        return Err(Unmeasured { reason: Reason::OpenForWriting, detail: 0 });
    }
    if filesystem(inode) == Filesystem::Stamped {
        keep(inode, began, &after, digest);
    }
    Ok(())
}

/// Keeps a hash with its inode: pending at first, settled when a later one agrees.
#[inline(never)]
fn keep(inode: *mut inode, began: u64, stamp: &Stamp, digest: &Digest) {
    let Some(measured) = storage(inode) else { return };
    // SAFETY: a map value that was checked for null, under its sequence lock.
    unsafe {
        // Locked before it is read: what another task wrote a moment ago must not pass for what was found two ticks earlier.
        let Some(lock) = write_lock(measured) else { return };
        let agrees = read_volatile(addr_of!((*measured).stamp)) == *stamp && read_digest(addr_of!((*measured).digest)) == *digest;
        let state = read_volatile(addr_of!((*measured).state));
        let since = read_volatile(addr_of!((*measured).since));
        if state == PENDING && agrees {
            if began >= since + SETTLING_TICKS {
                write_volatile(addr_of_mut!((*measured).state), SETTLED);
            }
        } else if !(state == SETTLED && agrees) {
            write_volatile(addr_of_mut!((*measured).state), if rule::SETTLING { PENDING } else { SETTLED });
            write_volatile(addr_of_mut!((*measured).since), bpf_jiffies64());
            write_volatile(addr_of_mut!((*measured).stamp), *stamp);
            write_volatile(addr_of_mut!((*measured).digest), *digest);
        }
        write_unlock(measured, lock);
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
        *digest = read_digest(buffer.cast());
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
    // SAFETY: as in `write_lock`, which returned this sequence.
    unsafe { write_volatile(addr_of_mut!((*measured).sequence), sequence.wrapping_add(2)) };
}

/// Copies a digest that others may write at the same time, a word at a time.
///
/// # Safety
///
/// `digest` points to a map value.
#[inline(always)]
unsafe fn read_digest(digest: *const Digest) -> Digest {
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

#[inline(always)]
fn stamp_of(inode: *mut inode) -> Stamp {
    let (ctime, ctime_nanoseconds) = if rule::CTIME { kernel::inode_ctime(inode) } else { (0, 0) };
    Stamp {
        version: if rule::VERSION { kernel::inode_version(inode) } else { 0 },
        ctime,
        size: if rule::SIZE { kernel::inode_size(inode) } else { 0 },
        ctime_nanoseconds,
        generation: kernel::inode_generation(inode),
    }
}

#[inline(always)]
fn filesystem(inode: *mut inode) -> Filesystem {
    if !rule::FILE_SYSTEMS {
        return Filesystem::Stamped;
    }
    match kernel::inode_filesystem(inode).1 {
        OVERLAYFS_SUPER_MAGIC if !rule::REAL_INODE => Filesystem::Stamped,
        TMPFS_MAGIC | RAMFS_MAGIC | HUGETLBFS_MAGIC => Filesystem::Volatile,
        // Whoever may mount what they like may also mount an overlay over what would be refused by itself.
        _ if kernel::inode_is_on_users_mount(inode) => Filesystem::Foreign,
        EXT4_SUPER_MAGIC | XFS_SUPER_MAGIC | BTRFS_SUPER_MAGIC => Filesystem::Stamped,
        OVERLAYFS_SUPER_MAGIC | SQUASHFS_MAGIC | EROFS_SUPER_MAGIC | F2FS_SUPER_MAGIC | ISOFS_SUPER_MAGIC | MSDOS_SUPER_MAGIC => Filesystem::Local,
        _ => Filesystem::Foreign,
    }
}

/// Whether the file's file system by itself is a reason for a denial, whatever the file's content is.
#[inline(always)]
pub(crate) fn unwelcome(file: *mut file) -> Option<Reason> {
    let inode = kernel::file_inode(file);
    match filesystem(inode) {
        Filesystem::Stamped | Filesystem::Local => None,
        Filesystem::Volatile if is_sealed(inode) => None,
        Filesystem::Volatile => Some(Reason::VolatileFilesystem),
        Filesystem::Foreign => Some(Reason::ForeignFilesystem),
    }
}

/// A memfd sealed against writing holds still like a file (`memfd_create(2)`, "File sealing").
#[inline(always)]
fn is_sealed(inode: *mut inode) -> bool {
    kernel::inode_filesystem(inode).1 == TMPFS_MAGIC && kernel::shmem_seals(inode) & F_SEAL_WRITE != 0
}

/// How many clock ticks a second hash must lie behind the first.
const SETTLING_TICKS: u64 = 2;
/// `enum hash_algo` (`include/uapi/linux/hash_info.h`).
const HASH_ALGO_SHA256: i64 = 4;
/// `include/uapi/linux/fsverity.h`.
const FS_VERITY_HASH_ALG_SHA256: u16 = 1;
/// `include/uapi/linux/fcntl.h`.
const F_SEAL_WRITE: u32 = 0x0008;
const EINVAL: i32 = -22;

const EXT4_SUPER_MAGIC: u64 = 0xEF53;
const XFS_SUPER_MAGIC: u64 = 0x5846_5342;
const BTRFS_SUPER_MAGIC: u64 = 0x9123_683E;
const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;
const SQUASHFS_MAGIC: u64 = 0x7371_7368;
const EROFS_SUPER_MAGIC: u64 = 0xE0F5_E1E2;
const F2FS_SUPER_MAGIC: u64 = 0xF2F5_2010;
const ISOFS_SUPER_MAGIC: u64 = 0x9660;
const MSDOS_SUPER_MAGIC: u64 = 0x4d44;
const TMPFS_MAGIC: u64 = 0x0102_1994;
const RAMFS_MAGIC: u64 = 0x8584_58f6;
const HUGETLBFS_MAGIC: u64 = 0x9584_58f6;
