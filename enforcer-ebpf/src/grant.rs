//! Grants: what was allowed of a file's content, kept with its inode, so that the next use of it costs one look-up.
//!
//! A grant is given when all of the rule for reusing a measurement ([`measure`](crate::measure)) holds and there is a verdict, and says what the verdict
//! allows. It is believed as long as nothing can have changed of either:
//!
//! 1. neither of [`EPOCHS`] has moved: the daemon moves the one when it takes anything away that it has published, or changes the settings, *after* it has done
//!    so; the programs move the other when somebody opens code for writing ([`code`](crate::code));
//! 2. the inode's version is the one of that moment, and counted then (`I_VERSION_QUERIED`), so that every change since would have moved it; ctime and size
//!    are, too;
//! 3. nobody can write: no open writer, and no shared writable mapping;
//! 4. it is not old: expiry and the wall clock, which cost more to look at, are looked at with the rest of the rule every few seconds.
//!
//! Content that fs-verity seals needs 1 and 4. There are no grants for what lies in an overlay, whose content is another inode's, or where the file system
//! counts no versions: there the whole rule is followed at each use.

use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_boot_ns};
use enforcer_common::{CONTENT_EPOCH, Digest, ENTITLEMENT_OWN, POLICY_EPOCH, USE_EXEC, USE_LIBRARY, USE_MODULE, USE_SCRIPT, Verdict};

use crate::{
    atomic,
    filesystem::OVERLAYFS_SUPER_MAGIC,
    kernel::{self, inode},
    maps::{self, EPOCHS, MEASURED, SETTINGS, VERDICTS},
    measure::{self, Measured, SEALED, Subject},
    rights, rule, scripts,
    stamp::Stamp,
};

/// What is kept of it, under the sequence lock of the measurement that it goes with.
#[repr(C)]
pub(crate) struct Grant {
    /// [`POLICY_EPOCH`] when it was given.
    policy: u64,
    /// [`CONTENT_EPOCH`] when it was given.
    content: u64,
    /// Until when it is believed, in `jiffies`.
    until: u64,
    /// `i_version` as the kernel has it, with its flag.
    version: u64,
    /// The uses that the verdict allows, and [`PLAIN`]; 0 is no grant.
    allowed: u64,
}

/// Beside the uses in a grant: the program has no rights, is held to nothing, and is not the enforcer.
pub(crate) const PLAIN: u64 = 1 << 32;

/// What is granted of an inode's content, if that is the use that is wanted; else 0.
#[inline(never)]
pub(crate) fn granted(inode: *mut inode, wanted: u32) -> u64 {
    // A build without this clause is there to show what the rest of the rule is good for.
    if !rule::VERSION {
        return 0;
    }
    // SAFETY: the hook keeps the inode alive.
    let measured: *const Measured = unsafe { MEASURED.get_ptr_mut(inode) };
    if measured.is_null() {
        return 0;
    }
    // SAFETY: a map value that was checked for null. Volatile, because others write it at the same time; the sequence tells whether they did. No arguments.
    unsafe {
        let sequence = read_volatile(addr_of!((*measured).sequence));
        let grant = addr_of!((*measured).grant);
        let allowed = read_volatile(addr_of!((*grant).allowed));
        if sequence & 1 != 0
            || allowed & u64::from(wanted) == 0
            || bpf_jiffies64() > read_volatile(addr_of!((*grant).until))
            || epoch(POLICY_EPOCH) != Some(read_volatile(addr_of!((*grant).policy)))
            || rule::OPENINGS && epoch(CONTENT_EPOCH) != Some(read_volatile(addr_of!((*grant).content)))
        {
            return 0;
        }
        if read_volatile(addr_of!((*measured).state)) != SEALED
            && (kernel::inode_is_writable_somewhere(inode)
                || rule::GRANT_STAMP
                    && (kernel::inode_version(inode) != read_volatile(addr_of!((*grant).version))
                        || !is_stamp_of(addr_of!((*measured).stamp), inode)))
        {
            return 0;
        }
        if read_volatile(addr_of!((*measured).sequence)) == sequence { allowed } else { 0 }
    }
}

/// Gives a grant for what has just been let in, if it can be had, by looking at all of it once more.
#[inline(never)]
pub(crate) fn give(inode: *mut inode) {
    if !rule::VERSION || kernel::inode_filesystem(inode).1 == OVERLAYFS_SUPER_MAGIC {
        return;
    }
    // Before anything else: what moves one of them from here on ends the grant.
    let (Some(policy), Some(content)) = (epoch(POLICY_EPOCH), epoch(CONTENT_EPOCH)) else { return };
    // SAFETY: the hook keeps the inode alive.
    let measured = unsafe { MEASURED.get_ptr_mut(inode) };
    if measured.is_null() {
        return;
    }
    // SAFETY: a map value that was checked for null, written under its sequence lock, and only if nobody has written since. No arguments.
    unsafe {
        let sequence = read_volatile(addr_of!((*measured).sequence));
        let version = kernel::inode_version(inode);
        let counts = version & I_VERSION_QUERIED != 0 && version >> 1 == (*measured).stamp.version();
        if !counts && read_volatile(addr_of!((*measured).state)) != SEALED {
            return;
        }
        let (mut subject, mut digest) = (Subject::UNKNOWN, Digest::NONE);
        if !measure::reusable(inode, &mut subject, &mut digest) {
            return;
        }
        let allowed = what_is_allowed(&digest);
        if allowed == 0 || sequence & 1 != 0 || !atomic::compare_exchange(addr_of_mut!((*measured).sequence), sequence, sequence.wrapping_add(1)) {
            return;
        }
        let grant = addr_of_mut!((*measured).grant);
        write_volatile(addr_of_mut!((*grant).policy), policy);
        write_volatile(addr_of_mut!((*grant).content), content);
        write_volatile(addr_of_mut!((*grant).until), bpf_jiffies64() + LIFE);
        write_volatile(addr_of_mut!((*grant).version), version);
        write_volatile(addr_of_mut!((*grant).allowed), allowed);
        write_volatile(addr_of_mut!((*measured).sequence), sequence.wrapping_add(2));
    }
}

/// Takes a grant back, because the measurement that it goes with is another one.
///
/// # Safety
///
/// `measured` points to a map value that the caller has locked.
#[inline(always)]
pub(crate) unsafe fn take_back(measured: *mut Measured) {
    // SAFETY: the caller's.
    unsafe { write_volatile(addr_of_mut!((*measured).grant.allowed), 0) };
}

/// Ends all grants, because somebody opens code for writing.
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
    let uses = verdict.uses & (USE_EXEC | USE_LIBRARY | USE_MODULE | USE_SCRIPT);
    let has_rights = (verdict.entitlements | verdict.left) & !ENTITLEMENT_OWN != 0;
    let is_plain = !has_rights && scripts::interpreter(&digest).is_none() && !rights::is_one_of(&digest, settings);
    if uses == 0 { 0 } else { u64::from(uses) | if is_plain { PLAIN } else { 0 } }
}

/// Whether a stamp that was kept with this inode still is its own.
///
/// # Safety
///
/// `kept` points into a map value.
#[inline(always)]
unsafe fn is_stamp_of(kept: *const Stamp, inode: *mut inode) -> bool {
    // SAFETY: the caller's.
    unsafe { Stamp::kept_ctime_and_size_are(kept, kernel::inode_ctime(inode), kernel::inode_size(inode)) }
}

#[inline(always)]
fn epoch(index: u32) -> Option<u64> {
    // SAFETY: a map value that was checked for null; volatile, because others write it.
    EPOCHS.get_ptr(index).map(|epoch| unsafe { read_volatile(epoch) })
}

/// `include/linux/iversion.h`
const I_VERSION_QUERIED: u64 = 1;
/// How long a grant is believed, in ticks: 10 seconds where there are 250 in one.
const LIFE: u64 = 2_500;
/// The same in nanoseconds, where there are 100 ticks in a second.
const LONGEST_LIFE: u64 = 25_000_000_000;
