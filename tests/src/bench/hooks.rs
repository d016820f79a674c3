//! What operations cost that the hooks see, with everything in the caches.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr::null_mut;
use std::rc::Rc;

use anyhow::{Context as _, Result, ensure};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mprotect, munmap};

use super::cost::{Cost, warm};
use crate::scene::Scene;

/// One of the operations.
pub(super) struct Work {
    pub(super) name: &'static str,
    /// How often it is done for one median.
    pub(super) repetitions: usize,
    pub(super) operation: Box<dyn FnMut() -> Result<()>>,
}

/// Measures all of them.
pub fn measure(scene: &Scene) -> Result<Vec<Cost>> {
    works(scene)?.into_iter().map(|Work { name, repetitions, operation }| warm(name, repetitions, operation)).collect()
}

/// All of them, with what they use in memory.
pub(super) fn works(scene: &Scene) -> Result<Vec<Work>> {
    read_in_advance(scene)?;
    let work = |name, repetitions, operation: Box<dyn FnMut() -> Result<()>>| Work { name, repetitions, operation };
    let starts = |program: PathBuf, arguments: &'static [&'static str]| Box::new(move || start_with(&program, arguments));
    let library = scene.fixture("lib/libanswer.so");
    let mapped = Rc::new(File::open(&library)?);
    let maps = |protection| {
        let mapped = Rc::clone(&mapped);
        Box::new(move || map(&mapped, protection))
    };
    Ok(vec![
        work("static exec", FEW, starts(scene.fixture("bin/quiet-static"), &[])),
        work("dynamic exec", FEW, starts(scene.fixture("bin/quiet"), &[])),
        work("exec with 30 libraries", FEW, starts(scene.fixture("bin/thirty"), &[])),
        work("python3 -c pass", FEW, starts(PYTHON.into(), &["-c", "pass"])),
        work("git --version", FEW, starts(GIT.into(), &["--version"])),
        work("open+read+close", MANY, Box::new(move || read(&library))),
        work("mmap of code", MANY, maps(ProtFlags::READ | ProtFlags::EXEC)),
        work("mmap of data", MANY, maps(ProtFlags::READ)),
        work("mprotect of data", MANY, Box::new(protection()?)),
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
fn protection() -> Result<impl FnMut() -> Result<()>> {
    // SAFETY: a page of this function's own, which nobody reads or writes.
    let page = unsafe { rustix::mm::mmap_anonymous(null_mut(), 4096, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)? };
    Ok(move || {
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
