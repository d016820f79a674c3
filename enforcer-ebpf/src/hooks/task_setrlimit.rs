//! `task_setrlimit`: are the enforcer's limits changed, so that it can open no file or have no memory?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard,
    judge::{self, Answer, Fault},
};

/// `int task_setrlimit(struct task_struct *p, unsigned int resource, struct rlimit *new_rlim)`
#[lsm(hook = "task_setrlimit")]
pub(crate) fn task_setrlimit(ctx: LsmContext) -> i32 {
    match try_task_setrlimit(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_task_setrlimit(ctx: &LsmContext) -> Result<Answer, Fault> {
    guard::process(Hook::TaskSetrlimit, ctx.arg(0), 0)
}
