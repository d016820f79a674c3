//! Collecting signatures: the places where they may lie, in their order, and reading them. Decides nothing.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use enforcer_common::Digest;
use rustix::io::Errno;

use super::Rejected;
use super::carrier::Carrier;
use super::cms::{self, CmsError, Signature};
use super::elf::{self, ElfError};
use super::{ima, trailer};
use crate::measure::{self, Algorithm, MeasureError, Part, Plan, Region, Witness};
use crate::text::hex;

/// A signature that was found, or why what was found is none.
pub(super) struct Found {
    pub(super) carrier: Carrier,
    pub(super) signature: Result<Signature, Rejected>,
    /// The bytes of the file that are signed.
    pub(super) region: Region,
    /// The bytes of the file that told where the signature lies.
    pub(super) witnesses: Vec<Witness>,
}

impl Found {
    /// A signature over the whole file.
    fn over_all(carrier: Carrier, signature: Result<Signature, Rejected>) -> Self {
        Self { carrier, signature, region: Region::WHOLE, witnesses: Vec::new() }
    }

    /// The digests that this signature will need, as far as they can be known.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> {
        let statements = self.signature.iter().flat_map(|signature| &signature.statements);
        statements.map(|statement| Part { algorithm: statement.digest, region: self.region.clone() })
    }
}

/// The signatures that belong to the file itself, in their order. `path` is the file's name, if it has one.
pub(super) fn at_file(file: &File, path: Option<&Path>) -> Vec<Found> {
    [embedded(file), appended(file), attribute(file), ima(file), path.and_then(beside)].into_iter().flatten().collect()
}

/// The digests by which the signed contents are known, where these are not the whole file.
pub(super) fn contents(found: &[Found]) -> Vec<Part> {
    let regions = found.iter().map(|found| &found.region).filter(|region| **region != Region::WHOLE);
    regions.map(|region| Part { algorithm: Algorithm::Sha256, region: region.clone() }).collect()
}

/// The SHA-256 digests of a file as it is, and of what a signature inside of it is about: whoever revokes the file means all of them.
///
/// # Errors
/// When the file cannot be measured.
pub fn content_digests(file: &File) -> Result<Vec<Digest>, MeasureError> {
    let mut found: Vec<Found> = [embedded(file), appended(file)].into_iter().flatten().collect();
    let witnesses: Vec<Witness> = found.iter_mut().flat_map(|found| std::mem::take(&mut found.witnesses)).collect();
    let measured = measure::measure(file, &Plan { max_size: u64::MAX, parts: contents(&found), witnesses: &witnesses })?;
    let parts = measured.parts.iter().filter_map(|part| Some(Digest::sha256(part.bytes().try_into().ok()?)));
    Ok(std::iter::once(measured.digest).chain(parts).collect())
}

/// The signature in an ELF section, if there is one.
fn embedded(file: &File) -> Option<Found> {
    match elf::locate(file) {
        Ok(None) => None,
        Ok(Some(section)) => {
            let signature = signature_in(&section.bytes);
            Some(Found { carrier: Carrier::Embedded, signature, region: Region::zeroed(section.range), witnesses: section.witnesses })
        }
        Err(problem) => Some(Found::over_all(Carrier::Embedded, Err(problem.into()))),
    }
}

/// Zeros may follow the signature in a section, and nothing else.
fn signature_in(section: &[u8]) -> Result<Signature, Rejected> {
    let (der, size) = cms::first_signature(section)?;
    if section[size..].iter().any(|byte| *byte != 0) {
        return Err(ElfError::Padding.into());
    }
    Ok(Signature::from_der(&der, cms::Content::Detached)?)
}

/// The signature at the end of the file, if there is one.
fn appended(file: &File) -> Option<Found> {
    match trailer::locate(file) {
        Ok(None) => None,
        Ok(Some(trailer)) => Some(Found {
            carrier: Carrier::Appended,
            signature: Signature::parse(&trailer.signature).map_err(Rejected::Cms),
            region: Region::up_to(trailer.content),
            witnesses: trailer.witnesses,
        }),
        Err(problem) => Some(Found::over_all(Carrier::Appended, Err(problem.into()))),
    }
}

/// The signature in `user.enforcer.signature`, if there is one.
fn attribute(file: &File) -> Option<Found> {
    let signature = match read_attribute(file, XATTR) {
        Ok(None) => return None,
        Ok(Some(value)) => Signature::parse(&value).map_err(Rejected::Cms),
        Err(source) => Err(Rejected::Attribute { name: XATTR, source }),
    };
    Some(Found::over_all(Carrier::Xattr, signature))
}

/// The signature in `security.ima`, if there is one.
fn ima(file: &File) -> Option<Found> {
    let signature = match read_attribute(file, XATTR_IMA) {
        Ok(None) => return None,
        Ok(Some(value)) => ima::parse(&value)?.map_err(Rejected::Ima),
        Err(source) => Err(Rejected::Attribute { name: XATTR_IMA, source }),
    };
    Some(Found::over_all(Carrier::Ima, signature))
}

fn read_attribute(file: &File, name: &str) -> io::Result<Option<Vec<u8>>> {
    // Most files have none; the size is asked for first, so that they cost one call and no allocation.
    let size = match rustix::fs::fgetxattr_query(file, name) {
        Ok(size) => size,
        Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let mut value = vec![0; size.min(XATTR_SIZE_MAX)];
    match rustix::fs::fgetxattr(file, name, &mut value[..]) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        // Changed in between: what is there now is looked at the next time.
        Err(errno) => Err(errno.into()),
    }
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
    let signature = match measure::read_bounded(&path, cms::MAX_FILE_SIZE as u64) {
        Err(MeasureError::Open { source }) if is_absent(&source) => return None,
        Err(MeasureError::TooLarge { .. }) => Err(CmsError::TooLarge { limit: cms::MAX_FILE_SIZE }.into()),
        Err(problem) => Err(Rejected::SignatureFile(problem)),
        Ok(bytes) => Signature::parse(&bytes).map_err(Rejected::Cms),
    };
    Some(Found::over_all(carrier(path.into()), signature))
}

/// A name too long for the file system cannot exist either.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename)
}

/// CMS, as in `FILE.p7s`.
pub(super) const XATTR: &str = "user.enforcer.signature";
/// IMA's own.
pub(super) const XATTR_IMA: &str = "security.ima";
/// `<linux/limits.h>`.
const XATTR_SIZE_MAX: usize = 65536;
