//! `cargo xtask vm`, and the virtual machines of `demo`, `test` and `bench`: one stock Debian kernel and root, one command, its output and its status.
//!
//! [`run`] boots a machine made from a [`Spec`] and gives back the [`Outcome`] of the command inside. An error means that the machine failed, not the
//! command. A machine that fails before its command started is tried once more.

mod accel;
mod arguments;
mod channels;
mod payload;
mod qemu;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;
use tempfile::TempDir;

pub(crate) use self::accel::Accel;
pub(crate) use self::arguments::{Arguments, main};
pub(crate) use self::qemu::{PATCHED_CODE, version as qemu_version};
use crate::setup::guest::Image;
use crate::setup::{self, kernels};
use crate::{build, cache, ui};

/// The exit status of `cargo xtask vm` when the machine itself failed.
pub(crate) const MACHINE_FAILED: i32 = 125;

/// The exit status of a command that did not end in time, as of timeout(1).
pub(crate) const OUT_OF_TIME: i32 = 124;

/// What the enforcer does in the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Installed, but not started.
    Off,
    /// Started: reports, never denies.
    Audit,
    /// Started: denies.
    Enforce,
}

/// One machine and the command it runs.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    /// A kernel's name in `tests/kernels.toml`.
    pub(crate) kernel: String,
    /// The root.
    pub(crate) image: Image,
    /// The mode to put into the policy; `None` leaves a policy of one's own as it is, and enforces with the demo's.
    pub(crate) mode: Option<Mode>,
    /// The policy; `None` is the demo's, which trusts the demo's signer only.
    pub(crate) policy: Option<PathBuf>,
    /// The `enforcer` binary to install; see [`enforcer`].
    pub(crate) enforcer: Option<PathBuf>,
    /// Files and folders to copy in: the host's path and the guest's.
    pub(crate) add: Vec<(PathBuf, String)>,
    /// Added guest paths (a folder means all the code in it) that the demo's signer signs for.
    pub(crate) sign: Vec<String>,
    /// How the guest's CPU is made.
    pub(crate) accel: Accel,
    /// Processors.
    pub(crate) smp: u32,
    /// Mebibytes of memory.
    pub(crate) memory: u32,
    /// Count instructions instead of time: a deterministic, single, emulated CPU whose TSC counts instructions.
    pub(crate) icount: bool,
    /// More for the kernel's command line.
    pub(crate) append: String,
    /// How long the command may take.
    pub(crate) timeout: Duration,
    /// The command and its arguments, executed as they are, without a shell.
    pub(crate) command: Vec<String>,
    /// Where its output goes.
    pub(crate) output: Output,
    /// What stands before each line of it that is passed on, to tell machines apart that run side by side.
    pub(crate) label: Option<String>,
}

/// Where a command's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// To this process's stdout and stderr, live.
    PassThrough,
    /// Its stdout into the [`Outcome`], its stderr to this process's, live: for results with progress.
    StdoutCaptured,
    /// Into the [`Outcome`].
    Captured,
}

/// How a command in a machine ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Its exit status; [`OUT_OF_TIME`] when it was not waited for any longer.
    pub(crate) status: i32,
    /// What it wrote, when that was captured.
    pub(crate) stdout: Vec<u8>,
    /// What it wrote, when that was captured.
    pub(crate) stderr: Vec<u8>,
    /// The log of the guest's console (kernel and systemd), kept for a day.
    pub(crate) console: PathBuf,
}

impl Outcome {
    /// Everything that was captured, as text.
    pub(crate) fn said(&self) -> String {
        [&self.stdout, &self.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
    }
}

impl Spec {
    /// Copies in a manifest, or another signed file, with the signature beside it.
    pub(crate) fn add_signed(&mut self, host: &Path, at: &str) {
        self.add.push((PathBuf::from(format!("{}.p7s", host.display())), format!("{at}.p7s")));
        self.add.push((host.to_owned(), at.to_owned()));
    }

    /// A machine for `command` with everything else as `cargo xtask vm` has it.
    pub(crate) fn new(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            kernel: "6.12".into(),
            image: Image::Plain,
            mode: None,
            policy: None,
            enforcer: None,
            add: Vec::new(),
            sign: Vec::new(),
            accel: Accel::Auto,
            smp: 2,
            memory: 1024,
            icount: false,
            append: String::new(),
            timeout: Duration::from_secs(600),
            command: command.into_iter().map(Into::into).collect(),
            output: Output::Captured,
            label: None,
        }
    }

    /// Whether the enforcer must be at work before the command starts.
    fn expects_enforcer(&self) -> bool {
        self.mode != Some(Mode::Off)
    }
}

/// Builds the enforcer for [`Spec::enforcer`].
pub(crate) fn enforcer() -> Result<PathBuf> {
    setup::for_build()?;
    build::ebpf()?;
    build::enforcer(build::Profile::Release)
}

/// Boots the machine and runs its command. What the machine needs is set up first if it is missing.
pub(crate) fn run(spec: &Spec) -> Result<Outcome> {
    setup::for_vm(spec.image, false)?;
    let kernel = kernels::find(&spec.kernel)?;
    if spec.expects_enforcer() && spec.enforcer.is_none() {
        bail!("a machine in this mode needs an enforcer to install");
    }
    let dir = workshop()?;
    payload::write(spec, &kernel, dir.path())?;
    for attempt in 1.. {
        match qemu::boot(spec, &kernel, dir.path()) {
            Ok(outcome) => return Ok(outcome),
            Err(qemu::Failure::BeforeStart(error)) if attempt == 1 => ui::remark(&format!("{error:#}\nxtask: trying once more")),
            Err(qemu::Failure::BeforeStart(error) | qemu::Failure::Refused(error) | qemu::Failure::AfterStart(error)) => return Err(error),
        }
    }
    bail!("the machine never started")
}

/// A folder for one machine, in the cache. What xtasks that were killed left there is removed.
fn workshop() -> Result<TempDir> {
    let machines = cache::dir()?.join("machines");
    fs::create_dir_all(&machines)?;
    for old in fs::read_dir(&machines)?.filter_map(Result::ok) {
        let name = old.file_name();
        let owner = name.to_str().and_then(|name| name.split('-').next()).unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            let _ = fs::remove_dir_all(old.path());
        }
    }
    Ok(tempfile::Builder::new().prefix(&format!("{}-", std::process::id())).tempdir_in(machines)?)
}
