//! `bpf_map`: is one of the enforcer's maps opened, by its id or its pin?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::{Hook, ObjectKind};

use crate::{
    guard,
    judge::{self, Answer, Fault},
    kernel,
};

/// `int bpf_map(struct bpf_map *map, fmode_t fmode)`
#[lsm(hook = "bpf_map")]
pub(crate) fn bpf_map(ctx: LsmContext) -> i32 {
    match try_bpf_map(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_bpf_map(ctx: &LsmContext) -> Result<Answer, Fault> {
    guard::object(Hook::BpfMap, ObjectKind::Map, kernel::map_id(ctx.arg(0)))
}
