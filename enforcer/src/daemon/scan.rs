//! The scan: the folders that the policy names, verified before anybody asks.
//!
//! It runs beside the answering of requests, at low priority: what it has not reached yet is answered when it is first used.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use enforcer_common::Mode;
use indicatif::{ProgressBar, ProgressStyle};

use super::tally::Loss;
use super::{Ground, Shared, facts};
use crate::code::code_files;
use crate::kernel::set_nice;
use crate::measure::{self, in_parallel};
use crate::signature::ExamineError;
use crate::worker::{self, Fault, Pool};

/// What a scan found.
#[derive(Debug, Default)]
struct Tally {
    verified: AtomicU64,
    unsigned: AtomicU64,
    failed: AtomicU64,
}

/// Starts a scan on the ground that is in force now. It ends by itself, and early when a reload changes the ground.
pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    thread::Builder::new().name("scan".to_owned()).spawn(move || scan(&shared)).map(drop)
}

fn scan(shared: &Shared) {
    let ground = shared.ground();
    if ground.policy.scan.is_empty() {
        return;
    }
    // A scan is in nobody's way. The level is the thread's own, and the workers inherit it.
    set_nice(LAST);
    let began = Instant::now();
    let tally = Tally::default();
    // Workers of its own: those of first uses are kept for who waits.
    let size = thread::available_parallelism().map_or(1, usize::from);
    let settings = worker::Settings::of_this_program(size, LAST, shared.strictest_mode() == Mode::Audit);
    let workers = match Pool::start(settings, Arc::clone(&shared.tally.workers)) {
        Ok(workers) => workers,
        Err(unfit) => return tracing::error!("nothing is scanned: {unfit}"),
    };
    let progress = progress_bar();
    let is_current = || shared.ground().generation == ground.generation;
    let names = ground.policy.interpreters.script_names();
    for folder in ground.policy.scan.iter().filter(|folder| folder.exists()) {
        let files = code_files(folder, &names).take_while(|_| is_current());
        in_parallel(files, |(path, found)| {
            progress.inc(1);
            let outcome = found.map_err(ExamineError::from).and_then(|()| verify(shared, &workers, &ground, &path));
            let counter = match outcome {
                Ok(true) => &tally.verified,
                Ok(false) => &tally.unsigned,
                Err(error) => {
                    tracing::warn!("cannot scan `{}`: {error}", path.display());
                    &tally.failed
                }
            };
            counter.fetch_add(1, Ordering::Relaxed);
        });
    }
    progress.finish_and_clear();
    if is_current() {
        tracing::info!(
            verified = tally.verified.load(Ordering::Relaxed),
            unsigned = tally.unsigned.load(Ordering::Relaxed),
            failed = tally.failed.load(Ordering::Relaxed),
            seconds = began.elapsed().as_secs(),
            "scanned the policy's folders"
        );
    }
}

/// Examines one file, and publishes it when a trusted signature covers it.
fn verify(shared: &Shared, workers: &Pool, ground: &Ground, path: &Path) -> Result<bool, ExamineError<Fault>> {
    let file = measure::open(path)?;
    let versions = shared.publisher.versions();
    let examination = ground.examiner.examine_by(workers, &file, Some(path), &facts(&shared.clock, &versions))?;
    let Ok(verified) = examination.outcome() else { return Ok(false) };
    if let Err(error) = shared.publish_on(ground, |publisher| publisher.allow(verified, ground.generation)) {
        shared.tally.count(Loss::VerdictsUnpublished);
        tracing::error!("cannot publish the verdict on `{}`: {error}", path.display());
    }
    Ok(true)
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} scanning: {pos} files, {per_sec}, {elapsed}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// The place in the queue for the processor.
pub(super) const LAST: i32 = 10;
