//! Child processes with a bounded life: a crash or a kill is a result like any other.

use std::io::Read;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    /// Its process id.
    pub pid: u32,
    /// Its status.
    pub status: ExitStatus,
    /// What it wrote.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Ended {
    /// Whether these words are in what it wrote.
    pub fn said(&self, words: &str) -> bool {
        self.stdout.contains(words)
    }

    /// Whether it ended well and wrote these words.
    pub fn ran(&self, words: &str) -> bool {
        self.status.success() && self.said(words)
    }

    /// The ending in words.
    pub fn describe(&self) -> String {
        let how = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("ended with status {code}"),
            (None, Some(signal)) => format!("was killed by signal {signal}"),
            (None, None) => "ended in an unknown way".to_owned(),
        };
        format!("{how}; stdout: {:?}; stderr: {:?}", shortened(&self.stdout), shortened(&self.stderr))
    }
}

/// Starts a program and waits for its end.
pub fn run(command: &mut Command) -> Result<Ended> {
    run_within(command, PATIENCE)
}

/// The same with another limit, after which the child is killed and that is an error.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<Ended> {
    run_with_input(command, Stdio::null(), limit)
}

/// The same with something to read.
pub fn run_with_input(command: &mut Command, input: Stdio, limit: Duration) -> Result<Ended> {
    let began = Instant::now();
    let mut child =
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().with_context(|| format!("cannot start {command:?}"))?;
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let status = wait(&mut child, limit).with_context(|| format!("{command:?}"))?;
    let took = began.elapsed();
    let text = |reader: thread::JoinHandle<Vec<u8>>| String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned();
    Ok(Ended { pid: child.id(), status, stdout: text(stdout), stderr: text(stderr), took })
}

fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = rustix::time::Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left)) {
            Ok(0) => {
                child.kill()?;
                child.wait()?;
                bail!("did not end within {} seconds", limit.as_secs());
            }
            Ok(_) => return Ok(child.wait()?),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What could be read before an error is what there is to judge.
            drop(pipe.take(MOST_OUTPUT).read_to_end(&mut bytes));
        }
        bytes
    })
}

fn shortened(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() <= SHOWN { text.to_owned() } else { text.chars().take(SHOWN).chain(['…']).collect() }
}

/// How long a child may run that nobody gave a limit.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// As much as a journal of some thousand denials.
const MOST_OUTPUT: u64 = 64 << 20;
const SHOWN: usize = 400;
