//! What operations cost that the hooks see, with everything in the caches.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr::null_mut;

use anyhow::{Context as _, Result, ensure};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mprotect, munmap};

use super::cost::{Cost, warm};
use crate::scene::Scene;

/// All of them.
pub fn measure(scene: &Scene) -> Result<Vec<Cost>> {
    read_in_advance(scene)?;
    let library = scene.fixture("lib/libanswer.so");
    let mapped = File::open(&library)?;
    Ok(vec![
        warm("static exec", FEW, || start(&scene.fixture("bin/quiet-static")))?,
        warm("dynamic exec", FEW, || start(&scene.fixture("bin/quiet")))?,
        warm("exec with 30 libraries", FEW, || start(&scene.fixture("bin/thirty")))?,
        warm("python3 -c pass", FEW, || start_with(Path::new(PYTHON), &["-c", "pass"]))?,
        warm("git --version", FEW, || start_with(Path::new(GIT), &["--version"]))?,
        warm("open+read+close", MANY, || read(&library))?,
        warm("mmap of code", MANY, || map(&mapped, ProtFlags::READ | ProtFlags::EXEC))?,
        warm("mmap of data", MANY, || map(&mapped, ProtFlags::READ))?,
        protect()?,
    ])
}

/// Has everything that is used in memory, page by page in the same order. Who hashes a file reads all of it, who does not only what is used, and a page
/// that is not there when its neighbour is needed costs more than most enforcement.
fn read_in_advance(scene: &Scene) -> Result<()> {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "1\n").context("cannot write to `/proc/sys/vm/drop_caches`")?;
    let mut files: Vec<PathBuf> = [PYTHON, GIT].iter().map(PathBuf::from).collect();
    files.extend(["bin/quiet-static", "bin/quiet", "bin/thirty", "lib/libanswer.so"].map(|name| scene.fixture(name)));
    let is_used =
        |file: &Path| file.file_name().and_then(|name| name.to_str()).is_some_and(|name| LIBRARIES.iter().any(|used| name.starts_with(used)));
    files.extend(below(Path::new("/usr/lib/x86_64-linux-gnu"))?.into_iter().filter(|file| is_used(file)));
    files.extend(below(&scene.fixture("lib/parts"))?);
    files.extend(below(Path::new("/usr/lib/python3.11"))?);
    files.sort();
    for file in files {
        io::copy(&mut File::open(&file).with_context(|| format!("cannot read `{}`", file.display()))?, &mut io::sink())?;
    }
    Ok(())
}

/// All files below a folder.
fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read `{}`", folder.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            files.extend(below(&entry.path())?);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(files)
}

/// Starts a program and waits for its end.
pub(super) fn start(program: &Path) -> Result<()> {
    start_with(program, &[])
}

fn start_with(program: &Path, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "`{}` ended with {status}", program.display());
    Ok(())
}

fn read(file: &Path) -> Result<()> {
    let mut bytes = [0; 4096];
    black_box(File::open(file)?.read(&mut bytes)?);
    Ok(())
}

pub fn map(file: &File, protection: ProtFlags) -> Result<()> {
    // SAFETY: a new mapping that nobody reads, unmapped at once.
    unsafe {
        let start = mmap(null_mut(), 4096, protection, MapFlags::PRIVATE, file, 0)?;
        munmap(start, 4096)?;
    }
    Ok(())
}

/// Taking write permission from memory and giving it back: what programs do, and what is never denied.
fn protect() -> Result<Cost> {
    // SAFETY: a page of this function's own, which nobody reads or writes.
    let page = unsafe { rustix::mm::mmap_anonymous(null_mut(), 4096, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)? };
    warm("mprotect of data", MANY, || {
        // SAFETY: as above.
        unsafe {
            mprotect(page, 4096, MprotectFlags::READ)?;
            mprotect(page, 4096, MprotectFlags::READ | MprotectFlags::WRITE)?;
        }
        Ok(())
    })
}

const PYTHON: &str = "/usr/bin/python3";
const GIT: &str = "/usr/bin/git";
/// What Debian links them with; names begin so.
const LIBRARIES: [&str; 7] = ["ld-linux", "libc.so", "libm.so", "libz.so", "libexpat.so", "libpcre2-8.so", "libgcc_s.so"];
const FEW: usize = 15;
const MANY: usize = 201;
