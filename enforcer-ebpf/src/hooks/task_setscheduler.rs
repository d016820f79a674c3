//! `task_setscheduler`: is the enforcer kept from its processors?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard,
    judge::{self, Answer, Fault},
};

/// `int task_setscheduler(struct task_struct *p)`
#[lsm(hook = "task_setscheduler")]
pub(crate) fn task_setscheduler(ctx: LsmContext) -> i32 {
    match try_task_setscheduler(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_task_setscheduler(ctx: &LsmContext) -> Result<Answer, Fault> {
    guard::process(Hook::TaskSetscheduler, ctx.arg(0), 0)
}
