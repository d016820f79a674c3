//! The secure bits by which interpreters are told to ask before they run a script (`Documentation/userspace-api/check_exec.rst`, kernel 6.14).

use std::io;

/// Sets and locks the bits for whatever this process becomes: only files that the kernel says yes to are run as scripts, and, with `deny_interactive`,
/// nothing that is typed or comes through a pipe.
///
/// # Errors
/// `EPERM`: the kernel does not know the bits, or somebody has locked them otherwise.
pub fn restrict_scripts(deny_interactive: bool) -> io::Result<()> {
    let bits = if deny_interactive { SECBIT_EXEC_RESTRICT_FILE | SECBIT_EXEC_DENY_INTERACTIVE } else { SECBIT_EXEC_RESTRICT_FILE };
    // SAFETY: no pointers.
    let now = unsafe { libc::prctl(libc::PR_GET_SECUREBITS) };
    if now < 0 {
        return Err(io::Error::last_os_error());
    }
    // Each bit's lock is the next one.
    let wanted = libc::c_ulong::from(now.cast_unsigned()) | bits | bits << 1;
    // SAFETY: no pointers.
    if unsafe { libc::prctl(libc::PR_SET_SECUREBITS, wanted) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `include/uapi/linux/securebits.h`
const SECBIT_EXEC_RESTRICT_FILE: libc::c_ulong = 1 << 8;
const SECBIT_EXEC_DENY_INTERACTIVE: libc::c_ulong = 1 << 10;
