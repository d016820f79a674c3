//! `file_post_open`: may an interpreter read this?
//!
//! Called when the file is open and nothing has been read of it yet. Only here its content can be measured (`fs/namei.c`, `do_open`).

use aya_ebpf::{macros::lsm, programs::LsmContext};

use crate::{judge, scripts};

/// `int file_post_open(struct file *file, int mask)`
#[lsm(hook = "file_post_open", sleepable)]
pub(crate) fn file_post_open(ctx: LsmContext) -> i32 {
    match scripts::opened(ctx.arg(0), judge::file) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}
