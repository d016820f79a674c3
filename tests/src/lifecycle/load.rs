//! Too much of everything: starts, libraries, events, and too little disk and memory. Nothing that is unsigned gets in, nobody waits for long, what
//! could not be told is counted, and the machine is usable at once when it is over.
//!
//! How long is long depends on the machine: see [`second`].

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use enforcer_common::{Hook, Reason};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::process::Signal;

use super::uses::{is_recorded, plain_start, program_is_denied, program_runs, second, start, unsigned_is_denied};
use super::{Test, staged};
use crate::child;
use crate::events::Mark;
use crate::scene::{Scene, install};
use crate::service::{self, Policy};

pub const TESTS: &[Test] = &[
    Test::new("fork_bomb_of_two_thousand_unknown_programs_is_denied_to_the_last", "start 2,000 unknown unsigned programs, 100 at once", bomb),
    Test::new(
        "hundred_processes_that_open_libraries_at_once_get_what_they_should",
        "dlopen from 100 processes at once, half of it unsigned",
        libraries,
    ),
    Test::new("flood_of_events_loses_no_denial_and_counts_what_it_loses", "ask for executable memory as often as possible", flood),
    Test::new("crowd_before_a_stopped_daemon_is_denied_in_time", "SIGSTOP the daemon, and start 100 unknown programs at once", crowd),
    Test::new("full_map_of_verdicts_denies_what_is_new_at_once", "start signed programs when the kernel has room for no other verdict", full_map),
    Test::new("full_disk_changes_no_verdict", "leave no byte free where the log is", full_disk),
    Test::new("daemon_without_memory_changes_no_verdict", "take the daemon's memory away", no_memory),
];

fn bomb(scene: &Scene) -> Result<String> {
    let programs = (0..DISTINCT).map(|number| variant(scene, number)).collect::<Result<Vec<_>>>()?;
    let before = Counts::now()?;
    let verdicts = service::status()?["verdicts"].clone();
    let (began, denied) = (Instant::now(), AtomicUsize::new(0));
    let slowest = beside_a_probe(scene, || {
        at_once(CROWD, |index| {
            for round in 0..BOMB / CROWD {
                is_refused(&programs[(index + round * CROWD) % programs.len()])?;
                denied.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })
    })?;
    let took = began.elapsed();
    ensure!(denied.load(Ordering::Relaxed) == BOMB, "only {denied:?} of {BOMB} were denied");
    usable_at_once(scene)?;
    ensure!(service::status()?["verdicts"] == verdicts, "unknown programs took room among the verdicts");
    let told = before.told(BOMB, scene)?;
    Ok(format!("{BOMB} were denied within {took:?}, a known program took {slowest:?} at most meanwhile, {told}"))
}

fn libraries(scene: &Scene) -> Result<String> {
    let [signed, unsigned] = ["lib/libanswer.so", "unsigned/libanswer.so"].map(|name| scene.fixture(name));
    let slowest = beside_a_probe(scene, || {
        at_once(CROWD, |index| {
            let library = if index % 2 == 0 { &signed } else { &unsigned };
            let ended = child::run_within(&mut scene.attack(["dlopen".as_ref(), library.as_os_str()]), LONGEST)?;
            let opened = ended.ran("the library answered 42");
            ensure!(opened == (index % 2 == 0) && !ended.said("answered 13"), "`{}`: it {}", library.display(), ended.describe());
            Ok(())
        })
    })?;
    usable_at_once(scene)?;
    Ok(format!("{} opened and {} did not, a known program took {slowest:?} at most meanwhile", CROWD / 2, CROWD / 2))
}

fn flood(scene: &Scene) -> Result<String> {
    let before = Counts::now()?;
    let began = Instant::now();
    let slowest = beside_a_probe(scene, || {
        at_once(FLOODERS, |_| {
            for _ in 0..FLOOD / FLOODERS {
                // SAFETY: asks for new memory, which is never used.
                let memory = unsafe { mmap_anonymous(std::ptr::null_mut(), 4096, ProtFlags::all(), MapFlags::PRIVATE) };
                ensure!(memory.is_err_and(|error| error == rustix::io::Errno::PERM), "executable memory was not denied: {memory:?}");
            }
            Ok(())
        })
    })?;
    let took = began.elapsed();
    usable_at_once(scene)?;
    let told = before.told(FLOOD, scene)?;
    Ok(format!("{FLOOD} were denied within {took:?}, a known program took {slowest:?} at most meanwhile, {told}"))
}

fn crowd(scene: &Scene) -> Result<String> {
    let second = second(scene)?;
    let programs = (0..CROWD).map(|number| variant(scene, number)).collect::<Result<Vec<_>>>()?;
    service::signal(Signal::STOP)?;
    let began = Instant::now();
    let outcome = beside_a_probe(scene, || at_once(CROWD, |index| is_refused(&programs[index])));
    let took = began.elapsed();
    service::signal(Signal::CONT)?;
    let slowest = outcome?;
    ensure!(took < HEARTBEAT + second * 5, "the crowd was held up for {took:?}");
    service::wait_until("the daemon is back", || Ok(service::status()?["daemon"]["alive"] == true))?;
    usable_at_once(scene)?;
    program_runs(scene, &staged::program(scene)?)?;
    Ok(format!("all were denied within {took:?}, and a known program took {slowest:?} at most meanwhile"))
}

/// As many verdicts as the manifests need, and not one more.
fn full_map(scene: &Scene) -> Result<String> {
    service::succeed("systemctl", &["restart", service::UNIT])?;
    let verdicts = service::status()?["verdicts"].as_u64().context("a number of verdicts")?;
    let policy = Policy::open()?;
    let text = policy.original().replace("[limits]", &format!("[limits]\nmax-verdicts = {verdicts}"));
    policy.write(&text)?;
    let outcome = service::succeed("systemctl", &["restart", service::UNIT]).and_then(|_| {
        let status = service::status()?;
        ensure!(status["verdicts"] == verdicts && status["max_verdicts"] == verdicts, "the map is not full: {status}");
        let program = staged::program(scene)?;
        let mark = Mark::now();
        let ended = program_is_denied(scene, &program, A_MOMENT)?;
        is_recorded(mark, &ended, Hook::BprmCheckSecurity, Reason::VerdictsFull)?;
        unsigned_is_denied(scene)?;
        program_runs(scene, &scene.fixture("bin/program"))?;
        service::wait_until("it was counted", || Ok(service::status()?["counters"]["verdicts-unpublished"].as_u64() >= Some(1)))?;
        Ok((program, ended.took))
    });
    drop(policy);
    service::succeed("systemctl", &["restart", service::UNIT])?;
    let (program, took) = outcome?;
    program_runs(scene, &program)?;
    Ok(format!("with {verdicts} verdicts a new program was denied within {took:?}, known ones ran, and it ran when there was room"))
}

fn full_disk(scene: &Scene) -> Result<String> {
    let (known, unknown) = (scene.fixture("bin/program"), staged::program(scene)?);
    let filler = Filler::new(scene)?;
    let outcome = unsigned_is_denied(scene).and_then(|()| program_runs(scene, &known)).and_then(|()| program_runs(scene, &unknown));
    let alive = service::status()?["daemon"]["alive"] == true;
    filler.remove()?;
    outcome?;
    ensure!(alive, "the daemon died of it");
    let mark = Mark::now();
    let ended = start(scene, &scene.fixture("unsigned/program"))?;
    mark.wait_for("after the disk had room again", |event| event["pid"] == ended.pid)?;
    Ok("unsigned code was denied, known and unknown signed code ran, and events were written again afterwards".to_owned())
}

fn no_memory(scene: &Scene) -> Result<String> {
    let limit = |most: &str| service::succeed("systemctl", &["set-property", "--runtime", service::UNIT, &format!("MemoryMax={most}")]).map(drop);
    let known = scene.fixture("bin/program");
    // Written before anything else is started, which would inherit the descriptor and so keep the file from being started.
    let unknown = (0..FEW).map(|number| variant(scene, number)).collect::<Result<Vec<_>>>()?;
    limit("1M")?;
    let outcome = beside_a_probe(scene, || {
        for program in &unknown {
            is_refused(program)?;
            program_runs(scene, &known)?;
        }
        unsigned_is_denied(scene)
    });
    limit("infinity")?;
    service::succeed("systemctl", &["reset-failed", service::UNIT])?;
    let slowest = outcome?;
    service::wait_until("the daemon is back", || Ok(service::status()?["daemon"]["alive"] == true))?;
    program_runs(scene, &staged::program(scene)?)?;
    Ok(format!("unsigned code was denied, and a known program took {slowest:?} at most meanwhile"))
}

/// A known program starts within a second.
fn usable_at_once(scene: &Scene) -> Result<()> {
    let second = second(scene)?;
    let took = plain_start(&scene.fixture("bin/quiet-static"))?;
    ensure!(took < second, "afterwards a known program took {took:?}");
    unsigned_is_denied(scene)
}

/// Does something while a known program is started again and again, and says how long the slowest of those starts took.
fn beside_a_probe(scene: &Scene, work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let (second, program) = (second(scene)?, scene.fixture("bin/quiet-static"));
    let done = AtomicBool::new(false);
    let (outcome, probe) = thread::scope(|scope| {
        let probe = scope.spawn(|| -> Result<Duration> {
            let mut slowest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                slowest = slowest.max(plain_start(&program)?);
            }
            Ok(slowest)
        });
        let outcome = work();
        done.store(true, Ordering::Relaxed);
        (outcome, probe.join().unwrap_or_else(|_| bail!("the probe panicked")))
    });
    outcome?;
    let slowest = probe.context("a known program meanwhile")?;
    ensure!(slowest < second, "a known program took {slowest:?} meanwhile, which is more than {second:?}");
    Ok(slowest)
}

/// Does something so many times at once.
fn at_once(times: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..times).map(|index| scope.spawn(move || work(index))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a thread of the test panicked")))
    })
}

/// The kernel refuses to start it.
fn is_refused(program: &Path) -> Result<()> {
    match Command::new(program).stdin(Stdio::null()).stdout(Stdio::null()).spawn() {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(()),
        other => bail!("`{}` was not denied: {other:?}", program.display()),
    }
}

/// An unsigned program that nobody has seen.
fn variant(scene: &Scene, number: usize) -> Result<PathBuf> {
    let program = install(&scene.fixture("unsigned/quiet"), &scene.disk(&format!("unknown-{number}")))?;
    let mut file = File::options().append(true).open(&program)?;
    write!(file, "{number} {:?}", std::time::SystemTime::now())?;
    drop(file);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(program)
}

/// What has been denied so far, and told.
struct Counts {
    denied: u64,
    lost: u64,
    mark: Mark,
}

impl Counts {
    fn now() -> Result<Self> {
        let status = service::status()?;
        let count = |name: &str| status[name].as_u64().with_context(|| format!("the status does not say `{name}`"));
        Ok(Self { denied: count("denied")?, lost: count("events_lost")?, mark: Mark::now() })
    }

    /// Every one of so many denials was counted, and stands in the log or among the lost.
    fn told(&self, denials: usize, scene: &Scene) -> Result<String> {
        let written = self.mark.everything(scene)?.iter().filter(|event| event["kind"] == "event").count();
        let now = Self::now()?;
        let (denied, lost) = (now.denied - self.denied, now.lost - self.lost);
        ensure!(denied >= denials as u64, "{denials} were denied, and {denied} counted");
        ensure!(written as u64 + lost >= denials as u64, "{denials} were denied, {written} are in the log, and only {lost} are counted as lost");
        Ok(format!("{written} events are in the log and {lost} are counted as lost"))
    }
}

/// A file that leaves no room.
struct Filler(PathBuf);

impl Filler {
    fn new(scene: &Scene) -> Result<Self> {
        let filler = Self(scene.disk("filler"));
        let file = File::create(&filler.0)?;
        ensure!(file.metadata()?.dev() == fs::metadata(LOG_FOLDER)?.dev(), "the log is on another file system");
        let mut from = 0;
        // Ever smaller pieces, until not even a block is left.
        for piece in [1_u64 << 26, 1 << 20, 1 << 12] {
            while fallocate(&file, FallocateFlags::empty(), from, piece).is_ok() {
                from += piece;
            }
        }
        let left = statvfs(&filler.0)?.f_bavail;
        ensure!(left < 16, "{left} blocks are still free");
        Ok(filler)
    }

    fn remove(self) -> Result<()> {
        fs::remove_file(&self.0).context("cannot remove the filler")
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        // Gone already when all went well.
        drop(fs::remove_file(&self.0));
    }
}

const BOMB: usize = 2000;
const CROWD: usize = 100;
const DISTINCT: usize = 200;
const FLOOD: usize = 40_000;
const FLOODERS: usize = 4;
const FEW: usize = 5;
/// A daemon that does not answer counts as dead after this.
const HEARTBEAT: Duration = Duration::from_secs(5);
const A_MOMENT: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(120);
const LOG_FOLDER: &str = "/var/log/enforcer";
