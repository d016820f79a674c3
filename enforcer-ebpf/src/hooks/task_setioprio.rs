//! `task_setioprio`: is the enforcer put behind everybody else at the disk?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard,
    judge::{self, Answer, Fault},
};

/// `int task_setioprio(struct task_struct *p, int ioprio)`
#[lsm(hook = "task_setioprio")]
pub(crate) fn task_setioprio(ctx: LsmContext) -> i32 {
    match try_task_setioprio(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_task_setioprio(ctx: &LsmContext) -> Result<Answer, Fault> {
    guard::process(Hook::TaskSetioprio, ctx.arg(0), 0)
}
