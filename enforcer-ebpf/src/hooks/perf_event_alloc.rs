//! `perf_event_alloc`: is a probe put into a program (uprobe)?
//!
//! `perf_event_open` is asked before the kernel has read what is wanted.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
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
    // Its type is the number of a performance monitoring unit.
    let unit = kernel::read_half(ctx.arg::<*const u8>(0) as u64 + u64::from(kernel::layout!(perf_event_type)));
    if unit != kernel::layout!(uprobe_unit) {
        return Ok(Answer::Allow);
    }
    trace::answer(Hook::PerfEventAlloc)
}
