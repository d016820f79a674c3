//! The ways to bring a library's code in, with and without the dynamic loader.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use rustix::mm::{MapFlags, ProtFlags};

use super::exec::memory_file;
use super::mapping::{Mapping, RX};
use crate::elf;

#[derive(clap::Subcommand)]
pub enum Library {
    /// `dlopen`.
    Dlopen { library: PathBuf },
    /// `dlopen` of a copy in a memory file.
    DlopenMemfd {
        library: PathBuf,
        /// Seal it against every change before it is opened.
        #[arg(long)]
        sealed: bool,
    },
    /// Map the file executable, as a loader of one's own would, and call into it.
    Map { library: PathBuf },
    /// Map the file readable, make it executable, and call into it.
    MapThenProtect {
        library: PathBuf,
        /// Map it executable a few times before, so that its measurement is at hand.
        #[arg(long)]
        known: bool,
    },
}

pub fn run(library: &Library) -> Result<()> {
    let answer = match library {
        Library::Dlopen { library } => open_and_ask(library)?,
        Library::DlopenMemfd { library, sealed } => {
            let memory = memory_file(library, *sealed)?;
            open_and_ask(&Path::new("/proc/self/fd").join(memory.as_raw_fd().to_string()))?
        }
        Library::Map { library } => map(library, RX)?.call(elf::offset_of_answer(library)?),
        Library::MapThenProtect { library, known } => {
            for _ in 0..if *known { 3 } else { 0 } {
                map(library, RX)?;
                thread::sleep(SETTLING);
            }
            let mapping = map(library, ProtFlags::READ)?;
            mapping.protect(RX)?;
            mapping.call(elf::offset_of_answer(library)?)
        }
    };
    println!("the library answered {answer}");
    Ok(())
}

/// The whole file, mapped privately.
fn map(library: &Path, protection: ProtFlags) -> Result<Mapping> {
    let file = File::open(library)?;
    Mapping::of(&file, usize::try_from(file.metadata()?.len())?, protection, MapFlags::PRIVATE)
}

/// Opens a library, and asks its function.
pub fn open_and_ask(library: &Path) -> Result<i32> {
    let path = CString::new(library.as_os_str().as_bytes())?;
    // SAFETY: a NUL-terminated path. The library's constructors are the test's own.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    if handle.is_null() {
        bail!("dlopen: {}", last_error());
    }
    // SAFETY: the handle was just opened.
    let symbol = unsafe { libc::dlsym(handle, c"answer".as_ptr()) };
    if symbol.is_null() {
        bail!("dlsym: {}", last_error());
    }
    // SAFETY: `answer` takes nothing and returns an int (tests/fixtures/library.c), and the library is never closed.
    let answer: extern "C" fn() -> i32 = unsafe { std::mem::transmute(symbol) };
    Ok(answer())
}

fn last_error() -> String {
    // SAFETY: a string of the loader that stays until its next call from this thread, and is copied before; checked for null.
    unsafe {
        let text = libc::dlerror();
        if text.is_null() { "no error".to_owned() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
    }
}

/// Two clock ticks at the slowest tick there is (100 per second), and a little.
const SETTLING: Duration = Duration::from_millis(25);
