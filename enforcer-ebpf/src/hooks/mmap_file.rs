//! `mmap_file`: may these bytes become executable?
//!
//! Libraries, programs started through the dynamic loader, `SHM_EXEC`, anonymous and shared memory. What counts is `prot`, into which the kernel has
//! already worked `READ_IMPLIES_EXEC`, not `reqprot`.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::{Digest, ENROL_MEASUREMENT, ENTITLEMENT_JIT, Hook, Reason, USE_LIBRARY};

use crate::{
    enrolment,
    judge::{self, Answer, Denial, Fault, Question},
    kernel::{self, PROT_EXEC, PROT_READ, PROT_WRITE},
    measure, rights,
};

/// `int mmap_file(struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags)`
#[lsm(hook = "mmap_file", sleepable)]
pub(crate) fn mmap_file(ctx: LsmContext) -> i32 {
    match try_mmap_file(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_mmap_file(ctx: &LsmContext) -> Result<Answer, Fault> {
    let prot: u64 = ctx.arg(2);
    let flags: u64 = ctx.arg(3);
    if flags & MAP_SHARED != 0 {
        let file = kernel::file_argument(ctx, 0);
        if !file.is_null() && kernel::file_is_writable(file) {
            measure::note_shared_mapping(file);
        }
    }
    // Under this personality, readable memory is executable too, but on mounts with `noexec`; and the kernel looks at those once more after this hook.
    if prot & PROT_EXEC == 0 && (prot & PROT_READ == 0 || !kernel::read_implies_exec()) {
        return if kernel::has_file_post_open() { Ok(Answer::Allow) } else { measure_for_the_daemon(ctx) };
    }
    let settings = judge::settings()?;
    let file = kernel::file_argument(ctx, 0);
    let question = Question::about(Hook::MmapFile, file, USE_LIBRARY, true);
    if file.is_null() && rights::is_entitled(ENTITLEMENT_JIT) {
        return Ok(Answer::Allow);
    }
    if prot & PROT_WRITE != 0 {
        let denial = Denial::without_digest(Reason::WritableAndExecutable);
        if judge::deny(&question, &denial, settings.writable_and_executable, settings) == Answer::Deny {
            return Ok(Answer::Deny);
        }
    }
    if file.is_null() {
        let denial = Denial::without_digest(Reason::AnonymousMemory);
        return Ok(judge::deny(&question, &denial, settings.anonymous, settings));
    }
    Ok(judge::file(&question, settings))
}

/// The daemon maps a file so that it is measured, for an interpreter that waits for that. It has no use for the mapping.
#[inline(always)]
fn measure_for_the_daemon(ctx: &LsmContext) -> Result<Answer, Fault> {
    if enrolment::shown() != Some(ENROL_MEASUREMENT) {
        return Ok(Answer::Allow);
    }
    let file = kernel::file_argument(ctx, 0);
    if file.is_null() {
        return Ok(Answer::Allow);
    }
    let mut subject = measure::Subject::UNKNOWN;
    let mut digest = Digest::NONE;
    let is_measured = measure::locate(file, &mut subject).is_ok() && measure::measure(file, &mut subject, judge::settings()?, &mut digest).is_ok();
    if is_measured {
        enrolment::take();
    }
    Ok(Answer::Deny)
}

/// `include/uapi/linux/mman.h`; also in `MAP_SHARED_VALIDATE`.
const MAP_SHARED: u64 = 0x1;
