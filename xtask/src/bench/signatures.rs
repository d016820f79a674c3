//! `cargo xtask bench signatures`: verifying and signing on this machine, beside the tools that do a part of the same work.
//!
//! Everything is read from the page cache, each command is run three times, and the best time counts. The tools only hash or sign; Enforcer
//! finds the files, hashes them, looks for their signatures, decides and reports. Changes nothing outside of its temporary folder.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::build::{self, Profile};
use crate::ui::Step;
use crate::{process, setup, workspace};

/// One tool at one kind of work.
#[derive(Serialize)]
struct Row {
    work: &'static str,
    tool: &'static str,
    unit: &'static str,
    value: f64,
    /// How many times as fast as this tool Enforcer is.
    ratio: f64,
}

pub(super) fn run(json: bool) -> Result<()> {
    setup::for_tests()?;
    if std::env::var_os("ENFORCER_EBPF_OBJECT").is_none() {
        build::ebpf()?;
    }
    let scene = Scene::make(build::enforcer(Profile::Release)?)?;
    let mut rows = Vec::new();
    let all = scene.code_of_usr()?;
    let large: Vec<Code> = all.iter().filter(|code| code.size >= LARGE).cloned().collect();
    let small = scene.small_files()?;
    rows.extend(scene.verifying("verify all code below /usr", &[Path::new("/usr")], &all, Unit::Bytes)?);
    rows.extend(scene.verifying("verify all code below /usr", &[Path::new("/usr")], &all, Unit::Files)?);
    let paths: Vec<&Path> = large.iter().map(|code| code.path.as_path()).collect();
    rows.extend(scene.verifying("verify files of 1 MiB and more", &paths, &large, Unit::Bytes)?);
    rows.extend(scene.verifying("verify 20,000 files of 2 KiB", &[&scene.at("tree")], &small, Unit::Files)?);
    rows.extend(scene.signing(&small)?);
    if json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    println!("{:<34} {:<16} {:>12} {:<8} {:>7}", "WORK", "TOOL", "VALUE", "UNIT", "RATIO");
    for Row { work, tool, unit, value, ratio } in &rows {
        println!("{work:<34} {tool:<16} {value:>12.2} {unit:<8} {ratio:>7.2}");
    }
    Ok(())
}

/// A file that Enforcer takes for code.
#[derive(Clone)]
struct Code {
    path: PathBuf,
    size: u64,
}

/// What a value counts.
#[derive(Clone, Copy)]
enum Unit {
    Bytes,
    Files,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Bytes => "GB/s",
            Self::Files => "files/s",
        }
    }

    fn per_second(self, files: &[Code], time: Duration) -> f64 {
        let bytes: u64 = files.iter().map(|file| file.size).sum();
        match self {
            Self::Bytes => bytes as f64 / 1e9 / time.as_secs_f64(),
            Self::Files => files.len() as f64 / time.as_secs_f64(),
        }
    }
}

/// A folder with keys, a policy, a manifest of everything that is verified, and many small files.
struct Scene {
    folder: TempDir,
    enforcer: PathBuf,
    workers: String,
}

impl Scene {
    fn make(enforcer: PathBuf) -> Result<Self> {
        let step = Step::start("keys, small files and a signed manifest of /usr");
        fs::create_dir_all(workspace::target_dir())?;
        let folder = tempfile::tempdir_in(workspace::target_dir()).context("no temporary folder")?;
        let workers = thread::available_parallelism().map_or(1, usize::from).to_string();
        let scene = Self { folder, enforcer, workers };
        fs::write(
            scene.at("config"),
            "[req]\ndistinguished_name=n\n[n]\n[signer]\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n",
        )?;
        for line in [
            "openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.key",
            "openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key",
            "openssl req -x509 -new -config config -extensions signer -days 30 -key p256.key -subj /CN=bench -out p256.pem",
        ] {
            process::run(&mut scene.command(line), &step)?;
        }
        let policy = format!(
            "version = 1\nmode = \"audit\"\n[[signer]]\nname = \"bench\"\ncertificates = [\"{0}/p256.pem\"]\n[sources]\nmanifests = [\"{0}/manifests\"]\n\
             stores = []\n[revocation]\ncrls = []\nfile = \"{0}/revoked.toml\"\n",
            scene.folder.path().display()
        );
        fs::write(scene.at("policy.toml"), policy)?;
        for run in 0..RUNS {
            fs::create_dir_all(scene.at(&format!("store{run}")))?;
        }
        fs::create_dir_all(scene.at("manifests"))?;
        for number in 0..SMALL_FILES {
            let path = scene.small(number);
            if number % FOLDER == 0 {
                fs::create_dir_all(path.parent().context("a file has a folder")?)?;
            }
            let text = format!("#!/bin/sh\n# {number}\n{}", "echo a line of a script\n".repeat(85));
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        process::run(scene.enforcer("manifest create /usr tree -o manifests/all.manifest").current_dir(scene.folder.path()), &step)?;
        process::run(&mut scene.enforcer("manifest sign --key p256.key --certificate p256.pem manifests/all.manifest"), &step)?;
        step.done("");
        Ok(scene)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn small(&self, number: usize) -> PathBuf {
        self.at("tree").join(format!("{:03}/{number:05}", number / FOLDER))
    }

    fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).current_dir(self.folder.path());
        command
    }

    fn enforcer(&self, line: &str) -> Command {
        let mut command = Command::new(&self.enforcer);
        command.args(line.split_whitespace()).current_dir(self.folder.path());
        command
    }

    /// What `enforcer verify` looks at below /usr.
    fn code_of_usr(&self) -> Result<Vec<Code>> {
        #[derive(Deserialize)]
        struct Answer {
            path: PathBuf,
            would_run: bool,
        }
        let output = self.enforcer("verify --policy policy.toml --json /usr").output().context("cannot start the enforcer")?;
        let answers: Vec<Answer> = serde_json::from_slice(&output.stdout).context("`enforcer verify --json` printed no report")?;
        let refused = answers.iter().filter(|answer| !answer.would_run).count();
        ensure!(!answers.is_empty() && refused == 0, "{refused} of {} files below /usr changed since they were listed", answers.len());
        answers.into_iter().map(|answer| code(answer.path)).collect()
    }

    fn small_files(&self) -> Result<Vec<Code>> {
        (0..SMALL_FILES).map(|number| code(self.small(number))).collect()
    }

    /// Enforcer and the tools that hash, on the same files.
    fn verifying(&self, work: &'static str, roots: &[&Path], files: &[Code], unit: Unit) -> Result<Vec<Row>> {
        let list = files.iter().flat_map(|file| [file.path.as_os_str().as_encoded_bytes(), b"\0"].concat()).collect::<Vec<u8>>();
        fs::write(self.at("list"), list)?;
        let xargs = |tool: &str| {
            let line =
                format!("xargs --null --arg-file list --max-procs {} --max-args {} {tool}", self.workers, files.len().div_ceil(16).clamp(1, 256));
            move || self.command(&line)
        };
        let ours = || {
            let mut command = self.enforcer("verify --policy policy.toml --json");
            command.args(roots);
            command
        };
        let times = self.times(work, &[("enforcer", &ours), ("sha256sum", &xargs("sha256sum")), ("openssl dgst", &xargs("openssl dgst -sha256"))])?;
        Ok(rows(work, unit, &times, files, files))
    }

    /// Enforcer and evmctl, which takes one file after the other, on a tenth of them.
    fn signing(&self, files: &[Code]) -> Result<Vec<Row>> {
        let few = &files[..files.len() / 10];
        for run in 0..RUNS {
            let folder = self.at(&format!("few{run}"));
            fs::create_dir_all(&folder)?;
            for file in few {
                fs::copy(&file.path, folder.join(file.path.file_name().context("a file has a name")?))?;
            }
        }
        // Where a signature is already is not where one is made.
        let (own, other) = (Cell::new(0), Cell::new(0));
        let ours = || self.enforcer(&format!("sign --key p256.key --certificate p256.pem --store store{} tree", own.replace(own.get() + 1)));
        let theirs = || {
            let folder = other.replace(other.get() + 1);
            self.command(&format!("evmctl ima_sign --sigfile --hashalgo sha256 --key {} --recursive few{folder}", self.at("rsa.key").display()))
        };
        let work = "sign 20,000 files of 2 KiB";
        let times = self.times(work, &[("enforcer P-256", &ours), ("evmctl RSA-2048", &theirs)])?;
        // Its exit status does not say whether it signed anything.
        let signed =
            few.iter().filter_map(|file| file.path.file_name()).filter(|name| self.at("few0").join(name).with_added_extension("sig").exists());
        ensure!(signed.count() == few.len(), "evmctl did not sign every file");
        Ok(rows(work, Unit::Files, &times, files, few))
    }

    /// The best run of each, by turns, so that a busy machine is busy for all.
    fn times(&self, work: &str, tools: &[(&'static str, &dyn Fn() -> Command)]) -> Result<Vec<(&'static str, Duration)>> {
        let step = Step::start(work);
        let mut best: BTreeMap<&str, Duration> = BTreeMap::new();
        for _ in 0..RUNS {
            for (name, make) in tools {
                step.note(name);
                let mut command = make();
                let started = Instant::now();
                let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
                let status = status.with_context(|| format!("cannot start `{}`", process::shown(&command)))?;
                let time = started.elapsed();
                ensure!(status.success(), "`{}` ended with {status}", process::shown(&command));
                best.entry(name).and_modify(|best| *best = time.min(*best)).or_insert(time);
            }
        }
        step.done("");
        Ok(tools.iter().map(|(name, _)| (*name, best[name])).collect())
    }
}

/// The first of the tools is ours, and worked on `files`; the others on `theirs`.
fn rows(work: &'static str, unit: Unit, times: &[(&'static str, Duration)], files: &[Code], theirs: &[Code]) -> Vec<Row> {
    let value = |index: usize, time| unit.per_second(if index == 0 { files } else { theirs }, time);
    let ours = times.first().map_or(0.0, |(_, time)| value(0, *time));
    let row = |(index, (tool, time)): (usize, &(&'static str, Duration))| {
        let value = value(index, *time);
        Row { work, tool, unit: unit.name(), value: rounded(value), ratio: rounded(ours / value) }
    };
    times.iter().enumerate().map(row).collect()
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn code(path: PathBuf) -> Result<Code> {
    let size = fs::metadata(&path).with_context(|| format!("`{}`", path.display()))?.len();
    Ok(Code { path, size })
}

/// Runs of each command.
const RUNS: usize = 3;
const LARGE: u64 = 1 << 20;
const SMALL_FILES: usize = 20_000;
/// Files in a folder.
const FOLDER: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_tell_how_many_times_as_fast_as_the_other_tool_we_are() {
        let files: Vec<Code> = (0..10).map(|_| Code { path: "file".into(), size: 1_000_000_000 }).collect();
        let times = [("enforcer", Duration::from_secs(5)), ("other", Duration::from_secs(4))];
        let of_bytes = rows("work", Unit::Bytes, &times, &files, &files);
        assert_eq!((of_bytes[0].value, of_bytes[0].ratio, of_bytes[1].value, of_bytes[1].ratio), (2.0, 1.0, 2.5, 0.8));
        let of_files = rows("work", Unit::Files, &times, &files, &files[..2]);
        assert_eq!((of_files[0].value, of_files[1].value, of_files[1].ratio), (2.0, 0.5, 4.0));
    }
}
