//! Enforcer's eBPF LSM programs: each file about to become code is measured, looked up, and let through or stopped, in the kernel.
//!
//! Each file of `hooks` is one hook, by the kernel's name, and opens with the question that it answers: may this start (`bprm_check_security`), may these
//! bytes become executable (`mmap_file`, `file_mprotect`), may this interpreter read or run that text (`file_post_open`, `bprm_committed_creds`,
//! `bprm_creds_for_exec`), may the kernel load this (`kernel_read_file`, `kernel_load_data`), is trusted code or memory
//! being changed (`file_open`, `ptrace_*`), and is somebody switching the enforcer off (all others; `guard` has them on one page).
//!
//! The hooks share [`judge`]: measure (`measure`), look up (`maps::VERDICTS`), ask the daemon about what nobody has seen (`first_use`), decide,
//! and report what is denied (`report`). Nothing here knows about signatures, paths or policy text.
#![no_std]
#![no_main]
#![feature(adt_const_params, core_intrinsics)]
#![expect(internal_features, reason = "BPF's atomic operations are reachable in no other way; see `atomic`")]

mod arguments;
mod atomic;
mod binprm;
mod code;
mod enrolment;
mod filesystem;
mod first_use;
mod grant;
mod guard;
mod hooks {
    pub(crate) mod bpf;
    pub(crate) mod bpf_map;
    pub(crate) mod bpf_prog;
    pub(crate) mod bprm_check_security;
    pub(crate) mod bprm_committed_creds;
    pub(crate) mod bprm_creds_for_exec;
    pub(crate) mod brk;
    pub(crate) mod file_mprotect;
    pub(crate) mod file_open;
    pub(crate) mod file_post_open;
    pub(crate) mod file_send_sigiotask;
    pub(crate) mod inode_create;
    pub(crate) mod inode_free_security;
    pub(crate) mod inode_init_security_anon;
    pub(crate) mod inode_link;
    pub(crate) mod inode_listxattr;
    pub(crate) mod inode_mkdir;
    pub(crate) mod inode_mknod;
    pub(crate) mod inode_readlink;
    pub(crate) mod inode_rename;
    pub(crate) mod inode_rmdir;
    pub(crate) mod inode_symlink;
    pub(crate) mod inode_unlink;
    pub(crate) mod kernel_load_data;
    pub(crate) mod kernel_post_read_file;
    pub(crate) mod kernel_read_file;
    pub(crate) mod locked_down;
    pub(crate) mod mmap_file;
    pub(crate) mod move_mount;
    pub(crate) mod path_truncate;
    pub(crate) mod perf_event_alloc;
    pub(crate) mod ptrace_access_check;
    pub(crate) mod ptrace_traceme;
    pub(crate) mod sb_mount;
    pub(crate) mod sb_umount;
    pub(crate) mod task_alloc;
    pub(crate) mod task_kill;
    pub(crate) mod task_prctl;
    pub(crate) mod task_setioprio;
    pub(crate) mod task_setnice;
    pub(crate) mod task_setrlimit;
    pub(crate) mod task_setscheduler;
}
mod inode_at;
mod judge;
mod kernel;
mod last_part;
mod load;
mod maps;
mod measure;
mod names;
mod overlay;
mod report;
mod rights;
mod rule;
mod scope;
mod scripts;
mod stamp;
mod tail;
mod task_storage;
mod trace;

/// The kernel lends some of the helpers (`bpf_ima_file_hash`, `bpf_d_path`, `bpf_probe_read_kernel`) to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // SAFETY: the verifier refuses a program in which this can be reached.
    unsafe { core::hint::unreachable_unchecked() }
}
