//! A small public key infrastructure for trials: root, intermediate, a leaf that signs code, and one that stamps time.
//!
//! All keys come to lie in one folder, unencrypted, which is right for a trial and wrong for anything else; the README that is written says so.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use der::asn1::AnyRef;
use der::oid::db::rfc5280;
use der::{Decode, Encode, Reader, Tag};
use pem_rfc7468::LineEnding;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm,
};
use ring::digest;
use time::{Duration, OffsetDateTime};

use super::signed_data::tagged;

/// What the infrastructure shall be like.
#[derive(Clone, Debug)]
pub struct Trial {
    /// In the subjects of all certificates.
    pub name: String,
    /// The kind of all keys.
    pub key_type: KeyType,
    /// How long the leaves are valid; the authorities are for [`AUTHORITY_FACTOR`] times as long.
    pub days: u16,
}

/// A kind of key that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// Ed25519.
    Ed25519,
}

/// Why there is no infrastructure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// Something is in the folder already.
    #[error("the folder `{}` is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The folder or a file in it cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A name or number that no certificate can hold.
    #[error("the {what} is not {needed}")]
    Wish {
        /// What was asked for.
        what: &'static str,
        /// What is possible.
        needed: &'static str,
    },
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// An extension could not be encoded.
    #[error("a certificate could not be made: {0}")]
    Encoding(der::Error),
}

impl TrialError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotEmpty(_) => "name a new folder; keys are never written over",
            Self::Write { .. } => "check the name, the room on the disk, and who may write there",
            Self::Wish { .. } => "see `enforcer trust init --help`",
            Self::Certificate(_) | Self::Encoding(_) => "try another `--key-type`",
        }
    }

    /// Whether the machine failed (exit status 3), rather than the input being unfit (exit status 2).
    pub fn is_io(&self) -> bool {
        matches!(self, Self::Write { .. })
    }
}

impl Trial {
    /// Makes it, in a new or empty folder. `readme` is put beside.
    pub fn write(&self, folder: &Path, readme: &str) -> Result<(), TrialError> {
        self.check()?;
        let files = self.make(OffsetDateTime::now_utc())?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| TrialError::Write { path, source }
        };
        match fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if fs::read_dir(folder).map_err(failed(folder))?.next().is_some() {
                    return Err(TrialError::NotEmpty(folder.to_owned()));
                }
            }
            outcome => outcome.map_err(failed(folder))?,
        }
        for (name, text) in files.iter().map(|(name, text)| (*name, text.as_str())).chain([("README.txt", readme)]) {
            let path = folder.join(name);
            let mode = if name.ends_with("-key.pem") { 0o600 } else { 0o644 };
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).map_err(failed(&path))?;
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed(&path))?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TrialError> {
        if self.name.is_empty() || self.name.chars().count() > MAX_NAME || self.name.chars().any(char::is_control) {
            return Err(TrialError::Wish { what: "name", needed: "1 to 40 characters, none of them a control character" });
        }
        if !(1..=MAX_DAYS).contains(&self.days) {
            return Err(TrialError::Wish { what: "number of days", needed: "from 1 to 3650" });
        }
        Ok(())
    }

    /// The files and what is in them.
    fn make(&self, now: OffsetDateTime) -> Result<Vec<(&'static str, String)>, TrialError> {
        let (root_key, intermediate_key) = (self.key()?, self.key()?);
        let root = self.authority("Root", 1, &root_key, now);
        let root_certificate = root.self_signed(&root_key)?;
        let root_key_text = private(&root_key)?;
        let root = Issuer::new(root, root_key);
        let intermediate = self.authority("Intermediate", 0, &intermediate_key, now);
        let intermediate_certificate = intermediate.signed_by(&intermediate_key, &root)?;
        let intermediate_key_text = private(&intermediate_key)?;
        let intermediate = Issuer::new(intermediate, intermediate_key);

        let (signer, signer_key) = self.leaf("Code Signing", now, &intermediate, |leaf| {
            leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        })?;
        // RFC 3161 §2.3: this purpose alone, and critical.
        let purposes = vec![rfc5280::ID_KP_TIME_STAMPING].to_der().map_err(TrialError::Encoding)?;
        let (timestamp, timestamp_key) = self.leaf("Timestamps", now, &intermediate, |leaf| {
            let mut purpose = CustomExtension::from_oid_content(EXTENDED_KEY_USAGE, purposes);
            purpose.set_criticality(true);
            leaf.custom_extensions = vec![purpose];
        })?;
        Ok(vec![
            ("root.pem", root_certificate.pem()),
            ("root-key.pem", root_key_text),
            ("intermediate.pem", intermediate_certificate.pem()),
            ("intermediate-key.pem", intermediate_key_text),
            ("chain.pem", intermediate_certificate.pem()),
            ("signer.pem", signer.pem()),
            ("signer-key.pem", private(&signer_key)?),
            ("timestamp.pem", timestamp.pem()),
            ("timestamp-key.pem", private(&timestamp_key)?),
        ])
    }

    fn key(&self) -> Result<KeyPair, TrialError> {
        let algorithm: &'static SignatureAlgorithm = match self.key_type {
            KeyType::P256 => &PKCS_ECDSA_P256_SHA256,
            KeyType::P384 => &PKCS_ECDSA_P384_SHA384,
            KeyType::Ed25519 => &PKCS_ED25519,
        };
        Ok(KeyPair::generate_for(algorithm)?)
    }

    fn authority(&self, role: &str, below: u8, key: &KeyPair, now: OffsetDateTime) -> CertificateParams {
        let mut params = self.params(role, key, now, AUTHORITY_FACTOR);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    fn leaf(
        &self,
        role: &str,
        now: OffsetDateTime,
        issuer: &Issuer<'_, KeyPair>,
        purpose: impl FnOnce(&mut CertificateParams),
    ) -> Result<(Certificate, KeyPair), TrialError> {
        let key = self.key()?;
        let mut params = self.params(role, &key, now, 1);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        purpose(&mut params);
        Ok((params.signed_by(&key, issuer)?, key))
    }

    fn params(&self, role: &str, key: &KeyPair, now: OffsetDateTime, factor: i64) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, &self.name);
        params.distinguished_name.push(DnType::CommonName, format!("{} {role}", self.name));
        params.not_before = now - LEEWAY;
        params.not_after = now + Duration::days(i64::from(self.days) * factor);
        params.use_authority_key_identifier_extension = true;
        // SHA-1 of the key (RFC 5280 §4.2.1.2), which is what `evmctl` and others compute where they do not look.
        let id = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, key.public_key_raw());
        params.key_identifier_method = KeyIdMethod::PreSpecified(id.as_ref().to_vec());
        params
    }
}

/// The private key as PKCS #8 of version 1 (RFC 5208), in PEM: the public half, which ring adds for Ed25519, is what openssl 3.0 stumbles over.
fn private(key: &KeyPair) -> Result<String, TrialError> {
    let pem = AnyRef::from_der(key.serialized_der()).and_then(|whole| {
        whole.sequence(|reader| {
            reader.decode::<u8>()?;
            let (algorithm, value) = (reader.tlv_bytes()?, reader.tlv_bytes()?);
            reader.read_slice(reader.remaining_len())?;
            tagged(Tag::Sequence, &[&0_u8.to_der()?[..], algorithm, value].concat())
        })
    });
    let pem = pem_rfc7468::encode_string("PRIVATE KEY", LineEnding::LF, &pem.map_err(TrialError::Encoding)?);
    pem.map_err(|_| TrialError::Encoding(der::ErrorKind::Failed.into()))
}

/// The authorities live that many times as long as the leaves.
pub const AUTHORITY_FACTOR: i64 = 2;
const MAX_DAYS: u16 = 3650;
/// With the role behind it, at most the 64 characters that X.520 allows.
const MAX_NAME: usize = 40;
/// For machines whose clock is behind.
const LEEWAY: Duration = Duration::hours(1);
const EXTENDED_KEY_USAGE: &[u64] = &[2, 5, 29, 37];
