//! `kernel_load_data`: may the kernel load these bytes, of which nobody can say what they are: `init_module`, `kexec_load`?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    judge::{self, Answer, Fault},
    load,
};

/// `int kernel_load_data(enum kernel_load_data_id id, bool contents)`
#[lsm(hook = "kernel_load_data")]
pub(crate) fn kernel_load_data(ctx: LsmContext) -> i32 {
    match try_kernel_load_data(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_kernel_load_data(ctx: &LsmContext) -> Result<Answer, Fault> {
    load::judge_memory(Hook::KernelLoadData, ctx.arg(0), judge::settings()?)
}
