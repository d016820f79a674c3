//! The package's control data: `packaging/debian/control` with what is computed, checksums, conffiles (deb-control(5), deb-md5sums(5)).

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::needs::Needs;
use super::tree::Tree;
use crate::process;
use crate::ui::Step;
use crate::workspace;

/// Writes the files of `DEBIAN/` that are no scripts. The tree must be whole.
pub(super) fn write(tree: &Tree, version: &str, needs: &Needs, step: &Step) -> Result<()> {
    let (files, size) = tree.files()?;
    let mut md5sum = Command::new("md5sum");
    let sums = process::run(md5sum.current_dir(tree.root()).arg("--").args(&files), step)?;
    tree.file("DEBIAN/md5sums", 0o644, sums.as_bytes())?;
    let conffiles = fs::read(workspace::root().join("packaging/debian/conffiles")).context("cannot read `packaging/debian/conffiles`")?;
    tree.file("DEBIAN/conffiles", 0o644, &conffiles)?;

    let path = workspace::root().join("packaging/debian/control");
    let fields = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let computed = format!(
        "Version: {version}\nArchitecture: {}\nInstalled-Size: {}\nDepends: {}\n",
        needs.architecture(),
        size.div_ceil(1024),
        needs.depends()
    );
    tree.file("DEBIAN/control", 0o644, (computed + &fields).as_bytes())
}
