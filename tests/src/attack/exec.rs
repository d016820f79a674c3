//! The ways to start a file.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::null;

use anyhow::{Context as _, Result};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, memfd_create};

#[derive(clap::Subcommand)]
pub enum Start {
    /// `execve` by path.
    Exec { file: PathBuf },
    /// `execveat` of an open file, without a path.
    Execveat { file: PathBuf },
    /// The same with a descriptor that can neither read nor write (`O_PATH`).
    ExecveatOPath { file: PathBuf },
    /// `execve` of `/proc/self/fd/N`.
    ExecProcFd { file: PathBuf },
    /// A copy in a memory file.
    ExecMemfd {
        file: PathBuf,
        /// Seal it against every change before it is started.
        #[arg(long)]
        sealed: bool,
    },
    /// A copy in a file that never had a name (`O_TMPFILE`).
    ExecTmpfile { file: PathBuf, folder: PathBuf },
    /// Asks whether it may be started (`AT_EXECVE_CHECK`), as interpreters do.
    ExecveatCheck { file: PathBuf },
    /// A copy whose name is gone.
    ExecDeleted { file: PathBuf, copy: PathBuf },
}

/// Returns only with the refusal, or with the answer to a question.
pub fn run(start: &Start) -> Result<()> {
    match start {
        Start::ExecveatCheck { file } => return ask(file),
        Start::Exec { file } => Err(Command::new(file).exec()).context("execve"),
        Start::Execveat { file } => execveat(&File::open(file)?),
        Start::ExecveatOPath { file } => execveat(&rustix::fs::open(file, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?),
        Start::ExecProcFd { file } => {
            let file = File::open(file)?;
            Err(Command::new(format!("/proc/self/fd/{}", file.as_raw_fd())).exec()).context("execve")
        }
        Start::ExecMemfd { file, sealed } => execveat(&memory_file(file, *sealed)?),
        Start::ExecTmpfile { file, folder } => execveat(&nameless(file, folder)?),
        Start::ExecDeleted { file, copy } => {
            fs::copy(file, copy)?;
            let opened = File::open(copy)?;
            fs::remove_file(copy)?;
            execveat(&opened)
        }
    }
    .map(|never: Infallible| match never {})
}

/// In a process of its own: kernel 7.3 hangs when one that has asked makes a child that shares its memory (`mm_get_cid`), with and without an enforcer.
fn ask(file: &Path) -> Result<()> {
    const AT_EXECVE_CHECK: libc::c_int = 0x1_0000;
    let path = CString::new(file.as_os_str().as_bytes())?;
    let (words, environment) = ([path.as_ptr(), null()], [null::<libc::c_char>()]);
    // SAFETY: strings and arrays that are terminated and outlive the call, which starts nothing: a kernel that does not know the flag refuses it.
    let answer = unsafe { libc::syscall(libc::SYS_execveat, libc::AT_FDCWD, path.as_ptr(), words.as_ptr(), environment.as_ptr(), AT_EXECVE_CHECK) };
    if answer != 0 {
        return Err(io::Error::last_os_error()).context("execveat");
    }
    println!("{MAY_BE_STARTED}");
    Ok(())
}

/// The kernel's yes.
pub const MAY_BE_STARTED: &str = "it may be started";

fn execveat(file: &impl AsFd) -> Result<Infallible> {
    let words = [c"program".as_ptr(), null()];
    let environment = [null::<libc::c_char>()];
    // SAFETY: the descriptor is open, and both arrays are NULL-terminated and outlive the call.
    unsafe {
        libc::syscall(libc::SYS_execveat, file.as_fd().as_raw_fd(), c"".as_ptr(), words.as_ptr(), environment.as_ptr(), libc::AT_EMPTY_PATH);
    }
    Err(io::Error::last_os_error()).context("execveat")
}

/// A copy of a file in memory.
pub(super) fn memory_file(file: &Path, sealed: bool) -> Result<OwnedFd> {
    let memory = memfd_create("enforcer-tests", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).context("memfd_create")?;
    io::copy(&mut File::open(file)?, &mut File::from(memory.try_clone()?))?;
    if sealed {
        fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL).context("F_ADD_SEALS")?;
    }
    Ok(memory)
}

fn nameless(file: &Path, folder: &Path) -> Result<OwnedFd> {
    let writable = rustix::fs::open(folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RWXU).context("O_TMPFILE")?;
    io::copy(&mut File::open(file)?, &mut File::from(writable.try_clone()?))?;
    let path = CString::new(Path::new("/proc/self/fd").join(writable.as_raw_fd().to_string()).as_os_str().as_bytes())?;
    // Reopened, because nobody may start a file that is open for writing.
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}
