//! `inode_mknod`: is a special file made in a guarded folder?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard,
    judge::{self, Answer, Fault},
};

/// `int inode_mknod(struct inode *dir, struct dentry *dentry, umode_t mode, dev_t dev)`
#[lsm(hook = "inode_mknod")]
pub(crate) fn inode_mknod(ctx: LsmContext) -> i32 {
    match try_inode_mknod(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_inode_mknod(ctx: &LsmContext) -> Result<Answer, Fault> {
    guard::name(Hook::InodeMknod, ctx.arg::<*const u8>(0) as u64, ctx.arg::<*const u8>(1) as u64)
}
