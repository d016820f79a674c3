//! Does a signature value fit a key and a digest? The cryptography is aws-lc-rs's; here an algorithm is chosen, and nothing is decided about trust.
//!
//! Values are checked against a digest that was computed while the file was read, so that no content has to be in memory at once. Ed25519 alone
//! signs the message itself (RFC 8032 §5.1).

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1,
    ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

use super::cms::Scheme;
use crate::measure::{Algorithm, ContentDigest};
use crate::trust::{CertificateFacts, KeyKind};

/// What was signed.
pub(super) enum Message<'a> {
    /// Something with this digest.
    Digest(ContentDigest),
    /// These bytes.
    Bytes(&'a [u8]),
}

/// Why a value was not accepted.
pub(super) enum Unfit {
    /// The key is of another kind than the signature.
    KeyKind,
    /// It does not verify.
    Value,
}

/// Whether the certificate's key made this value.
pub(super) fn check(certificate: &CertificateFacts, scheme: Scheme, digest: Algorithm, message: &Message<'_>, value: &[u8]) -> Result<(), Unfit> {
    let kind = certificate.key.as_ref().map_err(|_| Unfit::KeyKind)?;
    let algorithm = algorithm(*kind, scheme, digest).ok_or(Unfit::KeyKind)?;
    let key = UnparsedPublicKey::new(algorithm, &certificate.public_key);
    let outcome = match message {
        Message::Bytes(bytes) => key.verify(bytes, value),
        Message::Digest(digest) => {
            Digest::import_less_safe(digest.bytes(), digest_algorithm(digest.algorithm())).and_then(|digest| key.verify_digest(&digest, value))
        }
    };
    outcome.map_err(|_| Unfit::Value)
}

fn algorithm(key: KeyKind, scheme: Scheme, digest: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    use Algorithm::{Sha256, Sha384, Sha512};
    Some(match (key, scheme, digest) {
        (KeyKind::Rsa(_), Scheme::RsaPkcs1 | Scheme::ByKey, Sha256) => &RSA_PKCS1_2048_8192_SHA256,
        (KeyKind::Rsa(_), Scheme::RsaPkcs1 | Scheme::ByKey, Sha384) => &RSA_PKCS1_2048_8192_SHA384,
        (KeyKind::Rsa(_), Scheme::RsaPkcs1 | Scheme::ByKey, Sha512) => &RSA_PKCS1_2048_8192_SHA512,
        (KeyKind::Rsa(_), Scheme::RsaPss, Sha256) => &RSA_PSS_2048_8192_SHA256,
        (KeyKind::Rsa(_), Scheme::RsaPss, Sha384) => &RSA_PSS_2048_8192_SHA384,
        (KeyKind::Rsa(_), Scheme::RsaPss, Sha512) => &RSA_PSS_2048_8192_SHA512,
        (KeyKind::P256, Scheme::Ecdsa | Scheme::ByKey, Sha256) => &ECDSA_P256_SHA256_ASN1,
        (KeyKind::P256, Scheme::Ecdsa | Scheme::ByKey, Sha384) => &ECDSA_P256_SHA384_ASN1,
        (KeyKind::P256, Scheme::Ecdsa | Scheme::ByKey, Sha512) => &ECDSA_P256_SHA512_ASN1,
        (KeyKind::P384, Scheme::Ecdsa | Scheme::ByKey, Sha256) => &ECDSA_P384_SHA256_ASN1,
        (KeyKind::P384, Scheme::Ecdsa | Scheme::ByKey, Sha384) => &ECDSA_P384_SHA384_ASN1,
        (KeyKind::P384, Scheme::Ecdsa | Scheme::ByKey, Sha512) => &ECDSA_P384_SHA512_ASN1,
        (KeyKind::Ed25519, Scheme::Ed25519, _) => &ED25519,
        _ => return None,
    })
}

fn digest_algorithm(algorithm: Algorithm) -> &'static digest::Algorithm {
    match algorithm {
        Algorithm::Sha256 => &digest::SHA256,
        Algorithm::Sha384 => &digest::SHA384,
        Algorithm::Sha512 => &digest::SHA512,
    }
}
