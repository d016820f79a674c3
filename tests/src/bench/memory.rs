//! What enforcement costs in memory: the daemon's, and the kernel's for verdicts and for files whose measurement it keeps.
//!
//! The kernel charges what its BPF maps take to the control group of whoever made them, the service's: what stands there is the memory that is really
//! taken, with what the allocator rounds up. A map's own `memlock` is an estimate, which before 6.4 did not even look at how full the map is. The
//! whole machine's numbers in `/proc/meminfo` are told beside it; they change by what everybody else does.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::mm::ProtFlags;
use rustix::process::{Pid, Resource, Rlimit};

use super::cost::{Cost, Unit};
use super::staged::{self, Staged};
use super::{hooks, machine};
use crate::scene::{self, Scene};
use crate::service;

/// All of it. The staged manifests are a small one and a large one.
pub fn measure(scene: &Scene, staged: &Staged) -> Result<Vec<Cost>> {
    let [small, large] = staged.sizes[..] else { anyhow::bail!("two manifests are needed, not those of {:?} entries", staged.sizes) };
    let policy = service::Policy::open()?;
    policy.write(&format!("{}\nmax-verdicts = {SMALL_TABLE}\n", policy.original()))?;
    let least = Taken::by(staged, small)?;
    policy.write(policy.original())?;
    let few = Taken::by(staged, small)?;
    let many = Taken::by(staged, large)?;
    let mut costs = Vec::new();
    for (taken, size) in [(&few, small), (&many, large)] {
        costs.extend([
            bytes(format!("daemon, resident, {size} entries"), taken.daemon.resident),
            bytes(format!("daemon, its share of what is resident, {size} entries"), taken.daemon.share),
            bytes(format!("daemon and its workers, {size} entries"), taken.service),
            bytes(format!("kernel memory of the service, {size} entries"), taken.kernel.total),
        ]);
    }
    costs.push(bytes("kernel memory for a verdict", many.per_verdict_beyond(&few, |kernel| kernel.total)?));
    costs.push(bytes("kernel memory for a verdict, with its share of the table", many.per_verdict_beyond(&least, |kernel| kernel.total)?));
    costs.push(bytes("kernel memory for a verdict, by what the whole machine lacks", many.per_verdict_beyond(&least, |kernel| kernel.machine)?));
    service::reload_in_force()?;
    machine::wait_until_idle()?;
    costs.push(bytes(format!("daemon, resident after a reload, {large} entries"), Process::of(service::running_daemon()?)?.resident));
    costs.extend(files(scene)?);
    Ok(costs)
}

/// Memory at one moment.
struct Taken {
    verdicts: u64,
    daemon: Process,
    /// Of all processes of the service.
    service: u64,
    kernel: Kernel,
}

impl Taken {
    /// With a manifest in force from the start on.
    fn by(staged: &Staged, size: u64) -> Result<Self> {
        staged.install(size)?;
        staged::start_afresh()?;
        machine::wait_until_idle()?;
        let processes = fs::read_to_string(control_group()?.join("cgroup.procs"))?;
        let mut service = 0;
        for pid in processes.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
            service += Process::of(pid)?.share;
        }
        Ok(Self { verdicts: staged::verdicts(size)?, daemon: Process::of(service::running_daemon()?)?, service, kernel: Kernel::now()? })
    }

    fn per_verdict_beyond(&self, fewer: &Self, of: impl Fn(&Kernel) -> u64) -> Result<u64> {
        let verdicts = self.verdicts.checked_sub(fewer.verdicts).filter(|more| *more > 0).context("there are no more verdicts than before")?;
        Ok(of(&self.kernel).saturating_sub(of(&fewer.kernel)) / verdicts)
    }
}

/// A process's memory (`Documentation/filesystems/proc.rst`, `smaps_rollup`).
struct Process {
    resident: u64,
    /// With pages that several processes have counted by their share.
    share: u64,
}

impl Process {
    fn of(pid: Pid) -> Result<Self> {
        let path = format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero());
        let text = fs::read_to_string(&path).context(path)?;
        Ok(Self { resident: field(&text, "Rss:")? * 1024, share: field(&text, "Pss:")? * 1024 })
    }
}

/// The kernel's memory.
struct Kernel {
    /// What was taken for the service: its maps, its programs, and what its processes need.
    total: u64,
    /// What nobody can give back on the whole machine.
    machine: u64,
}

impl Kernel {
    fn now() -> Result<Self> {
        let path = control_group()?.join("memory.stat");
        let of_service = fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))?;
        let of_machine = fs::read_to_string("/proc/meminfo")?;
        let machine = ["SUnreclaim:", "VmallocUsed:", "Percpu:"].iter().map(|name| field(&of_machine, name)).sum::<Result<u64>>()? * 1024;
        let parts = ["slab_unreclaimable", "vmalloc", "percpu"];
        Ok(Self { total: parts.iter().map(|name| field(&of_service, name)).sum::<Result<u64>>()?, machine })
    }
}

/// The kernel's memory for files that were measured: many copies of a library, which are open and in the page cache before and after.
fn files(scene: &Scene) -> Result<Vec<Cost>> {
    let most = Some(FILES + 64);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).context("cannot open so many files")?;
    let library = scene.fixture("lib/libanswer.so");
    let mut copies = Vec::new();
    for number in 0..FILES {
        let copy = scene::install(&library, &scene.disk(&format!("copy-{number}.so")))?;
        copies.push(File::open(&copy)?);
    }
    // Nobody who may write to them is left, and nothing of them has to be written.
    service::succeed("sync", &[])?;
    copies.iter().try_for_each(|copy| hooks::map(copy, ProtFlags::READ))?;
    machine::wait_until_idle()?;
    let (before, measured) = (Kernel::now()?, measurements()?);
    for _ in 0..2 {
        copies.iter().try_for_each(|copy| hooks::map(copy, ProtFlags::READ | ProtFlags::EXEC))?;
        thread::sleep(TICKS);
    }
    let (after, measured) = (Kernel::now()?, measurements()? - measured);
    ensure!(measured >= FILES, "of {FILES} copies only {measured} were measured");
    Ok(vec![bytes("kernel memory for a measured file", after.total.saturating_sub(before.total) / FILES)])
}

fn measurements() -> Result<u64> {
    service::status()?["measurements"].as_u64().context("`enforcer status` tells no number of measurements")
}

fn control_group() -> Result<PathBuf> {
    let group = service::succeed("systemctl", &["show", "--property=ControlGroup", "--value", service::UNIT])?;
    Ok(Path::new("/sys/fs/cgroup").join(group.trim().trim_start_matches('/')))
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Result<u64> {
    let words = text.lines().map(|line| line.split_whitespace()).find_map(|mut words| (words.next() == Some(name)).then(|| words.next()));
    words.flatten().with_context(|| format!("there is no `{name}`"))?.parse().with_context(|| format!("`{name}` is no number"))
}

fn bytes(work: impl Into<String>, value: u64) -> Cost {
    Cost { work: work.into(), value, unit: Unit::Bytes }
}

/// A table of verdicts so small that what the default one takes shows in the difference.
const SMALL_TABLE: u32 = 16_384;
const FILES: u64 = 4000;
/// Longer than the clock ticks after which a measurement settles.
const TICKS: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "VmallocTotal: 9 kB\nPss_Dirty: 8 kB\nPss:    512 kB\nslab 7\n";
        assert_eq!((field(text, "Pss:").unwrap(), field(text, "slab").unwrap()), (512, 7));
        assert!(field(text, "Rss:").is_err());
    }
}
