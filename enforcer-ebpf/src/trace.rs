//! Tracing: whoever may write to another process's memory runs whatever they like in it.
//!
//! Judged by the policy's `tracing`. A program with the entitlement `debugger` may; nobody may trace the enforcer (`guard`).

use enforcer_common::{ENTITLEMENT_DEBUGGER, Hook, Reason, Response};

use crate::{
    filesystem::{PROC_SUPER_MAGIC, TRACEFS_MAGIC},
    guard,
    judge::{self, Answer, Denial, Fault, Question},
    kernel::{self, file, task_struct},
    rights,
};

/// The current process is about to trace another one, or to reach into its memory.
#[inline(never)]
pub(crate) fn refuses(hook: Hook) -> bool {
    let Ok(settings) = judge::settings() else { return true };
    if settings.tracing == Response::Allow as u32 || rights::is_entitled(ENTITLEMENT_DEBUGGER) {
        return false;
    }
    let question = Question::without_file(hook, 0);
    judge::deny_without_file(&question, &Denial::without_digest(Reason::Tracing), settings.tracing, settings) == Answer::Deny
}

/// The same by a file: `/proc/PID/mem`, the list of probes.
#[inline(never)]
pub(crate) fn refuses_file(hook: Hook, file: *mut file) -> bool {
    let Ok(settings) = judge::settings() else { return true };
    if settings.tracing == Response::Allow as u32 || rights::is_entitled(ENTITLEMENT_DEBUGGER) {
        return false;
    }
    let question = Question::about(hook, file, 0, true);
    judge::deny(&question, &Denial::without_digest(Reason::Tracing), settings.tracing, settings) == Answer::Deny
}

/// The answer of a hook that has no file.
#[inline(always)]
pub(crate) fn answer(hook: Hook) -> Result<Answer, Fault> {
    Ok(if refuses(hook) { Answer::Deny } else { Answer::Allow })
}

/// The current process lets its parent trace it: what counts is what the parent may.
#[inline(always)]
pub(crate) fn answer_about_parent(hook: Hook, parent: *mut task_struct) -> Result<Answer, Fault> {
    if rights::is_entitled_task(parent as u64, ENTITLEMENT_DEBUGGER) { Ok(Answer::Allow) } else { answer(hook) }
}

/// Whether the file is a way into memory past its protection: `/proc/PID/mem`, and the list of probes.
#[inline(never)]
pub(crate) fn is_way_into_memory(file: *const file) -> bool {
    let magic = kernel::file_magic(file);
    if magic != PROC_SUPER_MAGIC && magic != TRACEFS_MAGIC {
        return false;
    }
    let name = kernel::short_name(kernel::path_dentry_at(kernel::file_path(file) as u64));
    if magic == PROC_SUPER_MAGIC { name == guard::MEM } else { name == guard::UPROBE_EVENTS || name == guard::DYNAMIC_EVENTS }
}
