//! One rule, one certificate: does it lead to what the rule trusts?
//!
//! Path building and every cryptographic check are rustls-webpki's. What it leaves open is decided here: keyUsage, the
//! extendedKeyUsage that must be present in the signer's certificate, validity of the anchors, pinned certificates.

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

use super::{Anchor, CertificateFacts, ChainError, Rule, Validity};

/// When the rule accepts the certificate, if it does now.
pub(super) fn accept(
    rule: &Rule,
    certificate: &CertificateDer<'_>,
    facts: &CertificateFacts,
    others: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<Validity, ChainError> {
    if rule.pinned.iter().any(|pinned| pinned == certificate) {
        facts.validity.check(&facts.subject, now)?;
        facts.may_sign_code(true)?;
        return Ok(facts.validity);
    }
    let (current, outdated): (Vec<&Anchor>, Vec<_>) = rule.anchors.iter().partition(|anchor| anchor.validity.check(&anchor.subject, now).is_ok());
    match validity_of_path(&current, certificate, facts, others, now) {
        Err(ChainError::UnknownIssuer { .. }) if !outdated.is_empty() => {
            // Only to say which anchor it would have been: the answer stays no.
            let unknown = ChainError::UnknownIssuer { subject: facts.subject.clone(), issuer: facts.issuer.clone() };
            let found = outdated.iter().find(|anchor| validity_of_path(&[anchor], certificate, facts, others, now).is_ok());
            Err(found.and_then(|anchor| anchor.validity.check(&anchor.subject, now).err()).unwrap_or(unknown))
        }
        outcome => outcome,
    }
}

fn validity_of_path(
    anchors: &[&Anchor],
    certificate: &CertificateDer<'_>,
    facts: &CertificateFacts,
    others: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<Validity, ChainError> {
    let trusted: Vec<TrustAnchor<'_>> = anchors.iter().map(|anchor| anchor.trust.clone()).collect();
    let end_entity = EndEntityCert::try_from(certificate).map_err(|source| explain(source, facts, others))?;
    let path = end_entity
        .verify_for_usage(ALL_VERIFICATION_ALGS, &trusted, others, now, KeyUsage::required_if_present(CODE_SIGNING), None, None)
        .map_err(|source| explain(source, facts, others))?;
    facts.may_sign_code(false)?;
    let mut validity = facts.validity;
    for intermediate in path.intermediate_certificates() {
        validity = validity.and(CertificateFacts::of(&intermediate.der())?.validity);
    }
    // The same authority may be listed twice, renewed: the path holds as long as one of its certificates does, and all listed here hold now.
    let same = |anchor: &&&Anchor| {
        anchor.trust.subject == path.anchor().subject && anchor.trust.subject_public_key_info == path.anchor().subject_public_key_info
    };
    match anchors.iter().filter(same).max_by_key(|anchor| anchor.validity.not_after) {
        Some(anchor) => Ok(validity.and(anchor.validity)),
        None => Err(ChainError::UnknownIssuer { subject: facts.subject.clone(), issuer: facts.issuer.clone() }),
    }
}

/// Says which certificate it was, in this module's words.
fn explain(source: webpki::Error, facts: &CertificateFacts, others: &[CertificateDer<'_>]) -> ChainError {
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
            ChainError::Expired { subject: whose(&|validity| validity.not_after == not_after), not_after }
        }
        webpki::Error::CertNotValidYet { not_before, .. } => {
            ChainError::NotYetValid { subject: whose(&|validity| validity.not_before == not_before), not_before }
        }
        webpki::Error::CaUsedAsEndEntity => ChainError::CaAsSigner { subject },
        webpki::Error::RequiredEkuNotFoundContext(_) => ChainError::NotForCodeSigning { subject },
        source => ChainError::Refused { subject, source },
    }
}

/// id-kp-codeSigning, 1.3.6.1.5.5.7.3.3 (RFC 5280 §4.2.1.12), as content bytes.
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
