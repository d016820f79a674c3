//! `kernel_post_read_file`: are the bytes that the kernel has read those that were judged?
//!
//! Nothing keeps a writer out of a file that the kernel reads. One who came between the judgement and the reading has moved the file's stamp or is
//! still there. Not asked for firmware, which the policy lets in unseen by default.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    judge::{self, Answer, Fault},
    load,
};

/// `int kernel_post_read_file(struct file *file, char *buf, loff_t size, enum kernel_read_file_id id)`
#[lsm(hook = "kernel_post_read_file")]
pub(crate) fn kernel_post_read_file(ctx: LsmContext) -> i32 {
    match try_kernel_post_read_file(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_kernel_post_read_file(ctx: &LsmContext) -> Result<Answer, Fault> {
    let settings = judge::settings()?;
    let response = load::response_to_file(ctx.arg(3), settings);
    load::judge_read(Hook::KernelPostReadFile, ctx.arg(0), response, settings)
}
