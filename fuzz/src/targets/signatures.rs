//! Signatures and certificates by themselves: CMS, claims, `security.ima`, X.509, timestamps.

use std::sync::LazyLock;

use enforcer::signature::claims::{self, Claims};
use enforcer::signature::cms::{Signature, first_signature};
use enforcer::signature::{ima as security_ima, timestamp as times};
use enforcer::trust::{CertificateFacts, TrustStore, date, read_certificates};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::scene;

/// DER, BER or PEM.
pub(super) fn cms(input: &[u8]) {
    if let Err(error) = Signature::parse(input) {
        assert!(!error.to_string().is_empty() && !error.hint().is_empty());
    }
    if let Ok((der, size)) = first_signature(input) {
        assert!(size <= input.len());
        let (again, taken) = first_signature(&der).expect("what was made DER is DER");
        assert!(again == der && taken == der.len(), "DER that is made DER again is another one");
    }
}

/// Signed attributes: kind, length (2 bytes), value, one after the other.
pub(super) fn claims(mut input: &[u8]) {
    let kinds = [claims::IDENTIFIER, claims::VERSION, claims::SECURITY_VERSION, claims::ENTITLEMENTS, b"another"];
    let mut attributes = Vec::new();
    while let Some((&[kind, high, low], rest)) = input.split_first_chunk::<3>() {
        let (value, rest) = rest.split_at(rest.len().min(usize::from(u16::from_be_bytes([high, low]))));
        attributes.push((kinds[usize::from(kind) % kinds.len()], value));
        input = rest;
    }
    match Claims::from_attributes(attributes) {
        Ok(claims) => {
            let written = claims.to_attributes().expect("what was read can be written");
            let read = Claims::from_attributes(written.iter().map(|(kind, value)| (*kind, value.as_slice())));
            assert_eq!(read.expect("what was written can be read"), claims);
        }
        Err(error) => assert!(!error.to_string().chars().any(char::is_control), "an error that steers terminals"),
    }
}

/// The value of the extended attribute.
pub(super) fn ima(input: &[u8]) {
    if let Some(Ok(signature)) = security_ima::parse(input) {
        assert_eq!(signature.statements.len(), 1);
        assert!(input.ends_with(&signature.statements[0].value) && signature.certificates.is_empty());
    }
}

struct Known {
    trust: TrustStore,
    signers: Vec<CertificateDer<'static>>,
    now: UnixTime,
    /// What the scene's timestamp is about.
    stamped: Vec<u8>,
    /// What it says.
    time: UnixTime,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let trust = scene::trust(&scene::policy());
    let signers = read_certificates(&scene::path("signers.pem")).expect("the scene's signers");
    let (stamped, now) = (scene::bytes("stamped"), scene::now());
    let time = times::verify(&scene::bytes("timestamp"), &stamped, &trust, now).expect("the scene's timestamp holds");
    Known { trust, signers, now, stamped, time }
});

pub(super) fn prepare() {
    LazyLock::force(&KNOWN);
}

/// A certificate in DER, as it lies in a signature, and a file of them in PEM.
pub(super) fn certificate(input: &[u8]) {
    let certificate = CertificateDer::from(input);
    match CertificateFacts::of(&certificate) {
        Ok(facts) => {
            assert!(![&facts.subject, &facts.issuer].iter().any(|name| name.chars().any(char::is_control)), "a name that steers terminals");
            _ = (facts.ima_key_id(), facts.may_sign_code(true), facts.may_certify_times(), facts.validity.not_after.map(date));
            let accepted = KNOWN.trust.accept(&certificate, &KNOWN.signers, None, KNOWN.now).is_ok();
            assert!(!accepted || KNOWN.signers.contains(&certificate), "a certificate was accepted that nobody issued");
            let accepted = KNOWN.trust.accept_timestamp(&certificate, &[], KNOWN.now, KNOWN.now).is_ok();
            let is_clock = || KNOWN.trust.timestamp_certificates().any(|clock| *clock == certificate);
            assert!(!accepted || is_clock(), "a timestamp authority was accepted that nobody certified");
        }
        Err(problem) => assert!(!problem.to_string().is_empty()),
    }
    // As an intermediate that came along, it must not spoil a chain that needs none.
    let known = &KNOWN.signers[0];
    assert!(KNOWN.trust.accept(known, &[certificate], None, KNOWN.now).is_ok(), "a certificate beside it made a good one bad");
    let from_file = scene::with_path(input, read_certificates);
    if let Ok(found) = from_file {
        let count = CertificateDer::pem_slice_iter(input).count();
        assert!(!found.is_empty() && found.len() == count);
    }
}

/// A time-stamp token.
pub(super) fn timestamp(input: &[u8]) {
    if let Ok(time) = times::verify(input, &KNOWN.stamped, &KNOWN.trust, KNOWN.now) {
        assert_eq!(time, KNOWN.time, "a timestamp was accepted that nobody made");
    }
}
