//! `inode_unlink`: is a pin or a file of the enforcer's state removed?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard,
    judge::{self, Answer, Fault},
};

/// `int inode_unlink(struct inode *dir, struct dentry *dentry)`
#[lsm(hook = "inode_unlink")]
pub(crate) fn inode_unlink(ctx: LsmContext) -> i32 {
    match try_inode_unlink(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_inode_unlink(ctx: &LsmContext) -> Result<Answer, Fault> {
    guard::name(Hook::InodeUnlink, ctx.arg::<*const u8>(0) as u64, ctx.arg::<*const u8>(1) as u64)
}
