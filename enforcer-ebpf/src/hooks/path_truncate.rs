//! `path_truncate`: is mapped code being cut off?
//!
//! A file is cut off by its name without being opened for writing, and what is mapped of it ends there; made longer again, it is full of zeros. Not
//! sleepable before 6.2. Whoever opens it for that (`ftruncate`, `O_TRUNC`) has met `file_open`.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::{Hook, Reason, Response};

use crate::{
    guard::{self, Besides, Touch},
    judge::{self, Answer, Denial, Fault, Question},
    kernel::{self, path},
    measure,
};

/// `int path_truncate(const struct path *path)`
#[lsm(hook = "path_truncate")]
pub(crate) fn path_truncate(ctx: LsmContext) -> i32 {
    match try_path_truncate(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_path_truncate(ctx: &LsmContext) -> Result<Answer, Fault> {
    let path: *const path = ctx.arg(0);
    let dentry = kernel::path_dentry_at(path as u64);
    if guard::is_guarded_file(dentry) {
        return guard::answer(true, &Touch { name: kernel::dentry_name(dentry), ..Touch::new(Hook::PathTruncate, Besides::Nobody) });
    }
    let inode = kernel::path_inode(path);
    if !measure::is_code_in_use(inode) {
        measure::note_writer(inode);
        return Ok(Answer::Allow);
    }
    let question = Question::without_file(Hook::PathTruncate, kernel::dentry_name(dentry));
    let denial = Denial::without_digest(Reason::MappedAsCode);
    let answer = judge::deny_without_file(&question, &denial, Response::Deny as u32, judge::settings()?);
    if answer == Answer::Allow {
        measure::note_writer(inode);
    }
    Ok(answer)
}
