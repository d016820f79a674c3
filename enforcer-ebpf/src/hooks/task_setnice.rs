//! `task_setnice`: is the enforcer put behind everybody else?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard,
    judge::{self, Answer, Fault},
};

/// `int task_setnice(struct task_struct *p, int nice)`
#[lsm(hook = "task_setnice")]
pub(crate) fn task_setnice(ctx: LsmContext) -> i32 {
    match try_task_setnice(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_task_setnice(ctx: &LsmContext) -> Result<Answer, Fault> {
    guard::process(Hook::TaskSetnice, ctx.arg(0), 0)
}
