//! `inode_symlink`: is a symbolic link made in a guarded folder?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard,
    judge::{self, Answer, Fault},
};

/// `int inode_symlink(struct inode *dir, struct dentry *dentry, const char *old_name)`
#[lsm(hook = "inode_symlink")]
pub(crate) fn inode_symlink(ctx: LsmContext) -> i32 {
    match try_inode_symlink(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_inode_symlink(ctx: &LsmContext) -> Result<Answer, Fault> {
    guard::name(Hook::InodeSymlink, ctx.arg::<*const u8>(0) as u64, ctx.arg::<*const u8>(1) as u64)
}
