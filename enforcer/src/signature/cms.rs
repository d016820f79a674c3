//! Parsing a CMS signature (RFC 5652 §5): bytes in, an unverified [`Signature`] out.
//!
//! PEM and BER are turned into DER first ([`encoding`]); the rest is strict. Sets are counted before they are decoded, and nothing is sorted or
//! copied that a bound does not cover. Never does cryptography and never trusts: what is parsed here is what a stranger claims.

mod algorithms;
mod attributes;
mod encoding;
mod error;
mod structure;

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::oid::db::rfc5911;
use der::{Decode, Reader, SliceReader, Tag, Tagged};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

pub(super) use algorithms::digest_algorithm;
pub use algorithms::{ED25519, Scheme};
pub use encoding::MAX_FILE_SIZE;
pub use encoding::first_signature;
pub use error::CmsError;
pub(super) use structure::Elements;

use super::claims::Claims;
use super::timestamp::{TimestampError, Token};
use super::wire;
use crate::measure::Algorithm;
use structure::{ContentInfo, SignedData, SignerInfo};

/// A signature as found: well-formed, and nothing more.
#[derive(Debug, Serialize, Deserialize)]
pub struct Signature {
    /// The certificates that came along, in no particular order.
    #[serde(with = "wire::certificates")]
    pub certificates: Vec<CertificateDer<'static>>,
    /// What each signer states; one at least.
    pub statements: Vec<Statement>,
    /// The content, where it is inside: that of a timestamp always, and a copy of the file where openssl was told `-stream` or `-nodetach`.
    pub content: Option<Vec<u8>>,
}

/// What one signer states (RFC 5652 §5.3, SignerInfo).
#[derive(Debug, Serialize, Deserialize)]
pub struct Statement {
    /// Which certificate made it.
    pub signer: SignerId,
    /// How the content is digested.
    pub digest: Algorithm,
    /// How the signature is made.
    pub scheme: Scheme,
    /// What exactly was signed.
    pub signed: Signed,
    /// The signature value.
    pub value: Vec<u8>,
    /// A timestamp over the signature value (RFC 3161 appendix A), or why what came along is none.
    pub timestamp: Option<Box<Result<Token, TimestampError>>>,
}

/// RFC 5652 §5.4: what the signature value is about.
#[derive(Debug, Serialize, Deserialize)]
pub enum Signed {
    /// The content itself.
    Content,
    /// The signed attributes, one of which is the content's digest.
    Attributes(Attributes),
    /// This message, which contains the content's fs-verity digest (`Documentation/filesystems/fsverity.rst`, "FS_IOC_MEASURE_VERITY").
    FsVerity,
}

/// Signed attributes (RFC 5652 §5.3).
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Their DER as a SET OF, which is what was signed.
    pub der: Vec<u8>,
    /// The value of the messageDigest attribute.
    pub message_digest: Vec<u8>,
    /// What is claimed about the content.
    pub claims: Claims,
    /// The digest of the signer's certificate (RFC 5035 §3), where there is one, as an algorithm and a value.
    pub certificate_digest: Option<(Algorithm, Vec<u8>)>,
}

/// RFC 5652 §5.3, SignerIdentifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignerId {
    /// By its issuer's name (DER) and its serial number (content bytes).
    IssuerAndSerial {
        /// The name.
        issuer: Vec<u8>,
        /// The number.
        serial: Vec<u8>,
    },
    /// By its subject key identifier.
    KeyId(Vec<u8>),
    /// By the last four bytes of its subject key identifier, as IMA's signatures do.
    KeyIdTail([u8; 4]),
}

/// Which content a signature is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A file, which lies elsewhere.
    Detached,
    /// A TSTInfo (RFC 3161 §2.4.2) inside.
    Timestamp,
}

impl Signature {
    /// Parses a detached signature that fills `bytes` exactly: DER, BER or PEM.
    pub fn parse(bytes: &[u8]) -> Result<Self, CmsError> {
        let (der, size) = first_signature(bytes)?;
        if size < bytes.len() {
            return Err(CmsError::TrailingBytes { count: bytes.len() - size });
        }
        Self::from_der(&der, Content::Detached)
    }

    /// Parses the DER of a signature over this kind of content.
    pub(super) fn from_der(der: &[u8], content: Content) -> Result<Self, CmsError> {
        let info = ContentInfo::from_der(der)?;
        if info.content_type != rfc5911::ID_SIGNED_DATA {
            return Err(CmsError::NotSignedData { found: info.content_type.to_string() });
        }
        let signed_data = info.content.decode_as::<SignedData<'_>>()?;
        if signed_data.encapsulated.content_type != content.oid() {
            return Err(CmsError::ContentType { found: signed_data.encapsulated.content_type.to_string(), expected: content.name() });
        }
        let inside = match (content, signed_data.encapsulated.content) {
            (Content::Detached, None) => None,
            (_, Some(inside)) => Some(inside.decode_as::<OctetStringRef<'_>>()?.as_bytes().to_vec()),
            (Content::Timestamp, None) => return Err(CmsError::Empty),
        };
        let announced = signed_data.digest_algorithms.elements(MAX_DIGEST_ALGORITHMS, "digest algorithms")?;
        let certificates = certificates(signed_data.certificates.as_ref())?;
        let signer_infos = signed_data.signer_infos.elements(MAX_SIGNERS, "signers")?;
        let signer_infos = signer_infos.into_iter().map(SignerInfo::from_der).collect::<Result<Vec<_>, _>>()?;
        if signer_infos.is_empty() {
            return Err(CmsError::NoSigner);
        }
        signed_data.check_version(content, &signer_infos)?;
        let statements = signer_infos.iter().map(|info| info.settle(content)).collect::<Result<Vec<_>, _>>()?;
        let announced = announced.into_iter().map(|der| digest_algorithm(&Decode::from_der(der)?)).collect::<Result<Vec<_>, _>>()?;
        if statements.iter().any(|statement| !announced.contains(&statement.digest)) {
            return Err(CmsError::DigestNotAnnounced);
        }
        Ok(Self { certificates, statements, content: inside })
    }
}

impl Signature {
    /// The certificates that came along, those of timestamps too.
    pub(super) fn all_certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let tokens = self.statements.iter().filter_map(|statement| statement.timestamp.as_ref()?.as_ref().as_ref().ok());
        self.certificates.iter().chain(tokens.flat_map(|token| &token.signature.certificates))
    }

    /// Whether it keeps the bounds of [`Signature::parse`], whoever has parsed it.
    pub(super) fn is_bounded(&self) -> bool {
        let is_bounded = |signature: &Self| {
            let certificates: usize = signature.certificates.iter().map(|certificate| certificate.len()).sum();
            signature.certificates.len() <= MAX_CERTIFICATES && signature.statements.len() <= MAX_SIGNERS && certificates <= MAX_FILE_SIZE
        };
        let timestamp = |statement: &Statement| match statement.timestamp.as_deref() {
            Some(Ok(token)) => is_bounded(&token.signature) && token.signature.statements.iter().all(|statement| statement.timestamp.is_none()),
            Some(Err(_)) | None => true,
        };
        !self.statements.is_empty() && is_bounded(self) && self.statements.iter().all(timestamp)
    }
}

impl Statement {
    /// What is claimed about the content.
    pub fn claims(&self) -> Claims {
        match &self.signed {
            Signed::Attributes(attributes) => attributes.claims.clone(),
            Signed::Content | Signed::FsVerity => Claims::default(),
        }
    }
}

impl Attributes {
    /// Whether they say what their DER says: somebody else has parsed it, while it was a stranger's. Whoever asks knows now who signed it.
    pub(super) fn check(&self, content: Content) -> Result<(), CmsError> {
        let set = AnyRef::from_der(&self.der)?;
        set.tag().assert_eq(Tag::Set)?;
        if attributes::signed(&Elements::of(set), content)? == *self { Ok(()) } else { Err(CmsError::Misread) }
    }
}

impl Content {
    fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Detached => rfc5911::ID_DATA,
            Self::Timestamp => TST_INFO,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Detached => "data",
            Self::Timestamp => "TSTInfo",
        }
    }
}

fn certificates(set: Option<&Elements<'_>>) -> Result<Vec<CertificateDer<'static>>, CmsError> {
    let Some(set) = set else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for element in set.elements(MAX_CERTIFICATES, "certificates")? {
        // Anything but a SEQUENCE is one of the other choices of RFC 5652 §10.2.2, from attribute certificates to `other`.
        if SliceReader::new(element)?.peek_tag()? != Tag::Sequence {
            return Err(CmsError::CertificateKind);
        }
        found.push(CertificateDer::from(element.to_vec()));
    }
    Ok(found)
}

impl SignedData<'_> {
    /// RFC 5652 §5.1. A signature over plain data by an issuer's name and a serial number has version 1, and 3 otherwise.
    fn check_version(&self, content: Content, signer_infos: &[SignerInfo<'_>]) -> Result<(), CmsError> {
        let by_key_id = signer_infos.iter().any(|info| info.version == 3);
        let expected = if by_key_id || content != Content::Detached { 3 } else { 1 };
        if self.version == expected { Ok(()) } else { Err(CmsError::Version { version: self.version }) }
    }
}

impl SignerInfo<'_> {
    fn settle(&self, content: Content) -> Result<Statement, CmsError> {
        let signer = self.signer()?;
        let digest = digest_algorithm(&self.digest_algorithm)?;
        let scheme = Scheme::settle(&self.signature_algorithm, digest)?;
        let signed = match &self.signed_attributes {
            Some(set) => Signed::Attributes(attributes::signed(set, content)?),
            None if content == Content::Detached => Signed::Content,
            None => return Err(CmsError::AttributeMissing { name: "contentType" }),
        };
        let timestamp = self.unsigned_attributes.as_ref().map(attributes::timestamp).transpose()?.flatten();
        // That of a timestamp itself counts for nothing, and so is not looked into.
        let timestamp = timestamp.filter(|_| content == Content::Detached).map(|token| Box::new(Token::parse(&token)));
        Ok(Statement { signer, digest, scheme, signed, value: self.signature.as_bytes().to_vec(), timestamp })
    }

    fn signer(&self) -> Result<SignerId, CmsError> {
        let by_key_id = Tag::ContextSpecific { constructed: false, number: der::TagNumber::N0 };
        match (self.version, self.signer.tag()) {
            (1, Tag::Sequence) => {
                let mut reader = SliceReader::new(self.signer.value())?;
                let issuer = reader.tlv_bytes()?.to_vec();
                let serial = reader.decode::<AnyRef<'_>>()?;
                serial.tag().assert_eq(Tag::Integer)?;
                Ok(reader.finish(SignerId::IssuerAndSerial { issuer, serial: serial.value().to_vec() })?)
            }
            (3, tag) if tag == by_key_id => Ok(SignerId::KeyId(self.signer.value().to_vec())),
            (version, _) => Err(CmsError::SignerVersion { version }),
        }
    }
}

/// A signature with a chain of three RSA-4096 certificates and a timestamp takes 12 KiB.
pub const MAX_SIGNATURE_SIZE: usize = 64 * 1024;
const MAX_CERTIFICATES: usize = 16;
const MAX_DIGEST_ALGORITHMS: usize = 16;
const MAX_SIGNERS: usize = 16;
const MAX_ATTRIBUTES: usize = 32;
/// id-ct-TSTInfo (RFC 3161 §2.4.2).
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
