//! `bprm_committed_creds`: what is an interpreter told to run?
//!
//! Called when the new program's memory is in place and nothing of it has run. There is no way to say no here, so a no ends the process.

use aya_ebpf::{macros::lsm, programs::LsmContext};

use crate::{
    judge::{self, Answer},
    scripts,
};

/// `void bprm_committed_creds(const struct linux_binprm *bprm)`
#[lsm(hook = "bprm_committed_creds", sleepable)]
pub(crate) fn bprm_committed_creds(ctx: LsmContext) -> i32 {
    let is_denied = match scripts::started(ctx.arg(0)) {
        Ok(answer) => answer == Answer::Deny,
        Err(fault) => judge::on_fault(&ctx, fault) != 0,
    };
    if is_denied {
        scripts::kill();
    }
    0
}
