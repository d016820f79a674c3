//! What all signatures of one signer have in common: certificates, algorithm, claims. No key.

use std::path::Path;

use cms::cert::x509::Certificate;
use der::{Decode, Encode};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::EndEntityCert;

use super::scheme::Scheme;
use super::signed_data::Frame;
use super::{Algorithm, Destination, MAX_SIGNATURE_SIZE, SignError};
use crate::signature::claims::Claims;
use crate::trust::{CertificateFacts, read_certificates};

/// What a signature says, and how it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What is claimed about the files.
    pub claims: Claims,
    /// Another digest than the customary one.
    pub digest: Option<Algorithm>,
    /// RSA-PSS instead of PKCS #1 v1.5.
    pub rsa_pss: bool,
    /// A signature over the content itself. The kernel's module format is written so in any case, unless there are claims.
    pub no_attributes: bool,
    /// Whether certificates are put in; by default everywhere but in the kernel's module format.
    pub certificates: Option<bool>,
    /// Room for unsigned attributes in an embedded signature, in bytes.
    pub reserve: usize,
}

/// Everything about a signer but the key.
pub(super) struct Template {
    pub(super) facts: CertificateFacts,
    pub(super) scheme: Scheme,
    pub(super) settings: Settings,
    /// The signer's own comes first.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    usual: Frame,
    appended: Frame,
}

impl Template {
    /// Reads the certificates, and refuses what could not sign code at this time.
    pub(super) fn load(certificate: &Path, chain: Option<&Path>, settings: Settings, now: UnixTime) -> Result<Self, SignError> {
        let unfit = |path: &Path| {
            let path = path.to_owned();
            move |problem| SignError::Certificate { path, problem: Box::new(problem) }
        };
        let mut certificates = read_certificates(certificate).map_err(unfit(certificate))?;
        let refused = |problem| SignError::Unfit { path: certificate.to_owned(), problem };
        let facts = CertificateFacts::of(&certificates[0]).map_err(|problem| refused(problem.into()))?;
        facts.validity.check(&facts.subject, now).map_err(refused)?;
        facts.may_sign_code(false).map_err(refused)?;
        if let Some(path) = chain {
            certificates.extend(read_certificates(path).map_err(unfit(path))?);
        }
        let mut seen = Vec::new();
        certificates.retain(|certificate| {
            !seen.contains(certificate) && {
                seen.push(certificate.clone());
                true
            }
        });
        certificates.iter().try_for_each(check_form)?;
        let kind = facts.key.clone().map_err(|kind| SignError::KeyKind { path: certificate.to_owned(), kind })?;
        let scheme = Scheme::choose(kind, settings.digest, settings.rsa_pss)?;
        settings.claims.check()?;
        if settings.no_attributes && !settings.claims.is_empty() {
            return Err(SignError::ClaimsWithoutAttributes);
        }
        let frame = |in_module_format: bool| {
            let attributes = !settings.no_attributes && (!in_module_format || !settings.claims.is_empty());
            let certificates = if settings.certificates.unwrap_or(!in_module_format) { &certificates[..] } else { &[] };
            Frame::new(&facts, certificates, &scheme, attributes.then_some(&settings.claims))
        };
        let (usual, appended) = (frame(false)?, frame(true)?);
        Ok(Self { facts, scheme, settings, certificates, usual, appended })
    }

    pub(super) fn frame(&self, destination: &Destination) -> &Frame {
        if *destination == Destination::Appended { &self.appended } else { &self.usual }
    }

    /// How much room to leave in a file for a signature: the largest possible value, and what shall be reserved.
    pub(super) fn area(&self) -> Result<usize, SignError> {
        let attributes = self.usual.signed_attributes(&self.scheme.digest().digest(&[]))?;
        let size = self.usual.encode(attributes.as_deref(), &vec![0; self.scheme.value_size()])?.len();
        let area = size.saturating_add(self.settings.reserve).checked_next_multiple_of(AREA_STEP).filter(|area| *area <= MAX_SIGNATURE_SIZE);
        area.ok_or(SignError::TooLarge { limit: MAX_SIGNATURE_SIZE })
    }

    /// Whether the certificate's key made this value.
    pub(super) fn verifies(&self, message: &[u8], value: &[u8]) -> bool {
        let certificate = EndEntityCert::try_from(&self.certificates[0]);
        certificate.is_ok_and(|certificate| certificate.verify_signature(self.scheme.verification(), message, value).is_ok())
    }
}

/// What is not exactly DER would make the whole signature something else than DER.
fn check_form(certificate: &CertificateDer<'_>) -> Result<(), SignError> {
    let parsed = Certificate::from_der(certificate).map_err(SignError::CertificateForm)?;
    if parsed.to_der().map_err(SignError::CertificateForm)? != certificate.as_ref() {
        return Err(SignError::CertificateForm(der::ErrorKind::Noncanonical { tag: der::Tag::Sequence }.into()));
    }
    Ok(())
}

const AREA_STEP: usize = 64;
