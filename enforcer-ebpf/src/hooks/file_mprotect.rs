//! `file_mprotect`: may this memory become executable now?
//!
//! Cannot sleep, so it never hashes: a mapped file needs a measurement that may be reused. The rewriting of a trusted page and a private mapping that
//! was written first look alike, and both show as `anon_vma`.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::{ENTITLEMENT_JIT, Hook, Reason, Response, Settings, USE_LIBRARY};

use crate::{
    judge::{self, Answer, Denial, Fault, Question},
    kernel::{self, PROT_EXEC, PROT_WRITE, VmAreaStruct},
    measure, names, rights,
};

/// `int file_mprotect(struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)`
#[lsm(hook = "file_mprotect")]
pub(crate) fn file_mprotect(ctx: LsmContext) -> i32 {
    match try_file_mprotect(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_file_mprotect(ctx: &LsmContext) -> Result<Answer, Fault> {
    let prot: u64 = ctx.arg(2);
    if prot & PROT_EXEC == 0 {
        return Ok(Answer::Allow);
    }
    let settings = judge::settings()?;
    let vma: *const VmAreaStruct = ctx.arg(0);
    let file = kernel::vma_file(vma);
    let mut question = Question::about(Hook::FileMprotect, file, USE_LIBRARY, false);
    question.cannot_sleep();
    if file.is_null() && rights::is_entitled(ENTITLEMENT_JIT) {
        return Ok(Answer::Allow);
    }

    if prot & PROT_WRITE != 0 {
        let denial = Denial::without_digest(Reason::WritableAndExecutable);
        if judge::deny(&question, &denial, settings.writable_and_executable, settings) == Answer::Deny {
            return Ok(Answer::Deny);
        }
    }
    if kernel::vma_flags(vma) & VM_EXEC != 0 {
        return Ok(Answer::Allow);
    }
    if file.is_null() {
        let denial = Denial::without_digest(Reason::MadeExecutable);
        return Ok(judge::deny(&question, &denial, settings.made_executable, settings));
    }
    if kernel::vma_has_private_pages(vma) {
        let denial = Denial::without_digest(Reason::ModifiedPages);
        return Ok(judge::deny(&question, &denial, settings.made_executable, settings));
    }
    Ok(mapped_file(&question, file, settings))
}

/// An unmodified mapping of a file: its verdict, if it has been measured and judged already.
#[inline(always)]
fn mapped_file(question: &Question, file: *mut kernel::file, settings: &Settings) -> Answer {
    let mut denial = Denial::without_digest(Reason::NotMeasured);
    let mut subject = measure::Subject::UNKNOWN;
    if measure::locate(file, &mut subject).is_ok() && measure::reusable(kernel::file_inode(file), &mut subject, &mut denial.digest) {
        match judge::known(&denial.digest, question.wanted) {
            Some(Ok(())) => match names::check(question, &denial.digest, settings) {
                Ok(()) => match measure::confirm(file, &subject) {
                    Ok(()) => return Answer::Allow,
                    Err(reason) => denial.reason = reason,
                },
                Err(reason) => denial.reason = reason,
            },
            Some(Err(reason)) => denial.reason = reason,
            None => denial.reason = Reason::Untrusted,
        }
    }
    judge::deny(question, &denial, Response::Deny as u32, settings)
}

/// `include/linux/mm.h`
const VM_EXEC: u64 = 0x4;
