//! Anchors, chains and time: whose signature counts, and for what.
//!
//! [`TrustStore::accept`] turns a certificate into an [`Authority`], which nothing else makes. Never looks at signed bytes (that is
//! [`crate::signature`]'s work) and never reads a clock: time is a parameter.

mod certificate;
mod chain;
mod error;
mod load;
mod record;
mod revoked;
mod security_versions;

use std::sync::Arc;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};

pub use certificate::{CertificateFacts, KeyKind, Validity, date};
pub use error::{CertificateProblem, ChainError, TrustError, TrustProblem};
pub use load::{read_certificates, read_pem};
pub use record::RecordError;
pub use revoked::{Revocation, Revoked, Subject, parse_sha256};
pub use security_versions::SecurityVersions;

use crate::policy::Signer;

/// The signers of a policy with their certificates read: rules in the policy's order.
pub struct TrustStore {
    rules: Vec<Rule>,
}

/// A signer of the policy, ready for use.
struct Rule {
    number: u32,
    name: Arc<str>,
    uses: u32,
    anchors: Vec<Anchor>,
    pinned: Vec<CertificateDer<'static>>,
}

struct Anchor {
    trust: TrustAnchor<'static>,
    subject: String,
    validity: Validity,
}

impl TrustStore {
    /// Reads every certificate that the signers name. All or nothing: one unfit certificate is an error.
    pub fn load(signers: &[Signer], now: UnixTime) -> Result<Self, TrustError> {
        let rules = signers.iter().zip(0..).map(|(signer, number)| load::rule(signer, number, now)).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// Decides whether this certificate may sign code at this time: the first rule of the policy that says yes.
    ///
    /// `others` are certificates that came with the signature; they can complete a chain and add no trust.
    pub fn accept(&self, certificate: &CertificateDer<'_>, others: &[CertificateDer<'_>], now: UnixTime) -> Result<Authority, ChainError> {
        let facts = CertificateFacts::of(certificate)?;
        let mut failure = None;
        for rule in &self.rules {
            match chain::accept(rule, certificate, &facts, others, now) {
                Ok(validity) => return Ok(Authority::new(rule, certificate, &facts, validity)),
                Err(error) => failure = Some(ChainError::more_telling(failure, error)),
            }
        }
        Err(failure.unwrap_or(ChainError::NoSigners))
    }

    /// The pinned certificates: a signature may leave its signer's certificate out when the policy pins it.
    pub fn pinned(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.rules.iter().flat_map(|rule| &rule.pinned)
    }
}

/// A signer that the policy trusts, and for how long. Only [`TrustStore::accept`] makes one.
#[derive(Debug)]
pub struct Authority {
    signer: u32,
    name: Arc<str>,
    uses: u32,
    validity: Validity,
    subject: String,
    fingerprint: [u8; 32],
}

impl Authority {
    fn new(rule: &Rule, certificate: &CertificateDer<'_>, facts: &CertificateFacts, validity: Validity) -> Self {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, certificate).as_ref());
        Self { signer: rule.number, name: Arc::clone(&rule.name), uses: rule.uses, validity, subject: facts.subject.clone(), fingerprint }
    }

    /// The number of the policy's signer rule.
    pub fn signer(&self) -> u32 {
        self.signer
    }

    /// The name of the policy's signer rule.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bits of [`enforcer_common::USE_EXEC`] and [`enforcer_common::USE_LIBRARY`].
    pub fn uses(&self) -> u32 {
        self.uses
    }

    /// When every certificate of the chain is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The subject of the signer's certificate.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// SHA-256 of the signer's certificate (DER).
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}
