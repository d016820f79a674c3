//! `brk`: does a heap grow that is code?
//!
//! Under `personality(READ_IMPLIES_EXEC)` the heap is executable, and the kernel asks no LSM hook about it. So the system call itself is watched, by both
//! of its entries. Whoever calls it under that personality is killed: nothing can be refused here, and the signal comes before the next instruction of
//! the program.

use aya_ebpf::{helpers::generated::bpf_send_signal, macros::fentry, programs::FEntryContext};
use enforcer_common::{ENTITLEMENT_JIT, Hook, Reason};

use crate::{
    judge::{self, Answer, Denial, Question},
    kernel, rights,
};

/// `SYSCALL_DEFINE1(brk, unsigned long, brk)`, called by 64-bit code.
#[fentry(function = "__x64_sys_brk")]
pub(crate) fn __x64_sys_brk(_: FEntryContext) {
    judge_brk();
}

/// The same, called by 32-bit code.
#[fentry(function = "__ia32_sys_brk")]
pub(crate) fn __ia32_sys_brk(_: FEntryContext) {
    judge_brk();
}

#[inline(always)]
fn judge_brk() {
    if kernel::read_implies_exec() && deny() == Answer::Deny {
        // SAFETY: a number. There is nobody to tell of an error, and none is known of a signal to the current process.
        unsafe { bpf_send_signal(SIGKILL) };
    }
}

#[inline(never)]
fn deny() -> Answer {
    // Without settings there is no mode to know.
    let Ok(settings) = judge::settings() else { return Answer::Deny };
    if rights::is_entitled(ENTITLEMENT_JIT) {
        return Answer::Allow;
    }
    let question = Question::without_file(Hook::Brk, 0);
    judge::deny_without_file(&question, &Denial::without_digest(Reason::ReadImpliesExec), settings.anonymous, settings)
}

const SIGKILL: u32 = 9;
