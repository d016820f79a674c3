//! The ways to bring code into the kernel itself.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

#[derive(clap::Subcommand)]
pub enum Kernel {
    /// Load a module from its file (`finit_module`), and unload it.
    LoadModule { module: PathBuf },
    /// Load a module from memory (`init_module`), and unload it.
    LoadModuleFromMemory { module: PathBuf },
    /// Have the kernel read a file as the next kernel (`kexec_file_load`).
    KexecFile { image: PathBuf },
    /// Hand the kernel the next kernel as memory (`kexec_load`).
    KexecMemory,
    /// Open a file for reading and writing.
    Open { path: PathBuf },
    /// Ask for direct access to the hardware's ports (`iopl`).
    Iopl,
    /// Load a BPF program that decides in a hook.
    LoadLsmProgram,
}

pub fn run(kernel: &Kernel) -> Result<()> {
    match kernel {
        Kernel::LoadModule { module } => {
            let file = File::open(module)?;
            let is_packed = module.extension().is_some_and(|extension| extension != "ko");
            let flags = if is_packed { MODULE_INIT_COMPRESSED_FILE } else { 0 };
            // SAFETY: an open file and an empty string of parameters.
            asked(unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), flags) }).context("finit_module")?;
            unload(module)
        }
        Kernel::LoadModuleFromMemory { module } => {
            let bytes = fs::read(module)?;
            // SAFETY: as many bytes as it says, and an empty string of parameters.
            asked(unsafe { libc::syscall(libc::SYS_init_module, bytes.as_ptr(), bytes.len(), c"".as_ptr()) }).context("init_module")?;
            unload(module)
        }
        Kernel::KexecFile { image } => {
            let file = File::open(image)?;
            // SAFETY: an open file, no initramfs, and an empty command line.
            let answer = asked(unsafe { libc::syscall(libc::SYS_kexec_file_load, file.as_raw_fd(), -1, 1, c"".as_ptr(), KEXEC_FILE_NO_INITRAMFS) });
            looked_at(answer, "kexec_file_load", &[libc::ENOEXEC, libc::EINVAL])
        }
        Kernel::KexecMemory => {
            // SAFETY: no segments: what was there before, if anything, is dropped.
            looked_at(asked(unsafe { libc::syscall(libc::SYS_kexec_load, 0, 0, 0, 0) }), "kexec_load", &[])
        }
        Kernel::Open { path } => super::tracing::opened(path),
        Kernel::Iopl => {
            // SAFETY: gives this process access to ports, of which it uses none.
            asked(unsafe { libc::syscall(libc::SYS_iopl, 3) }).context("iopl")?;
            println!("it is open");
            Ok(())
        }
        Kernel::LoadLsmProgram => {
            // `union bpf_attr`: the type at 0, two instructions (`r0 = 0; exit`) at 8, the license at 16, the place at 68.
            let code: [u64; 2] = [0xb7, 0x95];
            let mut attributes = [0_u64; 18];
            attributes[0] = u64::from(BPF_PROG_TYPE_LSM) | 2 << 32;
            attributes[1] = code.as_ptr() as u64;
            attributes[2] = c"GPL".as_ptr() as u64;
            attributes[8] = u64::from(BPF_LSM_MAC) << 32;
            // SAFETY: a structure as large as it says, with pointers that outlive the call.
            let answer = asked(unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, attributes.as_ptr(), size_of_val(&attributes)) });
            // It names no hook, which the kernel finds out after having asked whether it may be loaded at all.
            looked_at(answer, "bpf", &[libc::EINVAL])
        }
    }
}

/// The kernel went on to look at it, whether or not it liked what it saw.
fn looked_at(answer: io::Result<i64>, call: &'static str, disliked: &[i32]) -> Result<()> {
    match answer {
        Err(error) if !error.raw_os_error().is_some_and(|errno| disliked.contains(&errno)) => Err(error).context(call),
        _ => {
            println!("the kernel took it up");
            Ok(())
        }
    }
}

fn unload(module: &Path) -> Result<()> {
    let name = module.file_name().unwrap_or_default().to_string_lossy();
    let name = CString::new(name.split('.').next().unwrap_or_default().replace('-', "_"))?;
    let loaded = fs::read_to_string("/proc/modules")?;
    ensure!(loaded.lines().any(|line| line.split(' ').next() == name.to_str().ok()), "{name:?} is not in /proc/modules");
    println!("the module was loaded");
    // SAFETY: a name, and the flag not to wait for users that it has not.
    asked(unsafe { libc::syscall(libc::SYS_delete_module, name.as_ptr(), libc::O_NONBLOCK) }).context("delete_module").map(drop)
}

fn asked(answer: libc::c_long) -> io::Result<i64> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// `include/uapi/linux/module.h`, `include/uapi/linux/kexec.h`, `include/uapi/linux/bpf.h`.
const MODULE_INIT_COMPRESSED_FILE: i32 = 4;
const KEXEC_FILE_NO_INITRAMFS: u64 = 4;
const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_TYPE_LSM: u32 = 29;
const BPF_LSM_MAC: u32 = 27;
