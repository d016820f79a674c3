//! Keys of every kind, good and bad. ring signs where it can; the `openssl` command does the rest.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};

use cms::cert::x509::spki::SubjectPublicKeyInfoRef;
use der::Decode;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use tempfile::TempDir;

use crate::tree::{Node, bit_string, null, oid, raw, sequence};

/// Digest algorithms, good and bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Md {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Md {
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    pub fn oid(self) -> &'static str {
        match self {
            Self::Md5 => "1.2.840.113549.2.5",
            Self::Sha1 => "1.3.14.3.2.26",
            Self::Sha224 => "2.16.840.1.101.3.4.2.4",
            Self::Sha256 => "2.16.840.1.101.3.4.2.1",
            Self::Sha384 => "2.16.840.1.101.3.4.2.2",
            Self::Sha512 => "2.16.840.1.101.3.4.2.3",
        }
    }

    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &ring::digest::SHA256,
            Self::Sha384 => &ring::digest::SHA384,
            Self::Sha512 => &ring::digest::SHA512,
            Self::Md5 | Self::Sha224 => return openssl_with_input(&["dgst", "-binary", &format!("-{}", self.name())], bytes),
        };
        ring::digest::digest(algorithm, bytes).as_ref().to_vec()
    }
}

/// A key pair.
pub struct Key {
    pub kind: String,
    /// SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// The bits inside of it.
    pub public: Vec<u8>,
    signer: Signer,
    path: String,
}

enum Signer {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
    Command,
}

impl Key {
    /// A new one; `kind` is a curve, or `rsa` with the number of bits.
    pub fn new(kind: &str) -> Arc<Self> {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = FOLDER.path().join(format!("{kind}.{number}.key")).to_str().expect("a UTF-8 path").to_owned();
        let random = SystemRandom::new();
        let pkcs8 = match kind {
            "p256" => EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap().as_ref().to_vec(),
            "p384" => EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P384_SHA384_ASN1_SIGNING, &random).unwrap().as_ref().to_vec(),
            "ed25519" => Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref().to_vec(),
            _ => generate(kind),
        };
        fs::write(&path, &pkcs8).unwrap();
        let ec = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8, &random).unwrap();
        let signer = match kind {
            "p256" => Signer::P256(ec(&signature::ECDSA_P256_SHA256_ASN1_SIGNING)),
            "p384" => Signer::P384(ec(&signature::ECDSA_P384_SHA384_ASN1_SIGNING)),
            "ed25519" => Signer::Ed25519(Ed25519KeyPair::from_pkcs8(&pkcs8).unwrap()),
            _ => RsaKeyPair::from_pkcs8(&pkcs8).map_or(Signer::Command, Signer::Rsa),
        };
        let ec_spki = |curve, public: &[u8]| sequence(vec![sequence(vec![oid("", EC), oid("", curve)]), bit_string(public)]).der();
        let (spki, public) = match &signer {
            Signer::P256(pair) => (ec_spki(P256, pair.public_key().as_ref()), pair.public_key().as_ref().to_vec()),
            Signer::P384(pair) => (ec_spki(P384, pair.public_key().as_ref()), pair.public_key().as_ref().to_vec()),
            Signer::Ed25519(pair) => {
                let public = pair.public_key().as_ref();
                (sequence(vec![sequence(vec![oid("", ED25519)]), bit_string(public)]).der(), public.to_vec())
            }
            Signer::Rsa(pair) => {
                let public = pair.public_key().as_ref();
                (sequence(vec![sequence(vec![oid("", RSA), null()]), bit_string(public)]).der(), public.to_vec())
            }
            Signer::Command => {
                let spki = openssl_with_input(&["pkey", "-inform", "DER", "-pubout", "-outform", "DER"], &pkcs8);
                let public = SubjectPublicKeyInfoRef::from_der(&spki).unwrap().subject_public_key.raw_bytes().to_vec();
                (spki, public)
            }
        };
        Arc::new(Self { kind: kind.to_owned(), spki, public, signer, path })
    }

    /// One that is shared by everybody who asks, since RSA keys take long to make.
    pub fn shared(kind: &str) -> Arc<Self> {
        static MADE: LazyLock<Mutex<HashMap<String, Arc<Key>>>> = LazyLock::new(Mutex::default);
        Arc::clone(MADE.lock().unwrap().entry(kind.to_owned()).or_insert_with(|| Self::new(kind)))
    }

    /// Signs a message that this algorithm digests first.
    pub fn sign(&self, md: Md, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match (&self.signer, md) {
            (Signer::P256(pair), Md::Sha256) | (Signer::P384(pair), Md::Sha384) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            (Signer::Ed25519(pair), _) => pair.sign(message).as_ref().to_vec(),
            (Signer::Rsa(pair), Md::Sha256 | Md::Sha384 | Md::Sha512) => {
                let padding: &dyn signature::RsaEncoding = match md {
                    Md::Sha256 => &signature::RSA_PKCS1_SHA256,
                    Md::Sha384 => &signature::RSA_PKCS1_SHA384,
                    _ => &signature::RSA_PKCS1_SHA512,
                };
                let mut value = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, message, &mut value).unwrap();
                value
            }
            _ => openssl_with_input(&["dgst", &format!("-{}", md.name()), "-keyform", "DER", "-sign", &self.path], message),
        }
    }

    /// The AlgorithmIdentifier of such a signature.
    pub fn algorithm(&self, md: Md) -> Node {
        match (self.kind.as_str(), md) {
            ("ed25519", _) => sequence(vec![oid("", ED25519)]),
            (kind, _) if kind.starts_with("rsa") => {
                let last = match md {
                    Md::Md5 => 4,
                    Md::Sha1 => 5,
                    Md::Sha256 => 11,
                    Md::Sha384 => 12,
                    Md::Sha512 => 13,
                    Md::Sha224 => 14,
                };
                sequence(vec![oid("", &format!("1.2.840.113549.1.1.{last}")), null()])
            }
            (_, Md::Sha1) => sequence(vec![oid("", "1.2.840.10045.4.1")]),
            (_, Md::Sha224) => sequence(vec![oid("", "1.2.840.10045.4.3.1")]),
            (_, Md::Sha256) => sequence(vec![oid("", "1.2.840.10045.4.3.2")]),
            (_, Md::Sha384) => sequence(vec![oid("", "1.2.840.10045.4.3.3")]),
            (_, _) => sequence(vec![oid("", "1.2.840.10045.4.3.4")]),
        }
    }

    /// The digest that fits it best.
    pub fn md(&self) -> Md {
        match self.kind.as_str() {
            "p384" => Md::Sha384,
            "p521" | "ed25519" => Md::Sha512,
            _ => Md::Sha256,
        }
    }

    /// The SubjectPublicKeyInfo as an element.
    pub fn spki_node(&self) -> Node {
        raw("subjectPublicKeyInfo", self.spki.clone())
    }

    /// The private key, PKCS #8 in DER.
    pub fn path(&self) -> &str {
        &self.path
    }
}

fn generate(kind: &str) -> Vec<u8> {
    let bits;
    let arguments: &[&str] = match kind {
        "p521" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        "p224" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"],
        "secp256k1" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
        "brainpool" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"],
        "explicit" => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"],
        "ed448" => &["-algorithm", "ED448"],
        rsa => {
            bits = format!("rsa_keygen_bits:{}", rsa.strip_prefix("rsa").unwrap_or_else(|| panic!("no such kind: {rsa}")));
            &["-algorithm", "RSA", "-pkeyopt", &bits]
        }
    };
    let made = openssl_with_input(&[&["genpkey", "-quiet"][..], arguments].concat(), &[]);
    openssl_with_input(&["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"], &made)
}

/// What the `openssl` command makes of these bytes.
pub fn openssl_with_input(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the openssl command is needed: apt install openssl");
    child.stdin.take().expect("piped").write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {}\n{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    output.stdout
}

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

const EC: &str = "1.2.840.10045.2.1";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const RSA: &str = "1.2.840.113549.1.1.1";
const ED25519: &str = "1.3.101.112";
