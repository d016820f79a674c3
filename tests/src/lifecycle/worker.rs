//! The processes that look into untrusted files: what they may, and what becomes of a file when one of them dies or hangs.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::uses::{SIGNED_RAN, program_is_denied, program_runs, start, unsigned_is_denied};
use super::{Test, staged};
use crate::mode::Mode;
use crate::scene::Scene;
use crate::service;

pub const TESTS: &[Test] = &[
    Test::new("workers_have_no_rights", "look at the daemon's workers as the kernel sees them", confined),
    Test::new("killed_workers_cost_one_denial_and_no_outage", "kill -9 all workers while one of them has a file", killed),
    Test::new("hung_workers_cost_a_time_out_and_no_outage", "SIGSTOP all workers and start a program", hung),
];

fn confined(_: &Scene) -> Result<String> {
    let workers = workers()?;
    ensure!(workers.len() == VERIFIERS, "{} workers", workers.len());
    for worker in &workers {
        let folder = format!("/proc/{}", worker.as_raw_nonzero());
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let has = |line: &str| status.lines().any(|found| found.split_whitespace().eq(line.split_whitespace()));
        let wanted = ["Seccomp: 2", "NoNewPrivs: 1", "CapEff: 0000000000000000", "CapBnd: 0000000000000000", "Threads: 1", "Groups:"];
        for line in wanted {
            ensure!(has(line), "no `{line}` in {status}");
        }
        ensure!(!has("Uid: 0 0 0 0"), "it runs as root");
        let open: Vec<_> = fs::read_dir(format!("{folder}/fd"))?.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect();
        let files = open.iter().filter(|target| target.starts_with("/") && **target != *std::path::Path::new("/dev/null")).count();
        ensure!(open.len() == 3 && files == 0, "it has {open:?} open");
    }
    // Every Debian kernel of these tests has landlock built in and active.
    ensure!(service::status()?["landlock"] == true, "no landlock: {}", service::status()?);
    Ok(format!("{} workers: a filter of system calls, no capability, a user of their own, landlock, no file open", workers.len()))
}

fn killed(scene: &Scene) -> Result<String> {
    let before = count("workers-ended")?;
    let daemon = service::running_daemon()?;
    let program = staged::program(scene)?;
    // Only there may somebody else signal what belongs to the enforcer.
    in_audit_mode(|| {
        let workers = signal_all(Signal::STOP)?;
        std::thread::scope(|scope| {
            let started = scope.spawn(|| start(scene, &program));
            std::thread::sleep(Duration::from_millis(500));
            for worker in &workers {
                kill_process(*worker, Signal::KILL)?;
            }
            let ended = started.join().map_err(|_| anyhow::anyhow!("a thread of the test panicked"))??;
            ensure!(ended.ran(SIGNED_RAN), "in audit mode it {}", ended.describe());
            Ok(())
        })
    })?;
    service::wait_until("the ends are counted", || Ok(count("workers-ended")? >= before + 4))?;
    service::wait_until("the program runs", || Ok(start(scene, &program)?.ran(SIGNED_RAN)))?;
    in_order(scene, daemon)?;
    Ok(format!("{} ends were counted, and the next workers answer", count("workers-ended")? - before))
}

fn hung(scene: &Scene) -> Result<String> {
    let before = count("workers-timed-out")?;
    let daemon = service::running_daemon()?;
    let program = staged::program(scene)?;
    in_audit_mode(|| signal_all(Signal::STOP).map(drop))?;
    let ended = program_is_denied(scene, &program, PATIENCE)?;
    program_runs(scene, &scene.fixture("bin/program"))?;
    service::wait_until("the time-out is counted", || Ok(count("workers-timed-out")? > before))?;
    // Each of the stopped ones costs one time-out, and is replaced.
    service::wait_until("the program runs", || Ok(start(scene, &program)?.ran(SIGNED_RAN)))?;
    service::wait_until("the stopped ones are no more", || {
        // SIGCONT is free to everybody; whoever is left over goes on.
        signal_all(Signal::CONT)?;
        Ok(workers()?.len() == VERIFIERS)
    })?;
    in_order(scene, daemon)?;
    Ok(format!("the file was denied within {:?}, known code ran meanwhile, and it runs now", ended.took))
}

/// Does something while nothing is denied.
fn in_audit_mode<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let policy = service::Policy::open()?;
    policy.set_mode(Mode::Audit)?;
    service::wait_until("audit mode is in force", || Ok(service::mode_in_force()? == Mode::Audit))?;
    let outcome = work();
    drop(policy);
    service::reload()?;
    service::wait_until("enforce mode is in force", || Ok(service::mode_in_force()? == Mode::Enforce))?;
    outcome
}

/// Signals every worker that there is; those that were there.
fn signal_all(signal: Signal) -> Result<Vec<Pid>> {
    let workers = workers()?;
    ensure!(!workers.is_empty(), "no workers");
    workers.iter().try_for_each(|worker| kill_process(*worker, signal))?;
    Ok(workers)
}

/// The same daemon answers, and unsigned code is denied.
fn in_order(scene: &Scene, daemon: Pid) -> Result<()> {
    ensure!(service::running_daemon()? == daemon, "the daemon was started anew");
    service::wait_until("there are as many workers as before", || Ok(workers()?.len() == VERIFIERS))?;
    unsigned_is_denied(scene)
}

fn count(name: &str) -> Result<u64> {
    service::status()?["counters"][name].as_u64().with_context(|| format!("the status does not count `{name}`"))
}

/// The workers that answer first uses: the daemon's children of the highest priority.
fn workers() -> Result<Vec<Pid>> {
    let daemon = service::running_daemon()?.as_raw_nonzero().get().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok()) else { continue };
        let (Ok(command), Ok(status)) = (fs::read(path.join("cmdline")), fs::read_to_string(path.join("status"))) else { continue };
        let is_child = status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|parent| parent.trim() == daemon));
        if is_child && command.split(|byte| *byte == 0).eq([&b"enforcer"[..], b"worker", b"--nice=-20", b""]) {
            found.extend(Pid::from_raw(pid));
        }
    }
    Ok(found)
}

/// As many as there are verifying threads in the daemon.
const VERIFIERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(20);
