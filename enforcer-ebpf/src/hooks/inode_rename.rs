//! `inode_rename`: is a name of the enforcer's changed, or the way to it, or something put in its place?
//!
//! Two programs would be needed for an exchange (`RENAME_EXCHANGE`), for which the kernel asks in both directions by itself.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard,
    judge::{self, Answer, Fault},
};

/// `int inode_rename(struct inode *old_dir, struct dentry *old_dentry, struct inode *new_dir, struct dentry *new_dentry)`
#[lsm(hook = "inode_rename")]
pub(crate) fn inode_rename(ctx: LsmContext) -> i32 {
    match try_inode_rename(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_inode_rename(ctx: &LsmContext) -> Result<Answer, Fault> {
    let from = guard::folder_name(Hook::InodeRename, ctx.arg::<*const u8>(0) as u64, ctx.arg::<*const u8>(1) as u64)?;
    if from == Answer::Deny {
        return Ok(Answer::Deny);
    }
    guard::folder_name(Hook::InodeRename, ctx.arg::<*const u8>(2) as u64, ctx.arg::<*const u8>(3) as u64)
}
