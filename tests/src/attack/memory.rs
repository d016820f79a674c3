//! The ways to turn memory into code.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::null;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags};

use super::change::truncate;
use super::mapping::{Mapping, RW, RWX, RX, code_that_returns};
use crate::elf;

#[derive(clap::Subcommand)]
pub enum Memory {
    /// Write and read memory without ever executing it: what every program does.
    AnonymousData,
    /// Memory that is writable and executable from the start.
    AnonymousRwx,
    /// The same a hundred times a second, until it is refused.
    AnonymousRwxAgainAndAgain,
    /// Memory that is written, then made executable.
    AnonymousWToX,
    /// The same, made writable and executable at once.
    AnonymousWToRwx,
    /// Executable memory, made writable, written, and made executable again.
    AnonymousXToWToX,
    /// Shared memory without a file, written, then made executable.
    SharedAnonymousWToX,
    /// The stack.
    StackWToX,
    /// The heap.
    HeapWToX,
    /// Memory that becomes executable because the process once asked that all readable memory be so.
    ReadImpliesExec,
    /// The same with an unsigned file that is mapped for reading.
    ReadImpliesExecFile { library: PathBuf },
    /// The heap of a process that asked for that.
    ReadImpliesExecBrk,
    /// The same in a process of its own, which says how that ended.
    ReadImpliesExecBrkInAChild,
    /// System V shared memory, attached as executable.
    ShmExec,
    /// One memory file mapped twice: to write, and to execute.
    DualMapping,
    /// A trusted file, private, writable and executable at once, its function rewritten.
    FileRwx { library: PathBuf },
    /// A trusted file, private, its function rewritten, then made executable.
    FileWToX { library: PathBuf },
    /// A trusted file, executable, made writable, rewritten and made executable again.
    FileXToWToX { library: PathBuf },
    /// A trusted file, executable, made writable as well without losing that.
    FileXToRwx { library: PathBuf },
    /// A trusted file, shared and writable, rewritten and made executable.
    SharedFileWToX { library: PathBuf },
    /// A trusted file, mapped shared and writable, then mapped executable, then rewritten.
    SharedFileAndExecutable { library: PathBuf },
    /// A trusted file, opened for writing, then mapped executable, then rewritten.
    WriterAndExecutable { library: PathBuf },
    /// Write behind the end of a trusted file, into its last page, and map that executable.
    BehindTheEnd { library: PathBuf },
    /// Map a trusted library executable, and open it for writing afterwards.
    ExecutableThenWriter { library: PathBuf },
    /// Map a trusted library executable, and cut it off by its name afterwards.
    ExecutableThenCutOff { library: PathBuf },
}

pub fn run(memory: &Memory) -> Result<()> {
    match memory {
        Memory::AnonymousData => {
            let mapping = Mapping::anonymous(PAGE, RW, MapFlags::PRIVATE)?;
            mapping.write_code(0, MARK);
            mapping.protect(ProtFlags::READ)?;
            println!("data stayed data");
            return Ok(());
        }
        Memory::AnonymousRwxAgainAndAgain => loop {
            Mapping::anonymous(PAGE, RWX, MapFlags::PRIVATE)?;
            thread::sleep(Duration::from_millis(10));
        },
        Memory::FileRwx { library } => {
            return rewritten_file(library, RWX, MapFlags::PRIVATE, None);
        }
        Memory::FileWToX { library } => {
            return rewritten_file(library, RW, MapFlags::PRIVATE, Some(RX));
        }
        Memory::FileXToWToX { library } => {
            return rewritten_file(library, RX, MapFlags::PRIVATE, Some(RX));
        }
        Memory::FileXToRwx { library } => {
            return rewritten_file(library, RX, MapFlags::PRIVATE, Some(RWX));
        }
        Memory::SharedFileWToX { library } => {
            return rewritten_file(library, RW, MapFlags::SHARED, Some(RX));
        }
        Memory::SharedFileAndExecutable { library } => return changed_below(library, true),
        Memory::WriterAndExecutable { library } => return changed_below(library, false),
        Memory::BehindTheEnd { library } => return behind_the_end(library),
        Memory::ExecutableThenWriter { library } => return changed_afterwards(library),
        Memory::ExecutableThenCutOff { library } => return cut_off_afterwards(library),
        Memory::ReadImpliesExecFile { library } => {
            read_implies_exec()?;
            let file = File::open(library)?;
            let mapping = Mapping::of(&file, length(&file)?, ProtFlags::READ, MapFlags::PRIVATE)?;
            println!("the library answered {}", mapping.call(elf::offset_of_answer(library)?));
            return Ok(());
        }
        Memory::ReadImpliesExecBrkInAChild => {
            let status = Command::new("/proc/self/exe").args(["attack", "read-implies-exec-brk"]).status()?;
            ensure!(status.success(), "the child ended: {status}");
            return Ok(());
        }
        _ => {}
    }
    let mapping = code_in_memory(memory)?;
    let answer = mapping.call(0);
    ensure!(answer == MARK, "the code returned {answer}");
    println!("foreign code ran");
    Ok(())
}

/// Memory with foreign code at its beginning, ready to be called.
fn code_in_memory(memory: &Memory) -> Result<Mapping> {
    let written = |mapping: Mapping, then: Option<ProtFlags>| -> Result<Mapping> {
        mapping.write_code(0, MARK);
        then.map_or(Ok(()), |protection| mapping.protect(protection))?;
        Ok(mapping)
    };
    match memory {
        Memory::AnonymousRwx => written(Mapping::anonymous(PAGE, RWX, MapFlags::PRIVATE)?, None),
        Memory::AnonymousWToRwx => written(Mapping::anonymous(PAGE, RW, MapFlags::PRIVATE)?, Some(RWX)),
        Memory::AnonymousXToWToX => {
            let mapping = Mapping::anonymous(PAGE, RX, MapFlags::PRIVATE)?;
            mapping.protect(RW)?;
            written(mapping, Some(RX))
        }
        Memory::SharedAnonymousWToX => written(Mapping::anonymous(PAGE, RW, MapFlags::SHARED)?, Some(RX)),
        Memory::StackWToX => written(stack(), Some(RWX)),
        Memory::HeapWToX => written(heap()?, Some(RX)),
        Memory::ReadImpliesExec => {
            read_implies_exec()?;
            written(Mapping::anonymous(PAGE, RW, MapFlags::PRIVATE)?, None)
        }
        Memory::ReadImpliesExecBrk => {
            read_implies_exec()?;
            written(grown_heap()?, None)
        }
        Memory::ShmExec => written(system_v()?, None),
        Memory::DualMapping => {
            let file = memfd_create("enforcer-tests", MemfdFlags::CLOEXEC).context("memfd_create")?;
            ftruncate(&file, PAGE as u64)?;
            written(Mapping::of(&file, PAGE, RW, MapFlags::SHARED)?, None)?;
            Mapping::of(&file, PAGE, RX, MapFlags::SHARED)
        }
        _ => written(Mapping::anonymous(PAGE, RW, MapFlags::PRIVATE)?, Some(RX)),
    }
}

/// Maps a trusted library, rewrites its function and calls it.
fn rewritten_file(library: &Path, first: ProtFlags, flags: MapFlags, last: Option<ProtFlags>) -> Result<()> {
    let offset = elf::offset_of_answer(library)?;
    let file = File::options().read(true).write(flags == MapFlags::SHARED).open(library)?;
    let mapping = Mapping::of(&file, length(&file)?, first, flags)?;
    if let Some(last) = last {
        if !first.contains(ProtFlags::WRITE) {
            mapping.protect(if last.contains(ProtFlags::WRITE) { last } else { RW })?;
        }
        mapping.write_code(offset, MARK);
        mapping.protect(last)?;
    } else {
        mapping.write_code(offset, MARK);
    }
    println!("the library answered {}", mapping.call(offset));
    Ok(())
}

/// Maps a trusted library executable, and then changes the file below the mapping through a writer that was there before.
fn changed_below(library: &Path, mapped: bool) -> Result<()> {
    let offset = elf::offset_of_answer(library)?;
    let file = File::options().read(true).write(true).open(library)?;
    let length = length(&file)?;
    let writer = if mapped { Some(Mapping::of(&file, length, RW, MapFlags::SHARED)?) } else { None };
    let reader = File::open(library)?;
    let descriptor = (!mapped).then_some(file);
    let code = Mapping::of(&reader.as_fd(), length, RX, MapFlags::PRIVATE)?;
    ensure!(code.call(offset) != MARK, "the library is not the one it should be");
    match (&writer, &descriptor) {
        (Some(writer), _) => writer.write_code(offset, MARK),
        (None, Some(file)) => file.write_all_at(&code_that_returns(MARK), offset as u64)?,
        (None, None) => {}
    }
    println!("the library answered {}", code.call(offset));
    Ok(())
}

/// What stands there is no part of the file: its hash and its stamp stay as they are.
fn behind_the_end(library: &Path) -> Result<()> {
    let writer = File::options().read(true).write(true).open(library)?;
    let end = length(&writer)?;
    ensure!(end % PAGE != 0, "the library ends where a page does");
    let pages = end.next_multiple_of(PAGE);
    let tail = Mapping::of(&writer, pages, RW, MapFlags::SHARED)?;
    tail.write_code(end, MARK);
    tail.unmap()?;
    drop(writer);
    let code = Mapping::of(&File::open(library)?, pages, RX, MapFlags::PRIVATE)?;
    println!("the library answered {}", code.call(end));
    Ok(())
}

/// Maps a trusted library executable, and then opens the file and changes it below the mapping.
fn changed_afterwards(library: &Path) -> Result<()> {
    let offset = elf::offset_of_answer(library)?;
    let file = File::open(library)?;
    let code = Mapping::of(&file, length(&file)?, RX, MapFlags::PRIVATE)?;
    ensure!(code.call(offset) != MARK, "the library is not the one it should be");
    let writer = File::options().write(true).open(library).context("open for writing")?;
    writer.write_all_at(&code_that_returns(MARK), offset as u64)?;
    println!("the library answered {}", code.call(offset));
    Ok(())
}

/// Zeros cannot be called with any result; that they stand where the code was is what there is to show.
fn cut_off_afterwards(library: &Path) -> Result<()> {
    let offset = elf::offset_of_answer(library)?;
    let file = File::open(library)?;
    let length = length(&file)?;
    let code = Mapping::of(&file, length, RX, MapFlags::PRIVATE)?;
    ensure!(code.byte(offset) != 0, "the function begins with a zero");
    truncate(library, 0)?;
    truncate(library, length as u64)?;
    ensure!(code.byte(offset) == 0, "the code is what it was");
    println!("the code has become zeros");
    Ok(())
}

fn stack() -> Mapping {
    let mut here = 0_u8;
    // Far below this frame, in pages that no frame of this function or what it calls is on.
    let address = ((&raw mut here) as usize - 16 * PAGE) & !(PAGE - 1);
    Mapping::at(address as *mut _, PAGE)
}

fn heap() -> Result<Mapping> {
    // SAFETY: asking for more heap; nobody else knows of the part behind the old end.
    let old = unsafe { libc::sbrk(4 * PAGE as isize) };
    ensure!(old as isize != -1, "sbrk failed");
    let start = (old as usize).next_multiple_of(PAGE);
    Ok(Mapping::at(start as *mut _, PAGE))
}

fn system_v() -> Result<Mapping> {
    // SAFETY: a new segment of this process's own, attached at an address of the kernel's choice, and removed with its last user.
    unsafe {
        let segment = libc::shmget(libc::IPC_PRIVATE, PAGE, libc::IPC_CREAT | 0o700);
        ensure!(segment >= 0, "shmget: {}", std::io::Error::last_os_error());
        let start = libc::shmat(segment, null(), libc::SHM_EXEC);
        let attached = std::io::Error::last_os_error();
        libc::shmctl(segment, libc::IPC_RMID, std::ptr::null_mut());
        if start as isize == -1 {
            return Err(attached).context("shmat");
        }
        Ok(Mapping::at(start, PAGE))
    }
}

/// A page that `brk` adds to the heap.
fn grown_heap() -> Result<Mapping> {
    // SAFETY: the C library's allocator finds that somebody else moved the end of the heap, and copes with it.
    let start = unsafe { libc::sbrk(2 * PAGE as libc::intptr_t) };
    ensure!(start as isize != -1, "sbrk: {}", std::io::Error::last_os_error());
    Ok(Mapping::at(start.map_addr(|address| address.next_multiple_of(PAGE)), PAGE))
}

pub(super) fn read_implies_exec() -> Result<()> {
    const READ_IMPLIES_EXEC: libc::c_ulong = 0x0040_0000;
    // SAFETY: changes how this process's later mappings are made, nothing else.
    let before = unsafe { libc::personality(READ_IMPLIES_EXEC) };
    ensure!(before >= 0, "personality: {}", std::io::Error::last_os_error());
    Ok(())
}

fn length(file: &File) -> Result<usize> {
    Ok(usize::try_from(file.metadata()?.len())?)
}

const PAGE: usize = 4096;
/// What foreign code returns. Signed libraries answer something else.
const MARK: i32 = 13;
