//! How busy the machine is: the time its processors spent on anybody's work, which is what waiting for a disk or a clock has no part in.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// Nanoseconds that the processors spent on tasks since the machine started, kernel threads and daemons included. What waits runs no task, so on a
/// machine that counts instructions this is how many were executed, give or take what an interrupt takes of idle time.
pub fn busy() -> Result<u64> {
    // The kernel counts a task's time when another task gets the processor.
    thread::sleep(Duration::from_micros(1));
    let text = fs::read_to_string(SCHEDSTAT).with_context(|| format!("cannot read `{SCHEDSTAT}`"))?;
    let version = text.lines().next().and_then(|line| line.strip_prefix("version ")).unwrap_or("of no version");
    ensure!(VERSIONS.contains(&version), "`{SCHEDSTAT}` is {version}, and what it says there is not known");
    let times = text.lines().filter(|line| line.starts_with("cpu")).map(|line| {
        let time = line.split_whitespace().nth(RUNNING).context("a processor without a time")?;
        time.parse::<u64>().with_context(|| format!("`{time}` in `{SCHEDSTAT}` is no time"))
    });
    times.sum()
}

/// Waits until nobody does anything: the daemon's scan after its start, the journal, systemd's last jobs.
pub fn wait_until_idle() -> Result<()> {
    let (mut still, mut last) = (0, busy()?);
    for _ in 0..PATIENCE {
        thread::sleep(WINDOW);
        let now = busy()?;
        still = if now - last < LITTLE { still + 1 } else { 0 };
        last = now;
        if still == WINDOWS {
            return Ok(());
        }
    }
    bail!("the machine never came to rest: somebody is still at work, and what is measured beside that is worth nothing")
}

const SCHEDSTAT: &str = "/proc/schedstat";
/// Those in which a processor's line has [`RUNNING`] at the same place (`Documentation/scheduler/sched-stats.rst`).
const VERSIONS: [&str; 3] = ["15", "16", "17"];
/// The seventh number of a processor's line.
const RUNNING: usize = 7;
const WINDOW: Duration = Duration::from_millis(200);
/// Of a window's time, in nanoseconds: what a heartbeat and a timer take.
const LITTLE: u64 = 4_000_000;
/// As many idle windows in a row, a second and a half.
const WINDOWS: usize = 8;
/// Windows to wait for: ten minutes of the guest's time.
const PATIENCE: usize = 3000;
