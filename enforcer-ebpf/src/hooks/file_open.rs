//! `file_open`: is mapped code about to be changed? something that belongs to the enforcer? memory, past its protection? And, before there was
//! `file_post_open`: may an interpreter read this?
//!
//! What a mapping was judged by is the content of that moment. Later writes to the file reach the mapping's pages, and no hook is asked about them; so a
//! file that was measured as code is not opened for writing as long as somebody has it mapped. Programs that run are guarded by the kernel itself in the
//! same way (`ETXTBSY`), libraries are not.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::{Hook, Reason, Response};

use crate::{
    guard::{self, Besides, Switch},
    judge::{self, Answer, Denial, Fault, Question},
    kernel::{self, file},
    measure, scripts, trace,
};

/// `int file_open(struct file *file)`
#[lsm(hook = "file_open", sleepable)]
pub(crate) fn file_open(ctx: LsmContext) -> i32 {
    match try_file_open(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_file_open(ctx: &LsmContext) -> Result<Answer, Fault> {
    let file: *mut file = ctx.arg(0);
    // Cutting off needs no descriptor for writing (`O_RDONLY | O_TRUNC`).
    let changes = kernel::file_is_writable(file) || kernel::file_is_cut_off(file);
    if changes && try_change(file)? == Answer::Deny {
        return Ok(Answer::Deny);
    }
    // Elsewhere, interpreters are asked in `file_post_open`, where the content can be measured.
    if kernel::has_file_post_open() { Ok(Answer::Allow) } else { scripts::opened(file, judge::unread_file) }
}

#[inline(always)]
fn try_change(file: *mut file) -> Result<Answer, Fault> {
    let is_guarded = guard::is_guarded_file(kernel::path_dentry_at(kernel::file_path(file) as u64));
    let switch = guard::switch(file);
    let besides = if switch == Switch::OfACgroup { Besides::ServiceManager } else { Besides::Nobody };
    if (is_guarded || switch != Switch::None) && guard::file_touched(Hook::FileOpen, besides, file) {
        return Ok(Answer::Deny);
    }
    if trace::is_way_into_memory(file) && trace::refuses_file(Hook::FileOpen, file) {
        return Ok(Answer::Deny);
    }
    let inode = kernel::file_inode(file);
    if !measure::is_code_in_use(inode) {
        measure::note_writer(inode);
        return Ok(Answer::Allow);
    }
    let question = Question::about(Hook::FileOpen, file, 0, true);
    let denial = Denial::without_digest(Reason::MappedAsCode);
    let settings = judge::settings()?;
    let answer = judge::deny(&question, &denial, Response::Deny as u32, settings);
    if answer == Answer::Allow {
        measure::note_writer(inode);
    }
    Ok(answer)
}
