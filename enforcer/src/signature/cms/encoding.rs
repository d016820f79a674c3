//! From what tools write to DER: PEM armour is taken off, and BER's indefinite lengths (`openssl cms -stream`) become definite ones.
//!
//! The lengths are read by asn1-rs; nothing here looks at what the elements mean. What comes out is checked as strictly as DER that was there
//! from the beginning, so a signature whose signed parts were not DER does not verify.

use std::borrow::Cow;

use der::pem::{Decoder, decode_label};
use der::{Encode, Reader, SliceReader, Tag};
use x509_parser::asn1_rs::{self, Any, FromBer, Length, ToDer};
use x509_parser::nom;

use super::{CmsError, MAX_SIGNATURE_SIZE};
use crate::text::{clipped, printable};

/// The DER of the signature at the start of `bytes`, and how many of `bytes` it takes.
pub fn first_signature(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, usize), CmsError> {
    if bytes.is_empty() {
        return Err(CmsError::Empty);
    }
    if bytes.starts_with(b"-----BEGIN") {
        let der = from_pem(bytes)?;
        let (signature, size) = binary(&der)?;
        if size < der.len() {
            return Err(CmsError::TrailingBytes { count: der.len() - size });
        }
        return Ok((signature.into_owned().into(), bytes.len()));
    }
    binary(bytes)
}

/// The same for what is not armoured.
fn binary(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, usize), CmsError> {
    if is_indefinite(bytes) {
        let (der, size) = from_ber(bytes)?;
        return Ok((der.into(), size));
    }
    let size = definite_size(bytes)?;
    Ok((bytes[..size].into(), size))
}

/// How many bytes the DER at the start of `bytes` takes, as its own header says; all of them are there.
fn definite_size(bytes: &[u8]) -> Result<usize, CmsError> {
    let header = SliceReader::new(bytes)?.peek_header()?;
    let size = usize::try_from((header.encoded_len()? + header.length)?)?;
    if header.tag != Tag::Sequence {
        return Err(CmsError::NotCms);
    }
    if size > MAX_SIGNATURE_SIZE {
        return Err(CmsError::TooLarge { limit: MAX_SIGNATURE_SIZE });
    }
    if size > bytes.len() {
        return Err(CmsError::Truncated { size: bytes.len(), expected: size });
    }
    Ok(size)
}

/// RFC 7468 §9 and what openssl writes: one armoured block, and nothing but white space behind it.
fn from_pem(bytes: &[u8]) -> Result<Vec<u8>, CmsError> {
    let broken = |error: der::pem::Error| CmsError::Pem { problem: error.to_string() };
    if bytes.len() > MAX_FILE_SIZE {
        return Err(CmsError::TooLarge { limit: MAX_FILE_SIZE });
    }
    let label = decode_label(bytes).map_err(broken)?;
    if !PEM_LABELS.contains(&label) {
        return Err(CmsError::PemLabel { found: clipped(&printable(label), MAX_LABEL).to_owned() });
    }
    let mut der = Vec::new();
    Decoder::new(bytes).and_then(|mut decoder| decoder.decode_to_end(&mut der).map(|_| ())).map_err(broken)?;
    Ok(der)
}

/// BER's constructed, indefinite-length method (X.690 §8.1.3.6), which begins every such signature.
fn is_indefinite(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x30, 0x80])
}

/// The DER of the first element, and how many bytes its BER took.
fn from_ber(bytes: &[u8]) -> Result<(Vec<u8>, usize), CmsError> {
    let bounded = &bytes[..bytes.len().min(MAX_SIGNATURE_SIZE)];
    let (rest, element) = element(bounded)?;
    let mut der = Vec::with_capacity(bounded.len());
    write(&element, &mut der, MAX_DEPTH)?;
    Ok((der, bounded.len() - rest.len()))
}

fn write(element: &Any<'_>, output: &mut Vec<u8>, depth: usize) -> Result<(), CmsError> {
    let depth = depth.checked_sub(1).ok_or(CmsError::TooDeep { limit: MAX_DEPTH })?;
    // X.690 §8.7.3: an OCTET STRING in pieces. DER has it in one (§10.2).
    let is_in_pieces = element.header.is_constructed() && element.header.is_universal() && element.header.tag() == asn1_rs::Tag::OctetString;
    let rewritten;
    let content = if element.header.is_constructed() {
        let mut children = Vec::new();
        let mut rest = element.data;
        while !rest.is_empty() {
            let (behind, child) = self::element(rest)?;
            if is_in_pieces {
                children.extend_from_slice(child.data);
            } else {
                write(&child, &mut children, depth)?;
            }
            rest = behind;
        }
        rewritten = children;
        &rewritten
    } else {
        element.data
    };
    let header =
        element.header.clone().with_length(Length::Definite(content.len())).with_constructed(element.header.is_constructed() && !is_in_pieces);
    output.extend(header.to_der_vec().map_err(|error| CmsError::Ber { problem: error.to_string() })?);
    output.extend_from_slice(content);
    Ok(())
}

fn element(bytes: &[u8]) -> Result<(&[u8], Any<'_>), CmsError> {
    match Any::from_ber(bytes) {
        Ok(found) => Ok(found),
        Err(nom::Err::Incomplete(_)) => Err(CmsError::BerTruncated { size: bytes.len() }),
        Err(nom::Err::Error(problem) | nom::Err::Failure(problem)) => Err(CmsError::Ber { problem: problem.to_string() }),
    }
}

/// `openssl cms` and `openssl smime` (RFC 7468 §8 and §9).
const PEM_LABELS: [&str; 2] = ["CMS", "PKCS7"];
const MAX_LABEL: usize = 64;
/// The largest signature in Base64, with its line ends: what a file of a signature may have.
pub const MAX_FILE_SIZE: usize = MAX_SIGNATURE_SIZE * 3 / 2;
/// What openssl writes is 12 deep.
const MAX_DEPTH: usize = 32;
