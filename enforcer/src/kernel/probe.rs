//! What this kernel can do, found out by trying.

use std::io::{self, BufRead as _};
use std::path::Path;

use aya::VerifierLogLevel;
use aya::programs::ProgramError;

use super::{KernelError, layout, programs};
use crate::text::chain;

/// The three answers a probe has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// It works.
    Yes,
    /// It does not, and this is why.
    No(String),
    /// It could not be tried, and this is why.
    CouldNotTell(String),
}

/// Whether the kernel takes our LSM programs: loads one, attaches nothing.
pub fn probe_lsm() -> ProbeOutcome {
    if !rustix::process::geteuid().is_root() {
        return ProbeOutcome::CouldNotTell("loading a BPF program needs root".to_owned());
    }
    match try_load() {
        Ok(()) => ProbeOutcome::Yes,
        Err(error) => ProbeOutcome::No(error.to_string()),
    }
}

fn try_load() -> Result<(), KernelError> {
    let types = layout::read()?;
    let btf = programs::kernel_btf()?;
    let mut programs = programs::open(&types, &btf, 1, VerifierLogLevel::default())?;
    let hook = "file_mprotect";
    let refused = |error: ProgramError| KernelError::Program { program: hook.to_owned(), detail: chain(&error) };
    programs::lsm(&mut programs, hook)?.load(hook, &btf).map_err(refused)
}

/// Refuses a machine on which the programs would load, attach, and not always be called.
pub fn require_kernel() -> Result<(), KernelError> {
    require_bpf_lsm()?;
    require_overlapping_runs()
}

/// Without this function, overlapping runs of a sleepable program on one CPU are skipped, which the kernel takes for a yes.
fn require_overlapping_runs() -> Result<(), KernelError> {
    let Ok(symbols) = std::fs::File::open("/proc/kallsyms") else { return Ok(()) };
    let has_it = io::BufReader::new(symbols)
        .split(b'\n')
        .map_while(Result::ok)
        .any(|line| line.split(u8::is_ascii_whitespace).any(|word| word == b"__bpf_prog_enter_sleepable_recur"));
    if has_it { Ok(()) } else { Err(KernelError::SkipsOverlappingRuns) }
}

/// Refuses a boot on which `bpf` is not among the active LSMs.
pub fn require_bpf_lsm() -> Result<(), KernelError> {
    let path = Path::new("/sys/kernel/security/lsm");
    let active = match std::fs::read_to_string(path) {
        Ok(text) => text,
        // Not mounted this early in the boot, or not at all: the canary tells.
        Err(_) => return Ok(()),
    };
    if active.trim().split(',').any(|name| name == "bpf") {
        return Ok(());
    }
    Err(KernelError::NoBpfLsm { active: active.trim().to_owned() })
}

/// Refuses a machine on which processes are in control groups of version 1, which scopes do not know (`Documentation/admin-guide/cgroup-v2.rst`).
pub fn require_unified_hierarchy() -> Result<(), KernelError> {
    if is_other_hierarchy(Path::new("/sys/fs/cgroup")) { Err(KernelError::NoUnifiedHierarchy) } else { Ok(()) }
}

/// Whether something else than the unified hierarchy is mounted there. Early in the boot nothing is: there is a folder of sysfs, or none.
fn is_other_hierarchy(root: &Path) -> bool {
    const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
    const SYSFS_MAGIC: u64 = 0x6265_6572;
    #[allow(clippy::unnecessary_cast, reason = "the width of f_type differs between architectures")]
    rustix::fs::statfs(root).is_ok_and(|statfs| ![CGROUP2_SUPER_MAGIC, SYSFS_MAGIC].contains(&(statfs.f_type as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_hierarchy_is_told_from_one_that_is_not_mounted_yet() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_other_hierarchy(folder.path()), "the folder of version 1 is a tmpfs with one folder for each controller");
        assert!(!is_other_hierarchy(Path::new("/sys/fs")) && !is_other_hierarchy(&folder.path().join("none")));
    }
}
