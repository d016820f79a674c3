//! Telling user space what was denied, or would have been.

use core::ptr::addr_of_mut;

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
    generated::{bpf_d_path, bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_ktime_get_boot_ns, bpf_probe_read_kernel_str},
};
use enforcer_common::{COMM_SIZE, Counter, Event, PATH_SIZE, PathKind};

use crate::{
    judge::{Denial, Question},
    kernel::{self, file},
    maps::{self, EVENTS},
};

/// Sends an event about a file, or about memory. One that does not fit is lost and counted; the denial stands.
#[inline(never)]
pub(crate) fn event(question: &Question, denial: &Denial, mode: u32, stopped: bool) {
    let Some(mut entry) = EVENTS.reserve(0) else {
        maps::count(Counter::EventsLost);
        return;
    };
    let event: *mut Event = entry.as_mut_ptr();
    // SAFETY: the entry is as large as an event, and every field is written before it is submitted.
    unsafe {
        head(event, question, denial, mode, stopped);
        if question.file.is_null() {
            without_file(event, 0);
        } else {
            let inode = kernel::file_inode(question.file);
            addr_of_mut!((*event).inode).write(kernel::inode_number(inode));
            addr_of_mut!((*event).size).write(kernel::inode_size(inode));
            addr_of_mut!((*event).device).write(kernel::inode_filesystem(inode).0);
            let kind = path(question.file, question.sleepable, addr_of_mut!((*event).path));
            addr_of_mut!((*event).path_kind).write(kind as u32);
        }
    }
    entry.submit(0);
}

/// The same where there is no file to ask, but perhaps a name: the verifier does not believe that a pointer is null which came through memory.
#[inline(never)]
pub(crate) fn event_without_file(question: &Question, denial: &Denial, mode: u32, stopped: bool) {
    let Some(mut entry) = EVENTS.reserve(0) else {
        maps::count(Counter::EventsLost);
        return;
    };
    let event: *mut Event = entry.as_mut_ptr();
    // SAFETY: as above.
    unsafe {
        head(event, question, denial, mode, stopped);
        without_file(event, question.name);
    }
    entry.submit(0);
}

/// What every event says.
///
/// # Safety
///
/// `event` can be written.
#[inline(always)]
unsafe fn head(event: *mut Event, question: &Question, denial: &Denial, mode: u32, stopped: bool) {
    let ids = bpf_get_current_pid_tgid();
    // SAFETY: the caller's.
    unsafe {
        addr_of_mut!((*event).time).write(bpf_ktime_get_boot_ns());
        addr_of_mut!((*event).cgroup).write(bpf_get_current_cgroup_id());
        addr_of_mut!((*event).hook).write(question.hook as u32);
        addr_of_mut!((*event).reason).write(denial.reason as u32);
        addr_of_mut!((*event).mode).write(mode);
        addr_of_mut!((*event).denied).write(u32::from(stopped));
        addr_of_mut!((*event).pid).write((ids >> 32) as u32);
        addr_of_mut!((*event).tid).write(ids as u32);
        addr_of_mut!((*event).parent_pid).write(kernel::parent_pid(kernel::current_task()));
        addr_of_mut!((*event).uid).write(bpf_get_current_uid_gid() as u32);
        addr_of_mut!((*event).detail).write(denial.detail);
        addr_of_mut!((*event).digest).write(denial.digest);
        bpf_get_current_comm(addr_of_mut!((*event).comm).cast(), COMM_SIZE as u32);
    }
}

/// No file, and a name where `name` is the address of one.
///
/// # Safety
///
/// `event` can be written.
#[inline(always)]
unsafe fn without_file(event: *mut Event, name: u64) {
    // SAFETY: the caller's; the helper checks the address, and writes no more than the buffer's size.
    unsafe {
        addr_of_mut!((*event).inode).write(0);
        addr_of_mut!((*event).size).write(0);
        addr_of_mut!((*event).device).write(0);
        let path = addr_of_mut!((*event).path);
        let is_named = name != 0 && bpf_probe_read_kernel_str(path.cast(), PATH_SIZE as u32, name as *const _) > 0;
        if !is_named {
            path.cast::<u8>().write(0);
        }
        addr_of_mut!((*event).path_kind).write(if is_named { PathKind::Name as u32 } else { PathKind::None as u32 });
    }
}

/// Writes the file's path, NUL-terminated: in full where the hook may sleep and the path fits, else its last component.
///
/// # Safety
///
/// `buffer` can be written.
#[inline(always)]
pub(crate) unsafe fn path(file: *mut file, sleepable: bool, buffer: *mut [u8; PATH_SIZE]) -> PathKind {
    // SAFETY: the caller's buffer, whose size is passed; the verifier checks the pointers.
    unsafe {
        if sleepable && bpf_d_path(kernel::file_path(file), buffer.cast(), PATH_SIZE as u32) > 0 {
            return PathKind::Full;
        }
        if bpf_probe_read_kernel_str(buffer.cast(), PATH_SIZE as u32, kernel::file_name(file).cast()) > 0 {
            return PathKind::Name;
        }
        buffer.cast::<u8>().write(0);
    }
    PathKind::None
}
