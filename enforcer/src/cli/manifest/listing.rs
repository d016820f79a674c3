//! What a new manifest will hold, gathered from its sources.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::error::Error;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use enforcer_common::Digest;

use super::super::sign::tell;
use super::super::{Exit, Failure};
use crate::inventory::PackedFile;
use crate::measure::{self, MeasureError, Plan};
use crate::signature::manifest::{Entry, write_entry};
use crate::text::{chain, counted};

/// The lines of a manifest, in the order of its sources; none of them twice.
#[derive(Default)]
pub(in crate::cli) struct Listing {
    lines: Vec<(PathBuf, Digest)>,
    seen: BTreeSet<(PathBuf, Digest)>,
}

impl Listing {
    pub(in crate::cli) fn add(&mut self, path: &Path, digest: Digest) {
        if self.seen.insert((path.to_owned(), digest)) {
            self.lines.push((path.to_owned(), digest));
        }
    }

    /// The code among the files of a package or an image.
    pub(super) fn add_packed(&mut self, files: &[PackedFile]) {
        for file in files.iter().filter(|file| file.may_be_code()) {
            self.add(&file.path, file.content.digest);
        }
    }

    pub(in crate::cli) fn count(&self) -> usize {
        self.lines.len()
    }

    pub(in crate::cli) fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for (path, digest) in &self.lines {
            write_entry(&Entry { digest: *digest, path: Cow::Borrowed(path.as_os_str().as_bytes()) }, &mut text);
        }
        text
    }
}

/// The digests of a file by which kernels may ask for it.
pub(in crate::cli) fn digests(path: &Path) -> Result<Vec<Digest>, MeasureError> {
    let plan = Plan { max_size: u64::MAX, parts: Vec::new(), witnesses: &[] };
    let measured = measure::measure(&measure::open(path)?, &plan)?;
    Ok([Some(measured.digest), measured.fsverity].into_iter().flatten().collect())
}

/// Tells of every source that cannot be read; then there is no manifest, because a list that lacks files would deny them later, when nobody
/// expects it.
pub(super) fn all_or_nothing<T>([one, many]: [&str; 2], results: Vec<(PathBuf, Result<T, Trouble>)>) -> Result<Vec<(PathBuf, T)>, Failure> {
    let mut good = Vec::with_capacity(results.len());
    let mut failed = 0;
    let mut exit = Exit::Usage;
    for (path, result) in results {
        match result {
            Ok(value) => good.push((path, value)),
            Err(trouble) => {
                failed += 1;
                tell("error", &path, &trouble.message);
                if let Some(hint) = trouble.hint {
                    tell("hint", &path, &hint);
                }
                exit = if trouble.is_io { Exit::System } else { exit };
            }
        }
    }
    if failed > 0 {
        return Err(Failure::new(exit, format!("{} cannot be read; no manifest was made", counted(failed, one, many))));
    }
    Ok(good)
}

/// Why a source cannot be read.
pub(super) struct Trouble {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    pub(super) is_io: bool,
}

impl Trouble {
    pub(super) fn new(error: &(dyn Error + 'static), hint: &str, is_io: bool) -> Self {
        Self { message: chain(error), hint: Some(hint.to_owned()), is_io }
    }
}

impl From<MeasureError> for Trouble {
    fn from(error: MeasureError) -> Self {
        Self { message: error.to_string(), hint: error.hint().map(str::to_owned), is_io: error.is_io() }
    }
}
