//! `inode_rmdir`: is a guarded folder, or one on the way to it, removed?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard,
    judge::{self, Answer, Fault},
};

/// `int inode_rmdir(struct inode *dir, struct dentry *dentry)`
#[lsm(hook = "inode_rmdir")]
pub(crate) fn inode_rmdir(ctx: LsmContext) -> i32 {
    match try_inode_rmdir(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_inode_rmdir(ctx: &LsmContext) -> Result<Answer, Fault> {
    guard::folder_name(Hook::InodeRmdir, ctx.arg::<*const u8>(0) as u64, ctx.arg::<*const u8>(1) as u64)
}
