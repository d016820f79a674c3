//! Collecting signatures: where they may lie, and reading them. Decides nothing.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use enforcer_common::Digest;

use super::Rejected;
use super::carrier::Carrier;
use super::cms::{self, CmsError, MAX_SIGNATURE_SIZE, Signature};
use super::elf::{self, ElfError};
use crate::measure::{self, MeasureError, Part, Witness};
use crate::text::hex;

/// A signature that was found, or why what was found is none.
pub(super) struct Found {
    pub(super) carrier: Carrier,
    pub(super) signature: Result<Signature, Rejected>,
    /// The bytes of the file that count as zeros; empty for a detached signature.
    pub(super) zeroed: Range<u64>,
    /// The bytes of the file that told where the signature lies.
    pub(super) witnesses: Vec<Witness>,
}

impl Found {
    /// The digest that this signature will need, as far as it can be known.
    pub(super) fn part(&self) -> Option<Part> {
        let signature = self.signature.as_ref().ok()?;
        Some(Part { algorithm: signature.digest, zeroed: self.zeroed.clone() })
    }
}

/// The signature in the file itself, if there is one.
pub(super) fn embedded(file: &File) -> Option<Found> {
    match elf::locate(file) {
        Ok(None) => None,
        Ok(Some(section)) => {
            let signature = signature_in(&section.bytes);
            Some(Found { carrier: Carrier::Embedded, signature, zeroed: section.range, witnesses: section.witnesses })
        }
        Err(problem) => Some(Found { carrier: Carrier::Embedded, signature: Err(problem.into()), zeroed: 0..0, witnesses: Vec::new() }),
    }
}

/// Zeros may follow the signature in a section, and nothing else.
fn signature_in(section: &[u8]) -> Result<Signature, Rejected> {
    let (signature, padding) = section.split_at(cms::encoded_size(section)?);
    if padding.iter().any(|byte| *byte != 0) {
        return Err(ElfError::Padding.into());
    }
    Ok(Signature::parse(signature)?)
}

/// The signature beside the file, if there is one.
pub(super) fn beside(path: &Path) -> Option<Found> {
    detached(signature_path(path), Carrier::Detached)
}

/// The signature of a content in a store, if there is one.
pub(super) fn in_store(store: &Path, digest: &Digest) -> Option<Found> {
    detached(store.join(store_name(digest)), Carrier::Store)
}

/// `FILE.p7s`.
pub(super) fn signature_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".p7s");
    name.into()
}

/// `<sha256>.p7s`.
pub(super) fn store_name(digest: &Digest) -> String {
    format!("{}.p7s", hex(&digest.bytes))
}

fn detached(path: PathBuf, carrier: fn(Arc<Path>) -> Carrier) -> Option<Found> {
    let signature = match measure::read_bounded(&path, MAX_SIGNATURE_SIZE as u64) {
        Err(MeasureError::Open { source }) if is_absent(&source) => return None,
        Err(MeasureError::TooLarge { .. }) => Err(CmsError::TooLarge { limit: MAX_SIGNATURE_SIZE }.into()),
        Err(problem) => Err(Rejected::SignatureFile(problem)),
        Ok(bytes) => Signature::parse(&bytes).map_err(Rejected::Cms),
    };
    Some(Found { carrier: carrier(path.into()), signature, zeroed: 0..0, witnesses: Vec::new() })
}

/// A name too long for the file system cannot exist either.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename)
}
