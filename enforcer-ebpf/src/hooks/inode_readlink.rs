//! `inode_readlink`: not a question, but where some interpreters find out what a script's name leads to.

use aya_ebpf::{macros::lsm, programs::LsmContext};

use crate::scripts;

/// `int inode_readlink(struct dentry *dentry)`
#[lsm(hook = "inode_readlink")]
pub(crate) fn inode_readlink(ctx: LsmContext) -> i32 {
    scripts::link_read(ctx.arg(0));
    0
}
