//! The daemon dies, hangs and comes back: what is known runs, what is unsigned does not, and at no moment is the door open.

use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use enforcer_common::{Hook, Reason};
use rustix::process::Signal;

use super::uses::{SIGNED_RAN, is_recorded, program_is_denied, program_runs, start, unsigned_is_denied};
use super::{Test, staged};
use crate::child;
use crate::events::Mark;
use crate::scene::Scene;
use crate::service::{self, DropIn, Journal};

pub const TESTS: &[Test] = &[
    Test::new("enforcement_outlives_a_killed_daemon", "kill -9 the daemon and leave it dead", killed),
    Test::new("enforcement_outlives_a_stopped_service", "systemctl stop enforcer", stopped),
    Test::new("hung_daemon_holds_nobody_up", "SIGSTOP the daemon", hung),
    Test::new("second_daemon_gives_way_to_the_first", "enforcer run, while the service runs", second),
    Test::new("daemon_without_descriptors_of_its_own_enforces", "start the service with standard input, output and error closed", closed),
    Test::new("files_are_hashed_by_the_processors_instructions", "look at what the kernel hashes by", |_| hashing()),
    Test::new(
        "restart_under_load_opens_no_door_and_denies_nobody",
        "kill -9 the daemon while signed and unsigned programs start all the time",
        under_load,
    ),
];

fn hashing() -> Result<String> {
    let Ok(minimum) = fs::read_to_string("/sys/module/ima/parameters/ahash_minsize") else {
        return Ok("this kernel's own library has them".to_owned());
    };
    let known = fs::read_to_string("/proc/crypto")?;
    ensure!(minimum.trim() != "0" && known.contains("sha256-"), "the kernel was left to hash by itself: {minimum:?}");
    ensure!(["sha256-ni", "sha256-avx2", "sha256-avx", "sha256-ssse3"].iter().any(|driver| known.contains(driver)), "{known}");
    Ok(format!("files of {} bytes and more", minimum.trim()))
}

fn killed(scene: &Scene) -> Result<String> {
    service::running_daemon()?;
    let no_restart = DropIn::new("no-restart.conf", "[Service]\nRestart=no\n")?;
    service::signal(Signal::KILL)?;
    service::wait_until("the daemon is dead", || Ok(service::daemon()?.is_none()))?;
    let outcome = without_a_daemon(scene);
    drop(no_restart);
    service::start()?;
    outcome?()
}

fn stopped(scene: &Scene) -> Result<String> {
    service::succeed("systemctl", &["stop", service::UNIT])?;
    let outcome = without_a_daemon(scene);
    service::start()?;
    outcome?()
}

/// What holds without a daemon; what is returned is to be called when there is one again.
fn without_a_daemon(scene: &Scene) -> Result<impl FnOnce() -> Result<String>> {
    // First, while the daemon's last sign of life is still fresh.
    let unknown = staged::program(scene)?;
    let mark = Mark::now();
    let ended = program_is_denied(scene, &unknown, SOON)?;
    unsigned_is_denied(scene)?;
    program_runs(scene, &scene.fixture("bin/program"))?;
    service::wait_until("the status knows it", || Ok(service::status()?["daemon"]["alive"] == false))?;
    ensure!(service::status()?["enforcing"] == true, "{}", service::status()?);
    Ok(move || {
        // Written by the new daemon: the kernel kept it.
        is_recorded(mark, &ended, Hook::BprmCheckSecurity, Reason::DaemonUnavailable)?;
        program_runs(scene, &unknown)?;
        Ok(format!("unsigned code was denied, known code ran, unknown code was denied within {:?}, and ran with the new daemon", ended.took))
    })
}

fn hung(scene: &Scene) -> Result<String> {
    let daemon = service::running_daemon()?;
    service::signal(Signal::STOP)?;
    let unknown = staged::program(scene)?;
    let mark = Mark::now();
    let outcome = unsigned_is_denied(scene)
        .and_then(|()| program_runs(scene, &scene.fixture("bin/program")))
        .and_then(|()| program_is_denied(scene, &unknown, SOON));
    service::signal(Signal::CONT)?;
    let ended = outcome?;
    is_recorded(mark, &ended, Hook::BprmCheckSecurity, Reason::DaemonUnavailable)?;
    service::wait_until("unknown code runs again", || Ok(start(scene, &unknown)?.ran(SIGNED_RAN)))?;
    ensure!(service::running_daemon()? == daemon, "the daemon was started anew");
    Ok(format!("unknown code was denied within {:?}, and ran when the daemon went on", ended.took))
}

fn second(scene: &Scene) -> Result<String> {
    let (first, pins) = (service::running_daemon()?, service::pins()?);
    let ended = child::run(Command::new("enforcer").arg("run"))?;
    ensure!(!ended.status.success() && ended.stderr.contains("another `enforcer run` is active"), "the second daemon {}", ended.describe());
    ensure!(service::running_daemon()? == first && service::pins()? == pins, "the first daemon is not what it was");
    unsigned_is_denied(scene)?;
    program_runs(scene, &staged::program(scene)?)?;
    Ok("the second ended at once, and the first went on".to_owned())
}

fn closed(scene: &Scene) -> Result<String> {
    let start = "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exec /usr/sbin/enforcer run <&- >&- 2>&-'\n";
    let changed = DropIn::new("closed.conf", start)?;
    let restarted = service::succeed("systemctl", &["restart", service::UNIT]);
    let outcome = restarted.and_then(|_| {
        unsigned_is_denied(scene)?;
        program_runs(scene, &staged::program(scene)?)
    });
    drop(changed);
    service::succeed("systemctl", &["restart", service::UNIT])?;
    outcome?;
    Ok("unsigned code was denied, and unknown signed code ran".to_owned())
}

fn under_load(scene: &Scene) -> Result<String> {
    service::succeed("systemctl", &["reset-failed", service::UNIT])?;
    let (before, daemon, journal) = (service::pins()?, service::running_daemon()?, Journal::now()?);
    let load = Load::default();
    let successor = thread::scope(|scope| {
        scope.spawn(|| load.unsigned(scene));
        scope.spawn(|| load.signed(scene));
        let restarted = load.wait_for_rounds(10).and_then(|()| {
            service::signal(Signal::KILL)?;
            let successor = service::wait_for_successor(daemon)?;
            load.wait_for_rounds(10)?;
            Ok(successor)
        });
        load.done.store(true, Ordering::Relaxed);
        restarted
    })?;
    let faults = load.faults.into_inner().unwrap_or_default();
    ensure!(faults.is_empty(), "{} things went wrong, the first: {:?}", faults.len(), faults.first());
    ensure!(service::pins()? == before, "the pins were made anew");
    let message = journal.wait_for(&["in force"])?;
    let adopted = message.as_object().is_some_and(|fields| fields.iter().any(|(name, value)| name.ends_with("ADOPTED") && value == "true"));
    ensure!(adopted, "the new daemon did not adopt the pins: {message}");
    let (denied, ran) = (load.denied.load(Ordering::Relaxed), load.ran.load(Ordering::Relaxed));
    program_runs(scene, &staged::program(scene)?)?;
    Ok(format!("{denied} unsigned starts were denied and {ran} signed ones ran while process {daemon} gave way to {successor}"))
}

/// Starts that go on while the daemon is exchanged.
#[derive(Default)]
struct Load {
    done: AtomicBool,
    denied: AtomicUsize,
    ran: AtomicUsize,
    faults: Mutex<Vec<String>>,
}

impl Load {
    /// Not one of them may succeed.
    fn unsigned(&self, scene: &Scene) {
        let program = scene.fixture("unsigned/quiet");
        while !self.done.load(Ordering::Relaxed) {
            match Command::new(&program).status() {
                Err(error) if error.raw_os_error() == Some(libc::EPERM) => _ = self.denied.fetch_add(1, Ordering::Relaxed),
                other => self.fault(format!("an unsigned program was not denied: {other:?}")),
            }
        }
    }

    /// Not one of them may fail.
    fn signed(&self, scene: &Scene) {
        let program = scene.fixture("bin/program");
        while !self.done.load(Ordering::Relaxed) {
            match child::run(&mut Command::new(&program)) {
                Ok(ended) if ended.ran(SIGNED_RAN) => _ = self.ran.fetch_add(1, Ordering::Relaxed),
                Ok(ended) => self.fault(format!("a signed program {}", ended.describe())),
                Err(error) => self.fault(format!("{error:#}")),
            }
        }
    }

    fn fault(&self, what: String) {
        if let Ok(mut faults) = self.faults.lock() {
            faults.push(what);
        }
    }

    /// Waits until both kinds have been tried some more times.
    fn wait_for_rounds(&self, rounds: usize) -> Result<()> {
        let target = [&self.denied, &self.ran].map(|counter| (counter, counter.load(Ordering::Relaxed) + rounds));
        let faulty = || self.faults.lock().is_ok_and(|faults| !faults.is_empty());
        service::wait_until("the load goes on", || Ok(faulty() || target.iter().all(|(counter, least)| counter.load(Ordering::Relaxed) >= *least)))
    }
}

/// A dead daemon costs no more than this.
const SOON: Duration = Duration::from_secs(5);
