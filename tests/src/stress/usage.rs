//! Running a file's bytes in one of the three ways, and finding out which bytes they were.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr::null_mut;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use super::content::{Contents, Found};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran.
    Ran(Found),
    /// The enforcer refused, or so the kernel's error says.
    Denied,
    /// It ended by a signal, as a program whose later pages are refused does.
    Killed,
    /// There was nothing to run: no file, no whole file, or one that somebody writes to.
    Nothing,
}

impl Outcome {
    /// What ran although no verdict covers it.
    pub fn foreign(&self) -> Option<&str> {
        match self {
            Self::Ran(Found::Foreign(what)) => Some(what),
            _ => None,
        }
    }
}

/// Starts the file.
pub fn start(path: &Path, contents: &Contents) -> Result<Outcome> {
    let outcome = match Command::new(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Outcome::Ran(contents.judge_answer(code)),
            _ => Outcome::Killed,
        },
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Outcome::Denied,
        Err(error) if NOTHING.contains(&error.raw_os_error().unwrap_or_default()) => Outcome::Nothing,
        Err(error) => return Err(error).with_context(|| format!("cannot start `{}`", path.display())),
    };
    Ok(outcome)
}

/// Opens the file as a library, in a child: a library whose headers change meanwhile may crash the loader.
pub fn open(path: &Path, contents: &Contents) -> Result<Outcome> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: this process has one thread, so the child is as whole as its parent.
    let child = unsafe { libc::fork() };
    match child {
        -1 => bail!("fork: {}", io::Error::last_os_error()),
        0 => {
            let answer = ask(&path);
            // SAFETY: ends the child, without what the parent would do at its end.
            unsafe { libc::_exit(answer) }
        }
        _ => {}
    }
    let mut status = 0;
    // SAFETY: waits for the child, and writes to a local variable.
    ensure!(unsafe { libc::waitpid(child, &raw mut status, 0) } == child, "waitpid: {}", io::Error::last_os_error());
    Ok(match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
        (true, NOT_OPENED) => Outcome::Nothing,
        (true, REFUSED) => Outcome::Denied,
        (true, answer) => Outcome::Ran(contents.judge_answer(answer)),
        _ => Outcome::Killed,
    })
}

/// Opens the library and calls its function.
fn ask(path: &CString) -> i32 {
    // SAFETY: a NUL-terminated path; `answer` takes nothing and returns an int (tests/fixtures/both.c); the loader's text is read at once.
    unsafe {
        let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
        if handle.is_null() {
            let text = std::ffi::CStr::from_ptr(libc::dlerror()).to_string_lossy();
            return if text.contains("failed to map segment") { REFUSED } else { NOT_OPENED };
        }
        let symbol = libc::dlsym(handle, c"answer".as_ptr());
        if symbol.is_null() {
            return NOT_OPENED;
        }
        std::mem::transmute::<*mut libc::c_void, extern "C" fn() -> i32>(symbol)()
    }
}

/// A file that is mapped as code, for as long as this lives.
pub struct Mapped {
    start: *mut u8,
    length: usize,
    /// So much of it belongs to the file.
    seen: usize,
    /// What is mapped may have been cut off, and cannot just be read: it goes through a pipe, into which the kernel copies what it can.
    pipe: (OwnedFd, OwnedFd),
}

/// The file's code in this process, or why not.
pub fn map(path: &Path) -> Result<Result<Mapped, Outcome>> {
    match File::open(path) {
        Ok(file) => map_file(file).with_context(|| format!("cannot map `{}`", path.display())),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(Err(Outcome::Denied)),
        Err(error) if NOTHING.contains(&error.raw_os_error().unwrap_or_default()) => Ok(Err(Outcome::Nothing)),
        Err(error) => Err(error).with_context(|| format!("cannot open `{}`", path.display())),
    }
}

/// The same of a file that was opened before.
pub fn map_file(mut file: File) -> Result<Result<Mapped, Outcome>> {
    // Not by `stat`, which on some kernels makes the file's time exact from then on.
    let length = usize::try_from(file.seek(SeekFrom::End(0))?)?;
    if length == 0 {
        return Ok(Err(Outcome::Nothing));
    }
    // SAFETY: new memory at an address of the kernel's choice.
    match unsafe { mmap(null_mut(), length, ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE, &file, 0) } {
        Ok(start) => {
            let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            fcntl_setpipe_size(&pipe.1, PIECE)?;
            // It may have become another content, of another length, before it was mapped; from here on it cannot.
            let now = usize::try_from(file.seek(SeekFrom::End(0))?)?;
            let mapped = Mapped { start: start.cast(), length, seen: length.min(now), pipe };
            // Of a longer one only the beginning is mapped, which is no content to compare with.
            Ok(if now > length { Err(Outcome::Nothing) } else { Ok(mapped) })
        }
        Err(rustix::io::Errno::PERM) => Ok(Err(Outcome::Denied)),
        Err(error) => Err(error.into()),
    }
}

impl Mapped {
    /// What would run now. Called as well when it is a signed content.
    pub fn judge(&self, contents: &Contents) -> Result<Found> {
        let Some(bytes) = self.bytes()? else { return Ok(Found::Foreign("a mapping whose file was cut off".to_owned())) };
        if bytes.len() <= contents.function + LONGEST_FUNCTION {
            return Ok(Found::Foreign("a mapping whose file was cut off".to_owned()));
        }
        let found = contents.judge_bytes(&bytes);
        if let Found::Foreign(_) = found {
            return Ok(found);
        }
        // SAFETY: a signed content stands there, whose function takes nothing and returns an int.
        let function: extern "C" fn() -> i32 = unsafe { std::mem::transmute(self.start.add(contents.function)) };
        Ok(contents.judge_answer(function()))
    }

    fn bytes(&self) -> Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; self.seen];
        for offset in (0..self.seen).step_by(PIECE) {
            let piece = PIECE.min(self.seen - offset);
            // SAFETY: the range lies in the mapping; what cannot be read gives an error and no signal.
            let written = unsafe { libc::write(self.pipe.1.as_raw_fd(), self.start.add(offset).cast(), piece) };
            let written = usize::try_from(written).unwrap_or_default();
            let mut read = 0;
            while read < written {
                read += rustix::io::read(&self.pipe.0, &mut bytes[offset + read..offset + written])?;
            }
            if written < piece {
                return Ok(None);
            }
        }
        Ok(Some(bytes))
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own.
        if let Err(error) = unsafe { munmap(self.start.cast(), self.length) } {
            eprintln!("guest-tests: munmap: {error}");
        }
    }
}

/// Maps the file, finds out what would run, and unmaps it.
pub fn map_once(path: &Path, contents: &Contents) -> Result<Outcome> {
    Ok(match map(path)? {
        Ok(mapped) => Outcome::Ran(mapped.judge(contents)?),
        Err(outcome) => outcome,
    })
}

/// What it means that there is nothing to run.
const NOTHING: [i32; 5] = [libc::ENOENT, libc::ETXTBSY, libc::ENOEXEC, libc::EACCES, libc::ESTALE];
const PIECE: usize = 1 << 16;
/// More than a function takes that returns a number.
const LONGEST_FUNCTION: usize = 16;
/// No content answers so.
const REFUSED: i32 = 101;
const NOT_OPENED: i32 = 102;
