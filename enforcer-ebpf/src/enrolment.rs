//! What the daemon is about to show to the programs, and whether they took it: `ENROLMENT`, which user space writes and these read.

use core::ptr::{addr_of, addr_of_mut, read_volatile};

use aya_ebpf::helpers::bpf_get_current_pid_tgid;

use crate::maps;

/// What the current thread shows (one of `ENROL_…`, or flags of a guarded inode); `None` for every thread but the daemon's, and when it shows nothing.
#[inline(always)]
pub(crate) fn shown() -> Option<u32> {
    let enrolment = maps::ENROLMENT.get_ptr(0)?;
    // SAFETY: a map value that was checked for null; volatile, because user space writes it.
    let (tid, flags) = unsafe { (read_volatile(addr_of!((*enrolment).tid)), read_volatile(addr_of!((*enrolment).flags))) };
    (tid != 0 && tid == bpf_get_current_pid_tgid() as u32).then_some(flags)
}

/// Says that it was taken. Only for the thread that [`shown`] answered.
#[inline(always)]
pub(crate) fn take() -> Option<()> {
    let enrolment = maps::ENROLMENT.get_ptr_mut(0)?;
    // SAFETY: a map value that was checked for null; only the daemon's thread gets here.
    unsafe { *addr_of_mut!((*enrolment).done) += 1 };
    Some(())
}
