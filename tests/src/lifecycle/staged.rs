//! Signed files that nobody has seen yet: prepared beside the other fixtures, each good for one first use in a boot.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::uses::with_suffix;
use crate::scene::{STAGED_LIBRARIES, STAGED_PROGRAMS, Scene, install};

/// The next unseen program, installed with its signature under a fresh name.
pub fn program(scene: &Scene) -> Result<PathBuf> {
    installed(scene, "program", STAGED_PROGRAMS)
}

/// The same for a library.
pub fn library(scene: &Scene) -> Result<PathBuf> {
    installed(scene, "library", STAGED_LIBRARIES)
}

/// The next unseen program without its signature, and that signature.
pub fn program_and_signature(scene: &Scene) -> Result<(PathBuf, PathBuf)> {
    let from = next(scene, "program", STAGED_PROGRAMS)?;
    let program = install(&from, &place(scene, &from))?;
    Ok((program, with_suffix(&from, ".signature")))
}

fn installed(scene: &Scene, kind: &str, most: usize) -> Result<PathBuf> {
    let from = next(scene, kind, most)?;
    let to = place(scene, &from);
    // The signature first, as a package manager that knows of signatures would.
    install(&with_suffix(&from, ".signature"), &with_suffix(&to, ".p7s"))?;
    install(&from, &to)
}

fn place(scene: &Scene, from: &Path) -> PathBuf {
    scene.disk(&from.file_name().unwrap_or_default().to_string_lossy())
}

/// Takes a number that no test of this boot has had.
fn next(scene: &Scene, kind: &str, most: usize) -> Result<PathBuf> {
    fs::create_dir_all(COUNTERS)?;
    let counter = Path::new(COUNTERS).join(kind);
    let number: usize = if counter.exists() { fs::read_to_string(&counter)?.trim().parse().context("a counter")? } else { 0 };
    ensure!(number < most, "all {most} files of the kind {kind} were used in this boot");
    fs::write(counter, (number + 1).to_string())?;
    Ok(scene.fixture(&format!("stage/{kind}-{number}")))
}

const COUNTERS: &str = "/run/enforcer-tests";
