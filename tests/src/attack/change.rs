//! The ways to change a trusted library between two uses of it, so that the second use would run other bytes by the first one's measurement.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::{FallocateFlags, fallocate, ioctl_ficlone};
use rustix::mm::MapFlags;
use rustix::pipe::{SpliceFlags, pipe, splice};

use super::mapping::{Mapping, RX, code_that_returns};
use crate::elf;

#[derive(clap::Subcommand)]
pub enum Change {
    /// Map a library until it is known, change it, map it again and call it.
    Change {
        how: How,
        library: PathBuf,
        /// The file that it is changed to, where that is a file.
        to: Option<PathBuf>,
    },
}

#[derive(clap::ValueEnum, Clone, Copy)]
pub enum How {
    /// Punch a hole into its last bytes, which no loader reads.
    PunchHole,
    /// Zero its last bytes by `fallocate`.
    ZeroRange,
    /// Cut its last bytes off, by its name.
    Truncate,
    /// Splice code into it from a pipe.
    Splice,
    /// Write through another name of it.
    HardLink,
    /// Remove it and make another by its name.
    Recreate,
    /// The same until the other has the inode number of the first.
    ReuseInode,
    /// Share the blocks of another.
    Reflink,
    /// Write another's bytes over it.
    Copy,
}

pub fn run(change: &Change) -> Result<()> {
    let Change::Change { how, library, to } = change;
    let pristine = elf::offset_of_answer(library)?;
    for _ in 0..USES {
        ask(library, pristine)?;
        thread::sleep(SETTLING);
    }
    make(*how, library, to.as_deref()).context("cannot change it")?;
    let offset = if to.is_some() { elf::offset_of_answer(library)? } else { pristine };
    println!("the library answered {}", ask(library, offset)?);
    Ok(())
}

fn ask(library: &Path, offset: usize) -> Result<i32> {
    let file = File::open(library)?;
    let length = usize::try_from(file.metadata()?.len())?;
    let mapping = Mapping::of(&file, length, RX, MapFlags::PRIVATE)?;
    let answer = mapping.call(offset);
    mapping.unmap()?;
    Ok(answer)
}

fn make(how: How, library: &Path, to: Option<&Path>) -> Result<()> {
    let length = fs::metadata(library)?.len();
    let writable = || OpenOptions::new().write(true).open(library);
    let to = || to.context("this needs another file");
    match how {
        How::PunchHole => fallocate(writable()?, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, length - LAST, LAST)?,
        How::ZeroRange => fallocate(writable()?, FallocateFlags::ZERO_RANGE, length - LAST, LAST)?,
        How::Truncate => truncate(library, length - LAST)?,
        How::Splice => {
            let (from, into) = pipe()?;
            let code = code_that_returns(MARK);
            ensure!(rustix::io::write(&into, &code)? == code.len(), "the pipe is too short");
            let mut at = elf::offset_of_answer(library)? as u64;
            ensure!(splice(&from, None, writable()?, Some(&mut at), code.len(), SpliceFlags::empty())? == code.len(), "half a splice");
        }
        How::HardLink => {
            let link = library.with_extension("link");
            fs::hard_link(library, &link)?;
            let offset = elf::offset_of_answer(library)? as u64;
            OpenOptions::new().write(true).open(&link)?.write_all_at(&code_that_returns(MARK), offset)?;
        }
        How::Recreate => {
            fs::remove_file(library)?;
            fs::copy(to()?, library)?;
        }
        How::ReuseInode => reuse_inode(library, to()?)?,
        How::Reflink => {
            let library = writable()?;
            ioctl_ficlone(&library, File::open(to()?)?)?;
            library.sync_all()?;
        }
        How::Copy => fs::write(library, fs::read(to()?)?)?,
    }
    Ok(())
}

/// Removes the file, and makes others until one has its inode number.
fn reuse_inode(library: &Path, to: &Path) -> Result<()> {
    let number = fs::metadata(library)?.ino();
    fs::remove_file(library)?;
    let deadline = Instant::now() + PATIENCE;
    let mut tried = 0;
    while Instant::now() < deadline {
        let candidate = library.with_extension(format!("candidate-{tried}"));
        fs::copy(to, &candidate)?;
        if fs::metadata(&candidate)?.ino() == number {
            return Ok(fs::rename(candidate, library)?);
        }
        tried += 1;
    }
    bail!("none of {tried} files got the inode number {number} again");
}

/// By name: `ftruncate` would need a descriptor for writing.
pub(super) fn truncate(file: &Path, length: u64) -> Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(file.as_os_str().as_bytes())?;
    // SAFETY: a NUL-terminated path.
    let done = unsafe { libc::truncate(path.as_ptr(), i64::try_from(length)?) };
    ensure!(done == 0, "truncate: {}", std::io::Error::last_os_error());
    Ok(())
}

/// So often, and with such pauses, that the measurement has settled and is reused.
const USES: usize = 4;
const SETTLING: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes at the end of a library: the last of its section headers.
const LAST: u64 = 16;
/// What foreign code returns.
const MARK: i32 = 13;
