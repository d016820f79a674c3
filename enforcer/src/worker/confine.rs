//! Giving everything up, before the first byte of a stranger is read.
//!
//! In this order: limits, descriptors, user, capabilities, new privileges, landlock, and the filter of system calls. Each step is tried whatever became of
//! the others, and a failure is told: what it means is decided by the daemon, which also looks for itself (`proof`).

use std::collections::BTreeMap;

use landlock::{ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetStatus, Scope};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, apply_filter};

use super::Hello;
use crate::kernel::{close_descriptors_from, set_nice};

/// Gives up whatever the calling process could do besides reading and answering at descriptor 0. It must have one thread.
///
/// `nice` is its place in the queue for the processor, which it cannot change afterwards.
pub fn confine(nice: i32) -> Hello {
    set_nice(nice);
    let mut hello = Hello::default();
    let mut step = |name: &str, outcome: Result<(), String>| {
        if let Err(problem) = outcome {
            hello.failed.push(format!("{name}: {problem}"));
        }
    };
    step("limits", limits());
    step("descriptors", close_descriptors_from(3).map_err(|error| error.to_string()));
    step("user", change_user());
    step("capabilities", capabilities());
    step("no_new_privs", set_no_new_privs(true).map_err(text));
    step("dumpable", set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(text));
    let landlock = landlock();
    step("landlock", landlock.as_ref().map(drop).map_err(Clone::clone));
    step("seccomp", seccomp());
    hello.landlock = landlock.unwrap_or(false);
    hello
}

fn text(errno: rustix::io::Errno) -> String {
    errno.to_string()
}

fn limits() -> Result<(), String> {
    let limits = [
        (Resource::As, MEMORY),
        (Resource::Cpu, PROCESSOR_SECONDS),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Nproc, 0),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Memlock, 0),
    ];
    let set = |(resource, limit)| setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) }).map_err(text);
    limits.into_iter().try_for_each(set)
}

/// Only root can become somebody else, and the daemon is root.
fn change_user() -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root can become a user without rights".to_owned());
    }
    // As long as it may still.
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error.to_string()),
        }
    }
    let (user, group) = (Uid::from_raw(NOBODY_ELSE), Gid::from_raw(NOBODY_ELSE));
    set_thread_groups(&[]).map_err(text)?;
    set_thread_res_gid(group, group, group).map_err(text)?;
    set_thread_res_uid(user, user, user).map_err(text)
}

fn capabilities() -> Result<(), String> {
    clear_ambient_capability_set().map_err(text)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).map_err(text)
}

/// An empty set of rules: no file, no port, no signal. Whether the kernel has landlock at all; the filter of system calls does not need it.
fn landlock() -> Result<bool, String> {
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(|rules| rules.create())
        .and_then(|rules| rules.restrict_self())
        .map_err(|error| error.to_string())?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// What is not on the list ends the process.
fn seccomp() -> Result<(), String> {
    let failed = |error: seccompiler::BackendError| error.to_string();
    let argument_is = |number, operator, value| {
        SeccompCondition::new(number, SeccompCmpArgLen::Dword, operator, value)
            .and_then(|condition| SeccompRule::new(vec![condition]))
            .map_err(failed)
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    // Memory, but none that can be executed.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![argument_is(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0)?]);
    }
    // The daemon, and nobody else.
    for call in [libc::SYS_sendmsg, libc::SYS_recvmsg] {
        rules.insert(call, vec![argument_is(0, SeccompCmpOp::Eq, 0)?]);
    }
    // What the standard library asks before it closes a descriptor, in a build with debug assertions.
    rules.insert(libc::SYS_fcntl, vec![argument_is(1, SeccompCmpOp::Eq, libc::F_GETFD as u64)?]);
    let architecture = std::env::consts::ARCH.try_into().map_err(failed)?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture).map_err(failed)?;
    let program: BpfProgram = filter.try_into().map_err(failed)?;
    apply_filter(&program).map_err(|error| error.to_string())
}

/// What parsing, answering and ending need.
const ALLOWED: [i64; 18] = [
    libc::SYS_pread64,
    libc::SYS_fstat,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_getrandom,
    // The C library makes room for random numbers when it is first asked for one, by these two (glibc 2.41, on kernels with `getrandom` in the vDSO).
    libc::SYS_rt_sigprocmask,
    libc::SYS_sched_getaffinity,
    libc::SYS_clock_gettime,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_sigaltstack,
    libc::SYS_sched_yield,
    libc::SYS_exit,
    libc::SYS_exit_group,
];
/// A user and group that nobody is: in the range that systemd's list of uids leaves free. Not `nobody`, whose processes may signal each other.
pub(super) const NOBODY_ELSE: u32 = 2_147_000_311;
const NEWEST: ABI = ABI::V6;
/// Most of it is the program itself. The headers of an ELF file are 16 MiB at most, and are held twice while they are sent.
const MEMORY: u64 = 512 << 20;
const PROCESSOR_SECONDS: u64 = 60;
const DESCRIPTORS: u64 = 16;
