//! Programs that the kernel starts by itself, by a name that root may set.
//!
//! The helper writes its words to a file, because the kernel gives it no output. Each setting is put back.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

#[derive(clap::Subcommand)]
pub enum Helpers {
    /// `kernel.core_pattern`: a program that gets the memory of one that has crashed.
    CorePattern { helper: PathBuf, words: PathBuf },
    /// `kernel.modprobe`: the program that is to bring a module.
    Modprobe { helper: PathBuf, words: PathBuf },
    /// `release_agent` of a control group: the program that is told of its end.
    ReleaseAgent { helper: PathBuf, words: PathBuf, folder: PathBuf },
    /// `/sys/kernel/uevent_helper`: the program that is told of devices.
    UeventHelper { helper: PathBuf },
}

pub fn run(helpers: &Helpers) -> Result<()> {
    match helpers {
        Helpers::CorePattern { helper, words } => {
            let _setting = Setting::put("/proc/sys/kernel/core_pattern", &format!("|{}", helper.display()))?;
            // SAFETY: `abort` between fork and exec.
            let crash = unsafe { Command::new("true").pre_exec(|| libc::abort()).stderr(Stdio::null()).status() };
            // Killed before it could say that it would not start, so `status` knows no error.
            drop(crash);
            said(words)
        }
        Helpers::Modprobe { helper, words } => {
            let _setting = Setting::put("/proc/sys/kernel/modprobe", &helper.display().to_string())?;
            // SAFETY: asks for a socket of a family that no kernel has built in, which makes it ask for a module.
            let descriptor = unsafe { libc::socket(libc::AF_ROSE, libc::SOCK_SEQPACKET, 0) };
            ensure!(descriptor < 0, "the family has a module already");
            said(words)
        }
        Helpers::ReleaseAgent { helper, words, folder } => {
            release_agent(helper, folder)?;
            said(words)
        }
        Helpers::UeventHelper { helper } => {
            let mut setting = fs::OpenOptions::new().write(true).open("/sys/kernel/uevent_helper").context("uevent_helper")?;
            setting.write_all(helper.as_os_str().as_encoded_bytes())?;
            println!("the kernel has the setting");
            Ok(())
        }
    }
}

/// In a hierarchy of its own, which is mounted where nobody else sees it.
fn release_agent(helper: &Path, folder: &Path) -> Result<()> {
    let group = folder.join("group");
    fs::create_dir_all(&group)?;
    fs::write(folder.join("release_agent"), helper.display().to_string())?;
    fs::write(group.join("notify_on_release"), "1")?;
    let procs = group.join("cgroup.procs");
    // SAFETY: writes a file between fork and exec, in a process of one thread.
    let status = unsafe { Command::new("true").pre_exec(move || fs::write(&procs, "0")).status() };
    ensure!(status.context("cannot start `true` in the group")?.success(), "`true` failed");
    Ok(())
}

/// Passes on what the helper wrote.
fn said(words: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match fs::read_to_string(words) {
            Ok(text) if text.ends_with('\n') => {
                print!("{text}");
                return Ok(());
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => thread::sleep(Duration::from_millis(50)),
        }
    }
    bail!("the helper did not run")
}

/// A file of the kernel's that gets its old content back.
struct Setting {
    path: &'static str,
    before: String,
}

impl Setting {
    fn put(path: &'static str, value: &str) -> Result<Self> {
        let before = fs::read_to_string(path).context(path)?;
        fs::write(path, value).context(path)?;
        Ok(Self { path, before })
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Err(error) = fs::write(self.path, &self.before) {
            eprintln!("`{}` stays changed: {error}", self.path);
        }
    }
}

/// Longer than a shell takes to start on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(5);
