//! How the guest's CPU is made. KVM is believed in only after a guest has booted with it: `/dev/kvm` may be there and of no use.

use std::fs::{self, OpenOptions};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;

use super::qemu::QEMU;
use crate::setup::kernels::Kernel;
use crate::ui::Step;
use crate::{cache, process};

/// What the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Accel {
    /// KVM if it was proved to work, else emulation.
    Auto,
    /// The host's CPU.
    Kvm,
    /// Emulation.
    Tcg,
}

/// What it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proved {
    /// The host's CPU.
    Kvm,
    /// Emulation.
    Tcg,
}

/// A kernel that runs at all says something within this time.
const PATIENCE: Duration = Duration::from_secs(12);

impl Accel {
    /// Settles `auto` by booting `kernel` once; the answer is kept for this host's kernel.
    pub(crate) fn prove(self, kernel: &Kernel) -> Result<Proved> {
        match self {
            Self::Kvm => Ok(Proved::Kvm),
            Self::Tcg => Ok(Proved::Tcg),
            Self::Auto if OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() => Ok(Proved::Tcg),
            Self::Auto => proved(kernel),
        }
    }
}

fn proved(kernel: &Kernel) -> Result<Proved> {
    let host = process::output(Command::new("uname").args(["-rvn"])).unwrap_or_default();
    let answer = cache::dir()?.join(format!("kvm-{}", &cache::hash(host.as_bytes())[..16]));
    let word = match fs::read_to_string(&answer) {
        Ok(word) => word,
        Err(_) => {
            let word = if boots(kernel)? { "kvm" } else { "tcg" };
            fs::write(&answer, word)?;
            word.to_owned()
        }
    };
    Ok(if word == "kvm" { Proved::Kvm } else { Proved::Tcg })
}

/// Whether the kernel gets as far as to miss its root file system.
fn boots(kernel: &Kernel) -> Result<bool> {
    let step = Step::start("does KVM boot a guest?");
    let log = tempfile::NamedTempFile::new()?;
    let mut qemu = Command::new(QEMU)
        .args(["-accel", "kvm", "-cpu", "host", "-m", "512M", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-kernel"])
        .arg(kernel.vmlinux()?)
        .args(["-append", "console=ttyS0 panic=-1", "-serial"])
        .arg(format!("file:{}", log.path().display()))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let started = Instant::now();
    let mut works = false;
    while !works && started.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(100));
        works = fs::read(log.path()).is_ok_and(|text| String::from_utf8_lossy(&text).contains("Unable to mount root fs"));
        if qemu.try_wait()?.is_some() {
            break;
        }
    }
    let _ = qemu.kill();
    qemu.wait()?;
    step.done(if works { "yes" } else { "no, so the guest's CPU is emulated" });
    Ok(works)
}
