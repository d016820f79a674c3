//! What the first use of a signed file costs that nobody has seen before: an `exec` and a `dlopen`. Counted is the work of the whole machine, and so that
//! of whoever has to be asked.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use ring::digest;

use super::cost::{Cost, prepared, warm};
use super::hooks::start;
use crate::attack::open_and_ask;
use crate::scene::{Scene, install};

/// Both, and beside them what hashing a file of that size takes a program.
pub fn measure(scene: &Scene) -> Result<Vec<Cost>> {
    let mut programs = (0..FILES).map(|number| format!("program-{number}"));
    let mut libraries = (0..FILES).map(|number| format!("library-{number}"));
    let next = |names: &mut dyn Iterator<Item = String>| {
        let name = names.next().unwrap_or_default();
        ensure!(!name.is_empty(), "all {FILES} files were used");
        installed(scene, &name)
    };
    let bytes = vec![0x5a; SIZE];
    Ok(vec![
        prepared("first exec of a 50 KB program", FILES, || next(&mut programs), |program| start(&program))?,
        prepared(
            "first dlopen of a 50 KB library",
            FILES,
            || next(&mut libraries),
            |library| {
                ensure!(open_and_ask(&library)? == ANSWER, "`{}` gave a wrong answer", library.display());
                Ok(())
            },
        )?,
        warm("SHA-256 of 50 KB in a program", HASHES, || {
            black_box(digest::digest(&digest::SHA256, black_box(&bytes)));
            Ok(())
        })?,
    ])
}

/// A file with its signature, under a fresh name on a disk.
fn installed(scene: &Scene, name: &str) -> Result<PathBuf> {
    let from = scene.fixture(&format!("{FOLDER}/{name}"));
    install(&with(&from, ".signature"), &scene.disk(&format!("{name}.p7s")))?;
    let file = install(&from, &scene.disk(name))?;
    rustix::fs::sync();
    Ok(file)
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Among the fixtures: signed, and in no place where anybody looks before they are installed.
pub const FOLDER: &str = "bench/first";
/// How many there are of each kind.
pub const FILES: usize = 9;
/// What each has.
pub const SIZE: usize = 50_000;
/// What each library's function returns.
pub const ANSWER: i32 = 42;
const HASHES: usize = 15;
