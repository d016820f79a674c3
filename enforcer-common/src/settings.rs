//! What changes at run time: settings, heartbeat and counters.

use crate::{Digest, boundary_enum};

boundary_enum! {
    /// What happens to code without a verdict.
    pub enum Mode {
        /// Decide and record, never deny.
        Audit = 1 => "audit",
        /// Deny.
        Enforce = 2 => "enforce",
    }
}

boundary_enum! {
    /// What the policy says about one kind of memory or file system.
    pub enum Response {
        /// Let it through without a word.
        Allow = 1 => "allow",
        /// Let it through and report it.
        Audit = 2 => "audit",
        /// Stop it (in enforce mode) and report it.
        Deny = 3 => "deny",
    }
}

/// The one element of the map `SETTINGS`. A number that is no [`Mode`] or [`Response`] counts as the strictest one.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// [`Mode`], where no scope says another one.
    pub mode: u32,
    /// [`Response`] to executable memory without a file.
    pub anonymous: u32,
    /// [`Response`] to memory that is writable and executable at once.
    pub writable_and_executable: u32,
    /// [`Response`] to written memory that becomes executable.
    pub made_executable: u32,
    /// [`Response`] to code on tmpfs and in unsealed memfds. With `Allow` it is measured and looked up like any file, at every use.
    pub volatile_filesystems: u32,
    /// [`Response`] to code on FUSE and network file systems, as above.
    pub foreign_filesystems: u32,
    /// [`Response`] to tracing, and to writing to another process's memory.
    pub tracing: u32,
    /// [`Response`] to kernel modules without a verdict.
    pub modules: u32,
    /// [`Response`] to kernel modules that are handed over as memory.
    pub modules_from_memory: u32,
    /// [`Response`] to kexec images without a verdict, and to those that are handed over as memory.
    pub kexec: u32,
    /// [`Response`] to firmware without a verdict.
    pub firmware: u32,
    /// [`Response`] to ways into the kernel's memory ([`crate::KernelLayout::lockdown_integrity`]).
    pub kernel_memory: u32,
    /// [`Response`] to BPF programs of others that can change what is decided.
    pub bpf_programs: u32,
    /// The number of the mount namespace in which the guarded folders must stay where they are.
    pub mount_namespace: u32,
    /// Largest file that is measured, in bytes.
    pub max_file_size: u64,
    /// How long a first use may wait for the daemon, in nanoseconds.
    pub deadline: u64,
    /// What is added to the deadline for each MiB of the file, in nanoseconds.
    pub deadline_per_mib: u64,
    /// A heartbeat older than this many nanoseconds means that there is no daemon.
    pub heartbeat_timeout: u64,
    /// When the rights end that a former policy left to what runs ([`crate::Verdict::left`]), in nanoseconds of `CLOCK_BOOTTIME`.
    pub left_until: u64,
    /// How many tasks may wait for the daemon at once.
    pub max_waiting: u32,
    /// The daemon's publication: the current generation of verdicts.
    pub generation: u32,
    /// How many names and paths belong to components; 0 means that none has to be looked at.
    pub bound_names: u32,
    /// The enforcer's own program, by each of its digests, and the one that may take its place: who may touch what is guarded. Unused ones are
    /// [`Digest::NONE`].
    pub enforcers: [Digest; ENFORCERS],
    /// Where the map `SCOPES` begins ([`crate::ScopeStep::from`]); 0 when `mode` holds everywhere.
    pub scope_root: u32,
    /// [`Mode`] for what guards the enforcer itself, where that of the process is not stricter: a fuse that has blown leaves it as it was.
    pub guards: u32,
    /// Explicit padding.
    pub reserved: u32,
}

/// Digests of the enforcer's own program: two kinds of the running one, and two of its successor.
pub const ENFORCERS: usize = 4;

const _: () = assert!(size_of::<Settings>() == 24 + 32 + 40 + 12 + 36 * ENFORCERS + 12);

/// The place in the map `EPOCHS` of a number that the daemon moves when it has taken away something that it had published, or changed the settings.
pub const POLICY_EPOCH: u32 = 0;
/// The same, that the programs move when somebody opens code for writing.
pub const CONTENT_EPOCH: u32 = 1;
/// How many there are.
pub const EPOCHS_COUNT: u32 = 2;

/// The one element of the map `HEARTBEAT`, written by the daemon while its work progresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// `CLOCK_MONOTONIC`, nanoseconds; 0 when no daemon answers.
    pub time: u64,
    /// The daemon's process id in the initial pid namespace. Its own threads never wait for it.
    pub pid: u32,
    /// Explicit padding.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Heartbeat>() == 16);

/// The one element of the map `CHARTER`: by whose word the policy may be changed. The programs never read it; it is in the kernel because it must outlive
/// the daemon, and because nobody else can reach it there.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charter {
    /// How many of `bytes` count.
    pub length: u32,
    /// Explicit padding.
    pub reserved: u32,
    /// What user space keeps there.
    pub bytes: [u8; CHARTER_SIZE],
}

/// How many bytes a charter may have.
pub const CHARTER_SIZE: usize = (64 << 10) - 8;

const _: () = assert!(size_of::<Charter>() == 64 << 10);

boundary_enum! {
    /// The indices of the per-CPU array `COUNTERS`.
    pub enum Counter {
        /// Measurements taken from the inode's storage.
        CacheHits = 0 => "cache-hits",
        /// Files hashed by the kernel.
        Measurements = 1 => "measurements",
        /// Uses that were allowed by a verdict.
        Allowed = 2 => "allowed",
        /// Uses that were stopped.
        Denied = 3 => "denied",
        /// Uses that were let through and reported.
        WouldBeDenied = 4 => "would-be-denied",
        /// Events that did not fit into the ring buffer.
        EventsLost = 5 => "events-lost",
        /// Requests sent to the daemon.
        Requests = 6 => "requests",
        /// Requests that did not fit into the ring buffer.
        RequestsLost = 7 => "requests-lost",
        /// Waits that ended at their deadline.
        Deadlines = 8 => "deadlines",
        /// Things that must not happen, and did.
        Faults = 9 => "faults",
        /// Files for which a map of the programs had no room.
        CodeFull = 10 => "code-full",
        /// Uses that were allowed by what was kept with the inode: each is a measurement taken from there, and allowed by a verdict, and not counted there.
        Granted = 11 => "granted",
    }
}
