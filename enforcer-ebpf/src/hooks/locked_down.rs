//! `locked_down`: is a way into the kernel's memory opened: `/dev/mem`, `iopl`, model-specific registers, BPF programs that write to user memory?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::{Digest, Hook, Reason};

use crate::{
    judge::{self, Answer, Denial, Fault, Question},
    kernel,
};

/// `int locked_down(enum lockdown_reason what)`
#[lsm(hook = "locked_down")]
pub(crate) fn locked_down(ctx: LsmContext) -> i32 {
    match try_locked_down(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_locked_down(ctx: &LsmContext) -> Result<Answer, Fault> {
    let what: u32 = ctx.arg(0);
    if what >= 32 || kernel::layout!(lockdown_integrity) & (1 << (what & 31)) == 0 {
        return Ok(Answer::Allow);
    }
    let settings = judge::settings()?;
    let question = Question::without_file(Hook::LockedDown, 0);
    let denial = Denial { reason: Reason::KernelMemory, detail: what as i32, digest: Digest::NONE };
    Ok(judge::deny_without_file(&question, &denial, settings.kernel_memory, settings))
}
