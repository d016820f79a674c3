//! The files below folders that may be code, and work on many files at once.

use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use walkdir::{DirEntry, WalkDir};

use super::{MeasureError, open};

/// What may be code below `root`: ELF files, and files with an executable bit. Symbolic links are not followed. A root that is a file is
/// itself the answer, whatever it is.
pub fn code_files(root: &Path) -> impl Iterator<Item = (PathBuf, Result<(), MeasureError>)> + use<> {
    let named = root.to_owned();
    WalkDir::new(root).sort_by_file_name().into_iter().filter_map(move |entry| match entry {
        Ok(entry) if entry.depth() == 0 && !entry.file_type().is_dir() => Some((entry.into_path(), Ok(()))),
        Ok(entry) if entry.file_type().is_file() && may_be_code(&entry) => Some((entry.into_path(), Ok(()))),
        Ok(_) => None,
        Err(error) => {
            let path = error.path().unwrap_or(&named).to_owned();
            let looping = || io::Error::other("a folder contains itself");
            Some((path, Err(MeasureError::Open { source: error.into_io_error().unwrap_or_else(looping) })))
        }
    })
}

/// A file that cannot be opened may be anything: the error belongs to whoever examines it.
fn may_be_code(entry: &DirEntry) -> bool {
    // Most files are told by this alone, without opening them.
    match entry.metadata() {
        Ok(metadata) if metadata.permissions().mode() & 0o111 != 0 => return true,
        Ok(metadata) if metadata.is_file() && metadata.len() < ELF.len() as u64 => return false,
        _ => {}
    }
    let Ok(file) = open(entry.path()) else { return true };
    let mut magic = [0; ELF.len()];
    file.read_at(&mut magic, 0).is_ok_and(|read| magic[..read] == ELF)
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
