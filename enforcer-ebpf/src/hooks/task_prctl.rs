//! `task_prctl`: does a process pass for another program than the one it runs?
//!
//! Rights belong to the program whose file is the process's executable; `PR_SET_MM_EXE_FILE` replaces it, and `PR_SET_MM_MAP` can. Only tools that
//! bring saved processes back to life use them.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::{Digest, Hook, Reason, Response};

use crate::judge::{self, Answer, Denial, Fault, Question};

/// `int task_prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4, unsigned long arg5)`
#[lsm(hook = "task_prctl")]
pub(crate) fn task_prctl(ctx: LsmContext) -> i32 {
    let answer = match try_task_prctl(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    };
    // Here 0 would mean that the call has been carried out.
    if answer == 0 { NOT_OURS } else { answer }
}

#[inline(always)]
fn try_task_prctl(ctx: &LsmContext) -> Result<Answer, Fault> {
    // The kernel takes the lower half of it, too (`prctl_set_mm` in `kernel/sys.c`).
    let (option, what) = (ctx.arg::<i32>(0), ctx.arg::<u64>(1) as u32);
    if option != PR_SET_MM || !matches!(what, PR_SET_MM_EXE_FILE | PR_SET_MM_MAP) {
        return Ok(Answer::Allow);
    }
    let settings = judge::settings()?;
    let question = Question::without_file(Hook::TaskPrctl, 0);
    let denial = Denial { reason: Reason::ExecutableReplaced, detail: what as i32, digest: Digest::NONE };
    Ok(judge::deny_without_file(&question, &denial, Response::Deny as u32, settings))
}

/// `include/uapi/linux/prctl.h`
const PR_SET_MM: i32 = 35;
const PR_SET_MM_EXE_FILE: u32 = 13;
const PR_SET_MM_MAP: u32 = 14;
/// `-ENOSYS`: the hook's word for "go on" (`include/linux/lsm_hook_defs.h`).
const NOT_OURS: i32 = -38;
