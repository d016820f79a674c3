//! Answering first use: requests from the kernel become verdicts.
//!
//! One thread reads the requests and keeps the heartbeat; a few threads open, measure and verify, each with a worker process that looks into the files
//! ([`crate::worker`]). The queue between them is bounded: what does not
//! fit is dropped and counted, and whoever waits for it is denied at its deadline.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use enforcer_common::{Asker, Heartbeat, Reason, Request};

use super::explain::Explanation;
use super::rejections::{Place, Rejections};
use super::tally::Loss;
use super::{Ground, Shared, facts, locate, publish};
use crate::kernel::{KernelError, Records, boottime, monotonic, raise_priority, set_nice};
use crate::signature::{ExamineError, Facts, Verified};
use crate::worker::Pool;

/// The threads that answer. They end when told to; the heartbeat ends with them.
pub struct Requests {
    reader: JoinHandle<()>,
    verifiers: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    progress: Arc<AtomicU64>,
}

impl Requests {
    /// Starts answering.
    pub fn start(shared: &Arc<Shared>, records: Records<Request>) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let rejections = Arc::new(Rejections::default());
        let mut verifiers = Vec::new();
        for number in 0..VERIFIERS {
            let verifier = Verifier { shared: Arc::clone(shared), receiver: Arc::clone(&receiver), rejections: Arc::clone(&rejections) };
            verifiers.push(thread::Builder::new().name(format!("verify-{number}")).spawn(move || verifier.work())?);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let progress = Arc::new(AtomicU64::new(0));
        let reader = Reader { shared: Arc::clone(shared), records, sender, stop: Arc::clone(&stop), progress: Arc::clone(&progress) };
        let reader = thread::Builder::new().name("requests".to_owned()).spawn(move || reader.read())?;
        Ok(Self { reader, verifiers, stop, progress })
    }

    /// How many turns the reading thread has made: what the watchdog watches.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Whether one of the threads has ended without being told to.
    pub fn is_dead(&self) -> bool {
        self.reader.is_finished() || self.verifiers.iter().any(JoinHandle::is_finished)
    }

    /// Stops answering: from here on the kernel waits for nobody.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.reader.join());
    }
}

/// Reads requests, hands them to the verifying threads, and shows that it is alive.
struct Reader {
    shared: Arc<Shared>,
    records: Records<Request>,
    sender: SyncSender<Request>,
    stop: Arc<AtomicBool>,
    progress: Arc<AtomicU64>,
}

impl Reader {
    fn read(mut self) {
        raise_priority("the request reader");
        while !self.stop.load(Ordering::Relaxed) {
            if let Err(error) = self.beat() {
                tracing::error!("cannot write the heartbeat: {error}");
                return;
            }
            if let Err(error) = self.records.wait(HEARTBEAT_INTERVAL) {
                tracing::error!("cannot wait for requests: {error}");
                return;
            }
            // Bounded, so that a flood of requests cannot hold up the heartbeat.
            for _ in 0..QUEUE {
                match self.records.take() {
                    None => break,
                    Some(Ok(request)) if self.sender.try_send(request).is_ok() => {}
                    Some(Ok(_)) => {
                        self.shared.tally.count(Loss::RequestsDropped);
                    }
                    Some(Err(length)) => {
                        self.shared.tally.count(Loss::RecordsMalformed);
                        tracing::error!("a request of {length} bytes is not one of this version");
                    }
                }
            }
            self.progress.fetch_add(1, Ordering::Relaxed);
        }
        // Said at once, so that nobody waits for a daemon that is going away.
        if let Err(error) = self.shared.maps.set_heartbeat(&Heartbeat::default()) {
            tracing::error!("cannot end the heartbeat: {error}");
        }
    }

    fn beat(&self) -> Result<(), KernelError> {
        self.shared.maps.set_heartbeat(&Heartbeat { time: monotonic(), pid: std::process::id(), reserved: 0 })
    }
}

/// Turns one request after the other into a verdict, or into a refusal for whoever asked.
struct Verifier {
    shared: Arc<Shared>,
    receiver: Arc<Mutex<Receiver<Request>>>,
    rejections: Arc<Rejections>,
}

impl Verifier {
    fn work(self) {
        loop {
            let next = lock(&self.receiver).recv();
            let Ok(request) = next else { return };
            let answered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.answer(&request)));
            match answered {
                Ok(Ok(())) => self.shared.meters.first_use(boottime().saturating_sub(request.time)),
                Ok(Err(error)) => {
                    self.shared.tally.count(Loss::VerdictsUnpublished);
                    tracing::error!("cannot publish a verdict: {error}");
                }
                Err(_) => {
                    self.shared.tally.count(Loss::VerifyingPanicked);
                    tracing::error!("verifying a file failed in an unforeseen way; it stays denied");
                }
            }
        }
    }

    fn answer(&self, request: &Request) -> Result<(), KernelError> {
        let shared = &self.shared;
        if boottime() >= request.deadline {
            return Ok(());
        }
        let asker = Asker { time: request.time, tid: request.tid, reserved: 0 };
        if request.digest.is_none() {
            return self.measure(request, &asker);
        }
        if shared.maps.verdict(&request.digest)?.as_ref().is_some_and(publish::holds) {
            return Ok(());
        }
        let place = Place::of(request);
        // Small files come before everything else. A large one takes its turn with whoever waits for it, and its deadline grows with it: otherwise
        // anybody could keep the machine busy with files that are long to verify.
        set_nice(if request.size <= SMALL_FILE { -20 } else { 0 });
        // A reload meanwhile means looking again, on the new ground.
        for _ in 0..MAX_TURNS {
            let ground = shared.ground();
            if let Some(reason) = place.as_ref().and_then(|place| self.rejections.recent(place, ground.generation)) {
                return shared.maps.refuse(&asker, reason);
            }
            let versions = shared.publisher.versions();
            let outcome = examine(&shared.workers, &ground, request, &facts(&shared.clock, &versions));
            let answered = shared.publish_on(&ground, |publisher| {
                let (reason, why) = match outcome {
                    Outcome::Verified(verified) => match publisher.allow(&verified, ground.generation) {
                        Ok(true) => return Ok(()),
                        Ok(false) => {
                            let identifier = verified.claims().identifier.as_deref().unwrap_or_default();
                            let text = format!("a newer security version of `{identifier}` was accepted while this file was verified");
                            (Reason::Untrusted, Explanation { rejection: Some("rollback"), text })
                        }
                        Err(error @ KernelError::VerdictsFull { .. }) => {
                            shared.tally.count(Loss::VerdictsUnpublished);
                            tracing::error!("cannot publish a verdict: {error}");
                            (Reason::VerdictsFull, error.to_string().into())
                        }
                        Err(error) => return Err(error),
                    },
                    Outcome::Rejected(why) => {
                        self.remember(place.as_ref(), ground.generation, Reason::Untrusted);
                        (Reason::Untrusted, why)
                    }
                    Outcome::NotParsed(why) => {
                        // What ends one worker would end the next one too.
                        self.remember(place.as_ref(), ground.generation, Reason::Unreadable);
                        (Reason::Unreadable, why.into())
                    }
                    Outcome::Unreadable(why) => (Reason::Unreadable, why.into()),
                };
                if shared.explanations.remember(request.digest, why) {
                    shared.tally.count(Loss::ExplanationsForgotten);
                }
                shared.maps.refuse(&asker, reason)
            })?;
            if answered.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Has the kernel measure a file that an interpreter has opened, where its hook comes too early to do that itself. What it measured counts after a second time,
    /// some clock ticks later.
    fn measure(&self, request: &Request, asker: &Asker) -> Result<(), KernelError> {
        if request.size > LARGEST_SCRIPT {
            return self.shared.maps.refuse(asker, Reason::TooLarge);
        }
        // What is measured is kept with whatever was opened here: another file's measurement answers nothing.
        for candidate in locate::candidates(request) {
            let measured = (0..MEASUREMENTS).try_for_each(|number| {
                if number > 0 {
                    thread::sleep(SETTLING);
                }
                self.shared.maps.measure(&candidate.file)
            });
            match measured {
                Ok(()) => return self.shared.maps.answer_measured(asker),
                Err(error) => tracing::debug!("`{}`: {error}", candidate.path.display()),
            }
        }
        self.shared.maps.refuse(asker, Reason::Unreadable)
    }

    fn remember(&self, place: Option<&Place>, generation: u32, reason: Reason) {
        if let Some(place) = place
            && !self.rejections.remember(place.clone(), generation, reason)
        {
            self.shared.tally.count(Loss::RejectionsForgotten);
        }
    }
}

/// What looking at a file came to.
enum Outcome {
    Verified(Verified),
    Rejected(Explanation),
    /// The worker that looked into it gave no answer.
    NotParsed(String),
    Unreadable(String),
}

/// Finds the file with the digest that was asked about, and examines it.
fn examine(workers: &Pool, ground: &Ground, request: &Request, facts: &Facts<'_>) -> Outcome {
    let mut failure = "the daemon could not open the file to look for its signature".to_owned();
    for candidate in locate::candidates(request) {
        match ground.examiner.examine_by(workers, &candidate.file, Some(&candidate.path), facts) {
            Ok(examination) if examination.covers(&request.digest) => {
                return match examination.outcome() {
                    Ok(verified) => Outcome::Verified(verified.clone()),
                    Err(rejected) => Outcome::Rejected(rejected.into()),
                };
            }
            Ok(_) => failure = "the file changed between the kernel's measurement and the daemon's".to_owned(),
            Err(ExamineError::Parser(fault)) => return Outcome::NotParsed(fault.to_string()),
            Err(ExamineError::Measure(error)) => failure = format!("the daemon could not measure the file: {error}"),
        }
    }
    Outcome::Unreadable(failure)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often a file is measured until what was measured counts.
const MEASUREMENTS: usize = 2;
/// So large a script may be that is measured in this way, which keeps a thread, and others that are to be measured, for as long as it takes.
const LARGEST_SCRIPT: u64 = 64 << 20;
/// More than two clock ticks of any kernel.
const SETTLING: Duration = Duration::from_millis(25);
/// Reloads in the middle of one answer.
const MAX_TURNS: usize = 8;
/// Up to this many bytes a file is verified at the highest priority.
const SMALL_FILE: u64 = 8 << 20;
/// Requests that wait for a verifying thread.
const QUEUE: usize = 1024;
/// Threads that verify. More than one, so that a slow disk or a huge file holds up the others less.
pub(super) const VERIFIERS: usize = 4;
/// How often the heartbeat is renewed; far below the time after which the kernel gives the daemon up.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(200);
