//! `file_send_sigiotask`: is the enforcer stopped or ended by a signal of a descriptor (`F_SETOWN`, `F_SETSIG`)?
//!
//! The kernel sends it in the midst of whatever runs when the descriptor has news, which says nothing of who asked for it. The enforcer never does.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard,
    judge::{self, Answer, Fault},
};

/// `int file_send_sigiotask(struct task_struct *tsk, struct fown_struct *fown, int sig)`
#[lsm(hook = "file_send_sigiotask")]
pub(crate) fn file_send_sigiotask(ctx: LsmContext) -> i32 {
    match try_file_send_sigiotask(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_file_send_sigiotask(ctx: &LsmContext) -> Result<Answer, Fault> {
    guard::process_by_nobody(Hook::FileSendSigiotask, ctx.arg(0), ctx.arg(2))
}
