//! The decision: does this signature, by somebody the policy trusts, speak about this content?
//!
//! The only maker of [`Verified`]. Reads no clock; reads content only through [`Content`].

use std::sync::Arc;

use enforcer_common::Digest;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::EndEntityCert;

use super::Rejected;
use super::carrier::Carrier;
use super::cms::{Signature, Signed, SignerId};
use super::content::{Bytes, Content, FileContent};
use super::manifest::{self, LineError};
use crate::trust::{Authority, CertificateFacts, TrustStore};

/// A content whose signature leads to a signer of the policy. Only [`verify_file`] and [`ManifestInForce`] make one.
#[derive(Clone, Debug)]
pub struct Verified {
    digest: Digest,
    fsverity: Option<Digest>,
    authority: Arc<Authority>,
    carrier: Carrier,
}

impl Verified {
    /// The digest that was verified: SHA-256 of the file, or what the manifest's entry says.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The same content's fs-verity digest, where the kernel guarantees one.
    pub fn fsverity(&self) -> Option<Digest> {
        self.fsverity
    }

    /// Whether this is about the content that the kernel calls `digest`.
    pub fn covers(&self, digest: &Digest) -> bool {
        self.digest == *digest || self.fsverity == Some(*digest)
    }

    /// The number of the policy's signer rule that accepted it.
    pub fn signer(&self) -> u32 {
        self.authority.signer()
    }

    /// The name of that rule.
    pub fn signer_name(&self) -> &str {
        self.authority.name()
    }

    /// The subject of the signer's certificate.
    pub fn subject(&self) -> &str {
        self.authority.subject()
    }

    /// SHA-256 of the signer's certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.authority.fingerprint()
    }

    /// Bits of [`enforcer_common::USE_EXEC`] and [`enforcer_common::USE_LIBRARY`].
    pub fn uses(&self) -> u32 {
        self.authority.uses()
    }

    /// The last second at which every certificate of the chain is valid.
    pub fn not_after(&self) -> UnixTime {
        self.authority.validity().not_after
    }

    /// Where the signature was.
    pub fn carrier(&self) -> &Carrier {
        &self.carrier
    }
}

/// Decides about a file.
pub(super) fn verify_file(
    file: &mut FileContent<'_>,
    signature: &Signature,
    carrier: Carrier,
    trust: &TrustStore,
    now: UnixTime,
) -> Result<Verified, Rejected> {
    let authority = verify(signature, file, trust, now)?;
    Ok(Verified { digest: file.digest(), fsverity: file.fsverity(), authority: Arc::new(authority), carrier })
}

/// A manifest whose signature was accepted: it vouches for its digests.
pub(super) struct ManifestInForce {
    carrier: Carrier,
    authority: Arc<Authority>,
    /// Sorted.
    digests: Vec<Digest>,
}

impl ManifestInForce {
    /// Decides about a manifest. Its text is parsed only after its signature was accepted.
    pub(super) fn verify(text: &[u8], signature: &Signature, carrier: Carrier, trust: &TrustStore, now: UnixTime) -> Result<Self, ManifestFault> {
        let authority = Arc::new(verify(signature, &mut Bytes(text), trust, now).map_err(ManifestFault::Signature)?);
        let entries = manifest::entries(text).map(|entry| entry.map(|entry| entry.digest));
        let mut digests = entries.collect::<Result<Vec<_>, _>>().map_err(ManifestFault::Line)?;
        digests.sort_unstable();
        digests.dedup();
        Ok(Self { carrier, authority, digests })
    }

    /// Whether it vouches for either digest of this file; `None` when it does not list it.
    pub(super) fn vouches_for(&self, file: &FileContent<'_>, now: UnixTime) -> Option<Result<Verified, Rejected>> {
        let listed = |digest: &Digest| self.digests.binary_search(digest).is_ok();
        if !listed(&file.digest()) && !file.fsverity().as_ref().is_some_and(listed) {
            return None;
        }
        // Accepted when it was loaded, which may be long ago.
        let outcome = self.authority.validity().check(self.authority.subject(), now);
        Some(outcome.map_err(Rejected::Chain).map(|()| self.verified(file.digest(), file.fsverity())))
    }

    /// Everything that it vouches for.
    pub(super) fn entries(&self) -> impl Iterator<Item = Verified> {
        self.digests.iter().map(|digest| self.verified(*digest, None))
    }

    pub(super) fn carrier(&self) -> &Carrier {
        &self.carrier
    }

    fn verified(&self, digest: Digest, fsverity: Option<Digest>) -> Verified {
        Verified { digest, fsverity, authority: Arc::clone(&self.authority), carrier: self.carrier.clone() }
    }
}

/// Why a manifest is not in force.
pub(super) enum ManifestFault {
    Signature(Rejected),
    Line(LineError),
}

/// RFC 5652 §5.6, then the chain. The cheap checks come first; each must hold.
fn verify(signature: &Signature, content: &mut impl Content, trust: &TrustStore, now: UnixTime) -> Result<Authority, Rejected> {
    let certificate = signer_certificate(signature, trust)?;
    let subject = || CertificateFacts::of(certificate).map(|facts| facts.subject);
    let message = match &signature.signed {
        Signed::Attributes { der, message_digest } => {
            if content.content_digest(signature.digest)?.bytes() != message_digest.as_slice() {
                return Err(Rejected::DigestMismatch);
            }
            der.into()
        }
        Signed::Content => content.bytes()?,
    };
    let refused = |source| crate::trust::ChainError::Refused { subject: subject().unwrap_or_default(), source };
    let end_entity = EndEntityCert::try_from(certificate).map_err(refused)?;
    let mut failure = Rejected::KeyKind { subject: subject()? };
    for algorithm in &signature.algorithms {
        match end_entity.verify_signature(*algorithm, &message, &signature.value) {
            Ok(()) => return Ok(trust.accept(certificate, &signature.certificates, now)?),
            Err(webpki::Error::InvalidSignatureForPublicKey) => failure = Rejected::BadSignature { subject: subject()? },
            Err(_) => {}
        }
    }
    Err(failure)
}

/// The one certificate that the signer identifier names, among those in the signature and those that the policy pins.
fn signer_certificate<'a>(signature: &'a Signature, trust: &'a TrustStore) -> Result<&'a CertificateDer<'static>, Rejected> {
    let mut found: Option<&CertificateDer<'static>> = None;
    for certificate in signature.certificates.iter().chain(trust.pinned()) {
        let facts = CertificateFacts::of(certificate)?;
        let named = match &signature.signer {
            SignerId::IssuerAndSerial { issuer, serial } => *issuer == facts.issuer_der && *serial == facts.serial,
            SignerId::KeyId(id) => facts.key_id.as_ref() == Some(id),
        };
        match found {
            _ if !named => {}
            None => found = Some(certificate),
            Some(first) if first == certificate => {}
            Some(_) => return Err(Rejected::SignerAmbiguous),
        }
    }
    found.ok_or(Rejected::SignerUnknown)
}
