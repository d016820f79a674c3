//! First use of what was installed a moment ago.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use enforcer_common::{Hook, Reason};
use rustix::process::Signal;

use super::uses::{SIGNED_RAN, library_opens, open, program_is_denied, program_runs, with_suffix};
use super::{Test, staged, uses};
use crate::child::{self, Ended};
use crate::events::Mark;
use crate::scene::{SECOND_VERSION, Scene, install, version_at};
use crate::service;

pub const TESTS: &[Test] = &[
    Test::new("program_installed_a_moment_ago_runs_at_its_first_start", "install a signed program and start it at once", first_start),
    Test::new("library_installed_a_moment_ago_opens_at_its_first_dlopen", "install a signed library and open it at once", first_dlopen),
    Test::new("program_that_only_others_may_read_runs_at_its_first_start", "install a program of mode 0111 and start it as another user", unreadable),
    Test::new("modified_program_is_denied_at_its_first_start", "install a modified program with its signature and start it at once", modified),
    Test::new("program_signed_after_its_first_denial_runs", "start an unsigned program, sign it, start it again", signed_later),
    Test::new(
        "copy_without_its_signature_does_not_deny_the_signed_file",
        "start a copy of a program that has no signature beside it, and at once the program that has",
        unsigned_copy,
    ),
    Test::new(
        "killed_process_that_asked_does_not_deny_the_signed_file",
        "kill processes that wait for a first use, and start the program at once",
        killed,
    ),
    Test::new("thirty_unknown_programs_at_once_beside_busy_loops_all_run", "start 30 unknown signed programs at once on a busy machine", crowd),
    Test::new("thirty_starts_of_one_unknown_program_at_once_all_run", "start one unknown signed program 30 times at once", same),
];

fn first_start(scene: &Scene) -> Result<String> {
    let program = staged::program(scene)?;
    program_runs(scene, &program)?;
    Ok("it ran".to_owned())
}

fn first_dlopen(scene: &Scene) -> Result<String> {
    let library = staged::library(scene)?;
    library_opens(scene, &library)?;
    Ok("it opened".to_owned())
}

fn unreadable(scene: &Scene) -> Result<String> {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    let program = staged::program(scene)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o111))?;
    let ended = child::run(Command::new(&program).uid(NOBODY).gid(NOBODY))?;
    ensure!(ended.ran(SIGNED_RAN), "it {}", ended.describe());
    Ok("it ran".to_owned())
}

fn modified(scene: &Scene) -> Result<String> {
    let program = staged::program(scene)?;
    let mut bytes = fs::read(&program)?;
    let Some(position) = version_at(&bytes) else { bail!("the program has no version in it") };
    bytes[position] = SECOND_VERSION;
    fs::write(&program, bytes)?;
    let mark = Mark::now();
    let ended = program_is_denied(scene, &program, PATIENCE)?;
    uses::is_recorded(mark, &ended, Hook::BprmCheckSecurity, Reason::Untrusted)?;
    let library = staged::library(scene)?;
    fs::write(&library, fs::read(scene.fixture("unsigned/libanswer.so"))?)?;
    uses::was_denied(&open(scene, &library)?, &library, PATIENCE)?;
    Ok("it was denied".to_owned())
}

fn signed_later(scene: &Scene) -> Result<String> {
    let (program, signature) = staged::program_and_signature(scene)?;
    program_is_denied(scene, &program, PATIENCE)?;
    install(&signature, &with_suffix(&program, ".p7s"))?;
    service::wait_until("the program runs", || Ok(uses::start(scene, &program)?.ran(SIGNED_RAN)))?;
    Ok("it was denied, and ran once it was signed".to_owned())
}

/// The same bytes at two places, one without the signature: whoever starts that one first must not keep the other from running.
fn unsigned_copy(scene: &Scene) -> Result<String> {
    let (copy, signature) = staged::program_and_signature(scene)?;
    let signed = install(&copy, &scene.disk("signed"))?;
    install(&signature, &scene.disk("signed.p7s"))?;
    program_is_denied(scene, &copy, PATIENCE)?;
    program_runs(scene, &signed)?;
    Ok("the copy was denied, and the signed file ran at its first start".to_owned())
}

/// Who asked is gone when the daemon comes to the question, and nobody can be asked any more where the file is.
fn killed(scene: &Scene) -> Result<String> {
    let program = staged::program(scene)?;
    service::signal(Signal::STOP)?;
    let asked = || -> Result<()> {
        let before = service::status()?["requests"].clone();
        let mut asking = scene.attack(["exec".as_ref(), program.as_os_str()]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let waits = service::wait_until("the process asks", || Ok(service::status()?["requests"] != before));
        asking.kill()?;
        asking.wait()?;
        waits
    }();
    service::signal(Signal::CONT)?;
    asked?;
    service::wait_until("the daemon is back", || Ok(service::status()?["daemon"]["alive"] == true))?;
    program_runs(scene, &program)?;
    Ok("the program ran at its next start".to_owned())
}

fn crowd(scene: &Scene) -> Result<String> {
    let programs = (0..CROWD).map(|_| staged::program(scene)).collect::<Result<Vec<_>>>()?;
    let ended: Vec<Ended> = busily(|| {
        let starts: Vec<_> = programs.iter().map(|program| Start::now(Command::new(program))).collect();
        starts.into_iter().map(Start::end).collect()
    })?;
    all_ran(&ended)
}

fn same(scene: &Scene) -> Result<String> {
    let program = staged::program(scene)?;
    let ended: Vec<Ended> = busily(|| {
        let starts: Vec<_> = (0..CROWD).map(|_| Start::now(Command::new(&program))).collect();
        starts.into_iter().map(Start::end).collect()
    })?;
    all_ran(&ended)
}

fn all_ran(ended: &[Ended]) -> Result<String> {
    let denied: Vec<String> = ended.iter().filter(|ended| !ended.ran(SIGNED_RAN)).map(Ended::describe).collect();
    ensure!(denied.is_empty(), "{} of {} did not run: {denied:?}", denied.len(), ended.len());
    let slowest = ended.iter().map(|ended| ended.took).max().unwrap_or_default();
    Ok(format!("all {} ran, the slowest within {slowest:?}", ended.len()))
}

/// A start on a thread of its own, so that many begin at once.
struct Start(thread::JoinHandle<Result<Ended>>);

impl Start {
    fn now(mut command: Command) -> Self {
        Self(thread::spawn(move || child::run(command.stdin(Stdio::null()))))
    }

    fn end(self) -> Result<Ended> {
        self.0.join().unwrap_or_else(|_| bail!("a thread of the test panicked"))
    }
}

/// Does something beside four busy loops.
fn busily<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..BUSY_LOOPS {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let outcome = work();
        done.store(true, Ordering::Relaxed);
        outcome
    })
}

const CROWD: usize = 30;
const BUSY_LOOPS: usize = 4;
const NOBODY: u32 = 65_534;
const PATIENCE: Duration = Duration::from_secs(20);
