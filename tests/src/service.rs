//! The enforcer as a service: what it says of itself, its policy, and the journal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::child;
use crate::mode::Mode;

/// Runs a tool that has to succeed, and returns what it wrote.
pub fn succeed(program: &str, arguments: &[&str]) -> Result<String> {
    let ended = child::run_within(Command::new(program).args(arguments), SLOW)?;
    ensure!(ended.status.success(), "`{program} {}` {}", arguments.join(" "), ended.describe());
    Ok(ended.stdout)
}

/// Tries until it holds, and says what it was waiting for when it never does.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + SLOW;
    loop {
        if holds()? {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "after {} seconds there was still no sign that {what}", SLOW.as_secs());
        thread::sleep(INTERVAL);
    }
}

/// `enforcer status --json`, whatever its exit status says about the machine's health.
pub fn status() -> Result<Value> {
    let ended = child::run(Command::new("enforcer").args(["status", "--json"]))?;
    serde_json::from_str(&ended.stdout).with_context(|| format!("`enforcer status --json` {}", ended.describe()))
}

/// What the kernel has in force.
pub fn mode_in_force() -> Result<Mode> {
    match status()?["mode"].as_str() {
        None => Ok(Mode::Off),
        Some("audit") => Ok(Mode::Audit),
        Some("enforce") => Ok(Mode::Enforce),
        Some(other) => bail!("`enforcer status` says `{other}`"),
    }
}

/// The daemon's process id, if the service has one.
pub fn daemon() -> Result<Option<Pid>> {
    let text = succeed("systemctl", &["show", "--property=MainPID", "--value", UNIT])?;
    Ok(Pid::from_raw(text.trim().parse().with_context(|| format!("MainPID is {text:?}"))?))
}

/// The same where there has to be one.
pub fn running_daemon() -> Result<Pid> {
    daemon()?.context("the service has no process")
}

/// Sends the daemon a signal, by the only one who may: the service manager.
pub fn signal(signal: Signal) -> Result<()> {
    let signal = format!("--signal={}", signal.as_raw());
    succeed("systemctl", &["kill", "--kill-who=main", &signal, UNIT]).map(drop)
}

/// Starts the service, and waits until it says that it is ready.
pub fn start() -> Result<()> {
    // Tests restart it more often than systemd likes.
    succeed("systemctl", &["reset-failed", UNIT]).map(drop)?;
    succeed("systemctl", &["start", UNIT]).map(drop)?;
    wait_until("the daemon answers", || Ok(status()?["daemon"]["alive"] == true))
}

/// Waits until another process than this one is the daemon, ready and answering.
pub fn wait_for_successor(of: Pid) -> Result<Pid> {
    let mut successor = None;
    wait_until("systemd started the daemon anew", || {
        successor = daemon()?.filter(|pid| *pid != of);
        let active = child::run(Command::new("systemctl").args(["is-active", "--quiet", UNIT]))?;
        Ok(successor.is_some() && active.status.success())
    })?;
    let pid = successor.context("the service has no process")?;
    wait_until("the new daemon answers", || Ok(status()?["daemon"]["pid"] == pid.as_raw_nonzero().get()))?;
    Ok(pid)
}

/// While this lives, the service's unit is another one: without restarts, for instance.
pub struct DropIn(PathBuf);

impl DropIn {
    pub fn new(name: &str, text: &str) -> Result<Self> {
        let file = Self(Path::new(DROP_IN_FOLDER).join(name));
        fs::create_dir_all(DROP_IN_FOLDER)?;
        fs::write(&file.0, text)?;
        succeed("systemctl", &["daemon-reload"])?;
        Ok(file)
    }
}

impl Drop for DropIn {
    fn drop(&mut self) {
        let removed = fs::remove_file(&self.0).map_err(anyhow::Error::from);
        if let Err(error) = removed.and_then(|()| succeed("systemctl", &["daemon-reload"])) {
            eprintln!("guest-tests: the service stays changed: {error:#}");
        }
    }
}

/// The policy file, put back as it was at the end.
pub struct Policy {
    original: String,
}

impl Policy {
    pub fn open() -> Result<Self> {
        Ok(Self { original: fs::read_to_string(POLICY).context(POLICY)? })
    }

    /// Writes the policy with another mode, and asks the daemon to read it.
    pub fn set_mode(&self, mode: Mode) -> Result<()> {
        let is_mode = |line: &str| line.trim_start().starts_with("mode");
        ensure!(self.original.lines().filter(|line| is_mode(line)).count() == 1, "{POLICY} does not say its mode in one line");
        let line = format!("mode = \"{}\"", mode.name());
        let text: Vec<&str> = self.original.lines().map(|old| if is_mode(old) { line.as_str() } else { old }).collect();
        self.write(&(text.join("\n") + "\n"))?;
        reload()
    }

    /// What the policy said at first.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// Writes any text.
    pub fn write(&self, text: &str) -> Result<()> {
        let new = PathBuf::from(format!("{POLICY}.new"));
        fs::write(&new, text)?;
        fs::rename(new, POLICY).context(POLICY)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Err(error) = self.write(&self.original) {
            eprintln!("guest-tests: the policy stays changed: {error:#}");
        }
    }
}

/// `systemctl reload`: asks the daemon, and fails when it refuses the policy.
pub fn reload() -> Result<()> {
    succeed("systemctl", &["reload", UNIT]).map(drop)
}

/// The same, and waits until it is in force.
pub fn reload_in_force() -> Result<()> {
    let journal = Journal::now()?;
    reload()?;
    journal.wait_for(&["the new policy is in force"]).map(drop)
}

/// The same, and waits until nothing of what the former policy granted is left to what runs.
pub fn reload_without_what_was_left() -> Result<()> {
    let journal = Journal::now()?;
    reload_in_force()?;
    journal.wait_for(&["what runs has the rights that the policy in force gives it"]).map(drop)
}

/// Asks the daemon itself to read its policy, whatever is in it.
pub fn hang_up() -> Result<()> {
    signal(Signal::HUP)
}

/// A place in the journal.
pub struct Journal {
    cursor: String,
}

impl Journal {
    /// Here.
    pub fn now() -> Result<Self> {
        let text = succeed("journalctl", &["--quiet", "--lines=1", "--output=json"])?;
        let entry: Value = serde_json::from_str(text.trim()).context("journalctl's output")?;
        Ok(Self { cursor: entry["__CURSOR"].as_str().context("an entry without a cursor")?.to_owned() })
    }

    /// What the enforcer wrote since, each entry with all its fields.
    pub fn since(&self) -> Result<Vec<Value>> {
        let after = format!("--after-cursor={}", self.cursor);
        // Not filtered by journalctl: with a filter and a cursor that does not pass it, version 252 leaves out the first entry.
        let text = succeed("journalctl", &["--quiet", "--output=json", &after])?;
        let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).context("journalctl's output")).collect::<Result<_>>()?;
        let ours = |entry: &Value| entry["SYSLOG_IDENTIFIER"] == "enforcer" || entry["_SYSTEMD_UNIT"] == UNIT;
        Ok(entries.into_iter().filter(ours).collect())
    }

    /// Waits for a message with these words.
    pub fn wait_for(&self, words: &[&str]) -> Result<Value> {
        let mut found = None;
        let mut messages = Vec::new();
        let says = |entry: &Value| words.iter().all(|word| message(entry).contains(word));
        wait_until("the journal had it", || {
            let entries = self.since()?;
            messages = entries.iter().map(message).collect();
            found = entries.into_iter().find(|entry| says(entry));
            Ok(found.is_some())
        })
        .with_context(|| format!("a message with {words:?}; there were {messages:?}"))?;
        found.context("no message")
    }
}

/// An entry's text. journalctl writes one with unusual characters as a list of bytes.
pub fn message(entry: &Value) -> String {
    let bytes = |list: &Vec<Value>| list.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect::<Vec<_>>();
    match &entry["MESSAGE"] {
        Value::String(text) => text.clone(),
        Value::Array(list) => String::from_utf8_lossy(&bytes(list)).into_owned(),
        _ => String::new(),
    }
}

/// The names of the pins, with the inode numbers that show whether they were made anew.
pub fn pins() -> Result<Vec<(PathBuf, u64)>> {
    use std::os::unix::fs::MetadataExt as _;
    let mut pins = Vec::new();
    for build in fs::read_dir(PINS).context(PINS)? {
        for pin in fs::read_dir(build?.path())? {
            let pin = pin?;
            pins.push((pin.path(), pin.metadata()?.ino()));
        }
    }
    pins.sort();
    Ok(pins)
}

/// The pins' folder.
pub const PINS: &str = "/sys/fs/bpf/enforcer";
/// The service.
pub const UNIT: &str = "enforcer.service";
pub const POLICY: &str = "/etc/enforcer/policy.toml";
const DROP_IN_FOLDER: &str = "/run/systemd/system/enforcer.service.d";
const SLOW: Duration = Duration::from_secs(90);
const INTERVAL: Duration = Duration::from_millis(50);
