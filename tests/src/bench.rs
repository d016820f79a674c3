//! What operations cost, in the guest's nanoseconds. Under QEMU's `-icount shift=0` one of them is one instruction.

use std::fs::File;
use std::hint::black_box;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::ptr::null_mut;
use std::time::Instant;

use anyhow::{Result, ensure};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mprotect, munmap};
use serde::Serialize;

use crate::scene::Scene;

#[derive(clap::Subcommand)]
pub enum Bench {
    /// Operations that the enforcer's hooks see.
    Hooks {
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct Cost {
    work: &'static str,
    nanoseconds: u64,
}

/// `guest-tests bench`.
pub fn run(scene: &Scene, bench: &Bench) -> Result<ExitCode> {
    let Bench::Hooks { json } = bench;
    let library = scene.fixture("lib/libanswer.so");
    let mapped = File::open(&library)?;
    let costs = [
        cost("static exec", FEW, || start(&scene.fixture("bin/quiet-static")))?,
        cost("dynamic exec", FEW, || start(&scene.fixture("bin/quiet")))?,
        cost("exec with 30 libraries", FEW, || start(&scene.fixture("bin/thirty")))?,
        cost("python3 -c pass", FEW, || start_with(Path::new("/usr/bin/python3"), &["-c", "pass"]))?,
        cost("open+read+close", MANY, || read(&library))?,
        cost("mmap of code", MANY, || map(&mapped, ProtFlags::READ | ProtFlags::EXEC))?,
        cost("mmap of data", MANY, || map(&mapped, ProtFlags::READ))?,
        protect()?,
    ];
    if *json {
        println!("{}", serde_json::to_string(&costs)?);
    } else {
        for cost in &costs {
            println!("{:>12} ns  {}", cost.nanoseconds, cost.work);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The median of some repetitions, after others that warm the caches. The warm-up takes longer than the clock ticks after which a measurement settles.
fn cost(work: &'static str, repetitions: usize, mut operation: impl FnMut() -> Result<()>) -> Result<Cost> {
    let began = Instant::now();
    let mut warm = 0;
    while warm < WARM || began.elapsed().as_millis() < SETTLED {
        operation()?;
        warm += 1;
    }
    let mut times = Vec::with_capacity(repetitions);
    for _ in 0..repetitions {
        let began = Instant::now();
        operation()?;
        times.push(u64::try_from(began.elapsed().as_nanos())?);
    }
    times.sort_unstable();
    Ok(Cost { work, nanoseconds: times[times.len() / 2] })
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
    cost("mprotect of data", MANY, || {
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
const WARM: usize = 4;
/// Milliseconds; three ticks of the slowest clock.
const SETTLED: u128 = 30;
