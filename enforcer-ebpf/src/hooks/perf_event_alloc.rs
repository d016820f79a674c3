//! `perf_event_alloc`: is a probe put into a program (uprobe)? is the enforcer looked at, or sent a signal by an event (`sigtrap`)?
//!
//! `perf_event_open` is asked before the kernel has read what is wanted.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard,
    judge::{self, Answer, Fault},
    kernel, trace,
};

/// `int perf_event_alloc(struct perf_event *event)`
#[lsm(hook = "perf_event_alloc")]
pub(crate) fn perf_event_alloc(ctx: LsmContext) -> i32 {
    match try_perf_event_alloc(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_perf_event_alloc(ctx: &LsmContext) -> Result<Answer, Fault> {
    let event = ctx.arg::<*const u8>(0) as u64;
    let target = kernel::word_at(event + u64::from(kernel::layout!(perf_event_target)));
    if target != 0 && guard::process(Hook::PerfEventAlloc, target as *mut kernel::task_struct, 0)? == Answer::Deny {
        return Ok(Answer::Deny);
    }
    // Its type is the number of a performance monitoring unit.
    let unit = kernel::read_half(event + u64::from(kernel::layout!(perf_event_type)));
    if unit != kernel::layout!(uprobe_unit) {
        return Ok(Answer::Allow);
    }
    trace::answer(Hook::PerfEventAlloc)
}
