//! What a certificate says, as settled facts (RFC 5280).

use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::extensions::ExtendedKeyUsage;
use x509_parser::oid_registry;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

use super::{CertificateProblem, ChainError};
use crate::text::{clipped, printable};

/// When something holds; both ends belong to it (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: UnixTime,
    /// The last second; `None` is never.
    pub not_after: Option<UnixTime>,
}

impl Validity {
    /// The time in which both hold.
    pub fn and(self, other: Self) -> Self {
        Self { not_before: self.not_before.max(other.not_before), not_after: earlier(self.not_after, other.not_after) }
    }

    /// The same, but not longer than this.
    pub fn until(self, end: Option<UnixTime>) -> Self {
        Self { not_after: earlier(self.not_after, end), ..self }
    }

    /// An error that names the subject when the time is outside.
    pub fn check(&self, subject: &str, now: UnixTime) -> Result<(), ChainError> {
        if let Some(not_after) = self.not_after.filter(|end| now > *end) {
            Err(ChainError::Expired { subject: subject.to_owned(), not_after })
        } else if now < self.not_before {
            Err(ChainError::NotYetValid { subject: subject.to_owned(), not_before: self.not_before })
        } else {
            Ok(())
        }
    }
}

/// The kinds of public key that signatures may be checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with this many bits.
    Rsa(usize),
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// Ed25519.
    Ed25519,
}

/// What a certificate says about itself. Nothing in it is verified.
#[derive(Clone, Debug)]
pub struct CertificateFacts {
    /// The subject's name, fit for a terminal.
    pub subject: String,
    /// The issuer's name, fit for a terminal.
    pub issuer: String,
    /// The issuer's name in DER.
    pub issuer_der: Vec<u8>,
    /// The serial number's content bytes in DER.
    pub serial: Vec<u8>,
    /// The subject key identifier.
    pub key_id: Option<Vec<u8>>,
    /// When it is valid.
    pub validity: Validity,
    /// Whether basicConstraints says `CA:TRUE`.
    pub is_ca: bool,
    /// How many authorities basicConstraints lets stand between it and a signer; `None` without a bound.
    pub path_length: Option<u32>,
    /// Whether keyUsage allows digital signatures; `None` without the extension.
    pub digital_signature: Option<bool>,
    /// Whether keyUsage allows issuing certificates; `None` without the extension.
    pub certificate_signing: Option<bool>,
    /// Whether extendedKeyUsage contains code signing; `None` without the extension.
    pub code_signing: Option<bool>,
    /// Whether extendedKeyUsage is critical and contains time stamping alone (RFC 3161 §2.3).
    pub time_stamping: bool,
    /// The bits of its public key (RFC 5280 §4.1.2.7).
    pub public_key: Vec<u8>,
    /// The kind of its key, or what kind it is instead of a usable one.
    pub key: Result<KeyKind, String>,
}

impl CertificateFacts {
    /// Reads a certificate; its DER must have no trailing bytes.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, CertificateProblem> {
        let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|error| CertificateProblem(error.to_string()))?;
        if !rest.is_empty() {
            return Err(CertificateProblem(format!("{} bytes follow it", rest.len())));
        }
        let broken = |error: x509_parser::error::X509Error| CertificateProblem(error.to_string());
        let constraints = parsed.basic_constraints().map_err(broken)?.map(|extension| extension.value);
        let key_usage = parsed.key_usage().map_err(broken)?.map(|extension| extension.value);
        let extended = parsed.extended_key_usage().map_err(broken)?;
        let time_stamping = extended.as_ref().is_some_and(|extension| extension.critical && is_time_stamping_alone(extension.value));
        let extended = extended.map(|extension| extension.value);
        let key_id = parsed.get_extension_unique(&oid_registry::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER).map_err(broken)?.and_then(|extension| {
            match extension.parsed_extension() {
                x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                _ => None,
            }
        });
        Ok(Self {
            subject: name(parsed.subject()),
            issuer: name(parsed.issuer()),
            issuer_der: parsed.issuer().as_raw().to_vec(),
            serial: parsed.raw_serial().to_vec(),
            key_id,
            validity: Validity { not_before: moment(parsed.validity().not_before), not_after: Some(moment(parsed.validity().not_after)) },
            is_ca: constraints.is_some_and(|constraints| constraints.ca),
            path_length: constraints.and_then(|constraints| constraints.path_len_constraint),
            digital_signature: key_usage.map(|usage| usage.digital_signature()),
            certificate_signing: key_usage.map(|usage| usage.key_cert_sign()),
            code_signing: extended.map(|usage| usage.code_signing),
            time_stamping,
            public_key: parsed.public_key().subject_public_key.data.to_vec(),
            key: key_kind(parsed.public_key()),
        })
    }

    /// Whether the certificate itself, apart from any chain, may sign code.
    ///
    /// A pinned certificate need not have the extended key usage, but if it has, code signing must be in it.
    pub fn may_sign_code(&self, pinned: bool) -> Result<(), ChainError> {
        let subject = || self.subject.clone();
        if self.is_ca && !pinned {
            return Err(ChainError::CaAsSigner { subject: subject() });
        }
        if !self.code_signing.unwrap_or(pinned) {
            return Err(ChainError::NotForCodeSigning { subject: subject() });
        }
        if self.digital_signature == Some(false) {
            return Err(ChainError::NotForSigning { subject: subject() });
        }
        Ok(())
    }

    /// What IMA calls the key: the last four bytes of the subject key identifier, or of the SHA-1 of the key (`evmctl`), which here is only a name.
    pub fn ima_key_id(&self) -> [u8; 4] {
        let hashed = || ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &self.public_key).as_ref().to_vec();
        let id = self.key_id.clone().unwrap_or_else(hashed);
        id.last_chunk().copied().unwrap_or_default()
    }

    /// Whether the certificate itself, apart from any chain, may certify times.
    pub fn may_certify_times(&self) -> Result<(), ChainError> {
        if self.time_stamping { Ok(()) } else { Err(ChainError::NotForTimeStamping { subject: self.subject.clone() }) }
    }
}

fn is_time_stamping_alone(usage: &ExtendedKeyUsage<'_>) -> bool {
    let ExtendedKeyUsage { any, server_auth, client_auth, code_signing, email_protection, time_stamping, ocsp_signing, other } = usage;
    *time_stamping && ![*any, *server_auth, *client_auth, *code_signing, *email_protection, *ocsp_signing].contains(&true) && other.is_empty()
}

/// The earlier of two ends, of which `None` never comes.
pub(super) fn earlier(one: Option<UnixTime>, other: Option<UnixTime>) -> Option<UnixTime> {
    [one, other].into_iter().flatten().min()
}

/// A time as people write it: `2026-01-31 23:59:59 UTC`.
pub fn date(time: UnixTime) -> String {
    let parsed = i64::try_from(time.as_secs()).ok().and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    match parsed.map(|time| time.to_datetime()) {
        Some(t) => format!("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", t.year(), u8::from(t.month()), t.day(), t.hour(), t.minute(), t.second()),
        None => format!("second {} of 1970", time.as_secs()),
    }
}

/// Names come from strangers: nothing in them may steer a terminal or fill a log.
pub(super) fn name(name: &X509Name<'_>) -> String {
    clipped(&printable(&name.to_string()), MAX_NAME).to_owned()
}

/// Times before 1970 count as 1970: nothing was signed then.
pub(super) fn moment(time: ASN1Time) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0)))
}

fn key_kind(spki: &SubjectPublicKeyInfo<'_>) -> Result<KeyKind, String> {
    let algorithm = &spki.algorithm.algorithm;
    if *algorithm == oid_registry::OID_SIG_ED25519 {
        return Ok(KeyKind::Ed25519);
    }
    if *algorithm == oid_registry::OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = spki.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        return match curve {
            Some(curve) if curve == oid_registry::OID_EC_P256 => Ok(KeyKind::P256),
            Some(curve) if curve == oid_registry::OID_NIST_EC_P384 => Ok(KeyKind::P384),
            Some(curve) => Err(format!("EC on the curve {curve}")),
            None => Err("EC on a curve without a name".to_owned()),
        };
    }
    match spki.parsed() {
        Ok(PublicKey::RSA(key)) if *algorithm == oid_registry::OID_PKCS1_RSAENCRYPTION => {
            let leading = key.modulus.iter().position(|byte| *byte != 0).map_or(&[][..], |at| &key.modulus[at..]);
            let bits = leading.first().map_or(0, |byte| leading.len() * 8 - byte.leading_zeros() as usize);
            match bits {
                2048..=8192 => Ok(KeyKind::Rsa(bits)),
                _ => Err(format!("RSA with {bits} bits")),
            }
        }
        _ => Err(format!("of the algorithm {algorithm}")),
    }
}

const MAX_NAME: usize = 256;
