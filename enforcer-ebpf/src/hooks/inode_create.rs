//! `inode_create`: is a file, or a pin, made in a guarded folder?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard,
    judge::{self, Answer, Fault},
};

/// `int inode_create(struct inode *dir, struct dentry *dentry, umode_t mode)`
#[lsm(hook = "inode_create")]
pub(crate) fn inode_create(ctx: LsmContext) -> i32 {
    match try_inode_create(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_inode_create(ctx: &LsmContext) -> Result<Answer, Fault> {
    guard::name(Hook::InodeCreate, ctx.arg::<*const u8>(0) as u64, ctx.arg::<*const u8>(1) as u64)
}
