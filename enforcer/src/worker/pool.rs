//! The daemon's side: workers that are started in advance, asked one file at a time, and replaced when they fail.
//!
//! One thread starts workers and waits for those that have ended, so that nobody who verifies waits for either, and so that the kernel ends the workers
//! when that thread, and with it the daemon, has gone.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::channel::{receive, send};
use super::{Fault, Hello, LIMIT, MAX_ANSWER, MAX_REQUEST, MOST_JOBS, Request, Unfit, proof};
use crate::signature::{Answer, Job, Parser};

/// How workers are started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program, which has the subcommand `worker`.
    pub program: OsString,
    /// How many at once.
    pub size: usize,
    /// Their place in the queue for the processor.
    pub nice: i32,
    /// Whether a worker that keeps a right is used all the same, with a warning.
    pub unconfined_allowed: bool,
}

impl Settings {
    /// Workers of the program that runs, whatever has become of its file.
    pub fn of_this_program(size: usize, nice: i32, unconfined_allowed: bool) -> Self {
        Self { program: "/proc/self/exe".into(), size, nice, unconfined_allowed }
    }
}

/// What became of workers since the daemon started. Shared by all pools.
#[derive(Debug, Default)]
pub struct Counters {
    started: AtomicU64,
    ended: AtomicU64,
    timed_out: AtomicU64,
    garbled: AtomicU64,
    none_free: AtomicU64,
    not_started: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Workers that were started.
    pub started: u64,
    /// Workers that ended while they had a file, or waited for one: crashed or killed.
    pub ended: u64,
    /// Workers that took too long, and were killed.
    pub timed_out: u64,
    /// Workers that answered something that is no answer, and were killed.
    pub garbled: u64,
    /// Files for which no worker was free in time.
    pub none_free: u64,
    /// Failed attempts to start one.
    pub not_started: u64,
}

/// Workers.
pub struct Pool {
    inner: Arc<Inner>,
    starter: Option<JoinHandle<()>>,
}

struct Inner {
    settings: Mutex<Settings>,
    counters: Arc<Counters>,
    state: Mutex<State>,
    /// Something in `state` has changed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    idle: VecDeque<Worker>,
    /// Those that are asked right now.
    busy: usize,
    /// Killed, and not gone yet.
    dead: Vec<Child>,
    /// Failures to start one in a row, and the latest.
    failures: u32,
    failure: Option<Arc<Unfit>>,
    landlock: bool,
    closed: bool,
}

struct Worker {
    child: Child,
    socket: UnixStream,
    jobs: u32,
}

impl Pool {
    /// Starts the first worker, and the others meanwhile.
    ///
    /// # Errors
    /// When there is no confined worker to be had, and the settings ask for one.
    pub fn start(settings: Settings, counters: Arc<Counters>) -> Result<Self, Arc<Unfit>> {
        let inner = Arc::new(Inner { settings: Mutex::new(settings), counters, state: Mutex::default(), changed: Condvar::new() });
        let starting = Arc::clone(&inner);
        let starter = thread::Builder::new().name("workers".to_owned()).spawn(move || starting.keep_full());
        let starter = starter.map_err(|error| Arc::new(Unfit::NotStarted(error.to_string())))?;
        let pool = Self { inner, starter: Some(starter) };
        let mut state = pool.inner.lock();
        while state.idle.is_empty() {
            if let Some(failure) = state.failure.clone() {
                drop(state);
                return Err(failure);
            }
            state = pool.inner.wait(state, LIMIT).0;
        }
        drop(state);
        Ok(pool)
    }

    /// Why no worker can be started any more, if it has failed many times in a row.
    pub fn given_up(&self) -> Option<Arc<Unfit>> {
        let state = self.inner.lock();
        state.failure.clone().filter(|_| state.failures >= MOST_FAILURES)
    }

    /// From here on, only confined workers are used; or none, and this is an error.
    ///
    /// # Errors
    /// When those that run already are not confined.
    pub fn require_confined(&self) -> Result<(), Unfit> {
        let missing: Vec<String> = self.inner.lock().idle.iter().flat_map(|worker| proof::missing(worker.child.id())).collect();
        if !missing.is_empty() {
            return Err(Unfit::NotConfined(missing));
        }
        self.inner.settings().unconfined_allowed = false;
        Ok(())
    }

    /// Whether the kernel has landlock for the workers.
    pub fn has_landlock(&self) -> bool {
        self.inner.lock().landlock
    }

    /// The process ids of the workers that wait for a file.
    pub fn idle(&self) -> Vec<u32> {
        self.inner.lock().idle.iter().map(|worker| worker.child.id()).collect()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.inner.lock().closed = true;
        self.inner.changed.notify_all();
        if let Some(starter) = self.starter.take() {
            drop(starter.join());
        }
    }
}

impl Parser for Pool {
    type Fault = Fault;

    fn parse(&self, job: &Job<'_>) -> Result<Answer, Fault> {
        let deadline = Instant::now() + LIMIT;
        let values = job.values.iter().map(|(form, bytes)| (*form, bytes.to_vec())).collect();
        let request = postcard::to_stdvec(&Request { has_file: job.file.is_some(), values });
        let request = request.ok().filter(|request| request.len() <= MAX_REQUEST).ok_or(Fault::TooLarge)?;
        let mut worker = self.inner.take(deadline)?;
        match worker.ask(&request, job, deadline) {
            Ok(answer) => {
                self.inner.give_back(worker);
                Ok(answer)
            }
            Err(fault) => {
                let fault = self.inner.bury(worker, fault);
                tracing::warn!("{fault}; it is replaced, and the file is denied");
                Err(fault)
            }
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, limit: Duration) -> (MutexGuard<'a, State>, bool) {
        let (state, outcome) = self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner);
        (state, outcome.timed_out())
    }

    /// A worker that is alive. One that has ended while it had nothing to do is nobody's fault, and the next one is taken.
    fn take(&self, deadline: Instant) -> Result<Worker, Fault> {
        let mut state = self.lock();
        loop {
            while let Some(mut worker) = state.idle.pop_front() {
                if matches!(worker.child.try_wait(), Ok(None)) {
                    state.busy += 1;
                    return Ok(worker);
                }
                self.counters.ended.fetch_add(1, Ordering::Relaxed);
                self.changed.notify_all();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.counters.none_free.fetch_add(1, Ordering::Relaxed);
                return Err(Fault::NoneFree);
            }
            state = self.wait(state, left).0;
        }
    }

    fn give_back(&self, worker: Worker) {
        let mut state = self.lock();
        state.busy -= 1;
        if worker.jobs < MOST_JOBS {
            state.idle.push_back(worker);
        } else {
            // It ends by itself when its socket is closed.
            state.dead.push(worker.child);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Kills a worker that gave no answer, and counts what was wrong with it.
    fn bury(&self, mut worker: Worker, fault: Fault) -> Fault {
        let (counter, fault) = match fault {
            Fault::Ended { .. } => (&self.counters.ended, Fault::Ended { how: worker.how_it_ended() }),
            Fault::TimedOut => (&self.counters.timed_out, fault),
            _ => (&self.counters.garbled, fault),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        drop(worker.child.kill());
        let mut state = self.lock();
        state.busy -= 1;
        state.dead.push(worker.child);
        drop(state);
        self.changed.notify_all();
        fault
    }

    /// Starts workers whenever there are too few, until the pool is closed.
    fn keep_full(&self) {
        let mut state = self.lock();
        while !state.closed {
            state.dead.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
            let settings = self.settings().clone();
            if state.idle.len() + state.busy >= settings.size {
                let limit = if state.dead.is_empty() { IDLE } else { SHORTLY };
                state = self.wait(state, limit).0;
                self.discard_ended(&mut state);
                continue;
            }
            drop(state);
            let started = Worker::start(&settings);
            state = self.lock();
            match started {
                Ok((worker, hello)) => {
                    self.counters.started.fetch_add(1, Ordering::Relaxed);
                    (state.failures, state.failure, state.landlock) = (0, None, hello.landlock);
                    state.idle.push_back(worker);
                }
                Err(failure) => {
                    self.counters.not_started.fetch_add(1, Ordering::Relaxed);
                    tracing::error!("{failure}");
                    state.failures = state.failures.saturating_add(1);
                    state.failure = Some(Arc::new(failure));
                    self.changed.notify_all();
                    // Whoever gives a worker back wakes this up early, so the pause is short of its limit at times, and bounded all the same.
                    state = self.wait(state, PAUSE).0;
                }
            }
            self.changed.notify_all();
        }
        // Closed sockets are the end of the idle ones; the others are killed when they are given back or buried, by then nobody's.
        for mut worker in state.idle.drain(..) {
            drop(worker.child.kill());
            drop(worker.child.wait());
        }
    }

    /// Workers that ended while they had nothing to do.
    fn discard_ended(&self, state: &mut State) {
        let before = state.idle.len();
        state.idle.retain_mut(|worker| matches!(worker.child.try_wait(), Ok(None)));
        let ended = before - state.idle.len();
        self.counters.ended.fetch_add(ended as u64, Ordering::Relaxed);
    }
}

impl Worker {
    /// Starts one, and makes sure that it is confined.
    fn start(settings: &Settings) -> Result<(Self, Hello), Unfit> {
        let failed = |error: io::Error| Unfit::NotStarted(error.to_string());
        let (socket, theirs) = UnixStream::pair().map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let child = Command::new(&settings.program)
            .arg0("enforcer")
            .arg("worker")
            .arg(format!("--nice={}", settings.nice))
            .env_clear()
            .current_dir("/")
            // What a terminal sends to the daemon is not for them.
            .process_group(0)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut worker = Self { child, socket, jobs: 0 };
        match worker.greet() {
            Ok(hello) => {
                let mut missing = hello.failed.clone();
                missing.extend(proof::missing(worker.child.id()));
                if missing.is_empty() {
                    return Ok((worker, hello));
                }
                let unfit = Unfit::NotConfined(missing);
                if settings.unconfined_allowed {
                    tracing::warn!("{unfit}");
                    return Ok((worker, hello));
                }
                worker.end();
                Err(unfit)
            }
            Err(error) => {
                let how = if error.kind() == io::ErrorKind::UnexpectedEof { worker.how_it_ended() } else { error.to_string() };
                worker.end();
                Err(Unfit::NotStarted(how))
            }
        }
    }

    fn greet(&mut self) -> io::Result<Hello> {
        let (message, _) = receive(&self.socket, MAX_HELLO, Some(Instant::now() + START_LIMIT))?.ok_or(io::ErrorKind::UnexpectedEof)?;
        postcard::from_bytes(&message).map_err(io::Error::other)
    }

    fn ask(&mut self, request: &[u8], job: &Job<'_>, deadline: Instant) -> Result<Answer, Fault> {
        self.jobs += 1;
        let sent = send(&self.socket, request, job.file, Some(deadline));
        let received = sent.and_then(|()| receive(&self.socket, MAX_ANSWER, Some(deadline)));
        let message = match received {
            Ok(Some((message, _))) => message,
            Ok(None) => return Err(Fault::Ended { how: String::new() }),
            Err(error) => {
                return Err(match error.kind() {
                    io::ErrorKind::TimedOut => Fault::TimedOut,
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Fault::Ended { how: String::new() },
                    io::ErrorKind::InvalidData => Fault::Garbled,
                    _ => Fault::System { problem: error.to_string() },
                });
            }
        };
        let answer: Answer = postcard::from_bytes(&message).map_err(|_| Fault::Garbled)?;
        if answer.fits(job) { Ok(answer) } else { Err(Fault::Garbled) }
    }

    /// How it ended, which it does within moments of closing its socket.
    fn how_it_ended(&mut self) -> String {
        for _ in 0..MOMENTS {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.to_string();
            }
            thread::sleep(MOMENT);
        }
        "it closed its socket".to_owned()
    }

    fn end(mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Counters {
    /// What was counted until now.
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            started: of(&self.started),
            ended: of(&self.ended),
            timed_out: of(&self.timed_out),
            garbled: of(&self.garbled),
            none_free: of(&self.none_free),
            not_started: of(&self.not_started),
        }
    }
}

/// Loading the program takes the longest part of it, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(30);
const MAX_HELLO: usize = 64 * 1024;
/// After as many failures to start a worker, with a pause after each, the daemon had better be started anew.
const MOST_FAILURES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(5);
const SHORTLY: Duration = Duration::from_millis(100);
const MOMENT: Duration = Duration::from_millis(2);
const MOMENTS: usize = 50;
