//! Files on file systems that cannot hold still, files that are too large, and files that the kernel has sealed.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use enforcer_common::Hook::{BprmCheckSecurity, MmapFile};
use enforcer_common::Reason::{TooLarge, Untrusted, VolatileFilesystem};

use super::{EPERM, NOT_MAPPED, Row, SIGNED_ANSWERED, SIGNED_RAN, Shown, Trace, UNSIGNED_RAN};
use crate::scene::{Scene, install};

pub const ROWS: &[Row] = &[
    Row::attack(
        "unsigned_program_on_tmpfs",
        "an unsigned program on /dev/shm",
        |scene| on_tmpfs(scene, "exec", "unsigned/program"),
        UNSIGNED_RAN,
        (Trace::new(BprmCheckSecurity, VolatileFilesystem, Shown::Path("/dev/shm/")), EPERM, "copy_of_a_signed_program"),
    ),
    Row::attack(
        "signed_program_on_tmpfs",
        "a signed program's copy on /dev/shm",
        |scene| on_tmpfs(scene, "exec", "bin/program"),
        SIGNED_RAN,
        (Trace::new(BprmCheckSecurity, VolatileFilesystem, Shown::Path("/dev/shm/")), EPERM, "copy_of_a_signed_program"),
    ),
    Row::attack(
        "signed_library_on_tmpfs",
        "a signed library's copy on /dev/shm, by dlopen",
        |scene| on_tmpfs(scene, "dlopen", "lib/libanswer.so"),
        SIGNED_ANSWERED,
        (Trace::new(MmapFile, VolatileFilesystem, Shown::Path("/dev/shm/")), NOT_MAPPED, "copy_of_a_signed_library"),
    ),
    Row::attack(
        "enormous_program",
        "a program of 10 GB, most of it a hole",
        enormous,
        UNSIGNED_RAN,
        (Trace::new(BprmCheckSecurity, TooLarge, Shown::Path("enormous")), EPERM, "signed_program"),
    ),
    Row::attack(
        "unsigned_program_sealed_by_fsverity",
        "an unsigned program that is sealed by fs-verity",
        |scene| sealed(scene, "unsigned/program"),
        UNSIGNED_RAN,
        (Trace::new(BprmCheckSecurity, Untrusted, Shown::Path("sealed")), EPERM, "signed_program_sealed_by_fsverity"),
    ),
    Row::honest("copy_of_a_signed_program", "a copy of a signed program elsewhere", |scene| on_disk(scene, "exec", "bin/program"), SIGNED_RAN),
    Row::honest(
        "copy_of_a_signed_library",
        "a copy of a signed library elsewhere, by dlopen",
        |scene| on_disk(scene, "dlopen", "lib/libanswer.so"),
        SIGNED_ANSWERED,
    ),
    Row::honest(
        "signed_program_sealed_by_fsverity",
        "a signed program that is sealed by fs-verity",
        |scene| sealed(scene, "bin/program"),
        SIGNED_RAN,
    ),
];

fn on_tmpfs(scene: &Scene, how: &str, fixture: &str) -> Result<Command> {
    let copy = install(&scene.fixture(fixture), &scene.tmpfs("copy"))?;
    Ok(scene.attack([how.as_ref(), copy.as_os_str()]))
}

fn on_disk(scene: &Scene, how: &str, fixture: &str) -> Result<Command> {
    let copy = scene.copy(fixture, "copy")?;
    Ok(scene.attack([how.as_ref(), copy.as_os_str()]))
}

fn enormous(scene: &Scene) -> Result<Command> {
    let copy = scene.copy("unsigned/static", "enormous")?;
    fs::OpenOptions::new().write(true).open(&copy)?.set_len(10 << 30).context("cannot make a file of 10 GB")?;
    Ok(scene.attack(["exec".as_ref(), copy.as_os_str()]))
}

fn sealed(scene: &Scene, fixture: &str) -> Result<Command> {
    let copy = scene.copy(fixture, "sealed")?;
    enable_fsverity(&File::open(&copy)?)?;
    Ok(scene.attack(["exec".as_ref(), copy.as_os_str()]))
}

/// `FS_IOC_ENABLE_VERITY` with SHA-256 and blocks of 4096 bytes (`include/uapi/linux/fsverity.h`).
fn enable_fsverity(file: &File) -> Result<()> {
    #[repr(C)]
    struct EnableArgument {
        version: u32,
        hash_algorithm: u32,
        block_size: u32,
        rest: [u32; 29],
    }
    const FS_IOC_ENABLE_VERITY: libc::Ioctl = 0x4080_6685;
    const _: () = assert!(size_of::<EnableArgument>() == 128);
    let argument = EnableArgument { version: 1, hash_algorithm: 1, block_size: 4096, rest: [0; 29] };
    // SAFETY: an open file, and a structure of the size that the request's number says.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_ENABLE_VERITY, &raw const argument) };
    ensure!(done == 0, "fs-verity cannot be enabled: {}", io::Error::last_os_error());
    Ok(())
}
