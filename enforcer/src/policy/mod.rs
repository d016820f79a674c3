//! policy.toml, checked and compiled: what the administrator asked for, as settled types.
//!
//! Never reads a certificate or a signed file: that is [`crate::trust`]'s and [`crate::signature`]'s work.

mod at;
mod duration;
mod edit;
mod error;
mod raw;
mod relief;
mod rule;
mod schema;
mod scopes;
mod scripts;
mod setting;
mod settle;
mod size;
#[cfg(test)]
mod tests;
mod values;

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use duration::{display as display_duration, parse as parse_duration};
pub use edit::Edit;
pub use enforcer_common::{Mode, Response};
pub(crate) use error::from_toml;
pub use error::{Invalid, Place, PolicyError, Problem};
pub use relief::{BreakGlass, Fuse};
pub use rule::{Lines, Rule};
pub use schema::{KNOWN_NAMES, NEEDS_RESTART, RANGE, schema};
pub use scopes::{CgroupPattern, Scope};
pub use scripts::{Callers, Evidence, Grammar, Interpreter, Interpreters, Label, ScriptName, ScriptNames, known_script_names};
pub use setting::{ScriptSetting, Setting};
pub(crate) use size::display as display_size;

/// Where the policy is looked for when nobody names another place.
pub const DEFAULT_PATH: &str = "/etc/enforcer/policy.toml";

/// A policy that has been read, checked and settled. Every default is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The file it was read from.
    pub path: PathBuf,
    /// SHA-256 of the text that was settled: exactly what a policy signer has to have signed.
    pub sha256: [u8; 32],
    /// When that file was last written to; `None` where there was no file.
    pub modified: Option<SystemTime>,
    /// Audit or enforce, where no scope says another one.
    pub mode: Mode,
    /// The control groups in which another mode holds.
    pub scopes: Vec<Scope>,
    /// When enforcing is suspended by itself.
    pub fuse: Option<Fuse>,
    /// By whose word it is suspended at a boot.
    pub break_glass: BreakGlass,
    /// Who is trusted, for what; a signer's number is its place here.
    pub signers: Vec<Signer>,
    /// Which software must be what it says it is; a component's number is its place here.
    pub components: Vec<Component>,
    /// Whose word counts for when something was signed.
    pub timestamp_authorities: Vec<TimestampAuthority>,
    /// What a signature has to fulfil.
    pub signatures: Signatures,
    /// Who and what is trusted no longer.
    pub revocation: Revocation,
    /// Where signatures are looked for, besides the file itself and `FILE.p7s`.
    pub sources: Sources,
    /// Folders whose files are verified at start.
    pub scan: Vec<PathBuf>,
    /// The programs that run text, and what they are held to.
    pub interpreters: Interpreters,
    /// Executable memory that no file stands behind.
    pub memory: Memory,
    /// Code on file systems whose content cannot be pinned down.
    pub filesystems: Filesystems,
    /// What is brought into the kernel itself.
    pub kernel: Kernel,
    /// Where the numbers for a monitoring system go.
    pub metrics: Metrics,
    /// Who may change any of this.
    pub protection: Protection,
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
    /// PEM files of certificates that signatures may leave out: intermediates, and signers below an anchor. They add no trust.
    pub intermediates: Vec<PathBuf>,
    /// Bits of [`enforcer_common::USE_EXEC`], [`enforcer_common::USE_LIBRARY`] and [`enforcer_common::USE_MODULE`].
    pub uses: u32,
    /// Which entitlements its signatures may give.
    pub entitlements: Vec<String>,
}

/// Software that has to be what it says it is: a signed identifier, bound to signers, to a lowest security version and to the names it goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The identifier that its signatures carry (`docs/signature-format.md`).
    pub identifier: String,
    /// The signers who may sign it; empty is any.
    pub signers: Vec<String>,
    /// The lowest security version that may run.
    pub min_security_version: u32,
    /// File names that nothing else may be started or mapped as code by, wherever it lies.
    pub names: Vec<String>,
    /// Absolute paths that nothing else may be started or mapped as code from.
    pub paths: Vec<PathBuf>,
}

/// Whoever certifies when a signature was made (RFC 3161).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampAuthority {
    /// Its name in reports.
    pub name: String,
    /// PEM files of trust anchors.
    pub anchors: Vec<PathBuf>,
    /// PEM files of certificates that timestamps may leave out.
    pub intermediates: Vec<PathBuf>,
}

/// What a signature has to fulfil.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signatures {
    /// Of several signers in one signature, how many must be accepted.
    pub several_signers: SeveralSigners,
}

/// Of several signers in one signature, how many must be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeveralSigners {
    /// Every one.
    All,
    /// Any one.
    One,
}

/// Who and what is trusted no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Certificate revocation lists (RFC 5280 §5), PEM or DER: files, or folders of `*.crl` and `*.pem`.
    pub crls: Vec<PathBuf>,
    /// What a list means whose next update is overdue.
    pub stale_crl: StaleCrl,
    /// The file that `enforcer revoke` writes: single digests, certificates and signers.
    pub file: PathBuf,
}

/// What a revocation list means whose next update is overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleCrl {
    /// Nothing that its issuer certified is accepted until there is a newer list.
    HardFail,
    /// What it says still counts, and a warning is given.
    Warn,
}

/// Where signatures are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Tracing other processes, and writing to their memory.
    pub tracing: Response,
}

/// What happens to code on file systems that cannot be measured once and for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filesystems {
    /// tmpfs and unsealed memfds.
    pub volatile: Response,
    /// FUSE and network file systems.
    pub foreign: Response,
}

/// What happens to what is brought into the kernel itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Modules from files without a verdict.
    pub modules: Response,
    /// Modules that come as memory (`init_module`).
    pub modules_from_memory: Response,
    /// Kernels to be started by kexec: from files without a verdict, and from memory.
    pub kexec: Response,
    /// Firmware without a verdict.
    pub firmware: Response,
    /// Ways into the kernel's memory: `/dev/mem`, `iopl` and their like.
    pub memory: Response,
    /// BPF programs of others that can change what is decided.
    pub bpf_programs: Response,
}

/// Where the numbers for a monitoring system go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// The file that node_exporter's textfile collector reads, `….prom`; `None` writes none.
    pub textfile: Option<PathBuf>,
    /// How often it is written.
    pub interval: Duration,
}

/// How the enforcer is protected from those whom it protects from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// The names of the signers by whose word alone the policy, and whatever adds trust, may be changed; none is anybody who is root.
    pub policy_signers: Vec<String>,
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

impl Policy {
    /// The number of the component that a file at this absolute path has to be (its place in the policy, from 1), if its name or path is bound.
    pub fn component_at(&self, path: &Path) -> Option<u32> {
        let by_path = |component: &Component| component.paths.iter().any(|bound| bound == path);
        let by_name = |component: &Component| path.file_name().is_some_and(|name| component.names.iter().any(|bound| bound.as_str() == name));
        let place = self.components.iter().position(by_path).or_else(|| self.components.iter().position(by_name))?;
        u32::try_from(place + 1).ok()
    }

    /// The interpreters that there can be: one without programs is whoever is entitled to be one, if anybody can be.
    pub fn possible_interpreters(&self) -> impl Iterator<Item = &Interpreter> {
        let is_entitlement = |name: &String| name.starts_with(scripts::GENERIC);
        let by_entitlement = self.signers.iter().any(|signer| signer.entitlements.iter().any(is_entitlement));
        self.interpreters.0.iter().filter(move |interpreter| by_entitlement || !interpreter.programs.is_empty())
    }

    /// Reads and settles the policy in a file.
    ///
    /// # Errors
    /// [`PolicyError`]: what could not be read, or everything that is wrong with it, with line and column.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let (text, modified) = read(path)?;
        Ok(Self { modified, ..Self::parse(&text, path)? })
    }

    /// Settles the policy in `text`. `path` is where it came from: errors and reports name it, nothing is read.
    ///
    /// # Errors
    /// [`PolicyError::Invalid`]: everything that is wrong with it, with line and column.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PolicyError> {
        let invalid = |problems| PolicyError::from(Box::new(Invalid::new(path, text, problems)));
        if text.len() as u64 > MAX_SIZE {
            return Err(PolicyError::TooLarge { path: path.into() });
        }
        let raw = toml::from_str(text).map_err(|error| invalid(vec![error::from_toml(&error)]))?;
        let sha256 = crate::text::sha256(text.as_bytes());
        settle::settle(raw, path).map(|policy| Self { sha256, ..policy }).map_err(invalid)
    }
}

/// The text of a policy's file.
fn read(path: &Path) -> Result<(String, Option<SystemTime>), PolicyError> {
    let unreadable = |source| PolicyError::Unreadable { path: path.into(), source };
    // Non-blocking, so that a FIFO in the policy's place cannot hang its reader.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(PolicyError::NotAFile { path: path.into() });
    }
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(PolicyError::TooLarge { path: path.into() });
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        PolicyError::NotText { path: path.into(), line: valid.iter().filter(|byte| **byte == b'\n').count() + 1 }
    })?;
    Ok((text, metadata.modified().ok()))
}

/// Bytes that a policy may have.
pub const MAX_SIZE: u64 = 1 << 20;

/// The version of the format that this program reads.
const VERSION: i64 = 1;
