//! `cargo xtask bench signatures`: how fast many files are signed, beside a tool that signs one after the other.

use std::cell::Cell;
use std::fs;

use anyhow::{Context, Result, ensure};

use super::native::{self, RUNS, Scene, Unit};

/// Enforcer, and evmctl on a tenth of the files.
pub(super) fn run(json: bool) -> Result<()> {
    let scene = Scene::make()?;
    let files = scene.small_files()?;
    let few = &files[..files.len() / 10];
    for run in 0..RUNS {
        fs::create_dir_all(scene.at(&format!("store{run}")))?;
        let folder = scene.at(&format!("few{run}"));
        fs::create_dir_all(&folder)?;
        for file in few {
            fs::copy(&file.path, folder.join(file.path.file_name().context("a file has a name")?))?;
        }
    }
    // Where a signature is already is not where one is made.
    let (own, other) = (Cell::new(0), Cell::new(0));
    let ours = || scene.enforcer(&format!("sign --key p256.key --certificate p256.pem --store store{} tree", own.replace(own.get() + 1)));
    let theirs = || {
        let folder = other.replace(other.get() + 1);
        scene.command(&format!("evmctl ima_sign --sigfile --hashalgo sha256 --key {} --recursive few{folder}", scene.at("rsa.key").display()))
    };
    let work = "sign 20,000 files of 2 KiB";
    let runs = scene.runs(work, &[("enforcer P-256", &ours), ("evmctl RSA-2048", &theirs)])?;
    // Its exit status does not say whether it signed anything.
    let signed = few.iter().filter_map(|file| file.path.file_name()).filter(|name| scene.at("few0").join(name).with_added_extension("sig").exists());
    ensure!(signed.count() == few.len(), "evmctl did not sign every file");
    native::show(&native::rows(work, Unit::Files, &runs, &files, few), json)
}
