//! `task_alloc`: not a question, but where what an interpreter was told to run is handed on to the tasks that it makes, threads above all.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Mode;

use crate::{judge, scope, scripts};

/// `int task_alloc(struct task_struct *task, unsigned long clone_flags)`
#[lsm(hook = "task_alloc")]
pub(crate) fn task_alloc(ctx: LsmContext) -> i32 {
    if scripts::inherit(ctx.arg(0)) {
        return 0;
    }
    match judge::settings() {
        Ok(settings) if scope::mode(settings) == Mode::Audit as u32 => 0,
        // Nothing else can be said about a task that would not be held to anything; that there is no memory is the truth.
        _ => ENOMEM,
    }
}

const ENOMEM: i32 = -12;
