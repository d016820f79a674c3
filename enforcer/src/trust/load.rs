//! Reading PEM files of certificates, and deciding whether they are fit for what the policy wants of them.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::error::TrustProblem;
use super::{Anchor, CertificateFacts, Rule, TrustError};
use crate::measure;
use crate::policy::Signer;

/// Reads what one signer of the policy names.
pub(super) fn rule(signer: &Signer, number: u32, now: UnixTime) -> Result<Rule, TrustError> {
    let mut rule = Rule { number, name: Arc::from(signer.name.as_str()), uses: signer.uses, anchors: Vec::new(), pinned: Vec::new() };
    let blame = |path: &Path| {
        let (signer, path) = (signer.name.clone(), path.to_owned());
        move |problem| TrustError { signer, path, problem: Box::new(problem) }
    };
    for path in &signer.anchors {
        let anchors = read_certificates(path).and_then(|all| all.iter().map(|certificate| anchor(certificate, now)).collect::<Result<Vec<_>, _>>());
        rule.anchors.extend(anchors.map_err(blame(path))?);
    }
    for path in &signer.pinned {
        let certificates = read_certificates(path).map_err(blame(path))?;
        certificates.iter().try_for_each(|certificate| check_pinned(certificate, now)).map_err(blame(path))?;
        rule.pinned.extend(certificates);
    }
    Ok(rule)
}

/// Every certificate of a PEM file; each can be parsed and there is at least one.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustProblem> {
    let bytes = read_pem(path)?;
    if bytes.starts_with(&[0x30]) {
        return Err(TrustProblem::Der);
    }
    let found = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TrustProblem::BrokenPem { reason: error.to_string() })?;
    for (certificate, number) in found.iter().zip(1..) {
        CertificateFacts::of(certificate).map_err(|problem| TrustProblem::Certificate { number, problem })?;
    }
    if contains(&bytes, b"PRIVATE KEY-----") {
        return Err(TrustProblem::PrivateKey);
    }
    if found.is_empty() { Err(TrustProblem::NoCertificate) } else { Ok(found) }
}

/// The bytes of a PEM file, bounded.
pub fn read_pem(path: &Path) -> Result<Vec<u8>, TrustProblem> {
    let mut bytes = Vec::new();
    measure::open(path)?.take(MAX_PEM_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_PEM_SIZE {
        return Err(TrustProblem::TooLarge { limit: MAX_PEM_SIZE });
    }
    Ok(bytes)
}

fn anchor(certificate: &CertificateDer<'static>, now: UnixTime) -> Result<Anchor, TrustProblem> {
    let facts = fit_facts(certificate, now)?;
    if !facts.is_ca || facts.certificate_signing == Some(false) {
        return Err(TrustProblem::NotAuthority { subject: facts.subject });
    }
    match webpki::anchor_from_trusted_cert(certificate) {
        Ok(trust) => Ok(Anchor { trust: trust.to_owned(), subject: facts.subject, validity: facts.validity }),
        Err(source) => Err(TrustProblem::Anchor { subject: facts.subject, source }),
    }
}

fn check_pinned(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), TrustProblem> {
    let facts = fit_facts(certificate, now)?;
    facts.may_sign_code(true).map_err(TrustProblem::Unfit)?;
    match webpki::EndEntityCert::try_from(certificate) {
        Ok(_) => Ok(()),
        Err(source) => Err(TrustProblem::Anchor { subject: facts.subject, source }),
    }
}

/// What anchors and pinned certificates have in common: readable, in time, with a usable key.
fn fit_facts(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<CertificateFacts, TrustProblem> {
    let facts = CertificateFacts::of(certificate).map_err(|problem| TrustProblem::Certificate { number: 1, problem })?;
    facts.validity.check(&facts.subject, now).map_err(TrustProblem::Unfit)?;
    match facts.key {
        Ok(_) => Ok(facts),
        Err(kind) => Err(TrustProblem::Key { subject: facts.subject, kind }),
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

const MAX_PEM_SIZE: u64 = 4 << 20;
