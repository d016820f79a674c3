//! A piece of memory that a test writes to, protects and calls into.

use std::ffi::c_void;
use std::os::fd::AsFd;
use std::ptr::{copy_nonoverlapping, null_mut};

use anyhow::{Context as _, Result};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mmap_anonymous, mprotect, munmap};

/// Reading and writing.
pub const RW: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);
/// Reading and executing.
pub const RX: ProtFlags = ProtFlags::READ.union(ProtFlags::EXEC);
/// All three.
pub const RWX: ProtFlags = RW.union(ProtFlags::EXEC);

/// Memory of this process; it stays until the process ends.
pub struct Mapping {
    start: *mut u8,
    length: usize,
}

impl Mapping {
    /// Memory without a file.
    pub fn anonymous(length: usize, protection: ProtFlags, flags: MapFlags) -> Result<Self> {
        // SAFETY: new memory at an address of the kernel's choice.
        let start = unsafe { mmap_anonymous(null_mut(), length, protection, flags) }.context("mmap")?;
        Ok(Self::at(start, length))
    }

    /// Memory without a file at an address of one's own choice, where nothing else is.
    pub fn anonymous_at(address: usize, length: usize, protection: ProtFlags, flags: MapFlags) -> Result<Self> {
        // SAFETY: the caller knows that there is nothing at this address.
        let start = unsafe { mmap_anonymous(address as *mut c_void, length, protection, flags) }.context("mmap")?;
        Ok(Self::at(start, length))
    }

    /// The beginning of a file.
    pub fn of(file: &impl AsFd, length: usize, protection: ProtFlags, flags: MapFlags) -> Result<Self> {
        // SAFETY: new memory at an address of the kernel's choice.
        let start = unsafe { mmap(null_mut(), length, protection, flags, file, 0) }.context("mmap")?;
        Ok(Self::at(start, length))
    }

    /// Memory that exists already and belongs to the test.
    pub fn at(start: *mut c_void, length: usize) -> Self {
        Self { start: start.cast(), length }
    }

    /// Where it is, and how long.
    pub fn range(&self) -> (usize, usize) {
        (self.start as usize, self.length)
    }

    /// Gives it back.
    pub fn unmap(self) -> Result<()> {
        // SAFETY: memory of the test's own, which nothing uses any more.
        unsafe { munmap(self.start.cast(), self.length) }.context("munmap")
    }

    /// Changes what may be done with it.
    pub fn protect(&self, protection: ProtFlags) -> Result<()> {
        let flags = MprotectFlags::from_bits_retain(protection.bits());
        // SAFETY: memory of the test's own, which nothing else in this process uses.
        unsafe { mprotect(self.start.cast(), self.length, flags) }.context("mprotect")
    }

    /// Writes machine code that returns a number. Memory that cannot be written ends the process, which is a result.
    pub fn write_code(&self, offset: usize, number: i32) {
        self.write(offset, &code_that_returns(number));
    }

    /// Writes any bytes.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.length, "the bytes are to stand inside of the mapping");
        // SAFETY: the range was checked, and the memory belongs to the test.
        unsafe { copy_nonoverlapping(bytes.as_ptr(), self.start.add(offset), bytes.len()) };
    }

    /// The byte that stands at an offset.
    pub fn byte(&self, offset: usize) -> u8 {
        assert!(offset < self.length, "the byte is to stand inside of the mapping");
        // SAFETY: the range was checked; volatile, because the file below may change.
        unsafe { self.start.add(offset).cast::<u8>().read_volatile() }
    }

    /// Calls what stands at an offset. Memory that cannot be executed ends the process, which is a result.
    pub fn call(&self, offset: usize) -> i32 {
        assert!(offset < self.length, "the code is to stand inside of the mapping");
        // SAFETY: a function without arguments stands there: `answer` of a library, or what `write_code` wrote.
        unsafe {
            let function: extern "C" fn() -> i32 = std::mem::transmute(self.start.add(offset));
            function()
        }
    }
}

/// `mov eax, number; ret`.
pub fn code_that_returns(number: i32) -> [u8; 6] {
    let [a, b, c, d] = number.to_le_bytes();
    [0xb8, a, b, c, d, 0xc3]
}
