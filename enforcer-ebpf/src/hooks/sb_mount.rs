//! `sb_mount`: is something mounted over a guarded folder, or on the way to it?
//!
//! A change of flags (remounting, propagation) hides nothing. `MS_MOVE` does not tell what is moved, so it is refused to all in the daemon's mount
//! namespace; `mount(8)` of today uses `move_mount`, which tells.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard::{self, Besides, Touch},
    judge::{self, Answer, Fault},
    kernel,
};

/// `int sb_mount(const char *dev_name, const struct path *path, const char *type, unsigned long flags, void *data)`
#[lsm(hook = "sb_mount")]
pub(crate) fn sb_mount(ctx: LsmContext) -> i32 {
    match try_sb_mount(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_sb_mount(ctx: &LsmContext) -> Result<Answer, Fault> {
    let flags: u64 = ctx.arg(3);
    if flags & ONLY_FLAGS != 0 {
        return Ok(Answer::Allow);
    }
    let settings = judge::settings()?;
    let path = ctx.arg::<*const u8>(1) as u64;
    let dentry = kernel::path_dentry_at(path);
    let is_ours = guard::covers(dentry, kernel::mount_is_shared(kernel::path_mount(path)), settings)
        || (flags & MS_MOVE != 0 && guard::in_host_namespace(settings));
    guard::answer(is_ours, &Touch { name: kernel::dentry_name(dentry), ..Touch::new(Hook::SbMount, Besides::ServiceManager) })
}

/// `MS_REMOUNT`, `MS_UNBINDABLE`, `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED` (`include/uapi/linux/mount.h`).
const ONLY_FLAGS: u64 = 32 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20;
const MS_MOVE: u64 = 8192;
