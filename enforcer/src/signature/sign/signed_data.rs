//! Writing a detached CMS SignedData (RFC 5652 §5) with the crate `cms`.
//!
//! Signed attributes are contentType and messageDigest and nothing else: no signing time, so that the same key signs the same file with
//! the same bytes (RSA and Ed25519; ECDSA as ring makes it is random).

use cms::cert::x509::Certificate;
use cms::cert::x509::attr::Attribute;
use cms::cert::x509::spki::AlgorithmIdentifierOwned;
use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos};
use der::asn1::{Any, ObjectIdentifier, OctetString, SetOfVec};
use der::oid::db::{rfc5911, rfc5912, rfc6268};
use der::{Decode, Encode};
use rustls_pki_types::CertificateDer;

use super::key::PrivateKey;
use super::{Algorithm, ContentDigest, SignError};
use crate::signature::cms::ED25519;

/// The signature over a content with this digest; the first certificate is the signer's.
pub(super) fn encode(key: &PrivateKey, certificates: &[CertificateDer<'_>], digest: &ContentDigest) -> Result<Vec<u8>, SignError> {
    let certificates = certificates.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let signer = &certificates.first().ok_or(SignError::Signing)?.tbs_certificate;
    let digest_algorithm = algorithm(digest_oid(digest.algorithm()), None);
    let attributes = SetOfVec::try_from(vec![
        attribute(rfc6268::ID_CONTENT_TYPE, Any::from(rfc5911::ID_DATA))?,
        attribute(rfc6268::ID_MESSAGE_DIGEST, Any::encode_from(&OctetString::new(digest.bytes())?)?)?,
    ])?;
    let signature = key.sign(&attributes.to_der()?)?;
    let signer_info = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: signer.issuer.clone(),
            serial_number: signer.serial_number.clone(),
        }),
        digest_alg: digest_algorithm.clone(),
        signed_attrs: Some(attributes),
        signature_algorithm: signature_algorithm(key),
        signature: OctetString::new(signature)?,
        unsigned_attrs: None,
    };
    let certificates = certificates.into_iter().map(CertificateChoices::Certificate).collect::<Vec<_>>();
    let signed_data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![digest_algorithm])?,
        encap_content_info: EncapsulatedContentInfo { econtent_type: rfc5911::ID_DATA, econtent: None },
        certificates: Some(CertificateSet(SetOfVec::try_from(certificates)?)),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::try_from(vec![signer_info])?),
    };
    Ok(ContentInfo { content_type: rfc5911::ID_SIGNED_DATA, content: Any::encode_from(&signed_data)? }.to_der()?)
}

/// A certificate that is written exactly as it was read, or its own signature would break.
fn parse(certificate: &CertificateDer<'_>) -> Result<Certificate, SignError> {
    let parsed = Certificate::from_der(certificate)?;
    if parsed.to_der()? != certificate.as_ref() {
        return Err(SignError::CertificateForm(der::ErrorKind::Noncanonical { tag: der::Tag::Sequence }.into()));
    }
    Ok(parsed)
}

fn attribute(oid: ObjectIdentifier, value: Any) -> Result<Attribute, SignError> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
}

/// RFC 5754 §2: the parameters of SHA-2 are absent.
fn algorithm(oid: ObjectIdentifier, parameters: Option<Any>) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters }
}

fn digest_oid(algorithm: Algorithm) -> ObjectIdentifier {
    match algorithm {
        Algorithm::Sha256 => rfc5912::ID_SHA_256,
        Algorithm::Sha384 => rfc5912::ID_SHA_384,
        Algorithm::Sha512 => rfc5912::ID_SHA_512,
    }
}

/// RFC 5754 §3: the parameters of RSA are NULL, those of ECDSA (and of Ed25519, RFC 8419 §2.2) absent.
fn signature_algorithm(key: &PrivateKey) -> AlgorithmIdentifierOwned {
    match key {
        PrivateKey::Rsa(_) => algorithm(rfc5912::SHA_256_WITH_RSA_ENCRYPTION, Some(Any::null())),
        PrivateKey::P256(_) => algorithm(rfc5912::ECDSA_WITH_SHA_256, None),
        PrivateKey::P384(_) => algorithm(rfc5912::ECDSA_WITH_SHA_384, None),
        PrivateKey::Ed25519(_) => algorithm(ED25519, None),
    }
}

impl From<der::Error> for SignError {
    fn from(error: der::Error) -> Self {
        Self::CertificateForm(error)
    }
}
