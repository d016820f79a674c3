//! Grants: what was allowed of a file's content, kept with its inode, so that the next use of it costs one look-up.
//!
//! A grant is given when all of the rule for reusing a measurement ([`measure`](crate::measure)) holds and there is a verdict, and says what the verdict
//! allows. It is believed as long as nothing can have changed of either:
//!
//! 1. the measurement is the one that it was given with: nobody has measured anew, or opened the file for writing or cut it off ([`end`]);
//! 2. neither of [`EPOCHS`] has moved: the daemon moves the one when it takes anything away that it has published, or changes the settings, *after* it has done
//!    so; the programs move the other when somebody opens code for writing in an overlay, where its own inode cannot be got hold of;
//! 3. the inode's version is the one of that moment, and counted then, so that what changes the content by writing to it would have moved it; ctime and size
//!    are, too;
//! 4. nobody can write: no open writer, and no shared writable mapping;
//! 5. it is not old: expiry and the wall clock, which cost more to look at, are looked at with the rest of the rule every few seconds.
//!
//! Content that fs-verity seals needs 1, 2 and 5. There are no grants for what lies in an overlay, whose content is another inode's, or where the version does
//! not count (a new file on xfs since 6.13, and an ext4 that a kernel mounted anew without `SB_I_VERSION`): there the whole rule is followed at each use.
#![allow(clippy::needless_borrows_for_generic_args, reason = "by value, a key is copied to the stack, which has 512 bytes")]

use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use enforcer_common::{CONTENT_EPOCH, Digest, ENTITLEMENT_OWN, POLICY_EPOCH, USE_EXEC, USE_LIBRARY, USE_SCRIPT, Verdict};

use crate::{
    atomic,
    filesystem::OVERLAYFS_SUPER_MAGIC,
    kernel::{self, inode},
    maps::{self, EPOCHS, MEASURED, SETTINGS, VERDICTS},
    measure::{self, Measured, SEALED, Subject, now},
    rights, rule, scripts,
    stamp::kept_ctime_and_size_are,
};

/// What is kept of it.
#[repr(C)]
pub(crate) struct Grant {
    /// Odd while somebody writes the rest. One of its own: a measurement is as good as before while a grant is given.
    sequence: u64,
    /// The measurement's sequence that it goes with.
    of: u64,
    /// [`POLICY_EPOCH`] when it was given.
    policy: u64,
    /// [`CONTENT_EPOCH`] when it was given.
    content: u64,
    /// Until when it is believed, in `jiffies`.
    until: u64,
    /// `i_version` as the kernel has it, with its flag.
    version: u64,
    /// The uses that the verdict allows, and [`NOTED`] and [`PLAIN`]; 0 is no grant.
    allowed: u64,
}

/// Beside the uses in a grant: the program was started, so that [`rights`] has noted what it is, or forgotten what stood there.
const NOTED: u64 = 1 << 33;
/// Besides, it has no rights, is held to nothing, and is not the enforcer.
pub(crate) const PLAIN: u64 = 1 << 32;

/// What is granted of an inode's content, if that is the use that is wanted; else 0. Puts its digest into `digest`, unless that is null.
#[inline(never)]
pub(crate) fn granted(inode: *mut inode, wanted: u32, digest: *mut Digest) -> u64 {
    // A build without this clause is there to show what the rest of the rule is good for.
    if !rule::VERSION {
        return 0;
    }
    // SAFETY: the hook keeps the inode alive.
    let measured: *const Measured = unsafe { MEASURED.get_ptr_mut(inode) };
    if measured.is_null() {
        return 0;
    }
    // SAFETY: a map value that was checked for null. Volatile, because others write it at the same time; the sequences tell whether they did.
    unsafe {
        let grant = addr_of!((*measured).grant);
        let sequence = read_volatile(addr_of!((*grant).sequence));
        let allowed = read_volatile(addr_of!((*grant).allowed));
        let wanted = u64::from(wanted);
        if sequence & 1 != 0 || wanted == 0 || allowed & wanted != wanted || !is_of_now(measured) || now() > read_volatile(addr_of!((*grant).until)) {
            return 0;
        }
        if read_volatile(addr_of!((*measured).state)) != SEALED
            && (kernel::inode_is_writable_somewhere(inode)
                || rule::GRANT_STAMP
                    && (kernel::inode_version(inode) != read_volatile(addr_of!((*grant).version))
                        || !kept_ctime_and_size_are(addr_of!((*measured).stamp), kernel::inode_ctime(inode), kernel::inode_size(inode))))
        {
            return 0;
        }
        if !digest.is_null() {
            write_volatile(digest, maps::read_digest(addr_of!((*measured).digest)));
        }
        let is_whole = read_volatile(addr_of!((*grant).sequence)) == sequence
            && read_volatile(addr_of!((*measured).sequence)) == read_volatile(addr_of!((*grant).of));
        if is_whole { allowed } else { 0 }
    }
}

/// Gives a grant for what has just been let in, if it can be had, by looking at all of it once more. `is_start`: it was let in to be started, and noted.
#[inline(never)]
pub(crate) fn give(inode: *mut inode, is_start: bool) {
    if !rule::VERSION || kernel::inode_filesystem(inode).1 == OVERLAYFS_SUPER_MAGIC {
        return;
    }
    // Before anything else: what moves one of them from here on ends the grant, and nothing is believed for longer than from here on.
    let (Some(policy), Some(content), until) = (epoch(POLICY_EPOCH), epoch(CONTENT_EPOCH), now() + LIFE) else { return };
    // SAFETY: the hook keeps the inode alive.
    let measured = unsafe { MEASURED.get_ptr_mut(inode) };
    if measured.is_null() {
        return;
    }
    // SAFETY: a map value that was checked for null, written under its sequence lock.
    unsafe {
        let of = read_volatile(addr_of!((*measured).sequence));
        let grant = addr_of_mut!((*measured).grant);
        let sequence = read_volatile(addr_of!((*grant).sequence));
        if (of | sequence) & 1 != 0 {
            return;
        }
        let version = kernel::inode_version(inode);
        let counts = kernel::inode_version_counts(inode) && version >> 1 == (*measured).stamp.version();
        if !counts && read_volatile(addr_of!((*measured).state)) != SEALED {
            return;
        }
        let before = read_volatile(addr_of!((*grant).allowed));
        let was_noted = before & NOTED != 0 && is_of_now(measured);
        if was_noted || !is_start {
            // Nothing more could be said than is there already.
            let is_young = read_volatile(addr_of!((*grant).until)) > now() + LIFE / 2;
            if before != 0 && is_young && is_of_now(measured) && read_volatile(addr_of!((*grant).version)) == version {
                return;
            }
        }
        let (mut subject, mut digest) = (Subject::UNKNOWN, Digest::NONE);
        if !measure::reusable(inode, &mut subject, &mut digest) {
            return;
        }
        let mut allowed = what_is_allowed(&digest);
        // What the inode's program was noted as before may be something else, until it is started.
        if allowed == 0 || !is_start && !was_noted {
            allowed &= !PLAIN;
        } else {
            allowed |= NOTED;
        }
        if !atomic::compare_exchange(addr_of_mut!((*grant).sequence), sequence, sequence.wrapping_add(1)) {
            return;
        }
        write_volatile(addr_of_mut!((*grant).of), of);
        write_volatile(addr_of_mut!((*grant).policy), policy);
        write_volatile(addr_of_mut!((*grant).content), content);
        write_volatile(addr_of_mut!((*grant).until), until);
        write_volatile(addr_of_mut!((*grant).version), version);
        write_volatile(addr_of_mut!((*grant).allowed), allowed);
        write_volatile(addr_of_mut!((*grant).sequence), sequence.wrapping_add(2));
    }
}

/// Whether a grant goes with the measurement that is there, and neither of the epochs has moved since.
///
/// # Safety
///
/// `measured` points to a map value.
#[inline(always)]
unsafe fn is_of_now(measured: *const Measured) -> bool {
    // SAFETY: the caller's. Volatile, because others write it at the same time.
    unsafe {
        let grant = addr_of!((*measured).grant);
        read_volatile(addr_of!((*grant).of)) == read_volatile(addr_of!((*measured).sequence))
            && is_epoch(POLICY_EPOCH, read_volatile(addr_of!((*grant).policy)))
            && (!rule::OPENINGS || is_epoch(CONTENT_EPOCH, read_volatile(addr_of!((*grant).content))))
    }
}

/// Ends the grant of an inode, and whatever is being made one: somebody opens it for writing.
#[inline(always)]
pub(crate) fn end(inode: *mut inode) {
    // SAFETY: the hook keeps the inode alive.
    let measured = unsafe { MEASURED.get_ptr_mut(inode) };
    if rule::OPENINGS && !measured.is_null() {
        // SAFETY: a map value that was checked for null; an aligned u64, which stays even or odd. Who has it locked moves it on afterwards.
        unsafe { atomic::fetch_add(addr_of_mut!((*measured).sequence), 2) };
    }
}

/// Ends all grants, because somebody opens code for writing whose inode is known by its address alone.
#[inline(always)]
pub(crate) fn end_all() {
    if let Some(epoch) = EPOCHS.get_ptr_mut(CONTENT_EPOCH) {
        // SAFETY: a map value that was checked for null; an aligned u64.
        unsafe { atomic::fetch_add(epoch, 1) };
    }
}

/// What the verdict on a digest allows for as long as a grant can be believed.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn what_is_allowed(digest: *const Digest) -> u64 {
    let (Some(digest), Some(settings)) = (maps::key(digest), SETTINGS.get(0)) else { return 0 };
    // SAFETY: user space replaces a value as a whole, and the kernel frees the old one later than this program ends.
    let Some(verdict): Option<&Verdict> = (unsafe { VERDICTS.get(&digest) }) else { return 0 };
    // SAFETY: no arguments.
    if verdict.expires_at != 0 && verdict.expires_at <= unsafe { bpf_ktime_get_boot_ns() } + LONGEST_LIFE {
        return 0;
    }
    // Modules are looked at a second time when they have been read, by the whole rule.
    let uses = verdict.uses & (USE_EXEC | USE_LIBRARY | USE_SCRIPT);
    let has_rights = (verdict.entitlements | verdict.left) & !ENTITLEMENT_OWN != 0;
    let is_plain = !has_rights && scripts::interpreter(&digest).is_none() && !rights::is_one_of(&digest, settings);
    if uses == 0 { 0 } else { u64::from(uses) | if is_plain { PLAIN } else { 0 } }
}

#[inline(always)]
fn epoch(index: u32) -> Option<u64> {
    // SAFETY: a map value that was checked for null; volatile, because others write it.
    EPOCHS.get_ptr(index).map(|epoch| unsafe { read_volatile(epoch) })
}

/// Whether an epoch is this one. Without an `Option`, of which LLVM compares the empty half before it looks, which the verifier refuses.
#[inline(always)]
fn is_epoch(index: u32, number: u64) -> bool {
    match EPOCHS.get_ptr(index) {
        // SAFETY: a map value that was checked for null; volatile, because others write it.
        Some(epoch) => unsafe { read_volatile(epoch) == number },
        None => false,
    }
}

/// How long a grant is believed, in ticks: 10 seconds where there are 250 in one.
const LIFE: u64 = 2_500;
/// The same in nanoseconds, where there are 100 ticks in a second.
const LONGEST_LIFE: u64 = 25_000_000_000;
