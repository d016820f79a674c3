//! Signing many files: in batches on all processors, each batch synced in one go.

use std::iter;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::replace::{self, Change, Volumes};
use super::{Answer, SignError, Signed};
use crate::measure::{self, MeasureError};

/// Drafts each file, then puts the batch in place, until `stop` is set. The answers come in the order of the files.
pub(super) fn sign<I: Send>(
    mut files: impl Iterator<Item = (I, PathBuf, Result<(), MeasureError>)> + Send,
    draft: impl Fn(I, &Path) -> Result<(Change, Signed), SignError> + Sync,
    done: impl Fn() + Sync,
    stop: &AtomicBool,
) -> Vec<Answer> {
    let size = batch_size();
    let stopped = || stop.load(Ordering::Relaxed);
    let batches = iter::from_fn(|| {
        let batch: Vec<_> = files.by_ref().take(if stopped() { 0 } else { size }).collect();
        (!batch.is_empty()).then_some(batch)
    });
    let volumes = Mutex::new(Volumes::default());
    let answers = measure::in_parallel(batches, |batch| {
        let mut changes = Vec::new();
        let mut answers = Vec::new();
        for (item, path, found) in batch {
            let wanted = if stopped() { Err(SignError::Interrupted) } else { found.map_err(SignError::from) };
            let drafted = wanted.and_then(|()| draft(item, &path)).map(|(change, signed)| {
                changes.push(change);
                signed
            });
            answers.push((path, drafted));
        }
        if stopped() {
            // The drafts go away unseen.
            return answers.into_iter().map(|(path, _)| (path, Err(SignError::Interrupted))).collect();
        }
        let (outcomes, changed) = replace::commit(changes);
        volumes.lock().unwrap_or_else(PoisonError::into_inner).join(changed);
        // Each draft that was made has an outcome, in the same order.
        let mut outcomes = outcomes.into_iter();
        for (_, answer) in answers.iter_mut().filter(|(_, answer)| answer.is_ok()) {
            if let Some(Err(error)) = outcomes.next() {
                *answer = Err(error);
            }
        }
        answers.iter().for_each(|_| done());
        answers
    });
    let mut answers: Vec<_> = answers.into_iter().flatten().collect();
    // Every file is whole already; this makes the names last.
    if let Err(error) = volumes.into_inner().unwrap_or_else(PoisonError::into_inner).sync() {
        for (path, answer) in answers.iter_mut().filter(|(_, answer)| answer.is_ok()) {
            *answer = Err(SignError::write(path)(std::io::Error::new(error.kind(), error.to_string())));
        }
    }
    answers
}

/// A draft keeps two files open until its batch is done.
fn batch_size() -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        // Without more of them the batches are smaller, and that is all.
        _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    let files = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    (files.saturating_sub(OTHER_FILES) / (2 * workers)).clamp(1, LARGEST_BATCH)
}

/// Files that the process has open besides.
const OTHER_FILES: usize = 128;
const LARGEST_BATCH: usize = 1024;
