//! What a process may do, or may not, because of the program it runs.
//!
//! A process *is* the program whose file the kernel keeps as its executable (`mm->exe_file`), which nobody can write to as long as it runs. What was
//! measured of that file when it was started is in [`EXECUTABLES`] ([`ENFORCER_PROGRAMS`] for the enforcer's own), if it carries any right, or is held to
//! anything (`scripts`); the right itself is looked up at each use, so that a revocation ends it at once.
#![allow(clippy::needless_borrows_for_generic_args, reason = "by value, a key is copied to the stack, which has 512 bytes")]

use core::ptr::{read_volatile, write_volatile};

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use enforcer_common::{Counter, Digest, ENFORCERS, ENTITLEMENT_OWN, ENTITLEMENT_PROTECTED, ExecutableId, Hook, Reason, Settings, Verdict};

use crate::{
    inode_at,
    judge::Question,
    kernel::{self, inode, task_struct},
    maps::{self, ENFORCER_INODES, ENFORCER_PROGRAMS, EXECUTABLES, ROOT, SETTINGS, VERDICTS},
    scripts,
};

/// Remembers, when a program starts, what it is, if that gives it any right or takes one from it; and forgets what stood in this inode before. Whether it
/// may start: what would run without being held to what it is may not.
#[inline(always)]
pub(crate) fn note(inode: *mut inode, digest: &Digest, settings: &Settings) -> Result<(), Reason> {
    match note_program(kernel::address(inode), digest, settings) {
        NOTED => Ok(()),
        PROTECTED => Err(Reason::ProtectedProcess),
        _ => {
            maps::count(Counter::CodeFull);
            Err(Reason::CodeFull)
        }
    }
}

// What `note_program` comes to.
const NOTED: u64 = 0;
const FULL: u64 = 1;
const PROTECTED: u64 = 2;

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn note_program(inode: u64, digest: *const Digest, settings: *const Settings) -> u64 {
    // SAFETY: the caller's, which the verifier checks.
    let (Some(digest), Some(settings)) = (maps::key(digest), unsafe { settings.as_ref() }) else { return FULL };
    let interpreter = scripts::interpreter(&digest);
    let mut id = ExecutableId { address: inode, ..ExecutableId::default() };
    if !inode_at::id(inode, &mut id.inode) {
        return if interpreter.is_some() { FULL } else { NOTED };
    }
    // A user's copies of it would take the places of root's.
    let is_enforcer = is_one_of(&digest, settings) && inode_at::is_roots(inode);
    // SAFETY: user space replaces a value as a whole, and the kernel frees the old one later than this program ends.
    let entitlements = unsafe { VERDICTS.get(&digest) }.map_or(0, |verdict| (verdict.entitlements | verdict.left) & !ENTITLEMENT_OWN);
    let is_held = interpreter.is_some() || entitlements & ENTITLEMENT_PROTECTED != 0;
    // What stands there is replaced and never taken away first: others that run the same program would be without their rights for a moment. Full is no
    // disaster, where the program merely runs without them.
    if is_held || entitlements != 0 {
        // Nor when it is there already, as others look at it meanwhile.
        // SAFETY: as above, and a digest that was made above.
        let is_noted = unsafe { EXECUTABLES.get(&id) }.is_some_and(|noted| unsafe { maps::is_same(noted, &digest) });
        if !is_noted && EXECUTABLES.insert(&id, &digest, 0).is_err() && is_held {
            return FULL;
        }
        if is_held {
            scripts::note_inode(id.inode.number);
        }
    } else {
        forget_executable(&id);
    }
    if is_enforcer {
        _ = ENFORCER_PROGRAMS.insert(&id, &digest, 0);
        note_number(id.inode.number);
    } else {
        forget_enforcer(&id);
    }
    match interpreter.map(scripts::note_start) {
        Some(Err(Reason::ProtectedProcess)) => PROTECTED,
        Some(Err(_)) => FULL,
        _ => NOTED,
    }
}

/// An inode leaves the memory: whatever stands at its address later is another one.
#[inline(always)]
pub(crate) fn forget(inode: u64) {
    let mut id = ExecutableId { address: inode, ..ExecutableId::default() };
    if inode_at::id(inode, &mut id.inode) {
        forget_executable(&id);
        forget_enforcer(&id);
    }
}

#[inline(always)]
fn forget_executable(id: &ExecutableId) {
    if EXECUTABLES.get_ptr(id).is_some() {
        _ = EXECUTABLES.remove(id);
    }
}

#[inline(always)]
fn forget_enforcer(id: &ExecutableId) {
    if ENFORCER_PROGRAMS.get_ptr(id).is_some() {
        _ = ENFORCER_PROGRAMS.remove(id);
    }
}

/// Keeps the inode number of an enforcer's program. When there are more than fit, anybody may be the enforcer until one looks closer.
#[inline(never)]
pub(crate) fn note_number(number: u64) {
    scripts::note_inode(number);
    let Some(numbers) = ENFORCER_INODES.get_ptr_mut(0) else { return };
    // SAFETY: a map value that was checked for null; two that write at once write the same, or one of them is written again at the next start.
    unsafe {
        let numbers = numbers.cast::<u64>();
        let [a, b, c, d] = [0, 1, 2, 3].map(|place| read_volatile(numbers.add(place)));
        if a == number || b == number || c == number || d == number {
            return;
        }
        if d != 0 {
            write_volatile(numbers, ANYBODY);
            return;
        }
        for (place, value) in [number, a, b, c].into_iter().enumerate() {
            write_volatile(numbers.add(place), value);
        }
    }
}

/// Whether a task is the enforcer itself: the daemon, or its command line.
#[inline(never)]
pub(crate) fn is_enforcer(task: *mut task_struct) -> bool {
    let Some(settings) = SETTINGS.get(0) else { return false };
    let mut id = ExecutableId::default();
    if !kernel::task_executable(task as u64, &mut id) {
        return false;
    }
    // SAFETY: as in `note_program`.
    unsafe { ENFORCER_PROGRAMS.get(&id) }.is_some_and(|digest| is_one_of(digest, settings))
}

/// Whether the current process may act for the enforcer: it runs the enforcer's program, in the daemon's mount namespace and below its root folder, where files are what they seem,
/// it answers for what it does (it is not ending, when the kernel writes a core file in its name, and no filter of somebody else's answers its system
/// calls), and has not given its rights up. Those commands give them up (`no_new_privs`) that write where they are told to: otherwise `enforcer sign` would
/// write into the guarded folders for anybody.
#[inline(never)]
pub(crate) fn acts_for_the_enforcer() -> bool {
    let Some(settings) = SETTINGS.get(0) else { return false };
    let task = kernel::current_task();
    let is_itself = !kernel::is_ending(task as u64) && !kernel::has_seccomp_filter(task as u64);
    is_itself
        && !kernel::has_no_new_privs(task as u64)
        && kernel::mount_namespace() == settings.mount_namespace
        && stands_at_the_root()
        && is_enforcer(task)
}

/// Remembers where the enforcer stands, when it enrols itself.
#[inline(always)]
pub(crate) fn note_root() {
    if let Some(root) = ROOT.get_ptr_mut(0) {
        // SAFETY: a map value that was checked for null; only the enrolling thread gets here.
        unsafe { write_volatile(root, kernel::root_folder()) };
    }
}

/// Whether the current process has the enforcer's root folder: `chroot` into another view of the files is not one by its mount namespace.
#[inline(always)]
fn stands_at_the_root() -> bool {
    let Some(root) = ROOT.get_ptr(0) else { return false };
    // SAFETY: a map value that was checked for null; volatile, because the daemon's thread writes it.
    let [mount, dentry] = unsafe { read_volatile(root) };
    let [own_mount, own_dentry] = kernel::root_folder();
    mount != 0 && mount == own_mount && dentry == own_dentry
}

/// Whether the current process runs a program with this entitlement.
#[inline(always)]
pub(crate) fn is_entitled(entitlement: u32) -> bool {
    is_entitled_task(kernel::current_task() as u64, entitlement)
}

/// Whether a task runs a program with this entitlement.
#[inline(never)]
pub(crate) fn is_entitled_task(task: u64, entitlement: u32) -> bool {
    let mut id = ExecutableId::default();
    if !kernel::task_executable(task, &mut id) {
        return false;
    }
    // SAFETY: as in `note_program`.
    let Some(digest) = (unsafe { EXECUTABLES.get(&id) }) else { return false };
    // SAFETY: as in `note_program`.
    let Some(verdict): Option<&Verdict> = (unsafe { VERDICTS.get(digest) }) else { return false };
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let has_expired = verdict.expires_at != 0 && verdict.expires_at <= now;
    if !has_expired && verdict.entitlements & entitlement != 0 {
        return true;
    }
    verdict.left & entitlement != 0 && SETTINGS.get(0).is_some_and(|settings| now < settings.left_until)
}

/// The enforcer's own processes load the enforcer's own libraries only: a library that is trusted for something else, brought in by `LD_PRELOAD`,
/// would act with the enforcer's rights.
#[inline(always)]
pub(crate) fn check_library(question: &Question, digest: &Digest) -> Result<(), Reason> {
    if question.hook as u32 != Hook::MmapFile as u32 {
        return Ok(());
    }
    let number = kernel::current_executable_number();
    if scripts::may_be_noted(number) && is_of_same_signer(digest) == 0 {
        return Err(Reason::ProtectedProcess);
    }
    if !may_be_enforcer(number) || is_own_library(digest) != 0 { Ok(()) } else { Err(Reason::Guarded) }
}

/// Whether the current process may load whatever is trusted.
#[inline(always)]
pub(crate) fn loads_any_library() -> bool {
    let number = kernel::current_executable_number();
    let is_noted = number == 0 || scripts::may_be_noted(number);
    !is_noted || !may_be_enforcer(number) && !is_entitled(ENTITLEMENT_PROTECTED)
}

/// Whether the current process is not protected, or the digest is its signer's.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_of_same_signer(digest: *const Digest) -> u64 {
    let task = kernel::current_task() as u64;
    if !is_entitled_task(task, ENTITLEMENT_PROTECTED) {
        return 1;
    }
    let mut id = ExecutableId::default();
    let Some(digest) = maps::key(digest) else { return 0 };
    if !kernel::task_executable(task, &mut id) {
        return 0;
    }
    // SAFETY: as in `note_program`.
    unsafe {
        let Some(own) = EXECUTABLES.get(&id) else { return 0 };
        let (Some(program), Some(library)) = (VERDICTS.get(own), VERDICTS.get(&digest)) else { return 0 };
        u64::from(program.signer == library.signer)
    }
}

/// Whether the current task is no enforcer, or the digest that of one of the enforcer's own libraries.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_own_library(digest: *const Digest) -> u64 {
    if !is_enforcer(kernel::current_task()) {
        return 1;
    }
    let Some(digest) = maps::key(digest) else { return 0 };
    // SAFETY: as in `note_program`.
    let verdict: Option<&Verdict> = unsafe { VERDICTS.get(&digest) };
    u64::from(verdict.is_some_and(|verdict| verdict.entitlements & ENTITLEMENT_OWN != 0))
}

/// Whether a process could be the enforcer, by the mere number of its program's inode.
#[inline(always)]
fn may_be_enforcer(number: u64) -> bool {
    let Some(numbers) = ENFORCER_INODES.get_ptr(0) else { return true };
    // SAFETY: a map value that was checked for null; volatile, because others write it.
    let numbers = unsafe { read_volatile(numbers) };
    number == 0 || numbers[0] == ANYBODY || numbers.contains(&number)
}

/// No inode has this number.
const ANYBODY: u64 = u64::MAX;

/// Whether this is a digest of the enforcer's program.
#[inline(always)]
pub(crate) fn is_one_of(digest: &Digest, settings: &Settings) -> bool {
    is_enforcers_digest(digest, settings) != 0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_enforcers_digest(digest: *const Digest, settings: *const Settings) -> u64 {
    // SAFETY: the caller's, which the verifier checks.
    let (Some(digest), Some(settings)) = (unsafe { (digest.as_ref(), settings.as_ref()) }) else { return 0 };
    // Left at the first that fits: a verifier that has to follow a sum of answers follows every combination of them.
    for place in 0..ENFORCERS {
        // SAFETY: two borrowed values. No digest at all has the algorithm 0.
        if digest.algorithm != 0 && unsafe { maps::is_same(digest, &settings.enforcers[place]) } {
            return 1;
        }
    }
    0
}
