//! The commands in the documents, run as written: one machine, and for each document one shell in which its blocks follow each other.
//!
//! - ```` ```sh ```` is run. A command that ends with another status than 0 fails the document.
//! - ```` ```sh may-say-no ```` too, and the enforcer may end with 1 in it: its answer is no.
//! - ```` ```sh not-run="why" ```` is not: it belongs on another machine, or needs hardware.
//! - ```` ```sh NAME ```` is run by a test of that name, in `enforcer/tests`.
//! - `<!-- sh: COMMANDS -->` is run and not seen: what has to be there before a block, or is so after it.
//!
//! A document starts on a machine that the enforcer watches in audit mode, in a folder of its own. `bare_machine` takes that away, and leaves what a build brings.

mod script;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::vm::{self, Accel, Mode, Output, Spec};
use crate::{package, workspace};

/// Runs every document's blocks, with this enforcer. With names, only those of these documents.
pub(crate) fn run(enforcer: &Path, accel: Accel, only: Option<&str>) -> Result<()> {
    let root = workspace::root();
    let folder = tempfile::tempdir()?;
    let mut names = Vec::new();
    for document in documents(&root)? {
        let name = document.strip_prefix(&root).unwrap_or(&document).display().to_string();
        let text = fs::read_to_string(&document).with_context(|| format!("cannot read `{name}`"))?;
        let script = script::of(&name, &text, |test| is_a_test(&root, test))?;
        if script.trim().is_empty() || only.is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let file = folder.path().join(&name);
        fs::create_dir_all(file.parent().unwrap_or(folder.path()))?;
        fs::write(file, script)?;
        names.push(name);
    }
    ensure!(!names.is_empty(), "no document has commands to run");
    let mut spec = Spec::new(["bash", "-c", DRIVER, "documents"].map(str::to_owned).into_iter().chain(names.iter().cloned()));
    spec.mode = Some(Mode::Off);
    spec.enforcer = Some(enforcer.to_owned());
    spec.accel = accel;
    spec.output = Output::StdoutCaptured;
    spec.timeout = PATIENCE;
    fs::write(folder.path().join("prelude"), PRELUDE)?;
    spec.add = vec![
        (folder.path().to_owned(), "/root/documents".to_owned()),
        (enforcer.to_owned(), "/root/enforcer/target/release/enforcer".to_owned()),
        (package::make(enforcer, "0-1", None)?, "/root/enforcer/target/debian/enforcer_0-1_amd64.deb".to_owned()),
        (root.join("policy.toml"), "/root/enforcer/policy.toml".to_owned()),
        (root.join("packaging"), "/root/enforcer/packaging".to_owned()),
    ];
    let outcome = vm::run(&spec)?;
    if outcome.status != 0 {
        bail!("the documents' commands ended with status {}:\n{}", outcome.status, String::from_utf8_lossy(&outcome.stdout));
    }
    Ok(())
}

/// The README first, and then in the order of their names.
fn documents(root: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root.join("docs"))?.collect::<std::io::Result<Vec<_>>>()?;
    let mut documents: Vec<PathBuf> =
        entries.into_iter().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    documents.sort();
    documents.insert(0, root.join("README.md"));
    Ok(documents)
}

/// Whether a test of the host's names this block.
fn is_a_test(root: &Path, name: &str) -> Result<bool> {
    for file in crate::tidy::rust_files(&root.join("enforcer/tests"))? {
        if fs::read_to_string(&file)?.contains(&format!("\"{name}\"")) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An emulated machine makes the manifest of a whole system twice.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20 * 60);
/// What happens around the documents' shells.
const DRIVER: &str = include_str!("../../guest/documents");
/// What happens first in each of them.
const PRELUDE: &str = include_str!("../../guest/documents-prelude");
