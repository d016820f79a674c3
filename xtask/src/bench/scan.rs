//! `cargo xtask bench scan`: how fast all code of this machine is verified, beside tools that only hash it.
//!
//! The tools are told which files to hash, and run on every processor; Enforcer finds the files, hashes them, looks for their signatures, decides and
//! reports.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::footprint;
use super::native::{self, Code, Row, Scene, Unit, processors};

pub(super) fn run((json, write): (bool, bool)) -> Result<()> {
    let scene = Scene::make()?;
    let all = code_of_usr(&scene)?;
    let large: Vec<Code> = all.iter().filter(|code| code.size >= LARGE).cloned().collect();
    let small = scene.small_files()?;
    let paths: Vec<&Path> = large.iter().map(|code| code.path.as_path()).collect();
    let mut rows = verifying(&scene, "verify all code below /usr", &[Path::new("/usr")], &all, &[Unit::Bytes, Unit::Files])?;
    rows.extend(verifying(&scene, "verify files of 1 MiB and more", &paths, &large, &[Unit::Bytes])?);
    rows.extend(verifying(&scene, "verify 20,000 files of 2 KiB", &[&scene.at("tree")], &small, &[Unit::Files])?);
    if write {
        footprint::write("scan", "host", &native::markdown(&rows))?;
    }
    native::show(&rows, json)
}

/// What `enforcer verify` looks at below /usr.
fn code_of_usr(scene: &Scene) -> Result<Vec<Code>> {
    #[derive(Deserialize)]
    struct Answer {
        path: PathBuf,
        would_run: bool,
    }
    let output = scene.enforcer("verify --policy policy.toml --json /usr").output().context("cannot start the enforcer")?;
    let answers: Vec<Answer> = serde_json::from_slice(&output.stdout).context("`enforcer verify --json` printed no report")?;
    let refused = answers.iter().filter(|answer| !answer.would_run).count();
    ensure!(!answers.is_empty() && refused == 0, "{refused} of {} files below /usr changed since they were listed", answers.len());
    answers.into_iter().map(|answer| Code::at(answer.path)).collect()
}

/// Enforcer and the tools that hash, on the same files.
fn verifying(scene: &Scene, work: &'static str, roots: &[&Path], files: &[Code], units: &[Unit]) -> Result<Vec<Row>> {
    let list = files.iter().flat_map(|file| [file.path.as_os_str().as_encoded_bytes(), b"\0"].concat()).collect::<Vec<u8>>();
    fs::write(scene.at("list"), list)?;
    let at_once = files.len().div_ceil(16).clamp(1, 256);
    let xargs = |tool: &str| {
        let line = format!("xargs --null --arg-file list --max-procs {} --max-args {at_once} {tool}", processors());
        move || scene.command(&line)
    };
    let ours = || {
        let mut command = scene.enforcer("verify --policy policy.toml --json");
        command.args(roots);
        command
    };
    let runs = scene.runs(work, &[("enforcer", &ours), ("sha256sum", &xargs("sha256sum")), ("openssl dgst", &xargs("openssl dgst -sha256"))])?;
    Ok(units.iter().flat_map(|unit| native::rows(work, *unit, &runs, files, files)).collect())
}

const LARGE: u64 = 1 << 20;
