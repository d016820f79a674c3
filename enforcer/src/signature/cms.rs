//! Parsing a detached CMS signature (RFC 5652 §5): strict DER in, an unverified [`Signature`] out.
//!
//! Sets are counted before they are decoded, and nothing is sorted or copied that a bound does not cover. Never does cryptography and
//! never trusts: what is parsed here is what a stranger claims.

mod error;

use cms::cert::x509::spki::AlgorithmIdentifierRef;
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::oid::db::{rfc5911, rfc5912, rfc6268};
use der::{Decode, DecodeValue, Encode, EncodeValue, FixedTag, Header, Length, Reader, Sequence, SliceReader, Tag, Tagged, Writer};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use webpki::ring as algorithms;

pub use error::CmsError;

use crate::measure::Algorithm;

/// A signature as found: well-formed, and nothing more.
pub struct Signature {
    /// Which certificate made it.
    pub signer: SignerId,
    /// The certificates that came along, in no particular order.
    pub certificates: Vec<CertificateDer<'static>>,
    /// How the content is digested.
    pub digest: Algorithm,
    /// What exactly was signed.
    pub signed: Signed,
    /// How the signature is checked: one algorithm for each kind of key that fits.
    pub algorithms: Vec<&'static dyn SignatureVerificationAlgorithm>,
    /// The signature value.
    pub value: Vec<u8>,
}

/// RFC 5652 §5.4: what the signature value is about.
pub enum Signed {
    /// The content itself.
    Content,
    /// The signed attributes, one of which is the content's digest.
    Attributes {
        /// Their DER as a SET OF, which is what was signed.
        der: Vec<u8>,
        /// The value of the messageDigest attribute.
        message_digest: Vec<u8>,
    },
}

/// RFC 5652 §5.3, SignerIdentifier.
#[derive(Debug, PartialEq, Eq)]
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
}

impl Signature {
    /// Parses a detached signature that fills `bytes` exactly.
    pub fn parse(bytes: &[u8]) -> Result<Self, CmsError> {
        let size = encoded_size(bytes)?;
        if size < bytes.len() {
            return Err(CmsError::TrailingBytes { count: bytes.len() - size });
        }
        let info = ContentInfo::from_der(bytes)?;
        if info.content_type != rfc5911::ID_SIGNED_DATA {
            return Err(CmsError::NotSignedData { found: info.content_type.to_string() });
        }
        let signed_data = info.content.decode_as::<SignedData<'_>>()?;
        if signed_data.encapsulated.content.is_some() {
            return Err(CmsError::Attached);
        }
        if signed_data.encapsulated.content_type != rfc5911::ID_DATA {
            return Err(CmsError::ContentType { found: signed_data.encapsulated.content_type.to_string() });
        }
        let digests = signed_data.digest_algorithms.elements(MAX_DIGEST_ALGORITHMS, "digest algorithms")?;
        let digests = digests.iter().map(|element| digest_algorithm(&AlgorithmIdentifierRef::from_der(element)?));
        let digests = digests.collect::<Result<Vec<_>, _>>()?;
        let certificates = certificates(signed_data.certificates.as_ref())?;
        let signer_infos = signed_data.signer_infos.elements(MAX_SIGNERS, "signers")?;
        let [signer_info] = signer_infos[..] else {
            return Err(CmsError::SignerCount { count: signer_infos.len() });
        };
        let signer_info = SignerInfo::from_der(signer_info)?;
        if signed_data.version != signer_info.version {
            return Err(CmsError::Version { version: signed_data.version });
        }
        let signature = signer_info.settle(certificates)?;
        if digests.contains(&signature.digest) { Ok(signature) } else { Err(CmsError::DigestNotAnnounced) }
    }
}

/// How many bytes the DER at the start of `bytes` takes, as its own header says; all of them are there.
pub fn encoded_size(bytes: &[u8]) -> Result<usize, CmsError> {
    if bytes.is_empty() {
        return Err(CmsError::Empty);
    }
    if bytes.starts_with(b"-----BEGIN") {
        return Err(CmsError::Pem);
    }
    if bytes.starts_with(&[0x30, 0x80]) {
        return Err(CmsError::IndefiniteLength);
    }
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

impl SignerInfo<'_> {
    fn settle(&self, certificates: Vec<CertificateDer<'static>>) -> Result<Signature, CmsError> {
        let signer = self.signer()?;
        let digest = digest_algorithm(&self.digest_algorithm)?;
        let algorithms = signature_algorithms(&self.signature_algorithm, digest)?;
        let signed = match &self.signed_attributes {
            Some(attributes) => signed_attributes(attributes)?,
            None => Signed::Content,
        };
        if let Some(unsigned) = &self.unsigned_attributes {
            unsigned.elements(MAX_ATTRIBUTES, "unsigned attributes")?;
        }
        Ok(Signature { signer, certificates, digest, signed, algorithms, value: self.signature.as_bytes().to_vec() })
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

/// RFC 5652 §5.4 and §11: contentType and messageDigest must be there once; no attribute may be there twice.
fn signed_attributes(set: &Elements<'_>) -> Result<Signed, CmsError> {
    let elements = set.elements(MAX_ATTRIBUTES, "signed attributes")?;
    if !elements.is_sorted_by(|a, b| a < b) {
        return Err(CmsError::AttributeOrder);
    }
    let attributes = elements.iter().map(|element| Attribute::from_der(element)).collect::<Result<Vec<_>, _>>()?;
    for (index, attribute) in attributes.iter().enumerate() {
        if attributes[..index].iter().any(|earlier| earlier.kind == attribute.kind) {
            return Err(CmsError::AttributeTwice { attribute: attribute.kind.to_string() });
        }
    }
    let value = |kind: ObjectIdentifier, name: &'static str| {
        let attribute = attributes.iter().find(|attribute| attribute.kind == kind).ok_or(CmsError::AttributeMissing { name })?;
        match attribute.values.elements(MAX_ATTRIBUTES, name)?[..] {
            [value] => Ok(value),
            _ => Err(CmsError::AttributeValues { name }),
        }
    };
    let content_type = ObjectIdentifier::from_der(value(rfc6268::ID_CONTENT_TYPE, "contentType")?)?;
    if content_type != rfc5911::ID_DATA {
        return Err(CmsError::ContentType { found: content_type.to_string() });
    }
    let message_digest = OctetStringRef::from_der(value(rfc6268::ID_MESSAGE_DIGEST, "messageDigest")?)?.as_bytes().to_vec();
    Ok(Signed::Attributes { der: AnyRef::new(Tag::Set, set.0)?.to_der()?, message_digest })
}

fn digest_algorithm(identifier: &AlgorithmIdentifierRef<'_>) -> Result<Algorithm, CmsError> {
    if !identifier.parameters.is_none_or(|parameters| parameters.is_null()) {
        return Err(CmsError::Parameters);
    }
    match identifier.oid {
        rfc5912::ID_SHA_256 => Ok(Algorithm::Sha256),
        rfc5912::ID_SHA_384 => Ok(Algorithm::Sha384),
        rfc5912::ID_SHA_512 => Ok(Algorithm::Sha512),
        rfc5912::ID_SHA_1 => Err(CmsError::WeakDigest { name: "SHA-1" }),
        rfc5912::ID_MD_5 => Err(CmsError::WeakDigest { name: "MD5" }),
        oid => Err(CmsError::Digest { found: name(&oid) }),
    }
}

fn signature_algorithms(
    identifier: &AlgorithmIdentifierRef<'_>,
    digest: Algorithm,
) -> Result<Vec<&'static dyn SignatureVerificationAlgorithm>, CmsError> {
    use Algorithm::{Sha256, Sha384, Sha512};
    let rsa = match digest {
        Sha256 => algorithms::RSA_PKCS1_2048_8192_SHA256,
        Sha384 => algorithms::RSA_PKCS1_2048_8192_SHA384,
        Sha512 => algorithms::RSA_PKCS1_2048_8192_SHA512,
    };
    let absent = identifier.parameters.is_none();
    let null_or_absent = identifier.parameters.is_none_or(|parameters| parameters.is_null());
    let (found, parameters_allowed) = match (identifier.oid, digest) {
        (rfc5912::RSA_ENCRYPTION, _)
        | (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, Sha256)
        | (rfc5912::SHA_384_WITH_RSA_ENCRYPTION, Sha384)
        | (rfc5912::SHA_512_WITH_RSA_ENCRYPTION, Sha512) => (vec![rsa], null_or_absent),
        (rfc5912::ECDSA_WITH_SHA_256, Sha256) => (vec![algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256], absent),
        (rfc5912::ECDSA_WITH_SHA_384, Sha384) => (vec![algorithms::ECDSA_P256_SHA384, algorithms::ECDSA_P384_SHA384], absent),
        (ED25519, _) => (vec![algorithms::ED25519], absent),
        (rfc5912::SHA_1_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_1, _) => return Err(CmsError::WeakDigest { name: "SHA-1" }),
        (rfc5912::MD_5_WITH_RSA_ENCRYPTION, _) => return Err(CmsError::WeakDigest { name: "MD5" }),
        (oid, _) => return Err(CmsError::Algorithm { found: name(&oid), digest: digest.name() }),
    };
    if parameters_allowed { Ok(found) } else { Err(CmsError::Parameters) }
}

/// The name of an algorithm where it has one, else its number.
fn name(oid: &ObjectIdentifier) -> String {
    match der::oid::db::DB.by_oid(oid) {
        Some(name) => format!("{name} ({oid})"),
        None => oid.to_string(),
    }
}

/// RFC 5652 §3.
#[derive(Sequence)]
struct ContentInfo<'a> {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    content: AnyRef<'a>,
}

/// RFC 5652 §5.1.
#[derive(Sequence)]
struct SignedData<'a> {
    version: u8,
    digest_algorithms: Elements<'a>,
    encapsulated: EncapsulatedContent<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    certificates: Option<Elements<'a>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    revocations: Option<Elements<'a>>,
    signer_infos: Elements<'a>,
}

/// RFC 5652 §5.2.
#[derive(Sequence)]
struct EncapsulatedContent<'a> {
    content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    content: Option<AnyRef<'a>>,
}

/// RFC 5652 §5.3.
#[derive(Sequence)]
struct SignerInfo<'a> {
    version: u8,
    signer: AnyRef<'a>,
    digest_algorithm: AlgorithmIdentifierRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    signed_attributes: Option<Elements<'a>>,
    signature_algorithm: AlgorithmIdentifierRef<'a>,
    signature: OctetStringRef<'a>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    unsigned_attributes: Option<Elements<'a>>,
}

/// RFC 5652 §5.3, Attribute.
#[derive(Sequence)]
struct Attribute<'a> {
    kind: ObjectIdentifier,
    values: Elements<'a>,
}

/// The content bytes of a SET OF, not decoded yet: a hostile set is counted before any work is done on it.
pub(super) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    fn elements(&self, limit: usize, what: &'static str) -> Result<Vec<&'a [u8]>, CmsError> {
        let mut reader = SliceReader::new(self.0)?;
        let mut found = Vec::new();
        while !reader.is_finished() {
            if found.len() == limit {
                return Err(CmsError::TooMany { what, limit });
            }
            found.push(reader.tlv_bytes()?);
        }
        Ok(found)
    }
}

impl FixedTag for Elements<'_> {
    const TAG: Tag = Tag::Set;
}

impl<'a> DecodeValue<'a> for Elements<'a> {
    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        reader.read_slice(header.length).map(Self)
    }
}

impl EncodeValue for Elements<'_> {
    fn value_len(&self) -> der::Result<Length> {
        Length::try_from(self.0.len())
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.0)
    }
}

/// A signature with a chain of three RSA-4096 certificates takes 6 KiB.
pub const MAX_SIGNATURE_SIZE: usize = 64 * 1024;
const MAX_CERTIFICATES: usize = 16;
const MAX_DIGEST_ALGORITHMS: usize = 16;
const MAX_SIGNERS: usize = 16;
const MAX_ATTRIBUTES: usize = 32;
/// ecdsa-with-SHA1 (RFC 5912).
const ECDSA_WITH_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");
/// id-Ed25519 (RFC 8410 §3).
pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
