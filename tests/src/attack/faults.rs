//! Pages that user space supplies (`userfaultfd`): bytes that get below a mapping without any permission to write to it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rustix::mm::MapFlags;

use super::exec::memory_file;
use super::mapping::{Mapping, RX, code_that_returns};
use crate::elf;

#[derive(clap::Subcommand)]
pub enum Faults {
    /// Supply a page of memory that is executable and was never writable.
    SupplyAnonymous,
    /// Supply the page of a trusted library that is mapped from a sealed memory file.
    SupplySealed { library: PathBuf },
}

pub fn run(faults: &Faults) -> Result<()> {
    match faults {
        Faults::SupplyAnonymous => {
            let mapping = Mapping::anonymous(PAGE, RX, MapFlags::PRIVATE)?;
            let mut page = vec![0; PAGE];
            page[..6].copy_from_slice(&code_that_returns(MARK));
            supply(&mapping, 0, &page)?;
            ensure!(mapping.call(0) == MARK, "the code returned something else");
            println!("foreign code ran");
        }
        Faults::SupplySealed { library } => sealed(library)?,
    }
    Ok(())
}

fn sealed(library: &Path) -> Result<()> {
    let offset = elf::offset_of_answer(library)?;
    let bytes = std::fs::read(library)?;
    let start = offset & !(PAGE - 1);
    let mut page = bytes[start..].iter().copied().take(PAGE).collect::<Vec<_>>();
    page.resize(PAGE, 0);
    page[offset - start..][..6].copy_from_slice(&code_that_returns(MARK));
    let memory = File::from(memory_file(library, true)?);
    let mapping = Mapping::of(&memory, bytes.len().next_multiple_of(PAGE), RX, MapFlags::PRIVATE)?;
    supply(&mapping, start, &page)?;
    println!("the library answered {}", mapping.call(offset));
    Ok(())
}

/// Puts a page where the mapping has none yet (`Documentation/admin-guide/mm/userfaultfd.rst`).
fn supply(mapping: &Mapping, offset: usize, page: &[u8]) -> Result<()> {
    #[repr(C)]
    struct Api {
        api: u64,
        features: u64,
        ioctls: u64,
    }
    #[repr(C)]
    struct Register {
        start: u64,
        length: u64,
        mode: u64,
        ioctls: u64,
    }
    #[repr(C)]
    struct Copy {
        to: u64,
        from: u64,
        length: u64,
        mode: u64,
        copied: i64,
    }
    const UFFD_USER_MODE_ONLY: libc::c_int = 1;
    const UFFDIO_API: libc::Ioctl = 0xc018_aa3f;
    const UFFDIO_REGISTER: libc::Ioctl = 0xc020_aa00;
    const UFFDIO_COPY: libc::Ioctl = 0xc028_aa03;
    const UFFD_API: u64 = 0xaa;
    const MODE_MISSING: u64 = 1;

    // SAFETY: a system call without pointers; the descriptor is new and nobody else's.
    let descriptor = unsafe {
        let descriptor = libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | UFFD_USER_MODE_ONLY);
        ensure!(descriptor >= 0, "userfaultfd: {}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(i32::try_from(descriptor)?)
    };
    let (start, length) = mapping.range();
    let mut api = Api { api: UFFD_API, features: 0, ioctls: 0 };
    let mut register = Register { start: start as u64, length: length as u64, mode: MODE_MISSING, ioctls: 0 };
    let mut copy = Copy { to: (start + offset) as u64, from: page.as_ptr() as u64, length: PAGE as u64, mode: 0, copied: 0 };
    let call = |request: libc::Ioctl, argument: *mut libc::c_void, name: &str| {
        // SAFETY: each request with the structure that its number says; the page is as long as `copy` says, and the mapping is the test's own.
        let done = unsafe { libc::ioctl(descriptor.as_raw_fd(), request, argument) };
        ensure!(done == 0, "{name}: {}", io::Error::last_os_error());
        Ok(())
    };
    call(UFFDIO_API, (&raw mut api).cast(), "UFFDIO_API")?;
    call(UFFDIO_REGISTER, (&raw mut register).cast(), "UFFDIO_REGISTER")?;
    call(UFFDIO_COPY, (&raw mut copy).cast(), "UFFDIO_COPY")
}

const PAGE: usize = 4096;
/// What foreign code returns.
const MARK: i32 = 13;
