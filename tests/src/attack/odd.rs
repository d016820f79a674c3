//! Ways in that ordinary programs do not take.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::FromRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use io_uring::{IoUring, opcode, types};
use rustix::mm::{MapFlags, ProtFlags};

use super::mapping::{Mapping, RW, RWX, RX};
use crate::elf;
use crate::fixtures::odd::USELIB_AT;

#[derive(clap::Subcommand)]
pub enum Odd {
    /// The system call `uselib`, which maps a library where that wants to be.
    Uselib { library: PathBuf },
    /// Open a library by io_uring, map it executable and call it.
    UringOpen { library: PathBuf },
    /// Read a library by io_uring into memory, make that executable and call it.
    UringRead { library: PathBuf },
    /// Memory at address 0, once `vm.mmap_min_addr` allows it.
    AddressZero,
    /// Make all that is readable executable, map a library shared for reading, and let `remap_file_pages` map it anew.
    RemapFilePages { library: PathBuf },
    /// Rewrite a page of a trusted library in memory, and let a child process make it executable.
    CowInAChild { library: PathBuf },
}

pub fn run(odd: &Odd) -> Result<()> {
    match odd {
        Odd::Uselib { library } => uselib(library),
        Odd::UringOpen { library } => {
            let file = open_by_uring(library)?;
            let mapping = Mapping::of(&file, length(&file)?, RX, MapFlags::PRIVATE)?;
            answered(&mapping, library)
        }
        Odd::UringRead { library } => {
            let file = open_by_uring(library)?;
            let length = length(&file)?;
            let mapping = Mapping::anonymous(length, RW, MapFlags::PRIVATE)?;
            let (start, _) = mapping.range();
            let request = opcode::Read::new(types::Fd(std::os::fd::AsRawFd::as_raw_fd(&file)), start as *mut u8, u32::try_from(length)?).build();
            let read = submit(&request).context("read")?;
            ensure!(usize::try_from(read)? == length, "only {read} bytes were read");
            mapping.protect(RX)?;
            answered(&mapping, library)
        }
        Odd::AddressZero => address_zero(),
        Odd::RemapFilePages { library } => remapped(library),
        Odd::CowInAChild { library } => in_a_child(library),
    }
}

fn answered(mapping: &Mapping, library: &Path) -> Result<()> {
    println!("the library answered {}", mapping.call(elf::offset_of_answer(library)?));
    Ok(())
}

/// Only the table of system calls for 32-bit programs has it, which any program can reach.
fn uselib(library: &Path) -> Result<()> {
    const USELIB: u64 = 86;
    let low = Mapping::anonymous(PAGE, RW, MapFlags::PRIVATE | MapFlags::from_bits_retain(libc::MAP_32BIT.cast_unsigned()))?;
    let path = CString::new(library.as_os_str().as_bytes())?;
    low.write(0, path.as_bytes_with_nul());
    let (path, _) = low.range();
    let result: u64;
    // SAFETY: a system call with the address of a NUL-terminated path; `rbx`, which the compiler keeps for itself, is put back.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {path}",
            "int 0x80",
            "xchg rbx, {path}",
            path = inout(reg) path => _,
            inlateout("rax") USELIB => result,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    // 32 bits with a sign.
    let result = result as u32 as i32;
    ensure!(result == 0, "uselib: {}", io::Error::from_raw_os_error(-result));
    println!("the library answered {}", Mapping::at(USELIB_AT as *mut _, PAGE).call(0));
    Ok(())
}

fn open_by_uring(file: &Path) -> Result<File> {
    let path = CString::new(file.as_os_str().as_bytes())?;
    let request = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).flags(libc::O_RDONLY | libc::O_CLOEXEC).build();
    let descriptor = submit(&request).context("open")?;
    // SAFETY: the kernel has just made this descriptor, and nobody else has it.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

/// One request on a ring of its own, and its result.
fn submit(request: &io_uring::squeue::Entry) -> Result<i32> {
    let mut ring = IoUring::new(1).context("io_uring_setup")?;
    // SAFETY: what the request points to lives until its completion, which is waited for.
    unsafe { ring.submission().push(request)? };
    ring.submit_and_wait(1)?;
    let result = ring.completion().next().context("no completion")?.result();
    if result < 0 { Err(io::Error::from_raw_os_error(-result).into()) } else { Ok(result) }
}

fn address_zero() -> Result<()> {
    const SETTING: &str = "/proc/sys/vm/mmap_min_addr";
    let before = fs::read_to_string(SETTING)?;
    fs::write(SETTING, "0").context(SETTING)?;
    let mapped = Mapping::anonymous_at(0, PAGE, RWX, MapFlags::PRIVATE | MapFlags::FIXED);
    fs::write(SETTING, before)?;
    mapped?;
    // Behind the address that no pointer of a program's own may have.
    let mapping = Mapping::at(HEAD as *mut _, PAGE - HEAD);
    mapping.write_code(0, MARK);
    ensure!(mapping.call(0) == MARK, "the code returned something else");
    println!("foreign code ran");
    Ok(())
}

fn remapped(library: &Path) -> Result<()> {
    let file = File::options().read(true).write(true).open(library)?;
    let mapping = Mapping::of(&file, length(&file)?, ProtFlags::READ, MapFlags::SHARED)?;
    super::memory::read_implies_exec()?;
    let (start, length) = mapping.range();
    // SAFETY: maps the same pages of the same file anew, where the test's own mapping is.
    let done = unsafe { libc::syscall(libc::SYS_remap_file_pages, start, length.next_multiple_of(PAGE), 0, 0, 0) };
    ensure!(done == 0, "remap_file_pages: {}", io::Error::last_os_error());
    answered(&mapping, library)
}

fn in_a_child(library: &Path) -> Result<()> {
    let offset = elf::offset_of_answer(library)?;
    let file = File::open(library)?;
    let mapping = Mapping::of(&file, length(&file)?, RW, MapFlags::PRIVATE)?;
    mapping.write_code(offset, MARK);
    // SAFETY: this process has one thread, so the child is as whole as its parent.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()).context("fork"),
        0 => {
            mapping.protect(RX)?;
            println!("the library answered {}", mapping.call(offset));
            Ok(())
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child, and writes to a local variable.
            let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
            ensure!(waited == child && status == 0, "the child ended with {status:#x}");
            Ok(())
        }
    }
}

fn length(file: &File) -> Result<usize> {
    Ok(usize::try_from(file.metadata()?.len())?)
}

const PAGE: usize = 4096;
const HEAD: usize = 64;
/// What foreign code returns.
const MARK: i32 = 13;
