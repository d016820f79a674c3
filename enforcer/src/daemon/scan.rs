//! The scan: the folders that the policy names, verified before anybody asks.
//!
//! It runs beside the answering of requests, at low priority: what it has not reached yet is answered when it is first used.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Ground, Shared, facts};
use crate::kernel::set_nice;
use crate::measure::{self, MeasureError, code_files, in_parallel};

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
    set_nice(10);
    let began = Instant::now();
    let tally = Tally::default();
    let progress = progress_bar();
    let is_current = || shared.ground().generation == ground.generation;
    for folder in ground.policy.scan.iter().filter(|folder| folder.exists()) {
        let files = code_files(folder).take_while(|_| is_current());
        in_parallel(files, |(path, found)| {
            progress.inc(1);
            let outcome = found.and_then(|()| verify(shared, &ground, &path));
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
fn verify(shared: &Shared, ground: &Ground, path: &Path) -> Result<bool, MeasureError> {
    let file = measure::open(path)?;
    let versions = shared.publisher.versions();
    let examination = ground.examiner.examine(&file, Some(path), &facts(&shared.clock, &versions))?;
    let Ok(verified) = examination.outcome() else { return Ok(false) };
    if let Err(error) = shared.publish_on(ground, |publisher| publisher.allow(verified, ground.generation)) {
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
