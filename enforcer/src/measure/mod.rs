//! Digests of files in user space: streaming, in constant memory, of a descriptor that the caller opened.
//!
//! Refuses, without ever blocking, whatever is not a regular file, and notices when a file changes while it is read. Never decides
//! anything, never follows a name twice: every fact comes from the one descriptor.

mod digests;
mod error;
mod filesystem;
mod parallel;
mod pass;

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use enforcer_common::Digest;
use rustix::fs::{FileType, Mode, OFlags};

pub use digests::{Algorithm, ContentDigest};
pub use error::MeasureError;
pub use filesystem::{Filesystem, Stability};
pub use parallel::in_parallel;
pub use pass::{Measurement, Part, Plan, Region, Witness, measure};

/// Opens a file for measuring. A FIFO without a writer, a terminal or a device is refused and never waited for.
pub fn open(path: &Path) -> Result<File, MeasureError> {
    // Opening alone can have effects (a tape rewinds, a watchdog starts), so the name is looked at first.
    let stat = rustix::fs::stat(path).map_err(|errno| MeasureError::Open { source: errno.into() })?;
    Stamp::of_stat(&stat)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| MeasureError::Open { source: errno.into() })?;
    let file = File::from(descriptor);
    Stamp::of(&file)?;
    Ok(file)
}

/// The SHA-256 of a file's bytes, as `sha256sum` and the kernel's IMA compute it.
pub fn sha256(file: &File, max_size: u64) -> Result<Digest, MeasureError> {
    let plan = Plan { max_size, parts: Vec::new(), witnesses: &[] };
    Ok(measure(file, &plan)?.digest)
}

/// A whole file, if it has no more than `limit` bytes.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, MeasureError> {
    let file = open(path)?;
    let size = Stamp::of(&file)?.size;
    if size > limit {
        return Err(MeasureError::TooLarge { size, limit });
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|source| MeasureError::Read { source })?;
    if bytes.len() as u64 > limit { Err(MeasureError::TooLarge { size: bytes.len() as u64, limit }) } else { Ok(bytes) }
}

/// What must be the same before and after reading, or the bytes read belong to no one version of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Device and inode number.
    pub inode: (u64, u64),
    /// Size in bytes.
    pub size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of a regular file; anything else is an error that names what it is.
    pub fn of(file: &File) -> Result<Self, MeasureError> {
        Self::of_stat(&rustix::fs::fstat(file).map_err(|errno| MeasureError::Read { source: errno.into() })?)
    }

    #[allow(clippy::unnecessary_cast, reason = "the widths of struct stat's fields differ between architectures")]
    fn of_stat(stat: &rustix::fs::Stat) -> Result<Self, MeasureError> {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                return Ok(Self {
                    inode: (stat.st_dev as u64, stat.st_ino as u64),
                    size: u64::try_from(stat.st_size).unwrap_or(0),
                    modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
                    changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
                });
            }
            FileType::Directory => "a directory",
            FileType::Fifo => "a FIFO",
            FileType::Socket => "a socket",
            FileType::CharacterDevice => "a character device",
            FileType::BlockDevice => "a block device",
            FileType::Symlink => "a symbolic link",
            FileType::Unknown => "not a regular file",
        };
        Err(MeasureError::NotRegular { kind })
    }
}

/// The part of `range` that lies in a buffer that starts at `start`, as indices of the buffer.
fn within(range: &Range<u64>, start: u64, length: usize) -> Range<usize> {
    let end = start + length as u64;
    let from = range.start.clamp(start, end) - start;
    let to = range.end.clamp(start, end) - start;
    // Both are at most `length`, which is a usize.
    from as usize..(to.max(from)) as usize
}

#[cfg(test)]
mod tests;
