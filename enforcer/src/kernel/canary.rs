//! The canaries: unsigned code that must be denied, and signed code that must run, tried for real, at start and from time to time.
//!
//! The unsigned one is a file of random bytes that begins like no program, so that nothing happens even if it is let in: an unguarded `execve` ends
//! with `ENOEXEC`, a guarded one with `EPERM`. What proves anything is the count of this very build of the programs: another build that is in force at
//! the same time, during an upgrade, may deny first.
//!
//! The signed one is the enforcer itself. Where the kernel cannot measure, everything is denied, which looks like perfect enforcement to the first
//! canary alone, and would lock everybody out.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr::null_mut;

use enforcer_common::{Counter, Digest, Mode};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustix::fs::{StatVfsMountFlags, statfs, statvfs};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::{KernelError, Maps, cgroup};

/// Where and in which mode the canary is tried.
pub struct Canary<'a> {
    /// Folders to try it in; the first from which programs could be started is taken (not mounted `noexec`, and no tmpfs).
    pub folders: &'a [&'a Path],
    /// What must happen.
    pub mode: Mode,
}

impl Canary<'_> {
    /// Tries to run and to map a file that nobody signed. `announce` is told its digest first: its denials are no news, and other builds of the
    /// programs must not answer in this one's place.
    pub fn try_it(&self, maps: &Maps, announce: impl FnOnce(Digest)) -> Result<(), KernelError> {
        let (path, before) = self.announce_new(maps, announce)?;
        self.expect("execve of an unsigned file", Command::new(&path).spawn().map(drop))?;
        self.expect("an executable mapping of an unsigned file", map_executable(&path))?;
        self.expect_seen(maps, before, 2)
    }

    /// Tries to run the same in the control group of [`cgroup::canary_cgroup`], of which the policy in force has to say that this mode holds in it.
    pub fn try_in_its_cgroup(&self, maps: &Maps, announce: impl FnOnce(Digest)) -> Result<(), KernelError> {
        let entrance = cgroup::open_canary_cgroup().map_err(|error| untried(format!("no process can be started in a scope: {error}")))?;
        let (path, before) = self.announce_new(maps, announce)?;
        let mut command = Command::new(&path);
        let descriptor = entrance.as_raw_fd();
        // SAFETY: between fork and exec, one system call on a descriptor that is open until then, with a constant.
        unsafe {
            command.pre_exec(move || match libc::write(descriptor, c"0".as_ptr().cast(), 1) {
                1 => Ok(()),
                // No failure of this may be taken for the denial.
                _ => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
            });
        }
        self.expect("execve of an unsigned file in a scope", command.spawn().map(drop))?;
        self.expect_seen(maps, before, 1)
    }

    /// Makes a new canary, and announces it. Where it lies, and what was counted before it is tried.
    fn announce_new(&self, maps: &Maps, announce: impl FnOnce(Digest)) -> Result<(PathBuf, u64), KernelError> {
        let folder = self.folders.iter().find(|folder| can_start_programs(folder)).ok_or_else(|| {
            let tried: Vec<String> = self.folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
            untried(format!("none of {} is on a file system from which a program could be started (`noexec`, tmpfs or missing)", tried.join(", ")))
        })?;
        let (path, content) = prepare(folder).map_err(|error| untried(format!("cannot write a canary in `{}`: {error}", folder.display())))?;
        announce(content);
        Ok((path, maps.counter(self.counter())?))
    }

    fn expect_seen(&self, maps: &Maps, before: u64, uses: u64) -> Result<(), KernelError> {
        match maps.counter(self.counter())? - before {
            seen if seen < uses => Err(failed(format!("the programs noticed {seen} of {uses} unsigned uses"))),
            _ => Ok(()),
        }
    }

    fn counter(&self) -> Counter {
        match self.mode {
            Mode::Audit => Counter::WouldBeDenied,
            Mode::Enforce => Counter::Denied,
        }
    }

    fn expect(&self, what: &str, outcome: io::Result<()>) -> Result<(), KernelError> {
        match (self.mode, outcome) {
            (Mode::Enforce, Err(error)) if error.raw_os_error() == Some(libc::EPERM) => Ok(()),
            (_, Err(error)) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::ETXTBSY)) => {
                Err(untried(format!("{what}: {error}")))
            }
            (Mode::Enforce, Err(error)) => {
                Err(failed(format!("{what} was not denied: it ended with `{error}` instead of `Operation not permitted`")))
            }
            (Mode::Enforce, Ok(())) => Err(failed(format!("{what} was not denied: it succeeded"))),
            (Mode::Audit, Err(error)) if error.raw_os_error() == Some(libc::EPERM) => Err(failed(format!("{what} was denied in audit mode"))),
            (Mode::Audit, _) => Ok(()),
        }
    }
}

/// Starts a program that the policy allows: the enforcer itself, with its libraries.
pub fn start_signed(program: &Path) -> Result<(), KernelError> {
    let started = Command::new(program).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match started {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(format!("`{}`, which the policy allows, ended with {status}", program.display()))),
        Err(error) => Err(failed(format!("`{}`, which the policy allows, did not start: {error}", program.display()))),
    }
}

/// On a `noexec` mount the kernel refuses by itself, which proves nothing; tmpfs is refused for another reason than the digest.
fn can_start_programs(folder: &Path) -> bool {
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    let is_noexec = statvfs(folder).map(|found| found.f_flag.contains(StatVfsMountFlags::NOEXEC));
    let is_tmpfs = statfs(folder).map(|found| found.f_type == TMPFS_MAGIC);
    is_noexec == Ok(false) && is_tmpfs == Ok(false)
}

/// Fills the canary's file anew, and says what its content is called. The file stays, and is overwritten in place, so that a full disk is no obstacle;
/// where it cannot be written at all, what it held before serves as well.
fn prepare(folder: &Path) -> io::Result<(PathBuf, Digest)> {
    let path = folder.join("canary");
    let mut bytes = [0_u8; SIZE];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    // No binary format begins like this: neither ELF nor `#!`, nor anything that binfmt_misc could match on text.
    bytes[..8].copy_from_slice(&[0; 8]);
    let written = OpenOptions::new().write(true).create(true).truncate(false).mode(0o700).custom_flags(libc::O_NOFOLLOW).open(&path);
    match written.and_then(|file: File| file.write_all_at(&bytes, 0)) {
        Ok(()) => {}
        Err(error) => {
            let old = fs::read(&path).map_err(|_| error)?;
            bytes = old.try_into().map_err(|_| io::Error::other("an old canary is damaged, and cannot be written"))?;
        }
    }
    let mut content = [0; 32];
    content.copy_from_slice(digest(&SHA256, &bytes).as_ref());
    Ok((path, Digest::sha256(content)))
}

fn map_executable(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    // SAFETY: a fresh private mapping at an address of the kernel's choice, unmapped at once and never read.
    unsafe {
        let address = mmap(null_mut(), SIZE, ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE, &file, 0)?;
        munmap(address, SIZE)?;
    }
    Ok(())
}

fn failed(detail: String) -> KernelError {
    KernelError::Canary { detail }
}

fn untried(detail: String) -> KernelError {
    KernelError::CanaryUntried { detail }
}

/// One page, so that it can be mapped.
const SIZE: usize = 4096;
