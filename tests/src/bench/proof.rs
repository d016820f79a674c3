//! Whether somebody enforces: what nobody signed is tried as a program and as a library. Who does not deny it is not worth measuring.

use std::io;
use std::process::{Command, Stdio};

use anyhow::{Result, bail, ensure};
use serde::Serialize;

use crate::child;
use crate::rows::{EPERM, NOT_MAPPED};
use crate::scene::Scene;

/// What became of each.
#[derive(Debug, Serialize)]
pub struct Proof {
    program_is_denied: bool,
    library_is_denied: bool,
}

/// Tries both. Signed files are tried as well: who denies everything enforces nothing.
pub fn attempt(scene: &Scene) -> Result<Proof> {
    let honest = program_is_denied(scene, "bin/program")? || library_is_denied(scene, "lib/libanswer.so")?;
    ensure!(!honest, "signed files are denied");
    Ok(Proof {
        program_is_denied: program_is_denied(scene, "unsigned/program")?,
        library_is_denied: library_is_denied(scene, "unsigned/libanswer.so")?,
    })
}

fn program_is_denied(scene: &Scene, fixture: &str) -> Result<bool> {
    match Command::new(scene.fixture(fixture)).stdin(Stdio::null()).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(true),
        other => bail!("`{fixture}` neither ran nor was denied: {other:?}"),
    }
}

fn library_is_denied(scene: &Scene, fixture: &str) -> Result<bool> {
    let ended = child::run(&mut scene.attack(["dlopen".as_ref(), scene.fixture(fixture).as_os_str()]))?;
    if ended.status.success() && ended.said("the library answered") {
        return Ok(false);
    }
    // EACCES is how IMA says it.
    let is_denial = [EPERM, NOT_MAPPED, "Permission denied"].iter().any(|words| ended.stderr.contains(words));
    ensure!(is_denial, "`{fixture}` was neither opened nor denied: it {}", ended.describe());
    Ok(true)
}
