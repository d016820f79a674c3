//! `bpf`: is one of the enforcer's links opened by its id, or a program loaded that can change what others decide?
//!
//! A link's descriptor gives no power over it: links of LSM programs can be neither detached nor updated, only dropped. What can change the outcome of a
//! hook are programs that replace other programs (`EXT`), that answer in a kernel function's place (`MODIFY_RETURN`), and other LSM programs.

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::{Digest, Hook, ObjectKind, Reason};

use crate::{
    guard,
    judge::{self, Answer, Denial, Fault, Question},
    kernel, rights, trace,
};

/// `int bpf(int cmd, union bpf_attr *attr, unsigned int size)`
#[lsm(hook = "bpf")]
pub(crate) fn bpf(ctx: LsmContext) -> i32 {
    match try_bpf(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_bpf(ctx: &LsmContext) -> Result<Answer, Fault> {
    let attributes = ctx.arg::<*const u8>(1) as u64;
    match ctx.arg::<i32>(0) {
        BPF_LINK_GET_FD_BY_ID => guard::object(Hook::Bpf, ObjectKind::Link, kernel::read_half(attributes)),
        BPF_PROG_LOAD => {
            let (kind, place) = (kernel::read_half(attributes), kernel::read_half(attributes + EXPECTED_ATTACH_TYPE));
            // Probes in programs, which may change their registers.
            if kind == BPF_PROG_TYPE_KPROBE && (place == BPF_TRACE_UPROBE_MULTI || place == BPF_TRACE_UPROBE_SESSION) {
                return trace::answer(Hook::Bpf);
            }
            let is_foreign = kind == BPF_PROG_TYPE_EXT || kind == BPF_PROG_TYPE_LSM || (kind == BPF_PROG_TYPE_TRACING && place == BPF_MODIFY_RETURN);
            // The service manager confines services by LSM programs of its own.
            let is_managers = kind == BPF_PROG_TYPE_LSM && judge::current_pid() == 1;
            if !is_foreign || is_managers || rights::acts_for_the_enforcer() {
                return Ok(Answer::Allow);
            }
            let settings = judge::settings()?;
            let question = Question::without_file(Hook::Bpf, 0);
            let denial = Denial { reason: Reason::ForeignProgram, detail: kind as i32, digest: Digest::NONE };
            Ok(judge::deny_without_file(&question, &denial, settings.bpf_programs, settings))
        }
        _ => Ok(Answer::Allow),
    }
}

// `include/uapi/linux/bpf.h`: commands, types, and where `union bpf_attr` has the place that a program is for.
const BPF_PROG_LOAD: i32 = 5;
const BPF_LINK_GET_FD_BY_ID: i32 = 30;
const BPF_PROG_TYPE_KPROBE: u32 = 2;
const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_PROG_TYPE_EXT: u32 = 28;
const BPF_PROG_TYPE_LSM: u32 = 29;
const BPF_MODIFY_RETURN: u32 = 26;
const BPF_TRACE_UPROBE_MULTI: u32 = 48;
const BPF_TRACE_UPROBE_SESSION: u32 = 57;
const EXPECTED_ATTACH_TYPE: u64 = 68;
