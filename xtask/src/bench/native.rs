//! What runs on this machine itself, beside tools that do a part of the same work: keys, files to work on, a clock, and rows.
//!
//! Everything is read from the page cache, each command is run three times, and the best time counts. Changes nothing outside of its temporary folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Serialize;
use tempfile::TempDir;

use super::footprint;
use crate::build::{self, Profile};
use crate::ui::Step;
use crate::{process, setup, workspace};

/// One tool at one kind of work.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    work: &'static str,
    tool: &'static str,
    unit: &'static str,
    value: f64,
    /// How many times as fast as this tool Enforcer is.
    ratio: f64,
    /// How many processors it kept busy.
    busy: f64,
    /// Whether this tool is faster at the same work, which one that does less on every processor must not be.
    missed: bool,
}

/// Prints rows as JSON, or as a table.
pub(super) fn show(rows: &[Row], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(rows)?);
        return Ok(());
    }
    println!("{:<32} {:<16} {:>10} {:<8} {:>7} {:>6}", "WORK", "TOOL", "VALUE", "UNIT", "RATIO", "BUSY");
    for Row { work, tool, unit, value, ratio, busy, missed } in rows {
        let missed = if *missed { "  missed" } else { "" };
        println!("{work:<32} {tool:<16} {value:>10.2} {unit:<8} {ratio:>7.2} {busy:>6.2}{missed}");
    }
    println!("\nRATIO: how many times as fast Enforcer is, at least once the target. BUSY: of {} processors.", processors());
    Ok(())
}

/// The rows as a table of a document.
pub(super) fn markdown(rows: &[Row]) -> String {
    let cells = rows.iter().map(|Row { work, tool, unit, value, ratio, busy, missed }| {
        let target = footprint::judged("≥ 1", *missed);
        vec![(*work).to_owned(), (*tool).to_owned(), format!("{value} {unit}"), ratio.to_string(), busy.to_string(), target]
    });
    let table = footprint::table(&["work", "tool", "speed", "Enforcer's by this one's", "processors busy", "target"], cells);
    format!("{table}\nOn {} processors.\n", processors())
}

/// Processors of this machine.
pub(super) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A file that Enforcer takes for code.
#[derive(Clone)]
pub(super) struct Code {
    pub(super) path: PathBuf,
    pub(super) size: u64,
}

impl Code {
    pub(super) fn at(path: PathBuf) -> Result<Self> {
        let size = fs::metadata(&path).with_context(|| format!("`{}`", path.display()))?.len();
        Ok(Self { path, size })
    }
}

/// What a value counts.
#[derive(Clone, Copy)]
pub(super) enum Unit {
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

/// A run of a command.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) time: Duration,
    /// What its processes used of the processors.
    pub(super) used: Duration,
}

/// A folder with keys, a policy, a manifest of everything that is verified, and many small files.
pub(super) struct Scene {
    folder: TempDir,
    enforcer: PathBuf,
}

impl Scene {
    /// Builds the enforcer, and makes everything that it works on.
    pub(super) fn make() -> Result<Self> {
        setup::for_tests()?;
        if std::env::var_os("ENFORCER_EBPF_OBJECT").is_none() {
            build::ebpf()?;
        }
        let enforcer = build::enforcer(Profile::Release)?;
        let step = Step::start("keys, small files and a signed manifest of /usr");
        fs::create_dir_all(workspace::target_dir())?;
        let folder = tempfile::tempdir_in(workspace::target_dir()).context("no temporary folder")?;
        let scene = Self { folder, enforcer };
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

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn small(&self, number: usize) -> PathBuf {
        self.at("tree").join(format!("{:03}/{number:05}", number / FOLDER))
    }

    pub(super) fn command(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).current_dir(self.folder.path());
        command
    }

    pub(super) fn enforcer(&self, line: &str) -> Command {
        let mut command = Command::new(&self.enforcer);
        command.args(line.split_whitespace()).current_dir(self.folder.path());
        command
    }

    /// The many small files.
    pub(super) fn small_files(&self) -> Result<Vec<Code>> {
        (0..SMALL_FILES).map(|number| Code::at(self.small(number))).collect()
    }

    /// The best run of each, by turns, so that a busy machine is busy for all.
    pub(super) fn runs(&self, work: &str, tools: &[(&'static str, &dyn Fn() -> Command)]) -> Result<Vec<(&'static str, Run)>> {
        let step = Step::start(work);
        let mut best: BTreeMap<&str, Run> = BTreeMap::new();
        for _ in 0..RUNS {
            for (name, make) in tools {
                step.note(name);
                let mut command = make();
                let (started, used) = (Instant::now(), used_by_children()?);
                let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
                let status = status.with_context(|| format!("cannot start `{}`", process::shown(&command)))?;
                let run = Run { time: started.elapsed(), used: used_by_children()?.saturating_sub(used) };
                ensure!(status.success(), "`{}` ended with {status}", process::shown(&command));
                best.entry(name).and_modify(|best| *best = if run.time < best.time { run } else { *best }).or_insert(run);
            }
        }
        step.done("");
        Ok(tools.iter().map(|(name, _)| (*name, best[name])).collect())
    }
}

/// What the processes that this one has waited for used of the processors, and those that they have waited for.
fn used_by_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("the kernel does not tell what was used")?;
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(microseconds.cast_unsigned()))
}

/// The first of the tools is ours, and worked on `files`; the others on `theirs`.
pub(super) fn rows(work: &'static str, unit: Unit, runs: &[(&'static str, Run)], files: &[Code], theirs: &[Code]) -> Vec<Row> {
    let value = |index: usize, time| unit.per_second(if index == 0 { files } else { theirs }, time);
    let ours = runs.first().map_or(0.0, |(_, run)| value(0, run.time));
    let row = |(index, (tool, run)): (usize, &(&'static str, Run))| {
        let value = value(index, run.time);
        let busy = run.used.as_secs_f64() / run.time.as_secs_f64();
        let ratio = ours / value;
        Row { work, tool, unit: unit.name(), value: rounded(value), ratio: rounded(ratio), busy: rounded(busy), missed: ratio < 1.0 }
    };
    runs.iter().enumerate().map(row).collect()
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Runs of each command.
pub(super) const RUNS: usize = 3;
const SMALL_FILES: usize = 20_000;
/// Files in a folder.
const FOLDER: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_tell_how_many_times_as_fast_as_the_other_tool_we_are() {
        let files: Vec<Code> = (0..10).map(|_| Code { path: "file".into(), size: 1_000_000_000 }).collect();
        let run = |time, used| Run { time: Duration::from_secs(time), used: Duration::from_secs(used) };
        let runs = [("enforcer", run(5, 10)), ("other", run(4, 4))];
        let of_bytes = rows("work", Unit::Bytes, &runs, &files, &files);
        assert_eq!((of_bytes[0].value, of_bytes[0].ratio, of_bytes[1].value, of_bytes[1].ratio), (2.0, 1.0, 2.5, 0.8));
        assert_eq!((of_bytes[0].busy, of_bytes[1].busy, of_bytes[0].missed, of_bytes[1].missed), (2.0, 1.0, false, true));
        let of_files = rows("work", Unit::Files, &runs, &files, &files[..2]);
        assert_eq!((of_files[0].value, of_files[1].value, of_files[1].ratio), (2.0, 0.5, 4.0));
    }
}
