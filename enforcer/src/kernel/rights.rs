//! The rights of the enforcer's own program, and how a thread of it gives them up.

use std::io;

/// The calling thread, and whatever it starts, can no longer touch what is guarded (`Documentation/userspace-api/no_new_privs.rst`).
///
/// # Errors
/// What the kernel says, which has no reason to refuse.
pub fn give_up_rights() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}
