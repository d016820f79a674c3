//! The extended attribute `security.ima`, as `evmctl ima_sign` and signed RPMs write it (`security/integrity/integrity.h` of the kernel).
//!
//! A signature of version 2 is over the file's digest; one of version 3 over `struct ima_file_id`, which contains its fs-verity digest. Neither
//! brings a certificate along: the policy's own are looked through by key id. Only parsing; nothing is verified here.

use enforcer_common::Digest;

use super::cms::{Scheme, Signature, Signed, SignerId, Statement};
use crate::measure::Algorithm;

/// Why the attribute is no usable signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImaError {
    /// Shorter than its header, or its length says something else.
    #[error("the signature in `security.ima` is truncated, or longer than it says")]
    Length,
    /// Version 1, or one that nobody knows.
    #[error("the signature in `security.ima` has version {version}, which is not supported")]
    Version {
        /// The version.
        version: u8,
    },
    /// A digest that can be forged.
    #[error("the signature in `security.ima` uses {name}, which is broken")]
    WeakDigest {
        /// Which.
        name: &'static str,
    },
    /// Another digest.
    #[error("the signature in `security.ima` uses the digest algorithm {number} of <linux/hash_info.h>, which is not supported")]
    Digest {
        /// Its number.
        number: u8,
    },
}

impl ImaError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        "sign again: `enforcer sign --ima`, or `evmctl ima_sign --hashalgo sha256`"
    }
}

/// The signature in the attribute's value; `None` where the attribute is a plain digest, which says nothing about who vouches for it.
pub fn parse(value: &[u8]) -> Option<Result<Signature, ImaError>> {
    match value.first() {
        Some(&EVM_IMA_XATTR_DIGSIG) => Some(signature(&value[1..], 2)),
        Some(&IMA_VERITY_DIGSIG) => Some(signature(&value[1..], 3)),
        _ => None,
    }
}

/// `struct signature_v2_hdr` without its type: version, digest algorithm, key id and length (big endian), value.
fn signature(bytes: &[u8], expected: u8) -> Result<Signature, ImaError> {
    let (header, value) = bytes.split_first_chunk::<8>().ok_or(ImaError::Length)?;
    let [version, digest, k0, k1, k2, k3, l0, l1] = *header;
    if version != expected {
        return Err(ImaError::Version { version });
    }
    if usize::from(u16::from_be_bytes([l0, l1])) != value.len() || value.is_empty() {
        return Err(ImaError::Length);
    }
    let digest = match digest {
        1 => return Err(ImaError::WeakDigest { name: "MD5" }),
        2 => return Err(ImaError::WeakDigest { name: "SHA-1" }),
        4 => Algorithm::Sha256,
        5 => Algorithm::Sha384,
        6 => Algorithm::Sha512,
        number => return Err(ImaError::Digest { number }),
    };
    let signed = if version == 3 { Signed::FsVerity } else { Signed::Content };
    let statement =
        Statement { signer: SignerId::KeyIdTail([k0, k1, k2, k3]), digest, scheme: Scheme::ByKey, signed, value: value.to_vec(), timestamp: None };
    Ok(Signature { certificates: Vec::new(), statements: vec![statement], content: None })
}

/// `struct ima_file_id` with its digest: what version 3 signs.
pub(super) fn file_id(digest: &Digest) -> Vec<u8> {
    [&[IMA_VERITY_DIGSIG, HASH_ALGO_SHA256][..], &digest.bytes].concat()
}

/// `enum evm_ima_xattr_type`.
const EVM_IMA_XATTR_DIGSIG: u8 = 3;
const IMA_VERITY_DIGSIG: u8 = 6;
/// `enum hash_algo`.
const HASH_ALGO_SHA256: u8 = 4;
