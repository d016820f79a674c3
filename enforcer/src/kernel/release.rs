//! Taking enforcement off: the daemon ends, and every pin is removed.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use aya::maps::loaded_maps;
use aya::programs::loaded_programs;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::maps::is_charter;
use super::place::{own_program, without_mark};
use super::{KernelError, Maps, Pins, monotonic, observed};

/// What was taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// The daemon that was ended, if one was alive.
    pub daemon: Option<u32>,
    /// How many builds of the programs had pins.
    pub builds: usize,
}

/// Ends the daemon, if one is alive, without touching enforcement. Its process id, if there was one.
pub fn end_daemon() -> Result<Option<u32>, KernelError> {
    let mut ended = None;
    for pins in observed()? {
        let Ok(maps) = Maps::open(pins.folder()) else { continue };
        if let Some(pid) = process_of(&maps)?
            && end(pid)?
        {
            ended = Some(pid);
        }
    }
    Ok(ended)
}

/// The daemon that answers, by its process id.
pub fn daemon() -> Result<Option<u32>, KernelError> {
    for pins in observed()? {
        let Ok(maps) = Maps::open(pins.folder()) else { continue };
        if let Some(pid) = daemon_of(&maps)? {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// Asks the daemon to read its policy again (`SIGHUP`). Its process id; `None` when none answers.
pub fn reload_daemon() -> Result<Option<u32>, KernelError> {
    let Some(raw) = daemon()? else { return Ok(None) };
    let failed = |error: rustix::io::Errno| KernelError::Daemon { pid: raw, detail: error.to_string() };
    let Some(pid) = Pid::from_raw(raw.cast_signed()) else { return Ok(None) };
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(failed)?;
    pidfd_send_signal(&process, Signal::HUP).map_err(failed)?;
    Ok(Some(raw))
}

/// The daemon of these maps, whether it answers or hangs: the process that it said it is, if that still runs the enforcer's program.
fn process_of(maps: &Maps) -> Result<Option<u32>, KernelError> {
    if let Some(pid) = daemon_of(maps)? {
        return Ok(Some(pid));
    }
    let pid = maps.heartbeat()?.pid;
    let (own, its) = (own_program().map(without_mark), fs::read_link(format!("/proc/{pid}/exe")).map(without_mark));
    let is_the_enforcer = matches!((own, its), (Ok(own), Ok(its)) if own == its);
    Ok((pid != 0 && pid != std::process::id() && is_the_enforcer).then_some(pid))
}

/// The daemon that answers for these maps, while its heartbeat is fresh.
pub fn daemon_of(maps: &Maps) -> Result<Option<u32>, KernelError> {
    let heartbeat = maps.heartbeat()?;
    // By the kernel's own measure of when to give the daemon up.
    let is_alive = heartbeat.time != 0 && monotonic().saturating_sub(heartbeat.time) < maps.settings()?.heartbeat_timeout;
    Ok(is_alive.then_some(heartbeat.pid))
}

/// Ends the daemon and removes every pin. From then on nothing is decided, until the next `enforcer run`.
pub fn release() -> Result<Released, KernelError> {
    // First, because a daemon whose pins vanish would start anew.
    let daemon = end_daemon()?;
    let builds = observed()?;
    let programs: Vec<u32> = builds.iter().flat_map(Pins::program_ids).collect();
    for pins in &builds {
        // The map goes some time after its pin, and a daemon that is started at once must not find it.
        if let Ok(maps) = Maps::open(pins.folder()) {
            maps.set_charter(&[])?;
        }
        pins.remove()?;
    }
    // The kernel detaches a link some time after its last pin is gone, and then lets go of the program. Without pins, somebody may still hold links.
    let deadline = Instant::now() + PATIENCE;
    while are_loaded(&programs) || (builds.is_empty() && is_ours_loaded()) {
        if Instant::now() >= deadline {
            let detail = "the pins are removed, but programs of the enforcer's are still in force: a process holds their links (`enforcer run`?)";
            return Err(KernelError::Load { detail: detail.to_owned() });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Released { daemon, builds: builds.len() })
}

fn are_loaded(programs: &[u32]) -> bool {
    loaded_programs().filter_map(Result::ok).any(|program| programs.contains(&program.id()))
}

/// Whether a map that only an enforcer has is in the kernel.
fn is_ours_loaded() -> bool {
    loaded_maps().filter_map(Result::ok).any(|map| is_charter(&map))
}

/// Asks a process to end, ends it when it does not listen, and waits until it has. `false` when there is none.
fn end(pid: u32) -> Result<bool, KernelError> {
    let failed = |detail: String| KernelError::Daemon { pid, detail };
    let Some(pid) = Pid::from_raw(pid.cast_signed()) else { return Ok(false) };
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(rustix::io::Errno::SRCH) => return Ok(false),
        Err(error) => return Err(failed(error.to_string())),
    };
    for signal in [Signal::TERM, Signal::KILL] {
        pidfd_send_signal(&process, signal).map_err(|error| failed(error.to_string()))?;
        if ends(&process).map_err(|error| failed(error.to_string()))? {
            return Ok(true);
        }
    }
    Err(failed(format!("it did not end within {} seconds", PATIENCE.as_secs())))
}

/// Whether a process ends within a while.
fn ends(process: &OwnedFd) -> rustix::io::Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let limit = rustix::time::Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit)) {
            Err(rustix::io::Errno::INTR) => {}
            outcome => return outcome.map(|ready| ready > 0),
        }
    }
}

/// How long a daemon may take to end.
const PATIENCE: Duration = Duration::from_secs(20);
