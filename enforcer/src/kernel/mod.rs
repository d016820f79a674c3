//! The kernel boundary: probes, offsets from BTF, the programs, their maps and pins, and the canary.
//!
//! All `unsafe` of the crate is in this folder. Nothing here knows about signatures.

mod allocator;
mod batch;
mod canary;
mod cgroup;
mod descriptors;
mod guard;
mod hashing;
mod layout;
mod maps;
mod object;
mod pins;
mod place;
mod probe;
mod programs;
mod release;
mod rights;
mod securebits;
mod urgency;
mod verifier;
mod verity;

use std::io;
use std::path::PathBuf;

pub use allocator::give_back_freed_memory;
pub use canary::{Canary, start_signed};
pub use cgroup::{canary_cgroup, is_canary_cgroup, own_cgroup, unified_path};
pub use descriptors::close_descriptors_from;
pub use hashing::hash_by_the_processor;
pub use layout::{overlay_module_is_loaded, read_overlay};
pub use maps::{Maps, Records, boottime, charters, monotonic};
pub use pins::{HookCost, PIN_ROOT, Pins, observed};
pub use place::{boot_id, kernel_command_line, open_own_program, own_mount_namespace, own_program, own_text, require_own_place, without_mark};
pub use probe::{ProbeOutcome, probe_lsm, require_bpf_lsm, require_kernel, require_unified_hierarchy};
pub use programs::{HOOKS, Loaded, Others, load_or_adopt};
pub use release::{Released, daemon, daemon_of, end_daemon, release, reload_daemon};
pub use rights::give_up_rights;
pub use securebits::restrict_scripts;
pub use urgency::{raise_priority, set_nice};
pub use verifier::{Verification, verify_programs};
pub use verity::{SealError, fsverity_digest, seal};

/// Why the kernel side could not be set up or read.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// `bpf` is not among the LSMs of this boot.
    #[error("`bpf` is not an active LSM on this boot (active: {active}): add `lsm={active},bpf` to the kernel's command line and reboot")]
    NoBpfLsm {
        /// The list of `/sys/kernel/security/lsm`.
        active: String,
    },
    /// Overlapping runs of a program would be skipped.
    #[error(
        "this kernel skips a sleepable program that is started again while it runs (`__bpf_prog_enter_sleepable_recur` is missing): update the kernel"
    )]
    SkipsOverlappingRuns,
    /// Control groups of version 1, alone or beside those of version 2.
    #[error(
        "the policy has scopes, and this machine does not use the unified hierarchy of control groups alone: boot with `systemd.unified_cgroup_hierarchy=1` on \
        the kernel's command line, or take every `[[scope]]` out of the policy"
    )]
    NoUnifiedHierarchy,
    /// The kernel's types cannot be read.
    #[error("cannot read the kernel's types from `{}`: {detail} (the kernel must be built with CONFIG_DEBUG_INFO_BTF=y)", path.display())]
    Btf {
        /// The BTF file.
        path: PathBuf,
        /// What the reader said.
        detail: String,
    },
    /// A field that the programs read is missing.
    #[error("this kernel has no field `{field}`, which the eBPF programs read; this version of Enforcer does not know this kernel")]
    MissingField {
        /// The field's path, or the alternatives.
        field: String,
    },
    /// The object in this binary is not what it should be.
    #[error("the eBPF object in this binary is damaged: {detail}; build it anew with `cargo xtask build`")]
    Object {
        /// What is wrong.
        detail: String,
    },
    /// The kernel refused a program.
    #[error("the kernel refused the program `{program}`: {detail}")]
    Program {
        /// The program's name.
        program: String,
        /// What it said, with the end of the verifier's log.
        detail: String,
    },
    /// Something else about loading failed.
    #[error("cannot load the eBPF programs: {detail}")]
    Load {
        /// What failed.
        detail: String,
    },
    /// A map is missing or of the wrong kind.
    #[error("the map `{map}` cannot be used: {detail}")]
    Map {
        /// The map's name.
        map: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// The map of verdicts is full.
    #[error("the kernel's map of verdicts is full at {max} entries; raise `max-verdicts` in the policy's [limits] and restart the service")]
    VerdictsFull {
        /// How many fit.
        max: u32,
    },
    /// A map of what the policy names is full.
    #[error(
        "the kernel's map `{map}` is full: while a policy replaces another one, it holds what `[[component]]`s and `[[interpreter]]`s of both name"
    )]
    NamesFull {
        /// Which one.
        map: &'static str,
    },
    /// A file or folder of the enforcer's own could not be told to the programs.
    #[error("`{}` cannot be guarded: the programs were shown it and did not take it", path.display())]
    NotEnrolled {
        /// The file or folder.
        path: PathBuf,
    },
    /// A pin cannot be made, read or removed.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Pin {
        /// What was tried.
        action: &'static str,
        /// The pin.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The daemon cannot be reached or does not end.
    #[error("cannot end the daemon (process {pid}): {detail}")]
    Daemon {
        /// Its process.
        pid: u32,
        /// What went wrong.
        detail: String,
    },
    /// What must be denied was not, or what must run did not.
    #[error("the canary failed: {detail}")]
    Canary {
        /// What happened instead.
        detail: String,
    },
    /// The canary could not be tried, so nothing is proven.
    #[error("the canary could not be tried: {detail}")]
    CanaryUntried {
        /// Why not.
        detail: String,
    },
}
