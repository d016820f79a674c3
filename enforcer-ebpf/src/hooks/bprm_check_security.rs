//! `bprm_check_security`: may this program, script or interpreter start?
//!
//! Called once for each file of an `execve`: a script first, then its interpreter. The kernel already refuses writers to the file.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::{Hook, Reason, USE_EXEC, USE_SCRIPT};

use crate::{
    binprm::{self, LinuxBinprm},
    judge::{self, Answer, Denial, Fault, Question},
    kernel,
};

/// `int bprm_check_security(struct linux_binprm *bprm)`
#[lsm(hook = "bprm_check_security", sleepable)]
pub(crate) fn bprm_check_security(ctx: LsmContext) -> i32 {
    match try_bprm_check_security(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_bprm_check_security(ctx: &LsmContext) -> Result<Answer, Fault> {
    let bprm: *const LinuxBinprm = ctx.arg(0);
    let file = binprm::file(bprm);
    let called_by = binprm::called_by(bprm);
    let in_others_hands = binprm::is_in_others_hands(bprm);
    let wanted = if binprm::is_script(bprm) { USE_SCRIPT } else { USE_EXEC };
    let question = Question { called_by, in_others_hands, ..Question::about(Hook::BprmCheckSecurity, file, wanted, true) };
    let settings = judge::settings()?;
    // Its memory for uninitialised data would be executable, and no hook is asked about that.
    if kernel::read_implies_exec() {
        let denial = Denial::without_digest(Reason::ReadImpliesExec);
        if judge::deny(&question, &denial, settings.anonymous, settings) == Answer::Deny {
            return Ok(Answer::Deny);
        }
    }
    Ok(judge::file(&question, settings))
}
