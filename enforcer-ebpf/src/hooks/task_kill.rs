//! `task_kill`: is the enforcer stopped or ended by somebody else?
//!
//! `SIGHUP` makes the daemon read its policy again, `SIGCONT` lets it go on, and 0 only asks whether it is there: those are free. Others than the daemon
//! would be ended by `SIGHUP`. What the kernel itself sends (out of memory, a watchdog) asks nobody.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    first_use, guard,
    judge::{self, Answer, Fault},
    kernel,
};

/// `int task_kill(struct task_struct *p, struct kernel_siginfo *info, int sig, const struct cred *cred)`
#[lsm(hook = "task_kill")]
pub(crate) fn task_kill(ctx: LsmContext) -> i32 {
    match try_task_kill(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_task_kill(ctx: &LsmContext) -> Result<Answer, Fault> {
    let signal: i32 = ctx.arg(2);
    // `SEND_SIG_NOINFO` (0) comes from user space by way of the kernel, `SEND_SIG_PRIV` (1) from the kernel.
    let task: *mut kernel::task_struct = ctx.arg(0);
    let is_free = matches!(signal, 0 | SIGCONT) || (signal == SIGHUP && first_use::is_the_daemon(kernel::process_id(task as u64)));
    if is_free || ctx.arg::<*const u8>(1) as u64 == 1 {
        return Ok(Answer::Allow);
    }
    guard::process(Hook::TaskKill, task, signal)
}

const SIGHUP: i32 = 1;
const SIGCONT: i32 = 18;
