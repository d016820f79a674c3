//! One rule, one certificate: does it lead to what the rule trusts?
//!
//! Path building and every cryptographic check are rustls-webpki's. What it leaves open is decided here: keyUsage, the
//! extendedKeyUsage that must be present in the signer's certificate, validity of the anchors, pinned certificates, single revocations.

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::aws_lc_rs as algorithm;
use webpki::{EndEntityCert, KeyUsage, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath};

use super::certificate::earlier;
use super::twin::twins;
use super::{Anchor, CertificateFacts, ChainError, Revocations, Rule, Validity, fingerprint};

/// What a certificate is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Signing code.
    CodeSigning,
    /// Certifying times (RFC 3161 §2.3).
    TimeStamping,
}

/// A certificate that somebody signed with.
pub(super) struct Candidate<'a> {
    pub(super) certificate: &'a CertificateDer<'a>,
    pub(super) facts: &'a CertificateFacts,
    /// Certificates that came along.
    pub(super) others: &'a [CertificateDer<'a>],
    /// The time at which the chain has to hold.
    pub(super) at: UnixTime,
    /// The time at which revocation lists have to be fresh.
    pub(super) now: UnixTime,
}

/// A chain that holds.
pub(super) struct Accepted {
    pub(super) validity: Validity,
    /// Until when it is known that nothing in it is revoked.
    pub(super) known_until: Option<UnixTime>,
    /// From the signer's certificate to the anchor.
    pub(super) subjects: Vec<String>,
}

/// The chain by which the rule accepts the certificate, if it does.
pub(super) fn accept(rule: &Rule, purpose: Purpose, candidate: &Candidate<'_>, revocation: &Revocations) -> Result<Accepted, ChainError> {
    let facts = candidate.facts;
    if rule.pinned.iter().any(|pinned| pinned == candidate.certificate) {
        facts.validity.check(&facts.subject, candidate.at)?;
        facts.may_sign_code(true)?;
        revocation.check(facts, candidate.certificate, candidate.now)?;
        revocation.crls.check_unverified(facts)?;
        return Ok(Accepted { validity: facts.validity, known_until: revocation.crls.known_until(facts), subjects: vec![facts.subject.clone()] });
    }
    let (current, outdated): (Vec<&Anchor>, Vec<_>) =
        rule.anchors.iter().partition(|anchor| anchor.validity.check(&anchor.subject, candidate.at).is_ok());
    match path_to(&current, rule, purpose, candidate, revocation) {
        Err(ChainError::UnknownIssuer { .. }) if !outdated.is_empty() => {
            // Only to say which anchor it would have been: the answer stays no.
            let unknown = ChainError::UnknownIssuer { subject: facts.subject.clone(), issuer: facts.issuer.clone() };
            let found = outdated.iter().find(|anchor| path_to(&[anchor], rule, purpose, candidate, revocation).is_ok());
            Err(found.and_then(|anchor| anchor.validity.check(&anchor.subject, candidate.at).err()).unwrap_or(unknown))
        }
        outcome => outcome,
    }
}

fn path_to(anchors: &[&Anchor], rule: &Rule, purpose: Purpose, candidate: &Candidate<'_>, revocation: &Revocations) -> Result<Accepted, ChainError> {
    let facts = candidate.facts;
    let trusted: Vec<TrustAnchor<'_>> = anchors.iter().map(|anchor| anchor.trust.clone()).collect();
    let others: Vec<CertificateDer<'_>> = candidate.others.iter().chain(&rule.intermediates).cloned().collect();
    let refused = |source| explain(source, facts, &others, purpose);
    let lists = revocation.crls.lists();
    // Having no list is no error: not every authority issues one.
    let options = RevocationOptionsBuilder::new(&lists).ok();
    let options = options.map(|options| options.with_status_policy(UnknownStatusPolicy::Allow).build());
    let end_entity = EndEntityCert::try_from(candidate.certificate).map_err(refused)?;
    let usage = match purpose {
        Purpose::CodeSigning => KeyUsage::required_if_present(CODE_SIGNING),
        Purpose::TimeStamping => KeyUsage::required_if_present(TIME_STAMPING),
    };
    let fit = |path: &VerifiedPath<'_>| check_issuers(anchors, path);
    let path = end_entity.verify_for_usage(&algorithms(), &trusted, &others, candidate.at, usage, options, Some(&fit)).map_err(refused)?;
    match purpose {
        Purpose::CodeSigning => facts.may_sign_code(false)?,
        Purpose::TimeStamping => facts.may_certify_times()?,
    }
    // The same authority may be listed twice, renewed: the path holds as long as one of its certificates does, and all listed here hold now.
    let same = |anchor: &&&Anchor| anchor.is_the_end_of(&path);
    let unknown = || ChainError::UnknownIssuer { subject: facts.subject.clone(), issuer: facts.issuer.clone() };
    let not_revoked = |anchor: &&&Anchor| !revocation.revoked.has_certificate(&anchor.fingerprint);
    let anchor = anchors.iter().filter(same).max_by_key(|anchor| anchor.validity.not_after).ok_or_else(unknown)?;
    if !anchors.iter().filter(same).all(|anchor| not_revoked(&anchor)) {
        return Err(ChainError::Revoked { subject: anchor.subject.clone(), by: REVOCATION_FILE.to_owned() });
    }
    let mut accepted = Accepted { validity: facts.validity.and(anchor.validity), known_until: None, subjects: Vec::new() };
    accepted.add(facts, candidate.certificate, candidate.now, revocation)?;
    for intermediate in path.intermediate_certificates() {
        let der = intermediate.der();
        accepted.add(&CertificateFacts::of(&der)?, &der, candidate.now, revocation)?;
    }
    accepted.subjects.push(anchor.subject.clone());
    Ok(accepted)
}

/// What rustls-webpki leaves open about those who issue: keyUsage (RFC 5280 §6.1.4 n), the kind of their key, and the anchor's bound on the length
/// of the path. A path that fails is passed over, and others are tried.
fn check_issuers(anchors: &[&Anchor], path: &VerifiedPath<'_>) -> Result<(), webpki::Error> {
    let mut count = 0;
    for intermediate in path.intermediate_certificates() {
        let facts = CertificateFacts::of(&intermediate.der()).map_err(|_| webpki::Error::BadDer)?;
        if facts.certificate_signing == Some(false) {
            return Err(webpki::Error::EndEntityUsedAsCa);
        }
        facts.key.map_err(|_| webpki::Error::InvalidSignatureForPublicKey)?;
        count += 1;
    }
    let long_enough = |anchor: &&Anchor| anchor.path_length.is_none_or(|length| count <= length);
    let is_bounded = !anchors.iter().filter(|anchor| anchor.is_the_end_of(path)).any(long_enough);
    if is_bounded { Err(webpki::Error::PathLenConstraintViolated) } else { Ok(()) }
}

impl Anchor {
    fn is_the_end_of(&self, path: &VerifiedPath<'_>) -> bool {
        self.trust.subject == path.anchor().subject && self.trust.subject_public_key_info == path.anchor().subject_public_key_info
    }
}

impl Accepted {
    fn add(&mut self, facts: &CertificateFacts, der: &CertificateDer<'_>, now: UnixTime, revocation: &Revocations) -> Result<(), ChainError> {
        revocation.check(facts, der, now)?;
        self.validity = self.validity.and(facts.validity);
        self.known_until = earlier(self.known_until, revocation.crls.known_until(facts));
        self.subjects.push(facts.subject.clone());
        Ok(())
    }
}

impl Revocations {
    fn check(&self, facts: &CertificateFacts, der: &CertificateDer<'_>, now: UnixTime) -> Result<(), ChainError> {
        let names = |der: &[u8]| self.revoked.has_certificate(&fingerprint(der));
        if names(der) || twins(der).iter().any(|twin| names(twin)) {
            return Err(ChainError::Revoked { subject: facts.subject.clone(), by: REVOCATION_FILE.to_owned() });
        }
        self.crls.check(facts, now)
    }
}

/// Says which certificate it was, in this module's words.
fn explain(source: webpki::Error, facts: &CertificateFacts, others: &[CertificateDer<'_>], purpose: Purpose) -> ChainError {
    let subject = facts.subject.clone();
    // webpki names the date and not the certificate.
    let whose = |matches: &dyn Fn(&Validity) -> bool| {
        let parsed = others.iter().filter_map(|other| CertificateFacts::of(other).ok());
        let mut all = std::iter::once(facts.clone()).chain(parsed);
        all.find(|facts| matches(&facts.validity)).map_or_else(|| subject.clone(), |facts| facts.subject)
    };
    match source {
        webpki::Error::UnknownIssuer => ChainError::UnknownIssuer { subject, issuer: facts.issuer.clone() },
        webpki::Error::CertExpired { not_after, .. } => {
            ChainError::Expired { subject: whose(&|validity| validity.not_after == Some(not_after)), not_after }
        }
        webpki::Error::CertNotValidYet { not_before, .. } => {
            ChainError::NotYetValid { subject: whose(&|validity| validity.not_before == not_before), not_before }
        }
        webpki::Error::CaUsedAsEndEntity => ChainError::CaAsSigner { subject },
        webpki::Error::RequiredEkuNotFoundContext(_) if purpose == Purpose::TimeStamping => ChainError::NotForTimeStamping { subject },
        webpki::Error::RequiredEkuNotFoundContext(_) => ChainError::NotForCodeSigning { subject },
        webpki::Error::CertRevoked => ChainError::Revoked { subject, by: "the revocation list of an issuer".to_owned() },
        source => ChainError::Refused { subject, source },
    }
}

/// What certificates may be signed with. Kinds of key that files may not be signed with are absent.
fn algorithms() -> [&'static dyn SignatureVerificationAlgorithm; 13] {
    [
        algorithm::ECDSA_P256_SHA256,
        algorithm::ECDSA_P256_SHA384,
        algorithm::ECDSA_P256_SHA512,
        algorithm::ECDSA_P384_SHA256,
        algorithm::ECDSA_P384_SHA384,
        algorithm::ECDSA_P384_SHA512,
        algorithm::ED25519,
        algorithm::RSA_PKCS1_2048_8192_SHA256,
        algorithm::RSA_PKCS1_2048_8192_SHA384,
        algorithm::RSA_PKCS1_2048_8192_SHA512,
        algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    ]
}

/// id-kp-codeSigning, 1.3.6.1.5.5.7.3.3 (RFC 5280 §4.2.1.12), as content bytes.
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
/// id-kp-timeStamping, 1.3.6.1.5.5.7.3.8.
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
/// Who says so, where it is no authority.
const REVOCATION_FILE: &str = "the policy's list of revocations";
