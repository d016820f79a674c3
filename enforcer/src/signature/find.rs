//! Collecting signatures: the places where they may lie, in their order. Looks into nothing itself ([`parse`] does), and decides nothing.

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
use super::parse::{self, Form, Inside, Job, Parser, Place};
use crate::measure::{self, Algorithm, MeasureError, Part, Plan, Region, Witness};
use crate::text::hex;

/// A signature that was found, or why what was found is none.
pub(super) struct Found {
    pub(super) carrier: Carrier,
    pub(super) signature: Result<Signature, Rejected>,
    /// The bytes of the file that are signed.
    pub(super) region: Region,
    /// Where in the file, if it is there: to be looked for again before it counts.
    pub(super) place: Option<Place>,
}

impl Found {
    fn inside(inside: Inside) -> (Self, Vec<Witness>) {
        let Inside { place, signature, region, witnesses } = inside;
        let carrier = match place {
            Place::Embedded => Carrier::Embedded,
            Place::Appended => Carrier::Appended,
            Place::Comment => Carrier::Comment,
        };
        (Self { carrier, signature, region, place: Some(place) }, witnesses)
    }

    /// A signature over the whole file.
    fn over_all(carrier: Carrier, signature: Result<Signature, Rejected>) -> Self {
        Self { carrier, signature, region: Region::WHOLE, place: None }
    }

    /// The digests that this signature will need, as far as they can be known.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> {
        let statements = self.signature.iter().flat_map(|signature| &signature.statements);
        statements.map(|statement| Part { algorithm: statement.digest, region: self.region.clone() })
    }
}

/// A signature that lies outside of the file's own bytes, not looked into yet; or why it could not be read.
pub(super) struct Value {
    carrier: Carrier,
    form: Form,
    bytes: Result<Vec<u8>, Rejected>,
}

/// The signatures that belong to the file itself, in their order. `path` is the file's name, if it has one.
pub(super) fn at_file<P: Parser>(parser: &P, file: &File, path: Option<&Path>) -> Result<(Vec<Found>, Vec<Witness>), P::Fault> {
    let values = [attribute(file, XATTR, Form::Cms), attribute(file, XATTR_IMA, Form::Ima), path.and_then(beside)];
    parse(parser, Some(file), values.into_iter().flatten().collect())
}

/// The signatures of a content in the stores.
pub(super) fn in_stores<P: Parser>(parser: &P, stores: &[PathBuf], digest: &Digest) -> Result<Vec<Found>, P::Fault> {
    let values = stores.iter().filter_map(|store| detached(store.join(store_name(digest)), Carrier::Store)).collect();
    Ok(parse(parser, None, values)?.0)
}

/// Has everything looked into, and says what the file's own bytes told about it.
fn parse<P: Parser>(parser: &P, file: Option<&File>, values: Vec<Value>) -> Result<(Vec<Found>, Vec<Witness>), P::Fault> {
    let readable = values.iter().filter_map(|value| Some((value.form, value.bytes.as_deref().ok()?))).collect();
    let job = Job { file, values: readable };
    if job.file.is_none() && job.values.is_empty() {
        return Ok((values.into_iter().filter_map(|value| Some(Found::over_all(value.carrier, Err(value.bytes.err()?)))).collect(), Vec::new()));
    }
    let answer = parser.parse(&job)?;
    let (mut found, witnesses): (Vec<Found>, Vec<Vec<Witness>>) = answer.inside.into_iter().map(Found::inside).unzip();
    let mut signatures = answer.values.into_iter();
    for Value { carrier, bytes, .. } in values {
        // An answer has one for each of the values that could be read.
        let signature = match bytes {
            Ok(_) => signatures.next().flatten(),
            Err(problem) => Some(Err(problem)),
        };
        found.extend(signature.map(|signature| Found::over_all(carrier, signature)));
    }
    Ok((found, witnesses.concat()))
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
    let inside = [parse::embedded(file), parse::appended(file), parse::comment(file)].into_iter().flatten();
    let (found, witnesses): (Vec<Found>, Vec<Vec<Witness>>) = inside.map(Found::inside).unzip();
    let witnesses = witnesses.concat();
    let measured = measure::measure(file, &Plan { max_size: u64::MAX, parts: contents(&found), witnesses: &witnesses })?;
    let parts = measured.parts.iter().filter_map(|part| Some(Digest::sha256(part.bytes().try_into().ok()?)));
    Ok(std::iter::once(measured.digest).chain(parts).collect())
}

/// The signature in an extended attribute, if there is one.
fn attribute(file: &File, name: &'static str, form: Form) -> Option<Value> {
    let bytes = read_attribute(file, name).transpose()?.map_err(|source| Rejected::Attribute { name, source });
    let carrier = if form == Form::Ima { Carrier::Ima } else { Carrier::Xattr };
    Some(Value { carrier, form, bytes })
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
fn beside(path: &Path) -> Option<Value> {
    detached(signature_path(path), Carrier::Detached)
}

/// The signature beside a manifest or another text that belongs to root, if there is one. Looked into here: no stranger can put it there.
pub(super) fn beside_text(path: &Path) -> Option<Result<Signature, Rejected>> {
    Some(beside(path)?.bytes.and_then(|bytes| Ok(Signature::parse(&bytes)?)))
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

fn detached(path: PathBuf, carrier: fn(Arc<Path>) -> Carrier) -> Option<Value> {
    let bytes = match measure::read_bounded(&path, cms::MAX_FILE_SIZE as u64) {
        Err(MeasureError::Open { source }) if is_absent(&source) => return None,
        Err(MeasureError::TooLarge { .. }) => Err(CmsError::TooLarge { limit: cms::MAX_FILE_SIZE }.into()),
        Err(problem) => Err(Rejected::SignatureFile(problem)),
        Ok(bytes) => Ok(bytes),
    };
    Some(Value { carrier: carrier(path.into()), form: Form::Cms, bytes })
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
