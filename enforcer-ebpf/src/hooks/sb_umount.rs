//! `sb_umount`: is a mount on the way to a guarded folder taken away?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard::{self, Besides, Touch},
    judge::{self, Answer, Fault},
    kernel,
};

/// `int sb_umount(struct vfsmount *mnt, int flags)`
#[lsm(hook = "sb_umount")]
pub(crate) fn sb_umount(ctx: LsmContext) -> i32 {
    match try_sb_umount(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_sb_umount(ctx: &LsmContext) -> Result<Answer, Fault> {
    let mount = ctx.arg::<*const u8>(0) as u64;
    let root = kernel::mount_root(mount);
    let is_ours = guard::uncovers(root, kernel::parent_mount_is_shared(mount), judge::settings()?);
    guard::answer(is_ours, &Touch { name: kernel::dentry_name(root), ..Touch::new(Hook::SbUmount, Besides::ServiceManager) })
}
