//! What operations cost that the hooks see, with everything in the caches.

use std::fs::File;
use std::hint::black_box;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr::null_mut;

use anyhow::{Result, ensure};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mprotect, munmap};

use super::cost::{Cost, time};
use crate::scene::Scene;

/// All of them.
pub fn measure(scene: &Scene) -> Result<Vec<Cost>> {
    let library = scene.fixture("lib/libanswer.so");
    let mapped = File::open(&library)?;
    Ok(vec![
        time("static exec", FEW, || start(&scene.fixture("bin/quiet-static")))?,
        time("dynamic exec", FEW, || start(&scene.fixture("bin/quiet")))?,
        time("exec with 30 libraries", FEW, || start(&scene.fixture("bin/thirty")))?,
        time("python3 -c pass", FEW, || start_with(Path::new("/usr/bin/python3"), &["-c", "pass"]))?,
        time("open+read+close", MANY, || read(&library))?,
        time("mmap of code", MANY, || map(&mapped, ProtFlags::READ | ProtFlags::EXEC))?,
        time("mmap of data", MANY, || map(&mapped, ProtFlags::READ))?,
        protect()?,
    ])
}

fn start(program: &Path) -> Result<()> {
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

fn map(file: &File, protection: ProtFlags) -> Result<()> {
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
    time("mprotect of data", MANY, || {
        // SAFETY: as above.
        unsafe {
            mprotect(page, 4096, MprotectFlags::READ)?;
            mprotect(page, 4096, MprotectFlags::READ | MprotectFlags::WRITE)?;
        }
        Ok(())
    })
}

const FEW: usize = 15;
const MANY: usize = 201;
