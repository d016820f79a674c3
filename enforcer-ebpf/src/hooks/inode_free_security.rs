//! `inode_free_security`: an inode leaves the memory, and with it what is known of it by its address.
//!
//! What is kept *with* an inode the kernel drops by itself; see `code`, `tail` and `rights` for what cannot be kept there.

use aya_ebpf::{macros::lsm, programs::LsmContext};

use crate::{
    code,
    kernel::{self, inode},
    rights, tail,
};

/// `void inode_free_security(struct inode *inode)`
#[lsm(hook = "inode_free_security")]
pub(crate) fn inode_free_security(ctx: LsmContext) -> i32 {
    let inode: *const inode = ctx.arg(0);
    let address = kernel::address(inode);
    code::forget(address);
    tail::forget(address);
    rights::forget(address);
    0
}
