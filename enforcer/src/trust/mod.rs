//! Anchors, chains, revocation and time: whose signature counts, and for what.
//!
//! [`TrustStore::accept`] turns a certificate into an [`Authority`], which nothing else makes. Never looks at signed bytes (that is
//! [`crate::signature`]'s work) and never reads a clock: time is a parameter.

mod certificate;
mod chain;
mod crl;
mod dates;
mod error;
mod load;
mod named;
pub(crate) mod record;
mod revoked;
mod security_versions;
mod twin;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};

pub use certificate::{CertificateFacts, KeyKind, Validity, date};
pub use crl::{ListMark, OverdueCrl};
pub use dates::{CertificateRole, Expiry, NextUpdate};
pub use error::{CertificateProblem, ChainError, TrustError, TrustProblem};
pub use load::{read_certificates, read_pem};
pub use named::NamedCertificates;
pub use record::RecordError;
pub use revoked::{Revocation, Revoked, Subject, parse_sha256};
pub use security_versions::SecurityVersions;

use crate::policy::{self, Policy, Signer};
use chain::{Candidate, Purpose};
use crl::Crls;

/// The signers of a policy with their certificates read: rules in the policy's order.
pub struct TrustStore {
    rules: Arc<[Rule]>,
    timestamp_rules: Arc<[Rule]>,
    /// Pinned certificates and intermediates of all signers.
    certificates: Arc<[(CertificateDer<'static>, CertificateFacts)]>,
    /// The files that the certificates were read from, each with the SHA-256 of the bytes that were read.
    files: Arc<[(PathBuf, [u8; 32])]>,
    revocation: Revocations,
    /// Chains that were accepted, by what they were made of: most files of a host are signed by few certificates.
    accepted: Mutex<HashMap<[u8; 32], Arc<Authority>>>,
}

/// Who is trusted no longer.
struct Revocations {
    crls: Arc<Crls>,
    revoked: Revoked,
}

/// A signer or a timestamp authority of the policy, ready for use.
struct Rule {
    number: u32,
    name: Arc<str>,
    uses: u32,
    entitlements: Arc<[String]>,
    anchors: Vec<Anchor>,
    pinned: Vec<CertificateDer<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
}

struct Anchor {
    certificate: CertificateDer<'static>,
    trust: TrustAnchor<'static>,
    subject: String,
    fingerprint: [u8; 32],
    validity: Validity,
    path_length: Option<u32>,
}

impl Revocations {
    fn load(revocation: &policy::Revocation) -> Result<Self, TrustError> {
        let revoked = Revoked::load(&revocation.file).map_err(|problem| TrustError {
            whose: "revocations".to_owned(),
            path: revocation.file.clone(),
            problem: Box::new(TrustProblem::Revoked(problem)),
        })?;
        Ok(Self { crls: Arc::new(Crls::load(revocation)?), revoked })
    }
}

impl TrustStore {
    /// Reads every certificate, revocation list and revocation that the policy names. All or nothing: one that is unfit is an error.
    pub fn load(policy: &Policy, now: UnixTime) -> Result<Self, TrustError> {
        // With timestamps, signatures outlive their anchors.
        let outdated_allowed = !policy.timestamp_authorities.is_empty();
        let mut files = Vec::new();
        let load = |(signer, number)| load::rule(signer, number, now, outdated_allowed, &mut files);
        let rules: Vec<Rule> = policy.signers.iter().zip(0..).map(load).collect::<Result<_, _>>()?;
        let load = |(authority, number)| load::timestamp_rule(authority, number, &mut files);
        let timestamp_rules: Vec<Rule> = policy.timestamp_authorities.iter().zip(0..).map(load).collect::<Result<_, _>>()?;
        let revocation = Revocations::load(&policy.revocation)?;
        Ok(Self { files: files.into(), ..Self::of_rules(rules, timestamp_rules, revocation) })
    }

    fn of_rules(rules: Vec<Rule>, timestamp_rules: Vec<Rule>, revocation: Revocations) -> Self {
        let certificates = rules.iter().flat_map(|rule| rule.pinned.iter().chain(&rule.intermediates));
        // Reading them has succeeded before.
        let certificates = certificates.filter_map(|one| Some((one.clone(), CertificateFacts::of(one).ok()?))).collect();
        let (rules, timestamp_rules) = (rules.into(), timestamp_rules.into());
        Self { rules, timestamp_rules, certificates, files: Arc::default(), revocation, accepted: Mutex::default() }
    }

    /// The same signers, with what is revoked read anew. No certificate is read again: what was changed on the disk since is not trusted by this.
    pub fn renewed(&self, revocation: &policy::Revocation) -> Result<Self, TrustError> {
        Ok(Self {
            rules: Arc::clone(&self.rules),
            timestamp_rules: Arc::clone(&self.timestamp_rules),
            certificates: Arc::clone(&self.certificates),
            files: Arc::clone(&self.files),
            revocation: Revocations::load(revocation)?,
            accepted: Mutex::default(),
        })
    }

    /// What is wrong with the files of each signer by itself, for a report on all of them.
    pub fn check_signer(signer: &Signer, now: UnixTime) -> Result<(), TrustError> {
        load::rule(signer, 0, now, false, &mut Vec::new()).map(|_| ())
    }

    /// Every file that certificates were read from, with the SHA-256 of what was read.
    pub fn files(&self) -> &[(PathBuf, [u8; 32])] {
        &self.files
    }

    /// Decides whether this certificate may sign code: the first rule of the policy that says yes.
    ///
    /// `others` are certificates that came with the signature; they can complete a chain and add no trust. `signed_at` is when a trusted timestamp
    /// says that the signature was made: then the chain has to hold at that time, and goes on to do so. Revocations count either way.
    pub fn accept(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        signed_at: Option<UnixTime>,
        now: UnixTime,
    ) -> Result<Arc<Authority>, ChainError> {
        let key = cache_key(certificate, others, signed_at);
        if let Some(known) = self.lock().get(&key).cloned()
            && known.check(now).is_ok()
        {
            return Ok(known);
        }
        let facts = CertificateFacts::of(certificate)?;
        let candidate = Candidate { certificate, facts: &facts, others, at: signed_at.unwrap_or(now), now };
        let mut failure = None;
        for rule in self.rules.iter() {
            if self.revocation.revoked.has_signer(&rule.name) {
                failure = Some(ChainError::more_telling(failure, ChainError::SignerRevoked { name: rule.name.to_string() }));
                continue;
            }
            match chain::accept(rule, Purpose::CodeSigning, &candidate, &self.revocation) {
                Ok(path) => {
                    let authority = Arc::new(Authority::new(rule, &candidate, path, signed_at));
                    let mut accepted = self.lock();
                    if accepted.len() >= MAX_ACCEPTED {
                        accepted.clear();
                    }
                    accepted.insert(key, Arc::clone(&authority));
                    return Ok(authority);
                }
                Err(error) if error.is_exhaustion() => return Err(error),
                Err(error) => failure = Some(ChainError::more_telling(failure, error)),
            }
        }
        Err(failure.unwrap_or(ChainError::NoSigners))
    }

    /// Decides whether this certificate could certify a time at that very time; the name of the policy's authority that it belongs to.
    pub fn accept_timestamp(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        at: UnixTime,
        now: UnixTime,
    ) -> Result<&str, ChainError> {
        let facts = CertificateFacts::of(certificate)?;
        let candidate = Candidate { certificate, facts: &facts, others, at, now };
        let mut failure = None;
        for rule in self.timestamp_rules.iter() {
            match chain::accept(rule, Purpose::TimeStamping, &candidate, &self.revocation) {
                Ok(_) => return Ok(&rule.name),
                Err(error) if error.is_exhaustion() => return Err(error),
                Err(error) => failure = Some(ChainError::more_telling(failure, error)),
            }
        }
        Err(failure.unwrap_or(ChainError::NoTimestampAuthorities))
    }

    /// The certificates that a signature may leave out: pinned ones and intermediates.
    pub fn certificates(&self) -> impl Iterator<Item = (&CertificateDer<'static>, &CertificateFacts)> {
        self.certificates.iter().map(|(certificate, facts)| (certificate, facts))
    }

    /// The certificates that a timestamp may leave out.
    pub fn timestamp_certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.timestamp_rules.iter().flat_map(|rule| &rule.intermediates)
    }

    /// Single digests, certificates and signers that are revoked.
    pub fn revoked(&self) -> &Revoked {
        &self.revocation.revoked
    }

    /// Goes by these revocations from now on, instead of those that were read.
    pub fn set_revoked(&mut self, revoked: Revoked) {
        self.revocation.revoked = revoked;
        self.lock().clear();
    }

    /// Which revocation lists there are, and of when.
    pub fn list_marks(&self) -> Vec<ListMark> {
        self.revocation.crls.marks()
    }

    /// The revocation lists whose next update is overdue.
    pub fn overdue_crls(&self, now: UnixTime) -> Vec<OverdueCrl> {
        self.revocation.crls.overdue(now)
    }

    /// When the certificates of the policy's signers and timestamp authorities expire, the first to do so on top, and no more than 256: of several with the same
    /// name and role, the first.
    pub fn expiries(&self) -> Vec<Expiry> {
        let mut found = BTreeMap::new();
        for rule in self.rules.iter().chain(self.timestamp_rules.iter()) {
            let anchors = rule.anchors.iter().map(|anchor| (CertificateRole::Anchor, anchor.subject.clone(), anchor.validity.not_after));
            let others = [(CertificateRole::Pinned, &rule.pinned), (CertificateRole::Intermediate, &rule.intermediates)];
            let others = others.into_iter().flat_map(|(role, certificates)| certificates.iter().map(move |certificate| (role, certificate)));
            // Reading them has succeeded before.
            let others = others.filter_map(|(role, certificate)| Some((role, CertificateFacts::of(certificate).ok()?)));
            for (role, subject, not_after) in anchors.chain(others.map(|(role, facts)| (role, facts.subject, facts.validity.not_after))) {
                let Some(not_after) = not_after else { continue };
                let first = found.entry((rule.name.to_string(), role, subject)).or_insert(not_after);
                *first = not_after.min(*first);
            }
        }
        let expiry = |((whose, role, subject), not_after): (_, UnixTime)| Expiry { whose, role, subject, not_after_seconds: not_after.as_secs() };
        let mut expiries: Vec<Expiry> = found.into_iter().map(expiry).collect();
        expiries.sort_by_key(|expiry| expiry.not_after_seconds);
        expiries.truncate(MOST_EXPIRIES);
        expiries
    }

    /// When the next revocation lists are due: of several lists of one issuer, the first.
    pub fn next_updates(&self) -> Vec<NextUpdate> {
        self.revocation.crls.next_updates()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Arc<Authority>>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A signer that the policy trusts, and for how long. Only [`TrustStore::accept`] makes one.
#[derive(Debug)]
pub struct Authority {
    signer: u32,
    name: Arc<str>,
    uses: u32,
    entitlements: Arc<[String]>,
    validity: Validity,
    signed_at: Option<UnixTime>,
    chain: Vec<String>,
    fingerprint: [u8; 32],
}

impl Authority {
    fn new(rule: &Rule, candidate: &Candidate<'_>, path: chain::Accepted, signed_at: Option<UnixTime>) -> Self {
        Self {
            signer: rule.number,
            name: Arc::clone(&rule.name),
            uses: rule.uses,
            entitlements: Arc::clone(&rule.entitlements),
            validity: if signed_at.is_some() { Validity { not_after: None, ..path.validity } } else { path.validity }.until(path.known_until),
            signed_at,
            chain: path.subjects,
            fingerprint: fingerprint(candidate.certificate),
        }
    }

    /// The number of the policy's signer rule.
    pub fn signer(&self) -> u32 {
        self.signer
    }

    /// The name of the policy's signer rule.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bits of [`enforcer_common::USE_EXEC`], [`enforcer_common::USE_LIBRARY`] and [`enforcer_common::USE_MODULE`].
    pub fn uses(&self) -> u32 {
        self.uses
    }

    /// The entitlements that the rule grants to whom its signatures give them.
    pub fn entitlements(&self) -> &[String] {
        &self.entitlements
    }

    /// When the chain holds; without an end when a timestamp says when the signature was made.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Whether it holds at this time: it may have been accepted long ago.
    pub fn check(&self, now: UnixTime) -> Result<(), ChainError> {
        self.validity.check(self.subject(), now)
    }

    /// When the signature was made, if a trusted timestamp says so.
    pub fn signed_at(&self) -> Option<UnixTime> {
        self.signed_at
    }

    /// The subject of the signer's certificate.
    pub fn subject(&self) -> &str {
        self.chain.first().map_or("", String::as_str)
    }

    /// The subjects from the signer's certificate to the anchor; a pinned certificate stands alone.
    pub fn chain(&self) -> &[String] {
        &self.chain
    }

    /// SHA-256 of the signer's certificate (DER).
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}

/// Reads a stranger's certificate in every way in which a decision about it will, and forgets what it says.
pub fn rehearse(certificate: &CertificateDer<'_>) {
    _ = CertificateFacts::of(certificate);
    _ = webpki::EndEntityCert::try_from(certificate);
    _ = twin::twins(certificate);
}

/// SHA-256 of a certificate's DER.
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    crate::text::sha256(certificate)
}

/// Everything that the decision about a chain rests on, besides the store itself and the time.
fn cache_key(certificate: &CertificateDer<'_>, others: &[CertificateDer<'_>], signed_at: Option<UnixTime>) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for one in std::iter::once(certificate).chain(others) {
        context.update(&(one.len() as u64).to_le_bytes());
        context.update(one);
    }
    context.update(&signed_at.map_or([0; 8], |time| time.as_secs().to_le_bytes()));
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

/// Chains that are remembered. A host knows few; an attacker can make many, and then each costs what it costs.
const MAX_ACCEPTED: usize = 1024;
/// Certificates whose dates are told. A bundle of intermediates may hold thousands, and those that expire first matter.
const MOST_EXPIRIES: usize = 256;
