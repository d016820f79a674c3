//! `ptrace_traceme`: does a process give its memory into its parent's hands?
//!
//! A parent that traces its child from the start may write whatever it likes into any signed program that the child starts.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    judge::{self, Answer, Fault},
    trace,
};

/// `int ptrace_traceme(struct task_struct *parent)`
#[lsm(hook = "ptrace_traceme")]
pub(crate) fn ptrace_traceme(ctx: LsmContext) -> i32 {
    match try_ptrace_traceme(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_ptrace_traceme(ctx: &LsmContext) -> Result<Answer, Fault> {
    trace::answer_about_parent(Hook::PtraceTraceme, ctx.arg(0))
}
