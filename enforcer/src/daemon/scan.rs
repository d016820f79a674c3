//! The scan: the folders that the policy names, verified before anybody asks.
//!
//! It runs beside the answering of requests, at low priority: what it has not reached yet is answered when it is first used.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use rustls_pki_types::UnixTime;
use walkdir::WalkDir;

use super::{Ground, Shared, locate};

/// What a scan found.
#[derive(Debug, Default)]
struct Tally {
    files: AtomicU64,
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
    // A scan is in nobody's way.
    _ = rustix::process::setpriority_process(None, 10);
    let began = Instant::now();
    let tally = Tally::default();
    let progress = progress_bar();
    let (sender, receiver) = sync_channel::<PathBuf>(QUEUE);
    let receiver = Mutex::new(receiver);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| verify_all(shared, &ground, &receiver, &tally, &progress));
        }
        for folder in &ground.policy.scan {
            for path in code_files(folder, &tally) {
                if shared.ground().generation != ground.generation || sender.send(path).is_err() {
                    break;
                }
            }
        }
        drop(sender);
    });
    progress.finish_and_clear();
    tracing::info!(
        files = tally.files.load(Ordering::Relaxed),
        verified = tally.verified.load(Ordering::Relaxed),
        unsigned = tally.unsigned.load(Ordering::Relaxed),
        failed = tally.failed.load(Ordering::Relaxed),
        seconds = began.elapsed().as_secs(),
        "scanned the policy's folders"
    );
}

/// Takes paths until there are none, and publishes what verifies.
fn verify_all(shared: &Shared, ground: &Ground, paths: &Mutex<Receiver<PathBuf>>, tally: &Tally, progress: &ProgressBar) {
    loop {
        let next = paths.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(path) = next else { return };
        progress.inc(1);
        tally.files.fetch_add(1, Ordering::Relaxed);
        let Some(file) = locate::open_regular(&path) else {
            tally.failed.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        match ground.examiner.examine(&file, Some(&path), UnixTime::now()) {
            Ok(examination) => match examination.outcome() {
                Ok(verified) => {
                    if let Err(error) = shared.publish_on(ground, |publisher| publisher.allow(verified, ground.generation)) {
                        tracing::error!("cannot publish the verdict on `{}`: {error}", path.display());
                    }
                    tally.verified.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    tally.unsigned.fetch_add(1, Ordering::Relaxed);
                }
            },
            Err(error) => {
                tracing::warn!("cannot measure `{}`: {error}", path.display());
                tally.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The files below a folder that may be code: ELF files, and whatever has an executable bit. Symbolic links are not followed.
fn code_files<'a>(folder: &'a Path, tally: &'a Tally) -> impl Iterator<Item = PathBuf> + 'a {
    WalkDir::new(folder).into_iter().filter_map(move |entry| match entry {
        Ok(entry) if entry.file_type().is_file() && is_code(entry.path()) => Some(entry.into_path()),
        Ok(_) => None,
        Err(error) => {
            tracing::warn!("cannot scan: {error}");
            tally.failed.fetch_add(1, Ordering::Relaxed);
            None
        }
    })
}

fn is_code(path: &Path) -> bool {
    let Ok(mut file) = File::open(path) else { return true };
    if file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0) {
        return true;
    }
    let mut magic = [0; 4];
    file.read_exact(&mut magic).is_ok() && magic == *b"\x7fELF"
}

fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} scanning: {pos} files, {per_sec}, {elapsed}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

/// Paths that wait for a worker.
const QUEUE: usize = 1024;
