//! Timestamps (RFC 3161): what to ask an authority about a signature, and putting its answer into the signature.
//!
//! The token goes into an unsigned attribute (RFC 3161, appendix A), so nothing that is signed changes. Whether its signer is to be believed is the
//! verifier's question; here it is only made sure that the token speaks about this very signature. Never goes to the network.

mod error;

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use cms::cert::x509::spki::AlgorithmIdentifierOwned;
use der::asn1::{Any, AnyRef, ObjectIdentifier, OctetStringRef};
use der::oid::db::{rfc5911, rfc5912};
use der::{Decode, Encode, Reader, SliceReader, Tag};

pub use error::StampError;

use super::replace::{Attribute, Change, Original};
use super::signed_data::{attribute, context, set_content, tagged};
use super::{ATTRIBUTE, Algorithm, MAX_SIGNATURE_SIZE, SignError, appended, comment as comments, settled};
use crate::measure::{self, Stamp};
use crate::signature::comment::{self, Marks};
use crate::signature::{Carrier, elf, find};

/// The DER of a TimeStampReq (RFC 3161 §2.4.1) about the signature of this file, or in this file.
///
/// Without a nonce: what is stamped is a signature value, which exists once.
pub fn query(path: &Path) -> Result<Vec<u8>, SignError> {
    let signature = Holder::find(path)?.signature;
    let imprint = Algorithm::Sha256.digest(Parts::of(&signature)?.value()?);
    let algorithm = AlgorithmIdentifierOwned { oid: rfc5912::ID_SHA_256, parameters: Some(Any::null()) };
    let imprint = [algorithm.to_der()?, OctetStringRef::new(imprint.bytes())?.to_der()?].concat();
    let certificate_wanted = true.to_der()?;
    Ok(tagged(Tag::Sequence, &[1_u8.to_der()?, tagged(Tag::Sequence, &imprint)?, certificate_wanted].concat())?)
}

/// Puts the token of a TimeStampResp, or a token by itself, into the signature of this file, or in this file. On any error nothing is changed.
pub fn attach(reply: &Path, path: &Path) -> Result<Carrier, SignError> {
    let reply = measure::read_bounded(reply, MAX_SIGNATURE_SIZE as u64).map_err(StampError::Unreadable)?;
    let token = token(&reply)?;
    let holder = Holder::find(path)?;
    let parts = Parts::of(&holder.signature)?;
    if !speaks_about(token, parts.value()?)? {
        return Err(StampError::Imprint.into());
    }
    let signature = parts.with_token(token)?;
    if signature.len() > MAX_SIGNATURE_SIZE {
        return Err(SignError::TooLarge { limit: MAX_SIGNATURE_SIZE });
    }
    holder.replace(signature)
}

/// A signature, and where it is.
struct Holder {
    path: PathBuf,
    file: File,
    place: Place,
    signature: Vec<u8>,
}

enum Place {
    /// The file is the signature.
    Whole,
    Section(Range<u64>),
    Trailer(u64),
    Comment {
        content: u64,
        marks: Marks,
    },
    Attribute,
}

impl Holder {
    /// The file itself, if it is a signature; else the first in the order of the carriers.
    fn find(path: &Path) -> Result<Self, SignError> {
        let path = settled(path)?.into_owned();
        let file = measure::open(&path)?;
        if let Some(signature) = whole(&file)? {
            return Ok(Self { path, file, place: Place::Whole, signature });
        }
        if let Some(section) = elf::locate(&file).map_err(SignError::Elf)? {
            let signature = SliceReader::new(&section.bytes)?.tlv_bytes()?.to_vec();
            return Ok(Self { path, file, place: Place::Section(section.range), signature });
        }
        if let Some(range) = appended::locate(&file)? {
            let mut signature = vec![0; (range.end - range.start) as usize];
            file.read_exact_at(&mut signature, range.start).map_err(|source| measure::MeasureError::Read { source })?;
            return Ok(Self { path, file, place: Place::Trailer(range.start), signature });
        }
        if let Some(block) = comment::locate(&file)? {
            let place = Place::Comment { content: block.content, marks: block.marks };
            return Ok(Self { path, file, place, signature: block.signature });
        }
        let mut value = vec![0; MAX_SIGNATURE_SIZE];
        if let Ok(length) = rustix::fs::fgetxattr(&file, ATTRIBUTE, &mut value) {
            value.truncate(length);
            return Ok(Self { path, file, place: Place::Attribute, signature: value });
        }
        let path = find::signature_path(&path);
        let file = measure::open(&path).map_err(|_| StampError::NoSignature)?;
        let signature = whole(&file)?.ok_or(StampError::NotOurs)?;
        Ok(Self { path, file, place: Place::Whole, signature })
    }

    fn replace(self, mut signature: Vec<u8>) -> Result<Carrier, SignError> {
        let failed = || SignError::write(&self.path);
        let (change, carrier) = match self.place {
            Place::Whole => {
                let draft = Original::of(self.file, &self.path)?.draft(0)?;
                draft.file().write_all_at(&signature, 0).map_err(failed())?;
                (Change::Draft(draft), Carrier::Detached(self.path.clone().into()))
            }
            Place::Section(range) => {
                let room = (range.end - range.start) as usize;
                if signature.len() > room {
                    return Err(StampError::NoRoom { missing: signature.len() - room }.into());
                }
                signature.resize(room, 0);
                let size = Stamp::of(&self.file)?.size;
                let draft = Original::of(self.file, &self.path)?.draft(size)?;
                draft.file().write_all_at(&signature, range.start).map_err(failed())?;
                (Change::Draft(draft), Carrier::Embedded)
            }
            Place::Trailer(content) => {
                let draft = Original::of(self.file, &self.path)?.draft(content)?;
                appended::write(draft.file(), content, &signature).map_err(failed())?;
                (Change::Draft(draft), Carrier::Appended)
            }
            Place::Comment { content, marks } => {
                let draft = Original::of(self.file, &self.path)?.draft(content)?;
                comments::write(draft.file(), content, &marks, &signature, &self.path)?;
                (Change::Draft(draft), Carrier::Comment)
            }
            Place::Attribute => {
                let stamp = Stamp::of(&self.file)?;
                (Change::Attribute(Attribute { file: self.file, path: self.path, name: ATTRIBUTE, value: signature, stamp }), Carrier::Xattr)
            }
        };
        change.commit()?;
        Ok(carrier)
    }
}

/// The bytes of a file that is a signature and nothing else.
fn whole(file: &File) -> Result<Option<Vec<u8>>, SignError> {
    let size = Stamp::of(file)?.size;
    if size > MAX_SIGNATURE_SIZE as u64 {
        return Ok(None);
    }
    let mut bytes = vec![0; size as usize];
    file.read_exact_at(&mut bytes, 0).map_err(|source| measure::MeasureError::Read { source })?;
    Ok(Parts::of(&bytes).is_ok().then_some(bytes))
}

/// A signature by one signer (RFC 5652 §5), taken apart into elements of DER that are put together again as they are.
struct Parts<'a> {
    /// Of the SignedData, but for the signer.
    signed_data: Vec<&'a [u8]>,
    /// Of the SignerInfo, but for the unsigned attributes.
    signer: Vec<&'a [u8]>,
    unsigned: Vec<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn of(signature: &'a [u8]) -> Result<Self, StampError> {
        let mut signed_data = signed_data(signature).ok_or(StampError::NotOurs)?;
        let signers = signed_data.pop().filter(|signers| is(signers, Tag::Set)).and_then(elements).ok_or(StampError::NotOurs)?;
        let [signer] = signers[..] else { return Err(StampError::SeveralSigners { count: signers.len() }) };
        let mut signer = elements(signer).ok_or(StampError::NotOurs)?;
        let unsigned = match signer.last() {
            Some(last) if is(last, context(1)) => signer.pop().and_then(elements).ok_or(StampError::NotOurs)?,
            _ => Vec::new(),
        };
        Ok(Self { signed_data, signer, unsigned })
    }

    /// The signature value.
    fn value(&self) -> Result<&'a [u8], StampError> {
        let last = self.signer.last().ok_or(StampError::NotOurs)?;
        Ok(OctetStringRef::from_der(last).map_err(|_| StampError::NotOurs)?.as_bytes())
    }

    /// The signature with this token, in the place of an earlier one.
    fn with_token(&self, token: &[u8]) -> Result<Vec<u8>, SignError> {
        let kind = TIME_STAMP_TOKEN.to_der()?;
        let is_token = |attribute: &&&[u8]| elements(attribute).is_some_and(|parts| parts.first() == Some(&kind.as_slice()));
        let mut unsigned: Vec<_> = self.unsigned.iter().filter(|attribute| !is_token(attribute)).map(|attribute| attribute.to_vec()).collect();
        unsigned.push(attribute(&kind, token)?);
        let signer = [self.signer.concat(), tagged(context(1), &set_content(unsigned))?].concat();
        let signers = tagged(Tag::Set, &tagged(Tag::Sequence, &signer)?)?;
        let signed_data = tagged(Tag::Sequence, &[self.signed_data.concat(), signers].concat())?;
        Ok(tagged(Tag::Sequence, &[rfc5911::ID_SIGNED_DATA.to_der()?, tagged(context(0), &signed_data)?].concat())?)
    }
}

/// The token of a TimeStampResp (RFC 3161 §2.4.2), or what is a token already.
fn token(reply: &[u8]) -> Result<&[u8], StampError> {
    let parts = elements(reply).ok_or(StampError::NoReply)?;
    match parts[..] {
        [kind, ..] if is(kind, Tag::ObjectIdentifier) => Ok(reply),
        [status, ref rest @ ..] => {
            let status = elements(status).and_then(|status| u32::from_der(status.first()?).ok()).ok_or(StampError::NoReply)?;
            // granted, and grantedWithMods.
            if status > 1 {
                return Err(StampError::Refused { status });
            }
            rest.first().copied().ok_or(StampError::NoReply)
        }
        [] => Err(StampError::NoReply),
    }
}

/// Whether a token's messageImprint is that of this signature value.
fn speaks_about(token: &[u8], value: &[u8]) -> Result<bool, StampError> {
    let imprint = || {
        let signed_data = signed_data(token)?;
        let [kind, content] = elements(signed_data.get(2)?)?[..] else { return None };
        if ObjectIdentifier::from_der(kind).ok()? != TST_INFO {
            return None;
        }
        let content = elements(content)?;
        let info = OctetStringRef::from_der(content.first()?).ok()?.as_bytes();
        let [algorithm, digest] = elements(elements(info)?.get(2)?)?[..] else { return None };
        let algorithm = ObjectIdentifier::from_der(elements(algorithm)?.first()?).ok()?;
        Some((algorithm, OctetStringRef::from_der(digest).ok()?.as_bytes()))
    };
    let (algorithm, digest) = imprint().ok_or(StampError::NoReply)?;
    let algorithm = match algorithm {
        rfc5912::ID_SHA_256 => Algorithm::Sha256,
        rfc5912::ID_SHA_384 => Algorithm::Sha384,
        rfc5912::ID_SHA_512 => Algorithm::Sha512,
        _ => return Err(StampError::Digest),
    };
    Ok(algorithm.digest(value).bytes() == digest)
}

/// The elements of the SignedData in a ContentInfo.
fn signed_data(content_info: &[u8]) -> Option<Vec<&[u8]>> {
    let [kind, content] = elements(content_info)?[..] else { return None };
    let is_signed_data = ObjectIdentifier::from_der(kind).ok()? == rfc5911::ID_SIGNED_DATA && is(content, context(0));
    elements(elements(content).filter(|_| is_signed_data)?.first()?)
}

/// What is inside of one constructed element that fills `der`.
fn elements(der: &[u8]) -> Option<Vec<&[u8]>> {
    let whole = AnyRef::from_der(der).ok()?;
    let mut reader = SliceReader::new(whole.value()).ok()?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        if found.len() == MAX_ELEMENTS {
            return None;
        }
        found.push(reader.tlv_bytes().ok()?);
    }
    Some(found)
}

fn is(element: &[u8], tag: Tag) -> bool {
    SliceReader::new(element).and_then(|reader| reader.peek_tag()).is_ok_and(|found| found == tag)
}

/// id-aa-timeStampToken (RFC 3161, appendix A).
const TIME_STAMP_TOKEN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.14");
/// id-ct-TSTInfo (RFC 3161 §2.4.2).
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const MAX_ELEMENTS: usize = 64;
