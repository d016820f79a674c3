//! `bprm_creds_for_exec`: may an interpreter that asks run this file as a script?
//!
//! Whoever is about to read a program from a file asks by `execveat` with `AT_EXECVE_CHECK` (`Documentation/userspace-api/check_exec.rst`). The kernel goes
//! no further than this hook then. Whatever is really started is judged in `bprm_check_security`.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::{Hook, USE_SCRIPT};

use crate::{
    binprm::{self, LinuxBinprm},
    judge::{self, Answer, Fault, Question},
};

/// `int bprm_creds_for_exec(struct linux_binprm *bprm)`
#[lsm(hook = "bprm_creds_for_exec", sleepable)]
pub(crate) fn bprm_creds_for_exec(ctx: LsmContext) -> i32 {
    match try_bprm_creds_for_exec(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_bprm_creds_for_exec(ctx: &LsmContext) -> Result<Answer, Fault> {
    let bprm: *const LinuxBinprm = ctx.arg(0);
    if !binprm::is_check(bprm) {
        return Ok(Answer::Allow);
    }
    let question = Question::about(Hook::BprmCredsForExec, binprm::file(bprm), USE_SCRIPT, true);
    Ok(judge::file(&question, judge::settings()?))
}
