//! `inode_mkdir`: is a folder made among the pins?
//!
//! What is made in the other guarded folders is a place of its own: `/var/lib/enforcer/signatures` is the administrator's.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard, inode_at,
    judge::{self, Answer, Fault},
};

/// `int inode_mkdir(struct inode *dir, struct dentry *dentry, umode_t mode)`
#[lsm(hook = "inode_mkdir")]
pub(crate) fn inode_mkdir(ctx: LsmContext) -> i32 {
    match try_inode_mkdir(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_inode_mkdir(ctx: &LsmContext) -> Result<Answer, Fault> {
    let folder = ctx.arg::<*const u8>(0) as u64;
    if inode_at::magic(folder) != BPF_FS_MAGIC {
        return Ok(Answer::Allow);
    }
    guard::name(Hook::InodeMkdir, folder, ctx.arg::<*const u8>(1) as u64)
}

/// `include/uapi/linux/magic.h`
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
