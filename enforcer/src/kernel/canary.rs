//! The canary: unsigned code that must be denied, tried for real, at start and from time to time.
//!
//! It is a file of random bytes that begins like no program, so that nothing happens even if it is let in: an unguarded `execve` ends with `ENOEXEC`,
//! a guarded one with `EPERM`. In audit mode nothing is denied; there the kernel's own count of would-be denials has to move.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::null_mut;

use enforcer_common::{Counter, Digest, Mode};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustix::fs::{StatVfsMountFlags, statfs, statvfs};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::{KernelError, Maps};

/// Where and in which mode the canary is tried.
pub struct Canary<'a> {
    /// Folders to try it in; the first from which programs could be started is taken (not mounted `noexec`, and no tmpfs).
    pub folders: &'a [&'a Path],
    /// What must happen.
    pub mode: Mode,
}

/// The proof that both the program and the library canary were stopped (or, in audit mode, seen).
#[derive(Debug)]
pub struct Denied(());

impl Canary<'_> {
    /// Tries to run and to map a file that nobody signed. `announce` is told its digest first, so that its denials need not be reported as news.
    pub fn try_it(&self, maps: &Maps, announce: impl FnOnce(Digest)) -> Result<Denied, KernelError> {
        let folder = self.folders.iter().find(|folder| can_start_programs(folder)).ok_or_else(|| {
            let tried: Vec<String> = self.folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
            failed(format!("none of {} is on a file system from which a program could be started (`noexec`, tmpfs or missing)", tried.join(", ")))
        })?;
        let file = CanaryFile::create(folder).map_err(|error| failed(format!("cannot write a canary in `{}`: {error}", folder.display())))?;
        announce(file.digest);
        let before = maps.counter(Counter::WouldBeDenied)?;
        self.expect("execve of an unsigned file", Command::new(&file.path).spawn().map(drop))?;
        self.expect("an executable mapping of an unsigned file", map_executable(&file.path))?;
        if self.mode == Mode::Audit {
            let seen = maps.counter(Counter::WouldBeDenied)? - before;
            if seen < 2 {
                return Err(failed(format!("in audit mode, {seen} of 2 unsigned uses were noticed")));
            }
        }
        Ok(Denied(()))
    }

    fn expect(&self, what: &str, outcome: std::io::Result<()>) -> Result<(), KernelError> {
        match (self.mode, outcome) {
            (Mode::Enforce, Err(error)) if error.raw_os_error() == Some(libc::EPERM) => Ok(()),
            (Mode::Enforce, Err(error)) => {
                Err(failed(format!("{what} was not denied: it ended with `{error}` instead of `Operation not permitted`")))
            }
            (Mode::Enforce, Ok(())) => Err(failed(format!("{what} was not denied: it succeeded"))),
            (Mode::Audit, Err(error)) if error.raw_os_error() == Some(libc::EPERM) => Err(failed(format!("{what} was denied in audit mode"))),
            (Mode::Audit, _) => Ok(()),
        }
    }
}

/// On a `noexec` mount the kernel refuses by itself, which proves nothing; tmpfs is refused for another reason than the digest.
fn can_start_programs(folder: &Path) -> bool {
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    let is_noexec = statvfs(folder).map(|found| found.f_flag.contains(StatVfsMountFlags::NOEXEC));
    let is_tmpfs = statfs(folder).map(|found| found.f_type == TMPFS_MAGIC);
    is_noexec == Ok(false) && is_tmpfs == Ok(false)
}

/// A canary on disk, removed when done.
struct CanaryFile {
    path: PathBuf,
    digest: Digest,
}

impl CanaryFile {
    fn create(folder: &Path) -> std::io::Result<Self> {
        let mut bytes = [0_u8; 4096];
        SystemRandom::new().fill(&mut bytes).map_err(|_| std::io::Error::other("no random numbers"))?;
        // No binary format begins like this: neither ELF nor `#!`, nor anything that binfmt_misc could match on text.
        bytes[..8].copy_from_slice(&[0; 8]);
        let path = folder.join(format!("canary-{}", std::process::id()));
        drop(fs::remove_file(&path));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path)?;
        file.write_all(&bytes)?;
        let mut digest = [0; 32];
        digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, &bytes).as_ref());
        Ok(Self { path, digest: Digest::sha256(digest) })
    }
}

impl Drop for CanaryFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

fn map_executable(path: &Path) -> std::io::Result<()> {
    let file = fs::File::open(path)?;
    // SAFETY: a fresh private mapping at an address of the kernel's choice, unmapped at once and never read.
    unsafe {
        let address = mmap(null_mut(), 4096, ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE, &file, 0)?;
        munmap(address, 4096)?;
    }
    Ok(())
}

fn failed(detail: String) -> KernelError {
    KernelError::Canary { detail }
}
