//! `inode_link`: does a file of the enforcer's get another name, by which it could be changed, or another file get a name among the
//! enforcer's?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard::{self, Besides, Touch},
    judge::{self, Answer, Fault},
    kernel,
};

/// `int inode_link(struct dentry *old_dentry, struct inode *dir, struct dentry *new_dentry)`
#[lsm(hook = "inode_link")]
pub(crate) fn inode_link(ctx: LsmContext) -> i32 {
    match try_inode_link(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_inode_link(ctx: &LsmContext) -> Result<Answer, Fault> {
    let old = ctx.arg::<*const u8>(0) as u64;
    if guard::is_guarded_file(old) {
        let touch = Touch { name: kernel::dentry_name(old), ..Touch::new(Hook::InodeLink, Besides::Nobody) };
        return guard::answer(true, &touch);
    }
    guard::name(Hook::InodeLink, ctx.arg::<*const u8>(1) as u64, ctx.arg::<*const u8>(2) as u64)
}
