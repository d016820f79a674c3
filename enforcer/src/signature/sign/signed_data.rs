//! Writing a detached CMS SignedData (RFC 5652 §5), from DER pieces that are made once for many files.
//!
//! Signed attributes are contentType, messageDigest and the claims, and nothing else: no signing time, so that the same key signs the same file
//! with the same bytes (RSA PKCS #1 and Ed25519; the others are random). The attribute types of claims do not fit the typed structures of the
//! crate `cms`, so elements are put together by `der` one by one.

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::oid::db::{rfc5911, rfc6268};
use der::{Encode, Tag, TagNumber};
use rustls_pki_types::CertificateDer;

use super::scheme::Scheme;
use super::{ContentDigest, SignError};
use crate::signature::claims::Claims;
use crate::trust::CertificateFacts;

/// Everything of a signature that does not depend on the content.
pub(super) struct Frame {
    /// One or more certificates as `[0]`, or nothing.
    certificates: Vec<u8>,
    /// version, sid, digestAlgorithm of the SignerInfo.
    signer: Vec<u8>,
    digest_algorithm: Vec<u8>,
    signature_algorithm: Vec<u8>,
    /// The signed attributes but for messageDigest; `None` for a signature over the content itself.
    attributes: Option<Vec<Vec<u8>>>,
}

impl Frame {
    /// `certificates` are written as they are; `signer` says whose the signature is.
    pub(super) fn new(
        signer: &CertificateFacts,
        certificates: &[CertificateDer<'_>],
        scheme: &Scheme,
        claims: Option<&Claims>,
    ) -> Result<Self, SignError> {
        let certificates = match certificates {
            [] => Vec::new(),
            some => tagged(context(0), &set_content(some.iter().map(|certificate| certificate.to_vec()).collect()))?,
        };
        let digest_algorithm = scheme.digest_identifier().to_der()?;
        let id = tagged(Tag::Sequence, &[&signer.issuer_der[..], &tagged(Tag::Integer, &signer.serial)?].concat())?;
        let attributes = claims.map(attributes).transpose()?;
        Ok(Self {
            certificates,
            signer: [&1_u8.to_der()?[..], &id, &digest_algorithm].concat(),
            digest_algorithm,
            signature_algorithm: scheme.signature_identifier()?.to_der()?,
            attributes,
        })
    }

    /// The signed attributes' DER as a SET OF, which is what is signed (RFC 5652 §5.4); `None` when that is the content itself.
    pub(super) fn signed_attributes(&self, digest: &ContentDigest) -> Result<Option<Vec<u8>>, SignError> {
        let Some(fixed) = &self.attributes else { return Ok(None) };
        let mut all = fixed.clone();
        all.push(attribute(&oid(rfc6268::ID_MESSAGE_DIGEST)?, &OctetStringRef::new(digest.bytes())?.to_der()?)?);
        Ok(Some(tagged(Tag::Set, &set_content(all))?))
    }

    /// The signature, from what [`Frame::signed_attributes`] gave and the value that signs it.
    pub(super) fn encode(&self, signed_attributes: Option<&[u8]>, value: &[u8]) -> Result<Vec<u8>, SignError> {
        let attributes = match signed_attributes {
            // In place, the same bytes have the tag [0].
            Some(set) => tagged(context(0), AnyRef::try_from(set)?.value())?,
            None => Vec::new(),
        };
        let value = OctetStringRef::new(value)?.to_der()?;
        let signer_info = tagged(Tag::Sequence, &[&self.signer[..], &attributes, &self.signature_algorithm, &value].concat())?;
        let encapsulated = tagged(Tag::Sequence, &oid(rfc5911::ID_DATA)?)?;
        let signed_data =
            [&1_u8.to_der()?[..], &tagged(Tag::Set, &self.digest_algorithm)?, &encapsulated, &self.certificates, &tagged(Tag::Set, &signer_info)?];
        let signed_data = tagged(Tag::Sequence, &signed_data.concat())?;
        let content_info = [&oid(rfc5911::ID_SIGNED_DATA)?[..], &tagged(context(0), &signed_data)?].concat();
        Ok(tagged(Tag::Sequence, &content_info)?)
    }
}

/// contentType and the claims.
fn attributes(claims: &Claims) -> Result<Vec<Vec<u8>>, SignError> {
    let mut all = vec![attribute(&oid(rfc6268::ID_CONTENT_TYPE)?, &oid(rfc5911::ID_DATA)?)?];
    for (kind, value) in claims.to_attributes()? {
        all.push(attribute(&tagged(Tag::ObjectIdentifier, kind)?, &value)?);
    }
    Ok(all)
}

/// RFC 5652 §5.3, Attribute with one value; both are DER.
pub(super) fn attribute(kind: &[u8], value: &[u8]) -> der::Result<Vec<u8>> {
    tagged(Tag::Sequence, &[kind, &tagged(Tag::Set, value)?].concat())
}

/// X.690 §11.6: the elements of a SET OF in the order of their encodings.
pub(super) fn set_content(mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    elements.sort();
    elements.concat()
}

/// One element with this tag and content.
pub(super) fn tagged(tag: Tag, content: &[u8]) -> der::Result<Vec<u8>> {
    AnyRef::new(tag, content)?.to_der()
}

pub(super) fn oid(oid: ObjectIdentifier) -> der::Result<Vec<u8>> {
    oid.to_der()
}

/// `[number]`, constructed.
pub(super) const fn context(number: u8) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber::new(number) }
}

impl From<der::Error> for SignError {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error)
    }
}
