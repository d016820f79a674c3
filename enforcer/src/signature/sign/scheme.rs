//! How a signature is made: kind of key, digest, padding, and the names that CMS has for them.

use cms::cert::x509::spki::AlgorithmIdentifierOwned;
use der::Sequence;
use der::asn1::{Any, ObjectIdentifier};
use der::oid::db::{rfc5912, rfc8410};
use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs as algorithms;

use super::{Algorithm, SignError};
use crate::trust::KeyKind;

/// A kind of key with the digest and padding that go with it. Only combinations that every verifier knows can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    kind: KeyKind,
    digest: Algorithm,
    pss: bool,
}

impl Scheme {
    /// The wanted digest and padding, or the customary ones: SHA-256 for RSA and P-256, SHA-384 for P-384, SHA-512 for Ed25519.
    pub(super) fn choose(kind: KeyKind, digest: Option<Algorithm>, pss: bool) -> Result<Self, SignError> {
        let customary = match kind {
            KeyKind::Rsa(_) | KeyKind::P256 => Algorithm::Sha256,
            KeyKind::P384 => Algorithm::Sha384,
            // RFC 8419 §3.1: with signed attributes, Ed25519 goes with SHA-512.
            KeyKind::Ed25519 => Algorithm::Sha512,
        };
        let is_rsa = matches!(kind, KeyKind::Rsa(_));
        match digest {
            Some(digest) if digest != customary && !is_rsa => {
                Err(SignError::Digest { key: name_of(kind), digest: digest.name(), needed: customary.name() })
            }
            _ if pss && !is_rsa => Err(SignError::Padding { key: name_of(kind) }),
            _ => Ok(Self { kind, digest: digest.unwrap_or(customary), pss }),
        }
    }

    /// The kind of key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The digest, both of the content and under the signature.
    pub fn digest(&self) -> Algorithm {
        self.digest
    }

    /// Whether RSA pads by PSS (RFC 8017 §8.1) rather than by PKCS #1 v1.5.
    pub fn is_pss(&self) -> bool {
        self.pss
    }

    /// What people call it.
    pub fn name(&self) -> String {
        match self.kind {
            KeyKind::Ed25519 => "Ed25519".to_owned(),
            KeyKind::Rsa(_) if self.pss => format!("RSA-PSS with {}", self.digest.name()),
            KeyKind::Rsa(_) => format!("RSA with {}", self.digest.name()),
            kind => format!("ECDSA on {} with {}", name_of(kind), self.digest.name()),
        }
    }

    /// The most bytes that a signature value takes.
    pub(super) fn value_size(&self) -> usize {
        match self.kind {
            KeyKind::Rsa(bits) => bits.div_ceil(8),
            // SEQUENCE of two INTEGERs, each with a leading zero.
            KeyKind::P256 => 2 + 2 * (2 + 33),
            KeyKind::P384 => 2 + 2 * (2 + 49),
            KeyKind::Ed25519 => 64,
        }
    }

    /// How values are checked.
    pub(super) fn verification(&self) -> &'static dyn SignatureVerificationAlgorithm {
        match (self.kind, self.digest, self.pss) {
            (KeyKind::P256, ..) => algorithms::ECDSA_P256_SHA256,
            (KeyKind::P384, ..) => algorithms::ECDSA_P384_SHA384,
            (KeyKind::Ed25519, ..) => algorithms::ED25519,
            (KeyKind::Rsa(_), Algorithm::Sha256, false) => algorithms::RSA_PKCS1_2048_8192_SHA256,
            (KeyKind::Rsa(_), Algorithm::Sha384, false) => algorithms::RSA_PKCS1_2048_8192_SHA384,
            (KeyKind::Rsa(_), Algorithm::Sha512, false) => algorithms::RSA_PKCS1_2048_8192_SHA512,
            (KeyKind::Rsa(_), Algorithm::Sha256, true) => algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
            (KeyKind::Rsa(_), Algorithm::Sha384, true) => algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
            (KeyKind::Rsa(_), Algorithm::Sha512, true) => algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        }
    }

    /// RFC 5754 §2: the parameters of SHA-2 are absent.
    pub(super) fn digest_identifier(&self) -> AlgorithmIdentifierOwned {
        AlgorithmIdentifierOwned { oid: digest_oid(self.digest), parameters: None }
    }

    /// RSA is named without its digest, as openssl and the kernel's `sign-file` do: the kernel knows no other name (RFC 3370 §3.2).
    pub(super) fn signature_identifier(&self) -> der::Result<AlgorithmIdentifierOwned> {
        let (oid, parameters) = match self.kind {
            KeyKind::Rsa(_) if self.pss => (rfc5912::ID_RSASSA_PSS, Some(Any::encode_from(&PssParameters::new(self.digest)?)?)),
            KeyKind::Rsa(_) => (rfc5912::RSA_ENCRYPTION, Some(Any::null())),
            KeyKind::P256 => (rfc5912::ECDSA_WITH_SHA_256, None),
            KeyKind::P384 => (rfc5912::ECDSA_WITH_SHA_384, None),
            KeyKind::Ed25519 => (rfc8410::ID_ED_25519, None),
        };
        Ok(AlgorithmIdentifierOwned { oid, parameters })
    }
}

/// RSASSA-PSS-params (RFC 4055 §3.1): the salt is as long as the digest, and the same digest masks.
#[derive(Sequence)]
struct PssParameters {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    digest: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT")]
    mask: AlgorithmIdentifierOwned,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT")]
    salt: u8,
}

impl PssParameters {
    fn new(digest: Algorithm) -> der::Result<Self> {
        // RFC 4055 §2.1: within these parameters SHA-2 has the parameters NULL.
        let digest_identifier = AlgorithmIdentifierOwned { oid: digest_oid(digest), parameters: Some(Any::null()) };
        let mask = AlgorithmIdentifierOwned { oid: rfc5912::ID_MGF_1, parameters: Some(Any::encode_from(&digest_identifier)?) };
        Ok(Self { digest: digest_identifier, mask, salt: digest_size(digest) })
    }
}

/// Bytes of a digest, which is also the length of PSS's salt.
pub(super) fn digest_size(digest: Algorithm) -> u8 {
    match digest {
        Algorithm::Sha256 => 32,
        Algorithm::Sha384 => 48,
        Algorithm::Sha512 => 64,
    }
}

pub(super) fn digest_oid(algorithm: Algorithm) -> ObjectIdentifier {
    match algorithm {
        Algorithm::Sha256 => rfc5912::ID_SHA_256,
        Algorithm::Sha384 => rfc5912::ID_SHA_384,
        Algorithm::Sha512 => rfc5912::ID_SHA_512,
    }
}

pub(super) fn name_of(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Rsa(_) => "RSA",
        KeyKind::P256 => "P-256",
        KeyKind::P384 => "P-384",
        KeyKind::Ed25519 => "Ed25519",
    }
}
