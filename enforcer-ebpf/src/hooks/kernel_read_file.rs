//! `kernel_read_file`: may the kernel load this file: a module, a kernel to be started by kexec, firmware?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    judge::{self, Answer, Fault},
    load,
};

/// `int kernel_read_file(struct file *file, enum kernel_read_file_id id, bool contents)`
#[lsm(hook = "kernel_read_file", sleepable)]
pub(crate) fn kernel_read_file(ctx: LsmContext) -> i32 {
    match try_kernel_read_file(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_kernel_read_file(ctx: &LsmContext) -> Result<Answer, Fault> {
    let settings = judge::settings()?;
    let response = load::response_to_file(ctx.arg(1), settings);
    load::judge_file(Hook::KernelReadFile, ctx.arg(0), response, settings)
}
