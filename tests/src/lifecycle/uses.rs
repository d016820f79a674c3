//! Running files, and what to expect of it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use enforcer_common::{Hook, Reason};

use crate::child::{self, Ended};
use crate::events::{self, Mark};
use crate::rows::{EPERM, NOT_MAPPED, Shown, Trace};
use crate::scene::Scene;

/// What signed programs and libraries say.
pub const SIGNED_RAN: &str = "signed code 1 ran";

/// Starts a program in a process of its own.
pub fn start(scene: &Scene, program: &Path) -> Result<Ended> {
    child::run(&mut scene.attack(["exec".as_ref(), program.as_os_str()]))
}

/// A signed program runs.
pub fn program_runs(scene: &Scene, program: &Path) -> Result<()> {
    let mark = Mark::now();
    let ended = start(scene, program)?;
    ensure!(ended.ran(SIGNED_RAN), "`{}` did not run: it {}{}", program.display(), ended.describe(), events_since(mark, scene));
    Ok(())
}

/// A library opens, and its function answers.
pub fn library_opens(scene: &Scene, library: &Path) -> Result<()> {
    let mark = Mark::now();
    let ended = open(scene, library)?;
    ensure!(ended.ran("the library answered 42"), "`{}` did not open: it {}{}", library.display(), ended.describe(), events_since(mark, scene));
    Ok(())
}

/// Opens a library in a process of its own.
pub fn open(scene: &Scene, library: &Path) -> Result<Ended> {
    child::run(&mut scene.attack(["dlopen".as_ref(), library.as_os_str()]))
}

/// A program is denied, within a time.
pub fn program_is_denied(scene: &Scene, program: &Path, limit: Duration) -> Result<Ended> {
    let ended = start(scene, program)?;
    was_denied(&ended, program, limit)?;
    Ok(ended)
}

/// The process ended with the kernel's refusal, within a time.
pub fn was_denied(ended: &Ended, file: &Path, limit: Duration) -> Result<()> {
    let refused = !ended.status.success() && ended.stdout.is_empty() && [EPERM, NOT_MAPPED].iter().any(|words| ended.stderr.contains(words));
    ensure!(refused, "`{}` was not denied: it {}", file.display(), ended.describe());
    ensure!(ended.took < limit, "the denial took {:?}", ended.took);
    Ok(())
}

/// The denial is in the log, with the reason.
pub fn is_recorded(mark: Mark, ended: &Ended, hook: Hook, reason: Reason) -> Result<()> {
    let trace = Trace::new(hook, reason, Shown::Path("/"));
    mark.wait_for(reason.name(), |event| events::is(event, &trace, ended.pid, true)).map(drop)
}

/// The unsigned program of the fixtures is denied.
pub fn unsigned_is_denied(scene: &Scene) -> Result<()> {
    program_is_denied(scene, &scene.fixture("unsigned/program"), Duration::from_secs(10)).map(drop)
}

/// What a second comes to on this machine, as busy as it is now: so many plain starts as take a second where one takes two milliseconds. Never less than
/// a second.
pub fn second(scene: &Scene) -> Result<Duration> {
    let program = scene.fixture("bin/quiet-static");
    let mut times = (0..9).map(|_| plain_start(&program)).collect::<Result<Vec<_>>>()?;
    times.sort_unstable();
    Ok((times[times.len() / 2] * STARTS_IN_A_SECOND).max(Duration::from_secs(1)))
}

/// How long a program runs that does nothing.
pub fn plain_start(program: &Path) -> Result<Duration> {
    let began = Instant::now();
    let status = Command::new(program).stdin(Stdio::null()).status().with_context(|| format!("cannot start `{}`", program.display()))?;
    ensure!(status.success(), "`{}` ended with {status}", program.display());
    Ok(began.elapsed())
}

/// The file's name, for messages and for files beside it.
pub fn with_suffix(file: &Path, suffix: impl AsRef<OsStr>) -> std::path::PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The events since a mark, which say why something did not run.
fn events_since(mark: Mark, scene: &Scene) -> String {
    match mark.everything(scene) {
        Ok(events) => events.iter().map(|event| format!("; {}", events::summary(event))).collect(),
        Err(error) => format!("; its events are not known: {error:#}"),
    }
}

const STARTS_IN_A_SECOND: u32 = 500;
