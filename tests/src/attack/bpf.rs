//! Reaching for things of the enforcer's: its BPF objects, by pin and by id, and its identity.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

#[derive(clap::Subcommand)]
pub enum Reach {
    /// Open a pinned BPF object.
    Pin { pin: PathBuf },
    /// Open every BPF object of a kind by its id; fails with the first refusal.
    AllById { kind: Kind },
    /// Pass for another program (`PR_SET_MM_EXE_FILE`).
    ReplaceExecutable { program: PathBuf },
    /// The same by a number whose upper half is not zero.
    ReplaceExecutableByAWideNumber { program: PathBuf },
}

#[derive(clap::ValueEnum, Clone, Copy)]
pub enum Kind {
    Map,
    Program,
    Link,
}

pub fn run(reach: &Reach) -> Result<()> {
    match reach {
        Reach::Pin { pin } => {
            let path = CString::new(pin.as_os_str().as_bytes())?;
            bpf(BPF_OBJ_GET, [path.as_ptr() as u64, 0]).context("BPF_OBJ_GET")?;
        }
        Reach::AllById { kind } => {
            let (next, open) = match kind {
                Kind::Program => (11, 13),
                Kind::Map => (12, 14),
                Kind::Link => (31, 30),
            };
            let mut attributes = [0_u64; 2];
            // `union bpf_attr`: the id at 0, and at 4 the next one, which the kernel writes.
            while call(next, &mut attributes).is_ok() {
                let id = attributes[0] >> 32;
                bpf(open, [id, 0]).with_context(|| format!("opening {id}"))?;
                attributes = [id, 0];
            }
        }
        Reach::ReplaceExecutable { program } => replace_executable(program, libc::PR_SET_MM_EXE_FILE as libc::c_ulong)?,
        Reach::ReplaceExecutableByAWideNumber { program } => replace_executable(program, libc::PR_SET_MM_EXE_FILE as libc::c_ulong | 1 << 32)?,
    }
    bail!("nobody refused")
}

fn replace_executable(program: &Path, what: libc::c_ulong) -> Result<()> {
    let file = File::open(program)?;
    // SAFETY: a request about this process, with an open file.
    if unsafe { libc::prctl(libc::PR_SET_MM, what, file.as_raw_fd() as libc::c_ulong, 0, 0) } != 0 {
        return Err(io::Error::last_os_error()).context("prctl");
    }
    Ok(())
}

fn bpf(command: i32, mut attributes: [u64; 2]) -> io::Result<i64> {
    call(command, &mut attributes)
}

fn call(command: i32, attributes: &mut [u64; 2]) -> io::Result<i64> {
    // SAFETY: a structure as large as it says, with pointers that outlive the call.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), 16) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// `include/uapi/linux/bpf.h`
const BPF_OBJ_GET: i32 = 7;
