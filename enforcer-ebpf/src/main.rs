//! Enforcer's eBPF LSM programs: each file about to become code is measured, looked up, and let through or stopped, in the kernel.
//!
//! | hook | question it answers | sleeps |
//! |---|---|---|
//! | `bprm_check_security` | may this program, script or interpreter start? | yes |
//! | `mmap_file` | may these bytes become executable? | yes |
//! | `file_mprotect` | may this memory become executable now? | no |
//! | `file_open` | is mapped code about to be changed? | yes |
//!
//! All hooks share [`judge`]: measure (`measure`), look up (`maps::VERDICTS`), ask the daemon about what nobody has seen (`first_use`), decide,
//! and report what is denied (`report`). Nothing here knows about signatures, paths or policy text.
#![no_std]
#![no_main]
#![feature(adt_const_params, core_intrinsics)]
#![expect(internal_features, reason = "BPF's atomic operations are reachable in no other way; see `atomic`")]

mod atomic;
mod first_use;
mod hooks {
    pub(crate) mod bprm_check_security;
    pub(crate) mod file_mprotect;
    pub(crate) mod file_open;
    pub(crate) mod mmap_file;
}
mod judge;
mod kernel;
mod maps;
mod measure;
mod names;
mod report;

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
