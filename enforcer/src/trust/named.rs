//! Certificates that are kept by themselves, without the files that they came from: what outlives the policy that named them.

use std::path::PathBuf;
use std::sync::Arc;

use enforcer_common::{USE_EXEC, USE_LIBRARY};
use rustls_pki_types::CertificateDer;

use super::crl::Crls;
use super::error::TrustProblem;
use super::{Revocations, Revoked, Rule, TrustError, TrustStore, load};

/// The certificates of one signer or timestamp authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCertificates {
    /// Its name in the policy.
    pub name: String,
    /// Certificate authorities.
    pub anchors: Vec<CertificateDer<'static>>,
    /// Certificates that are trusted by themselves.
    pub pinned: Vec<CertificateDer<'static>>,
    /// Certificates that signatures may leave out.
    pub intermediates: Vec<CertificateDer<'static>>,
}

impl TrustStore {
    /// The certificates of the signers with these names.
    pub fn certificates_of(&self, names: &[String]) -> Vec<NamedCertificates> {
        self.rules.iter().filter(|rule| names.iter().any(|name| *name == *rule.name)).map(NamedCertificates::of).collect()
    }

    /// The certificates of the timestamp authorities.
    pub fn certificates_of_clocks(&self) -> Vec<NamedCertificates> {
        self.timestamp_rules.iter().map(NamedCertificates::of).collect()
    }

    /// A store that trusts these alone, for whatever they sign, and goes by the same revocations as this one.
    ///
    /// # Errors
    /// One of the certificates is unfit.
    pub fn of_named(&self, signers: &[NamedCertificates], clocks: &[NamedCertificates]) -> Result<Self, TrustError> {
        let revocation = Revocations { crls: Arc::clone(&self.revocation.crls), revoked: self.revocation.revoked.clone() };
        let rules = |named: &[NamedCertificates]| named.iter().zip(0..).map(|(named, number)| named.rule(number)).collect::<Result<Vec<_>, _>>();
        Ok(Self::of_rules(rules(signers)?, rules(clocks)?, revocation))
    }

    /// A store that trusts nobody.
    pub fn of_nobody(revoked: Revoked) -> Self {
        Self::of_rules(Vec::new(), Vec::new(), Revocations { crls: Arc::new(Crls::none()), revoked })
    }
}

impl NamedCertificates {
    fn of(rule: &Rule) -> Self {
        Self {
            name: rule.name.to_string(),
            anchors: rule.anchors.iter().map(|anchor| anchor.certificate.clone()).collect(),
            pinned: rule.pinned.clone(),
            intermediates: rule.intermediates.clone(),
        }
    }

    fn rule(&self, number: u32) -> Result<Rule, TrustError> {
        let unfit = |problem: TrustProblem| TrustError {
            whose: format!("policy signer `{}`", self.name),
            path: PathBuf::from("the policy in force"),
            problem: Box::new(problem),
        };
        Ok(Rule {
            number,
            name: Arc::from(self.name.as_str()),
            uses: USE_EXEC | USE_LIBRARY,
            entitlements: Arc::default(),
            // Whether one is in time is asked of each signature.
            anchors: self.anchors.iter().map(|certificate| load::anchor(certificate, None)).collect::<Result<_, _>>().map_err(unfit)?,
            pinned: self.pinned.clone(),
            intermediates: self.intermediates.clone(),
        })
    }
}
