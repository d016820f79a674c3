//! Descriptors that a process was born with.

use std::io;

/// Closes every descriptor from this one on, whoever opened it.
pub fn close_descriptors_from(first: u32) -> io::Result<()> {
    // SAFETY: a plain system call without pointers. The caller runs before anything in this process has opened a descriptor that it goes on to use.
    let failed = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } != 0;
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}
