//! Lists that somebody signed: revocation lists and manifests.

use std::sync::LazyLock;

use enforcer::policy::Policy;
use enforcer::signature::manifest::{entries, write_entry};
use enforcer::trust::{TrustStore, read_certificates};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::scene;

struct Known {
    policy: Policy,
    signer: CertificateDer<'static>,
    now: UnixTime,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let signers = read_certificates(&scene::path("signers.pem")).expect("the scene's signers");
    let mut policy = scene::policy();
    policy.timestamp_authorities.clear();
    Known { policy, signer: signers[0].clone(), now: scene::now() }
});

pub(super) fn prepare() {
    LazyLock::force(&KNOWN);
}

/// A revocation list, DER or PEM: read, and asked about a certificate of its issuer.
pub(super) fn crl(input: &[u8]) {
    scene::with_path(input, |path| {
        let mut policy = KNOWN.policy.clone();
        policy.revocation.crls = vec![path.to_owned()];
        match TrustStore::load(&policy, KNOWN.now) {
            Ok(trust) => {
                for list in trust.overdue_crls(KNOWN.now) {
                    assert!(!list.issuer.chars().any(char::is_control), "a name that steers terminals");
                }
                _ = trust.accept(&KNOWN.signer, &[], None, KNOWN.now);
            }
            Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
        }
    });
}

/// The text of a manifest: what is read of it can be written and read again.
pub(super) fn manifest(input: &[u8]) {
    let mut lines = 0;
    for entry in entries(input) {
        lines += 1;
        match entry {
            Ok(entry) => {
                let mut written = Vec::new();
                write_entry(&entry, &mut written);
                let read: Vec<_> = entries(&written).collect();
                assert!(matches!(&read[..], [Ok(again)] if *again == entry), "what was written is read otherwise: {read:?}");
            }
            Err(error) => assert!(error.line >= 1 && !error.to_string().is_empty()),
        }
    }
    assert!(lines <= input.split(|byte| *byte == b'\n').count());
}
