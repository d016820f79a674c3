//! What the first start of a program costs whose files are on the disk only, and of which everybody has forgotten whatever he had measured.
//!
//! The C library and the loader stay in the caches, since everything that runs has them mapped. Counted is the work of the whole machine, without the
//! time in which it waits for the disk.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::cost::{Cost, prepared};
use super::hooks::start;
use crate::scene::Scene;

/// Each program from an ordinary folder and from one whose files are sealed with fs-verity, and some that are started for the first time ever.
pub fn measure(scene: &Scene) -> Result<Vec<Cost>> {
    let mut costs = Vec::new();
    for (folder, how) in [(PLAIN, ""), (SEALED, ", sealed")] {
        for (program, what) in [(STATIC, "static program"), (THIRTY, "program with 30 libraries")] {
            let program = scene.fixture(&format!("{folder}/{program}"));
            // Whoever decides must have been asked once, and know his answer.
            for _ in 0..KNOWN {
                start(&program)?;
                thread::sleep(SETTLED);
            }
            costs.push(prepared(&format!("cold {what}{how}"), REPETITIONS, forget, |()| start(&program))?);
        }
    }
    let mut fresh = (0..NEVER).map(|number| scene.fixture(&never(number)));
    let next = || {
        forget()?;
        fresh.next().context("all of them were started")
    };
    costs.push(prepared("cold static program, never started before", NEVER, next, |program| start(&program))?);
    Ok(costs)
}

/// A copy of the static program that nobody has ever started. Who hashes a file once and then believes its name or its inode has not hashed it yet.
pub fn never(number: usize) -> String {
    format!("bench/never/static-{number}")
}

/// Has the kernel forget what it can read again.
fn forget() -> Result<()> {
    rustix::fs::sync();
    let path = Path::new("/proc/sys/vm/drop_caches");
    fs::write(path, "3\n").with_context(|| format!("cannot write to `{}`", path.display()))
}

/// Among the fixtures: the programs of this group, as they are, and to be sealed before anybody measures.
pub const PLAIN: &str = "bench/plain";
pub const SEALED: &str = "bench/sealed";
/// In both folders: 762 KB in one file, and a program with a folder of libraries.
pub const STATIC: &str = "bin/static";
pub const THIRTY: &str = "bin/thirty";
/// How many of [`never`] there are.
pub const NEVER: usize = 3;
const KNOWN: usize = 3;
const SETTLED: Duration = Duration::from_millis(30);
const REPETITIONS: usize = 9;
