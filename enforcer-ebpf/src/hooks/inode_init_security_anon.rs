//! `inode_init_security_anon`: does a process ask to supply pages by itself (`userfaultfd`)?
//!
//! A page that is supplied gets below a mapping without any permission to write, and without a question to any hook: below memory that is executable, and
//! in a private mapping of a sealed memory file also in the place of bytes that were verified. So the descriptor that it takes is refused.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::{Hook, Reason};

use crate::{
    judge::{self, Answer, Denial, Fault, Question},
    kernel,
};

/// `int inode_init_security_anon(struct inode *inode, const struct qstr *name, const struct inode *context_inode)`
#[lsm(hook = "inode_init_security_anon")]
pub(crate) fn inode_init_security_anon(ctx: LsmContext) -> i32 {
    match try_inode_init_security_anon(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_inode_init_security_anon(ctx: &LsmContext) -> Result<Answer, Fault> {
    if kernel::beginning_of_name(ctx.arg::<*const u8>(1) as u64) != USERFAULTFD {
        return Ok(Answer::Allow);
    }
    let settings = judge::settings()?;
    let question = Question::without_file(Hook::InodeInitSecurityAnon, 0);
    Ok(judge::deny_without_file(&question, &Denial::without_digest(Reason::SuppliedPages), settings.made_executable, settings))
}

/// The name of such a descriptor (`fs/userfaultfd.c`), as far as it takes to know it.
const USERFAULTFD: u64 = u64::from_ne_bytes(*b"[userfau");
