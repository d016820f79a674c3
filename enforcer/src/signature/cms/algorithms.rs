//! Which digest and signature algorithms a signature may name, and what is refused by name.

use cms::cert::x509::spki::AlgorithmIdentifierRef;
use der::Encode;
use der::asn1::ObjectIdentifier;
use der::oid::db::rfc5912;
use rustls_pki_types::alg_id;
use serde::{Deserialize, Serialize};

use super::CmsError;
use crate::measure::Algorithm;

/// How a signature value is made from a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).
    RsaPkcs1,
    /// RSASSA-PSS (RFC 8017 §8.1) with MGF1 over the same digest and a salt of its length.
    RsaPss,
    /// ECDSA, on the curve of the key.
    Ecdsa,
    /// Ed25519 (RFC 8032), over the message itself.
    Ed25519,
    /// RSA PKCS #1 v1.5 or ECDSA, as the key is: IMA's signatures do not say.
    ByKey,
}

impl Scheme {
    /// The name that people write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RsaPkcs1 => "RSA PKCS #1 v1.5",
            Self::RsaPss => "RSA-PSS",
            Self::Ecdsa => "ECDSA",
            Self::Ed25519 => "Ed25519",
            Self::ByKey => "RSA PKCS #1 v1.5 or ECDSA",
        }
    }

    pub(super) fn settle(identifier: &AlgorithmIdentifierRef<'_>, digest: Algorithm) -> Result<Self, CmsError> {
        use Algorithm::{Sha256, Sha384, Sha512};
        let absent = identifier.parameters.is_none();
        let null_or_absent = identifier.parameters.is_none_or(|parameters| parameters.is_null());
        let (scheme, parameters_allowed) = match (identifier.oid, digest) {
            (rfc5912::RSA_ENCRYPTION, _)
            | (rfc5912::SHA_256_WITH_RSA_ENCRYPTION, Sha256)
            | (rfc5912::SHA_384_WITH_RSA_ENCRYPTION, Sha384)
            | (rfc5912::SHA_512_WITH_RSA_ENCRYPTION, Sha512) => (Self::RsaPkcs1, null_or_absent),
            (rfc5912::ID_RSASSA_PSS, digest) => {
                // The one set of parameters that RFC 4055 §3.1 names for each digest; anything else is compared and refused, not interpreted.
                let expected = match digest {
                    Sha256 => alg_id::RSA_PSS_SHA256,
                    Sha384 => alg_id::RSA_PSS_SHA384,
                    Sha512 => alg_id::RSA_PSS_SHA512,
                };
                let found = identifier.to_der()?;
                let found = der::asn1::AnyRef::try_from(found.as_slice())?.value().to_vec();
                if found != expected.as_ref() {
                    return Err(CmsError::PssParameters { digest: digest.name() });
                }
                (Self::RsaPss, true)
            }
            (rfc5912::ECDSA_WITH_SHA_256, Sha256) | (rfc5912::ECDSA_WITH_SHA_384, Sha384) | (rfc5912::ECDSA_WITH_SHA_512, Sha512) => {
                (Self::Ecdsa, absent)
            }
            (ED25519, _) => (Self::Ed25519, absent),
            (rfc5912::SHA_1_WITH_RSA_ENCRYPTION | ECDSA_WITH_SHA_1, _) => return Err(CmsError::WeakDigest { name: "SHA-1" }),
            (rfc5912::MD_5_WITH_RSA_ENCRYPTION, _) => return Err(CmsError::WeakDigest { name: "MD5" }),
            (oid, _) => return Err(CmsError::Algorithm { found: name(&oid), digest: digest.name() }),
        };
        if parameters_allowed { Ok(scheme) } else { Err(CmsError::Parameters) }
    }
}

/// The digest algorithm with this identifier (RFC 5754 §2: parameters absent, or NULL).
pub(in crate::signature) fn digest_algorithm(identifier: &AlgorithmIdentifierRef<'_>) -> Result<Algorithm, CmsError> {
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

/// The name of an algorithm where it has one, else its number.
fn name(oid: &ObjectIdentifier) -> String {
    match der::oid::db::DB.by_oid(oid) {
        Some(name) => format!("{name} ({oid})"),
        None => oid.to_string(),
    }
}

/// ecdsa-with-SHA1 (RFC 5912).
const ECDSA_WITH_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");
/// id-Ed25519 (RFC 8410 §3).
pub const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
