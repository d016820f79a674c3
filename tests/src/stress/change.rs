//! Every way to change what a file contains.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;

use anyhow::{Context as _, Result, ensure};
use io_uring::{IoUring, opcode, types};
use rustix::fs::{AtFlags, CWD, FallocateFlags, Timespec, Timestamps, fallocate, ftruncate, ioctl_ficlone, statat, utimensat};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::pipe::{SpliceFlags, pipe, splice};

/// A way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `pwrite`.
    Pwrite,
    /// The same, and the modification time is put back.
    PwriteAndRestoreTime,
    /// A shared mapping.
    Mapped,
    /// From a pipe.
    Splice,
    /// From another file.
    CopyRange,
    /// By io_uring.
    Uring,
    /// Zero it, then write.
    Fallocate,
    /// Share the blocks of another file (`FICLONE`).
    Reflink,
    /// Cut it off and write it anew.
    Rewrite,
    /// Cut it off by its name, then write it anew.
    TruncateByName,
    /// Through another name of it.
    Link,
    /// Rename another file over it.
    RenameOver,
    /// Remove it, and make another by its name.
    Recreate,
}

impl Way {
    pub const ALL: [Self; 13] = [
        Self::Pwrite,
        Self::PwriteAndRestoreTime,
        Self::Mapped,
        Self::Splice,
        Self::CopyRange,
        Self::Uring,
        Self::Fallocate,
        Self::Reflink,
        Self::Rewrite,
        Self::TruncateByName,
        Self::Link,
        Self::RenameOver,
        Self::Recreate,
    ];

    /// Whether the file stays the same one.
    pub fn is_in_place(self) -> bool {
        !matches!(self, Self::RenameOver | Self::Recreate)
    }
}

/// A folder's file for each content, as a source of what the kernel copies by itself.
pub struct Sources<'a> {
    /// The folder with the files `0`, `1`, …
    pub folder: &'a Path,
    /// What tells this process's own files from those of others.
    pub process: u64,
}

impl Sources<'_> {
    fn path(&self, content: usize) -> PathBuf {
        self.folder.join(content.to_string())
    }
}

/// Gives the file this content. An error is a refusal, after which the file may have any content.
pub fn change(path: &Path, way: Way, bytes: &[u8], content: usize, sources: &Sources) -> Result<()> {
    let writable = || OpenOptions::new().read(true).write(true).open(path);
    match way {
        Way::Pwrite => overwrite(&writable()?, bytes)?,
        Way::PwriteAndRestoreTime => {
            let before = statat(CWD, path, AtFlags::empty())?;
            overwrite(&writable()?, bytes)?;
            let time = |seconds: i64, nanoseconds: u64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds.cast_signed() };
            let times = Timestamps {
                last_access: time(before.st_atime, before.st_atime_nsec),
                last_modification: time(before.st_mtime, before.st_mtime_nsec),
            };
            utimensat(CWD, path, &times, AtFlags::empty())?;
        }
        Way::Mapped => {
            let file = writable()?;
            ftruncate(&file, bytes.len() as u64)?;
            write_mapped(&file, bytes)?;
        }
        Way::Splice => {
            let file = writable()?;
            let (from, into) = pipe()?;
            let mut at = 0_u64;
            for piece in bytes.chunks(PIECE) {
                ensure!(rustix::io::write(&into, piece)? == piece.len(), "the pipe is too short");
                let mut left = piece.len();
                while left > 0 {
                    left -= splice(&from, None, &file, Some(&mut at), left, SpliceFlags::empty())?;
                }
            }
            ftruncate(&file, bytes.len() as u64)?;
        }
        Way::CopyRange => {
            let (file, source) = (writable()?, File::open(sources.path(content))?);
            let (mut from, mut to, mut left) = (0, 0, bytes.len());
            while left > 0 {
                let copied = rustix::fs::copy_file_range(&source, Some(&mut from), &file, Some(&mut to), left)?;
                ensure!(copied > 0, "the source is too short");
                left -= copied;
            }
            ftruncate(&file, bytes.len() as u64)?;
        }
        Way::Uring => {
            let file = writable()?;
            let request = opcode::Write::new(types::Fd(file.as_raw_fd()), bytes.as_ptr(), u32::try_from(bytes.len())?).offset(0).build();
            let mut ring = IoUring::new(1).context("io_uring_setup")?;
            // SAFETY: the bytes and the file outlive the request, which is waited for.
            unsafe { ring.submission().push(&request)? };
            ring.submit_and_wait(1)?;
            let result = ring.completion().next().context("no completion")?.result();
            ensure!(usize::try_from(result).is_ok_and(|written| written == bytes.len()), "io_uring wrote {result}");
            ftruncate(&file, bytes.len() as u64)?;
        }
        Way::Fallocate => {
            let file = writable()?;
            // Not every file system can zero a range; all can punch a hole.
            fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, bytes.len() as u64)?;
            overwrite(&file, bytes)?;
        }
        Way::Reflink => {
            let file = writable()?;
            ioctl_ficlone(&file, File::open(sources.path(content))?)?;
            ftruncate(&file, bytes.len() as u64)?;
        }
        Way::Rewrite => fs::write(path, bytes)?,
        Way::TruncateByName => {
            truncate(path, (bytes.len() / 2) as i64)?;
            overwrite(&writable()?, bytes)?;
        }
        Way::Link => {
            let link = sources.folder.join(format!("link-{}", sources.process));
            fs::hard_link(path, &link)?;
            let written = OpenOptions::new().write(true).open(&link).and_then(|file| overwrite(&file, bytes));
            fs::remove_file(link)?;
            written?;
        }
        Way::RenameOver => {
            let new = sources.folder.join(format!("new-{}", sources.process));
            make(&new, bytes)?;
            fs::rename(new, path)?;
        }
        Way::Recreate => {
            fs::remove_file(path)?;
            make(path, bytes)?;
        }
    }
    Ok(())
}

/// A new executable file.
pub fn make(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.set_permissions(fs::Permissions::from_mode(0o755))
}

/// Writes from the beginning, and cuts off what is longer.
pub fn overwrite(file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, 0)?;
    file.set_len(bytes.len() as u64)
}

/// Writes through a shared mapping, which is given back without a word to the file system. It is the kernel that writes to it, from a pipe: where
/// somebody else cuts the file off meanwhile, it has an error for that and no signal.
pub fn write_mapped(file: &File, bytes: &[u8]) -> Result<()> {
    let (from, into) = pipe()?;
    // SAFETY: a new mapping, as long as what is written to it.
    let start = unsafe { mmap(null_mut(), bytes.len(), ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file, 0)? };
    let write = || -> Result<()> {
        for (number, piece) in bytes.chunks(PIECE).enumerate() {
            ensure!(rustix::io::write(&into, piece)? == piece.len(), "the pipe is too short");
            // SAFETY: the piece's place in the mapping.
            let read = unsafe { libc::read(from.as_raw_fd(), start.cast::<u8>().add(number * PIECE).cast(), piece.len()) };
            ensure!(usize::try_from(read).is_ok_and(|read| read == piece.len()), "the mapping: {}", io::Error::last_os_error());
        }
        Ok(())
    };
    let written = write();
    // SAFETY: the mapping made above, which nothing uses any more.
    unsafe { munmap(start, bytes.len())? };
    written
}

/// By name: `ftruncate` would need a descriptor for writing.
pub fn truncate(path: &Path, length: i64) -> Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a NUL-terminated path.
    let done = unsafe { libc::truncate(path.as_ptr(), length) };
    ensure!(done == 0, "truncate: {}", io::Error::last_os_error());
    Ok(())
}

/// No more than a pipe takes.
const PIECE: usize = 1 << 15;
