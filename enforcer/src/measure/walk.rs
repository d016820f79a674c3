//! The files below folders that may be code, and work on many files at once.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::fs::{Mode, OFlags};
use walkdir::{DirEntry, WalkDir};

use super::MeasureError;

/// What may be code below `root`: ELF files, and files with an executable bit. Symbolic links are not followed. A root that is a file is
/// itself the answer, whatever it is.
pub fn code_files(root: &Path) -> impl Iterator<Item = (PathBuf, Result<(), MeasureError>)> + use<> {
    let named = root.to_owned();
    let mut walk = WalkDir::new(root).sort_by_file_name().into_iter();
    let batches = std::iter::from_fn(move || {
        let batch: Vec<_> = walk.by_ref().filter(is_candidate).take(BATCH).collect();
        (!batch.is_empty()).then_some(batch)
    });
    // Most files of a system are no code; looking into all of them is work for all processors.
    batches.flat_map(move |batch| in_parallel(batch.into_iter(), |entry| code(entry, &named)).into_iter().flatten())
}

/// What may be code by what the folder says of it: no folder, no link, no device.
fn is_candidate(entry: &walkdir::Result<DirEntry>) -> bool {
    entry.as_ref().map_or(true, |entry| entry.file_type().is_file() || (entry.depth() == 0 && !entry.file_type().is_dir()))
}

fn code(entry: walkdir::Result<DirEntry>, root: &Path) -> Option<(PathBuf, Result<(), MeasureError>)> {
    match entry {
        Ok(entry) if entry.depth() == 0 || may_be_code(entry.path()) => Some((entry.into_path(), Ok(()))),
        Ok(_) => None,
        Err(error) => {
            let path = error.path().unwrap_or(root).to_owned();
            let looping = || io::Error::other("a folder contains itself");
            Some((path, Err(MeasureError::Open { source: error.into_io_error().unwrap_or_else(looping) })))
        }
    }
}

/// A file that cannot be opened may be anything: the error belongs to whoever examines it.
fn may_be_code(path: &Path) -> bool {
    // The folder has said that it is a regular file: nothing has to be looked at before it is opened.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(File::from) else { return true };
    let Ok(metadata) = file.metadata() else { return true };
    let mut magic = [0; ELF.len()];
    metadata.permissions().mode() & 0o111 != 0 || file.read_at(&mut magic, 0).is_ok_and(|read| magic[..read] == ELF)
}

/// Does the work for each item on all processors; the results come in the order of the items.
pub fn in_parallel<I: Send, T: Send>(items: impl Iterator<Item = I> + Send, work: impl Fn(I) -> T + Sync) -> Vec<T> {
    let items = Mutex::new(items.enumerate());
    let results = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = items.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((index, item)) = next else { return };
                    let result = work(item);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

const ELF: [u8; 4] = *b"\x7fELF";
/// Files that are looked into at a time.
const BATCH: usize = 1024;
