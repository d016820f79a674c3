//! policy.toml, checked and compiled: what the administrator asked for, as settled types.
//!
//! Never reads a certificate or a signed file: that is [`crate::trust`]'s and [`crate::signature`]'s work.

use std::path::PathBuf;
use std::time::Duration;

pub use enforcer_common::{Mode, Response};

/// A policy that has been read, checked and settled. Every default is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The file it was read from.
    pub path: PathBuf,
    /// Audit or enforce.
    pub mode: Mode,
    /// Who is trusted, for what; a signer's number is its place here.
    pub signers: Vec<Signer>,
    /// Where signatures are looked for, besides the file itself and `FILE.p7s`.
    pub sources: Sources,
    /// Folders whose files are verified at start.
    pub scan: Vec<PathBuf>,
    /// Executable memory that no file stands behind.
    pub memory: Memory,
    /// Code on file systems whose content cannot be pinned down.
    pub filesystems: Filesystems,
    /// Bounds on work.
    pub limits: Limits,
}

/// A named rule: whoever chains to one of these anchors, or is one of these certificates, may sign for these uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// Its name in events, tables and errors.
    pub name: String,
    /// PEM files of trust anchors (certificate authorities).
    pub anchors: Vec<PathBuf>,
    /// PEM files of signer certificates that are trusted by themselves.
    pub pinned: Vec<PathBuf>,
    /// Bits of [`enforcer_common::USE_EXEC`] and [`enforcer_common::USE_LIBRARY`].
    pub uses: u32,
}

/// Where signatures are looked for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sources {
    /// Signed manifests: files, or folders of `*.manifest` each with a `*.manifest.p7s` beside it.
    pub manifests: Vec<PathBuf>,
    /// Folders of detached signatures, named by the SHA-256 of the file they sign: `<hex>.p7s`.
    pub stores: Vec<PathBuf>,
}

/// What happens to executable memory without a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Executable from the start, no file behind it.
    pub anonymous: Response,
    /// Writable and executable at once.
    pub writable_and_executable: Response,
    /// Written, then made executable.
    pub made_executable: Response,
}

/// What happens to code on file systems that cannot be measured once and for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filesystems {
    /// tmpfs and unsealed memfds.
    pub volatile: Response,
    /// FUSE and network file systems.
    pub foreign: Response,
}

/// Bounds on work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest file that is measured, in bytes.
    pub max_file_size: u64,
    /// Verdicts that the kernel keeps.
    pub max_verdicts: u32,
    /// How long the first use of an unknown file may wait for the daemon.
    pub first_use_deadline: Duration,
    /// What is added for each MiB of the file.
    pub first_use_deadline_per_mib: Duration,
    /// How many tasks may wait at once.
    pub max_waiting: u32,
}
