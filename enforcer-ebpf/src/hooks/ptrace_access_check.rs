//! `ptrace_access_check`: does a process reach into another one's memory?
//!
//! `PTRACE_ATTACH`, `/proc/PID/mem`, `process_vm_writev`, `pidfd_getfd`. Looking at another process (`ps`, `/proc/PID/maps`) is free.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard::{self, Besides, Touch},
    judge::{self, Answer, Fault},
    rights, trace,
};

/// `int ptrace_access_check(struct task_struct *child, unsigned int mode)`
#[lsm(hook = "ptrace_access_check")]
pub(crate) fn ptrace_access_check(ctx: LsmContext) -> i32 {
    match try_ptrace_access_check(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_ptrace_access_check(ctx: &LsmContext) -> Result<Answer, Fault> {
    let mode: u32 = ctx.arg(1);
    if mode & PTRACE_MODE_ATTACH == 0 {
        return Ok(Answer::Allow);
    }
    if rights::is_enforcer(ctx.arg(0)) {
        return guard::answer(true, &Touch::new(Hook::PtraceAccessCheck, Besides::Nobody));
    }
    trace::answer(Hook::PtraceAccessCheck)
}

/// `include/linux/ptrace.h`
const PTRACE_MODE_ATTACH: u32 = 2;
