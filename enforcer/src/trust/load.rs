//! Reading PEM files of certificates, and deciding whether they are fit for what the policy wants of them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::error::TrustProblem;
use super::{Anchor, CertificateFacts, Rule, TrustError, fingerprint};
use crate::measure;
use crate::policy::{Signer, TimestampAuthority};
use crate::text::sha256;

/// Reads what one signer of the policy names. Outdated anchors are allowed where timestamps let signatures outlive them.
pub(super) fn rule(signer: &Signer, number: u32, now: UnixTime, outdated_allowed: bool, files: &mut Files) -> Result<Rule, TrustError> {
    let mut reader = Reader { files, whose: format!("signer `{}`", signer.name), now: (!outdated_allowed).then_some(now) };
    let mut pinned = Vec::new();
    for path in &signer.pinned {
        let certificates = reader.certificates(path)?;
        certificates.iter().try_for_each(|certificate| check_pinned(certificate, reader.now)).map_err(reader.blame(path))?;
        pinned.extend(certificates);
    }
    Ok(Rule {
        number,
        name: Arc::from(signer.name.as_str()),
        uses: signer.uses,
        entitlements: signer.entitlements.as_slice().into(),
        anchors: reader.anchors(&signer.anchors)?,
        pinned,
        intermediates: reader.all_certificates(&signer.intermediates)?,
    })
}

/// Reads what one timestamp authority of the policy names.
pub(super) fn timestamp_rule(authority: &TimestampAuthority, number: u32, files: &mut Files) -> Result<Rule, TrustError> {
    // What an anchor that has expired certified while it was valid goes on to count.
    let mut reader = Reader { files, whose: format!("timestamp authority `{}`", authority.name), now: None };
    Ok(Rule {
        number,
        name: Arc::from(authority.name.as_str()),
        uses: 0,
        entitlements: Arc::default(),
        anchors: reader.anchors(&authority.anchors)?,
        pinned: Vec::new(),
        intermediates: reader.all_certificates(&authority.intermediates)?,
    })
}

/// The files that were read, each with the SHA-256 of its bytes.
pub(super) type Files = Vec<(PathBuf, [u8; 32])>;

/// Reads the files of one rule of the policy.
struct Reader<'a> {
    files: &'a mut Files,
    /// The rule, for errors.
    whose: String,
    /// The time at which anchors and pinned certificates have to be valid, if they have to.
    now: Option<UnixTime>,
}

impl Reader<'_> {
    fn blame(&self, path: &Path) -> impl Fn(TrustProblem) -> TrustError + use<> {
        let (whose, path) = (self.whose.clone(), path.to_owned());
        move |problem| TrustError { whose: whose.clone(), path: path.clone(), problem: Box::new(problem) }
    }

    fn certificates(&mut self, path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
        let bytes = read_pem(path).map_err(self.blame(path))?;
        self.files.push((path.to_owned(), sha256(&bytes)));
        certificates(&bytes).map_err(self.blame(path))
    }

    fn all_certificates(&mut self, paths: &[PathBuf]) -> Result<Vec<CertificateDer<'static>>, TrustError> {
        let all = paths.iter().map(|path| self.certificates(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(all.into_iter().flatten().collect())
    }

    fn anchors(&mut self, paths: &[PathBuf]) -> Result<Vec<Anchor>, TrustError> {
        let mut anchors = Vec::new();
        for path in paths {
            for certificate in &self.certificates(path)? {
                anchors.push(anchor(certificate, self.now).map_err(self.blame(path))?);
            }
        }
        Ok(anchors)
    }
}

/// Every certificate of a PEM file; each can be parsed and there is at least one.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustProblem> {
    certificates(&read_pem(path)?)
}

fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TrustProblem> {
    if bytes.starts_with(&[0x30]) {
        return Err(TrustProblem::Der);
    }
    let found = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TrustProblem::BrokenPem { reason: error.to_string() })?;
    for (certificate, number) in found.iter().zip(1..) {
        CertificateFacts::of(certificate).map_err(|problem| TrustProblem::Certificate { number, problem })?;
    }
    if contains(bytes, b"PRIVATE KEY-----") {
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

pub(super) fn anchor(certificate: &CertificateDer<'static>, now: Option<UnixTime>) -> Result<Anchor, TrustProblem> {
    let facts = fit_facts(certificate, now)?;
    if !facts.is_ca || facts.certificate_signing == Some(false) {
        return Err(TrustProblem::NotAuthority { subject: facts.subject });
    }
    match webpki::anchor_from_trusted_cert(certificate) {
        Ok(trust) => Ok(Anchor {
            certificate: certificate.clone(),
            trust: trust.to_owned(),
            subject: facts.subject,
            fingerprint: fingerprint(certificate),
            validity: facts.validity,
            path_length: facts.path_length,
        }),
        Err(source) => Err(TrustProblem::Anchor { subject: facts.subject, source }),
    }
}

fn check_pinned(certificate: &CertificateDer<'_>, now: Option<UnixTime>) -> Result<(), TrustProblem> {
    let facts = fit_facts(certificate, now)?;
    facts.may_sign_code(true).map_err(TrustProblem::Unfit)?;
    match webpki::EndEntityCert::try_from(certificate) {
        Ok(_) => Ok(()),
        Err(source) => Err(TrustProblem::Anchor { subject: facts.subject, source }),
    }
}

/// What anchors and pinned certificates have in common: readable, in time, with a usable key.
fn fit_facts(certificate: &CertificateDer<'_>, now: Option<UnixTime>) -> Result<CertificateFacts, TrustProblem> {
    let facts = CertificateFacts::of(certificate).map_err(|problem| TrustProblem::Certificate { number: 1, problem })?;
    if let Some(now) = now {
        facts.validity.check(&facts.subject, now).map_err(TrustProblem::Unfit)?;
    }
    match facts.key {
        Ok(_) => Ok(facts),
        Err(kind) => Err(TrustProblem::Key { subject: facts.subject, kind }),
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

const MAX_PEM_SIZE: u64 = 4 << 20;
