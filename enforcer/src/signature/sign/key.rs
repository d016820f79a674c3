//! Private keys: PEM in, signatures out. Reading and signing are ring's.

use std::path::Path;

use cms::cert::x509::spki::AlgorithmIdentifierRef;
use der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use der::{Decode, Reader, Sequence};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use super::scheme::Scheme;
use super::{Algorithm, KeyError, SignError};
use crate::trust::{KeyKind, read_pem};

/// A key that fits its certificate.
pub(super) enum PrivateKey {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl PrivateKey {
    /// Reads the key that belongs to a certificate with this public key.
    pub(super) fn load(path: &Path, kind: KeyKind, public: &[u8]) -> Result<Self, KeyError> {
        let pem = read_pem(path)?;
        let text = String::from_utf8_lossy(&pem);
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(KeyError::Encrypted);
        }
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| KeyError::NoKey)?;
        let key = match kind {
            KeyKind::Rsa(_) => Self::Rsa(rsa(&key)?),
            KeyKind::P256 => Self::P256(ecdsa(&key, &ECDSA_P256_SHA256_ASN1_SIGNING, public)?),
            KeyKind::P384 => Self::P384(ecdsa(&key, &ECDSA_P384_SHA384_ASN1_SIGNING, public)?),
            KeyKind::Ed25519 => Self::Ed25519(ed25519(&key)?),
        };
        if key.public() == public { Ok(key) } else { Err(KeyError::Mismatch) }
    }

    /// Signs a message.
    pub(super) fn sign(&self, message: &[u8], scheme: &Scheme) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(rsa_encoding(scheme), &random, message, &mut signature).map_err(|_| SignError::Signing)?;
                Ok(signature)
            }
            Self::P256(key) | Self::P384(key) => Ok(key.sign(&random, message).map_err(|_| SignError::Signing)?.as_ref().to_vec()),
            Self::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }

    fn public(&self) -> &[u8] {
        match self {
            Self::Rsa(key) => key.public_key().as_ref(),
            Self::P256(key) | Self::P384(key) => key.public_key().as_ref(),
            Self::Ed25519(key) => key.public_key().as_ref(),
        }
    }
}

fn rsa_encoding(scheme: &Scheme) -> &'static dyn RsaEncoding {
    match (scheme.digest(), scheme.is_pss()) {
        (Algorithm::Sha256, false) => &RSA_PKCS1_SHA256,
        (Algorithm::Sha384, false) => &RSA_PKCS1_SHA384,
        (Algorithm::Sha512, false) => &RSA_PKCS1_SHA512,
        (Algorithm::Sha256, true) => &RSA_PSS_SHA256,
        (Algorithm::Sha384, true) => &RSA_PSS_SHA384,
        (Algorithm::Sha512, true) => &RSA_PSS_SHA512,
    }
}

fn rsa(key: &PrivateKeyDer<'_>) -> Result<RsaKeyPair, KeyError> {
    match key {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(unusable),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(unusable),
        _ => Err(KeyError::Mismatch),
    }
}

fn ed25519(key: &PrivateKeyDer<'_>) -> Result<Ed25519KeyPair, KeyError> {
    match key {
        PrivateKeyDer::Pkcs8(der) => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map_err(unusable),
        _ => Err(KeyError::Mismatch),
    }
}

/// The public half may be missing in the file, so it is the certificate's; ring checks that both belong together.
fn ecdsa(key: &PrivateKeyDer<'_>, algorithm: &'static EcdsaSigningAlgorithm, public: &[u8]) -> Result<EcdsaKeyPair, KeyError> {
    let broken = |error: der::Error| KeyError::Unusable { reason: error.to_string() };
    let inner = match key {
        PrivateKeyDer::Sec1(der) => der.secret_sec1_der(),
        PrivateKeyDer::Pkcs8(der) => PrivateKeyInfo::from_der(der.secret_pkcs8_der()).map_err(broken)?.key.as_bytes(),
        _ => return Err(KeyError::Mismatch),
    };
    let private = EcPrivateKey::from_der(inner).map_err(|_| KeyError::Mismatch)?;
    // ring's reasons for a wrong pair differ by how the numbers happen to lie; for the user there is one.
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, private.key.as_bytes(), public, &SystemRandom::new()).map_err(|_| KeyError::Mismatch)
}

fn unusable(rejected: ring::error::KeyRejected) -> KeyError {
    match rejected.to_string().as_str() {
        "WrongAlgorithm" => KeyError::Mismatch,
        reason => KeyError::Unusable { reason: reason.to_owned() },
    }
}

/// PKCS #8 (RFC 5958 §2); what may follow the key is of no interest.
struct PrivateKeyInfo<'a> {
    key: OctetStringRef<'a>,
}

impl<'a> PrivateKeyInfo<'a> {
    fn from_der(bytes: &'a [u8]) -> der::Result<Self> {
        AnyRef::from_der(bytes)?.sequence(|reader| {
            reader.decode::<u8>()?;
            reader.decode::<AlgorithmIdentifierRef<'_>>()?;
            let key = reader.decode()?;
            reader.read_slice(reader.remaining_len())?;
            Ok(Self { key })
        })
    }
}

/// SEC 1 §C.4 (RFC 5915 §3).
#[derive(Sequence)]
struct EcPrivateKey<'a> {
    version: u8,
    key: OctetStringRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    parameters: Option<AnyRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    public: Option<BitStringRef<'a>>,
}
