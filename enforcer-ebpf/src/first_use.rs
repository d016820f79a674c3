//! First use of a file that nobody has seen: ask the daemon, and wait, bounded, from inside of the hook.
//!
//! The wait ends with a verdict, with a refusal for this very task, with the task's death, with the daemon's, or at a deadline that grows with the file;
//! no answer is a denial. Each turn gives the CPU away by reading eight bytes of the task's own memory, which may sleep, or, for a task without memory,
//! by hashing the file again.

use core::{
    mem::MaybeUninit,
    ptr::{addr_of, addr_of_mut, read_volatile},
};

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid,
    generated::{bpf_copy_from_user_task, bpf_ima_file_hash, bpf_ktime_get_boot_ns, bpf_ktime_get_ns, bpf_loop},
};
use enforcer_common::{Asker, Counter, DIGEST_SIZE, Digest, Heartbeat, MEASURED, Reason, Request, Settings};

use crate::{
    atomic,
    judge::{self, Question},
    kernel::{self, file},
    maps::{self, HEARTBEAT, REFUSALS, REQUESTS, WAITING},
    report,
};

/// Asks the daemon about a digest, and waits for the answer. Without one ([`Digest::NONE`]) it asks it to have the kernel measure the file, where the hook comes
/// too early to read it itself.
#[inline(never)]
pub(crate) fn ask(digest: &Digest, question: &Question, settings: &Settings) -> Result<(), Reason> {
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if !daemon_answers(pid, settings.heartbeat_timeout) {
        return Err(Reason::DaemonUnavailable);
    }
    let Some(waiting) = WAITING.get_ptr_mut(0) else { return Err(Reason::TooManyWaiting) };
    // SAFETY: a map value that was checked for null; an aligned u64.
    let others = unsafe { atomic::fetch_add(waiting, 1) };
    let answer =
        if others >= u64::from(settings.max_waiting) { Err(Reason::TooManyWaiting) } else { request_and_wait(digest, question, settings, pid) };
    // SAFETY: as above. There is no subtraction in BPF.
    unsafe { atomic::fetch_add(waiting, u64::MAX) };
    answer
}

/// What a wait carries from turn to turn.
#[repr(C)]
struct Wait {
    file: *mut file,
    deadline: u64,
    heartbeat_timeout: u64,
    asker: Asker,
    digest: Digest,
    wanted: u32,
    pid: u32,
    /// [`WAITS`], [`ALLOWED`], or the number of a [`Reason`].
    outcome: u32,
}

const WAITS: u32 = 0;
const ALLOWED: u32 = MEASURED;

#[inline(always)]
fn request_and_wait(digest: &Digest, question: &Question, settings: &Settings, pid: u32) -> Result<(), Reason> {
    let inode = kernel::file_inode(question.file);
    let size = kernel::inode_size(inode);
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let deadline = now + settings.deadline + (size >> 20) * settings.deadline_per_mib;

    let Some(mut entry) = REQUESTS.reserve(0) else {
        maps::count(Counter::RequestsLost);
        return Err(Reason::TooManyWaiting);
    };
    let request: *mut Request = entry.as_mut_ptr();
    // SAFETY: the entry is as large as a request, and every field is written before it is submitted.
    unsafe {
        addr_of_mut!((*request).time).write(now);
        addr_of_mut!((*request).deadline).write(deadline);
        addr_of_mut!((*request).inode).write(kernel::inode_number(inode));
        addr_of_mut!((*request).size).write(size);
        addr_of_mut!((*request).device).write(kernel::inode_filesystem(inode).0);
        addr_of_mut!((*request).hook).write(question.hook as u32);
        addr_of_mut!((*request).pid).write(pid);
        addr_of_mut!((*request).tid).write(bpf_get_current_pid_tgid() as u32);
        addr_of_mut!((*request).digest).write(*digest);
        let kind = report::path(question.file, true, addr_of_mut!((*request).path));
        addr_of_mut!((*request).path_kind).write(kind as u32);
    }
    entry.submit(0);
    maps::count(Counter::Requests);

    let mut wait = Wait {
        asker: Asker { time: now, tid: bpf_get_current_pid_tgid() as u32, reserved: 0 },
        file: question.file,
        deadline,
        heartbeat_timeout: settings.heartbeat_timeout,
        digest: *digest,
        wanted: question.wanted,
        pid,
        outcome: WAITS,
    };
    // SAFETY: the callback takes what is passed here, and outlives the call.
    unsafe { bpf_loop(MAX_TURNS, turn as *mut _, (&raw mut wait).cast(), 0) };
    _ = REFUSALS.remove(wait.asker);
    // SAFETY: a local variable; volatile, because the callback wrote it behind the compiler's back.
    match unsafe { read_volatile(addr_of!(wait.outcome)) } {
        ALLOWED => Ok(()),
        outcome => {
            let reason = Reason::from_raw(outcome).unwrap_or(Reason::NoAnswer);
            if reason == Reason::NoAnswer {
                maps::count(Counter::Deadlines);
            }
            Err(reason)
        }
    }
}

/// One turn of the wait. 1 ends it.
extern "C" fn turn(_index: u32, wait: *mut Wait) -> i64 {
    // SAFETY: `bpf_loop` hands on the pointer that `request_and_wait` gave it.
    let wait = unsafe { &mut *wait };
    match judge::decided(&wait.digest, wait.wanted) {
        // Nothing new yet.
        judge::NOT_DECIDED | judge::EXPIRED => {}
        judge::ALLOWED => {
            wait.outcome = ALLOWED;
            return 1;
        }
        _ => {
            wait.outcome = Reason::UseNotAllowed as u32;
            return 1;
        }
    }
    // SAFETY: a copy of a number.
    if let Some(reason) = unsafe { REFUSALS.get(wait.asker) } {
        wait.outcome = *reason;
        return 1;
    }
    let task = kernel::current_task();
    // SAFETY: no arguments.
    if kernel::is_being_killed(task) || unsafe { bpf_ktime_get_boot_ns() } >= wait.deadline {
        wait.outcome = Reason::NoAnswer as u32;
        return 1;
    }
    if !daemon_answers(wait.pid, wait.heartbeat_timeout) {
        wait.outcome = Reason::DaemonUnavailable as u32;
        return 1;
    }
    give_way(task, wait.file);
    0
}

/// Lets others run, above all the daemon.
#[inline(always)]
pub(crate) fn give_way(task: *mut kernel::task_struct, file: *mut file) {
    let mut scratch = MaybeUninit::<[u64; DIGEST_SIZE / 8]>::uninit();
    let address = kernel::readable_address(task);
    // SAFETY: both helpers write no more than the scratch buffer's size, and check the addresses.
    unsafe {
        if bpf_copy_from_user_task(scratch.as_mut_ptr().cast(), 8, address as *const _, task, 0) != 0 {
            bpf_ima_file_hash(file, scratch.as_mut_ptr().cast(), DIGEST_SIZE as u32);
        }
    }
}

/// Whether there is a daemon that answers, and the asking process is not the daemon itself.
#[inline(always)]
fn daemon_answers(pid: u32, timeout: u64) -> bool {
    let Some(heartbeat) = HEARTBEAT.get_ptr(0) else { return false };
    // SAFETY: a map value that was checked for null; volatile, because user space writes it.
    let Heartbeat { time, pid: daemon, .. } = unsafe { read_volatile(heartbeat) };
    // SAFETY: no arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    time != 0 && daemon != pid && now < time + timeout
}

/// Whether this process is the daemon, by its own word.
#[inline(always)]
pub(crate) fn is_the_daemon(pid: u32) -> bool {
    // SAFETY: a map value that was checked for null; volatile, because user space writes it.
    HEARTBEAT.get_ptr(0).is_some_and(|heartbeat| unsafe { read_volatile(heartbeat) }.pid == pid)
}

/// The kernel's own bound on `bpf_loop` (`BPF_MAX_LOOPS`).
const MAX_TURNS: u32 = 1 << 23;
