//! A signature in `security.ima` as `evmctl ima_sign` and signed packages write it (`security/integrity/integrity.h`, `struct signature_v2_hdr`).
//!
//! The value signs the file's digest; neither signer nor claims are in it, only four bytes of the key's number.

use ring::digest;

use super::{Algorithm, Scheme, SignError};
use crate::trust::{CertificateFacts, KeyKind};

/// Refuses what the kernel's IMA and `evmctl` cannot check.
pub(super) fn check(scheme: &Scheme) -> Result<(), SignError> {
    match scheme.kind() {
        KeyKind::Ed25519 => Err(SignError::Ima { key: "Ed25519" }),
        KeyKind::Rsa(_) if scheme.is_pss() => Err(SignError::Ima { key: "RSA-PSS" }),
        _ => Ok(()),
    }
}

/// The attribute's bytes.
pub(super) fn encode(scheme: &Scheme, signer: &CertificateFacts, value: &[u8]) -> Result<Vec<u8>, SignError> {
    let size = u16::try_from(value.len()).map_err(|_| SignError::Signing)?.to_be_bytes();
    Ok([&[EVM_IMA_XATTR_DIGSIG, DIGSIG_VERSION_2, hash_algorithm(scheme.digest())], &key_number(signer)[..], &size, value].concat())
}

/// The end of the subject key identifier, by which the kernel finds the key; without one, of the key's SHA-1, as `evmctl` computes it.
fn key_number(signer: &CertificateFacts) -> [u8; 4] {
    let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &signer.public_key);
    let mut number = [0; 4];
    let id = signer.key_id.as_deref().filter(|id| id.len() >= number.len()).unwrap_or(sha1.as_ref());
    number.copy_from_slice(&id[id.len() - 4..]);
    number
}

/// `enum hash_algo` of `<linux/hash_info.h>`.
const fn hash_algorithm(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sha256 => 4,
        Algorithm::Sha384 => 5,
        Algorithm::Sha512 => 6,
    }
}

const EVM_IMA_XATTR_DIGSIG: u8 = 3;
const DIGSIG_VERSION_2: u8 = 2;
