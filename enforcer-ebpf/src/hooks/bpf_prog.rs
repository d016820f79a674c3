//! `bpf_prog`: is one of the enforcer's programs opened, by its id or its pin?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::{Hook, ObjectKind};

use crate::{
    guard,
    judge::{self, Answer, Fault},
    kernel,
};

/// `int bpf_prog(struct bpf_prog *prog)`
#[lsm(hook = "bpf_prog")]
pub(crate) fn bpf_prog(ctx: LsmContext) -> i32 {
    match try_bpf_prog(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_bpf_prog(ctx: &LsmContext) -> Result<Answer, Fault> {
    guard::object(Hook::BpfProg, ObjectKind::Program, kernel::program_id(ctx.arg(0)))
}
