//! Writing to a page of a file that is neither mapped nor open any more: io_uring keeps a buffer's pages pinned, and reads into them.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::ptr::null_mut;

use anyhow::{Context as _, Result, ensure};
use io_uring::{IoUring, opcode, types};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A file's pages, registered as a buffer.
pub struct Pinned {
    ring: IoUring,
    start: usize,
    length: usize,
}

impl Pinned {
    /// Maps the file, registers the mapping, and gives it back. Works on tmpfs only: of other file systems io_uring takes no pages.
    pub fn new(path: &Path, length: usize) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        // SAFETY: a new mapping, which nothing points to when it is given back.
        unsafe {
            let start = mmap(null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)?;
            let ring = IoUring::new(1).context("io_uring_setup")?;
            ring.submitter().register_buffers(&[libc::iovec { iov_base: start, iov_len: length }]).context("cannot register the pages")?;
            munmap(start, length)?;
            Ok(Self { ring, start: start as usize, length })
        }
    }

    /// Reads another file into the pages.
    pub fn read_from(&mut self, source: &Path) -> Result<()> {
        let source = File::open(source)?;
        let length = u32::try_from(self.length)?;
        let request = opcode::ReadFixed::new(types::Fd(source.as_raw_fd()), self.start as *mut u8, length, 0).build();
        // SAFETY: the buffer was registered; its pages stay as long as the ring.
        unsafe { self.ring.submission().push(&request)? };
        self.ring.submit_and_wait(1)?;
        let result = self.ring.completion().next().context("no completion")?.result();
        ensure!(usize::try_from(result).is_ok_and(|read| read == self.length), "io_uring read {result}");
        Ok(())
    }
}
