//! Finding the file that a request is about, through the asking process's own view of the file system.
//!
//! What is found is only a candidate: whoever calls measures it, and the digest decides.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use enforcer_common::{PathKind, Request};

use crate::measure;

/// A file that may be the one asked about, and the path to name it by (as the asking process sees it).
pub struct Candidate {
    /// Open for reading.
    pub file: File,
    /// Its path for messages, and to look for signatures beside it.
    pub path: PathBuf,
}

/// The candidates, the likeliest first: by path, and by descriptor for files that have no path any more.
pub fn candidates(request: &Request) -> impl Iterator<Item = Candidate> {
    let by_path = full_path(request).and_then(|path| {
        let seen_from_here = Path::new("/proc").join(request.pid.to_string()).join("root").join(path.strip_prefix("/").ok()?);
        Some(Candidate { file: open_regular(&seen_from_here)?, path: seen_from_here })
    });
    let (pid, inode) = (request.pid, request.inode);
    by_path.into_iter().chain(std::iter::once_with(move || by_descriptor(pid, inode)).flatten())
}

/// The request's path, when it is a full one.
pub fn full_path(request: &Request) -> Option<PathBuf> {
    if PathKind::from_raw(request.path_kind) != Some(PathKind::Full) {
        return None;
    }
    let length = request.path.iter().position(|byte| *byte == 0)?;
    let path = Path::new(OsStr::from_bytes(&request.path[..length]));
    path.is_absolute().then(|| path.to_owned())
}

/// A descriptor of the process that is open on the inode.
fn by_descriptor(pid: u32, inode: u64) -> Option<Candidate> {
    let folder = Path::new("/proc").join(pid.to_string()).join("fd");
    fs::read_dir(folder).ok()?.filter_map(Result::ok).take(MAX_DESCRIPTORS).find_map(|entry| {
        let path = entry.path();
        if fs::metadata(&path).ok()?.ino() != inode {
            return None;
        }
        Some(Candidate { file: open_regular(&path)?, path })
    })
}

/// Opens a regular file, and nothing else. Looks before it opens, because opening a device has effects.
pub fn open_regular(path: &Path) -> Option<File> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    measure::open(path).ok()
}

/// A process with more open files than this is asked for its path only.
const MAX_DESCRIPTORS: usize = 65_536;
