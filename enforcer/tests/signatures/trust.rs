//! Trust stores: what the policy names must be fit for it, or the error says which file, what is wrong and what helps.

use enforcer::signature::Facts;
use std::fs;
use std::path::Path;

use enforcer::trust::TrustStore;

use crate::pki::{AUTHORITY, PKI, SIGNING, openssl, text};
use crate::scene::{Scene, later, rule};

#[test]
fn unfit_certificates_are_errors_with_file_reason_and_remedy() {
    let scene = Scene::new();
    let root = &PKI.root;
    let der = scene.path("root.der");
    openssl(&["x509", "-in", text(&root.certificate), "-outform", "DER", "-out", text(&der)]);
    let broken = scene.file("broken.pem", fs::read_to_string(&root.certificate).unwrap().replacen("MII", "M?I", 1));
    let cut = scene.file("cut.pem", &fs::read(&root.certificate).unwrap()[..300]);
    let bad = scene.file("bad.pem", "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n");
    let empty = scene.file("empty.pem", "");
    let large = scene.file("large.pem", vec![b'x'; 5 << 20]);
    let missing = scene.path("missing.pem");
    let leaf = PKI.signer("p256").certificate;
    let old = PKI.issue_between("20200101000000Z", "20210101000000Z").certificate;
    let future = PKI.issue_between("20900101000000Z", "20910101000000Z").certificate;
    let server = PKI.issue("p256", "extendedKeyUsage=serverAuth\n").certificate;
    let agreement = PKI.issue("p256", &SIGNING.replace("digitalSignature", "keyAgreement")).certificate;
    let no_issuing = PKI.self_signed(&AUTHORITY.replace("keyCertSign", "digitalSignature")).certificate;
    let small = PKI.issue("rsa1024", SIGNING).certificate;
    let odd = PKI.issue("p521", AUTHORITY).certificate;
    // As anchor or pinned, the file, what the error says, what the remedy says.
    let cases: [(bool, &Path, &str, &str); 19] = [
        (true, &missing, "No such file", "check the name"),
        (true, scene.folder.path(), "a directory", "regular file"),
        (true, &der, "binary (DER)", "openssl x509 -inform DER"),
        (true, &broken, "PEM is broken", "export it again"),
        (true, &cut, "PEM is broken", "export it again"),
        (true, &bad, "certificate 1: not an X.509", "-noout -text"),
        (true, &empty, "no PEM certificate", "BEGIN CERTIFICATE"),
        (true, &large, "more than 4194304 bytes", "PEM file"),
        (true, &root.key, "private key", "certificates only"),
        (true, &leaf, "not a certificate authority", "under `certificates`"),
        (true, &no_issuing, "not a certificate authority", "under `certificates`"),
        (true, &odd, "not supported", "P-384"),
        (true, &old, "expired at 2021-01-01 00:00:00 UTC", "successor"),
        (false, &old, "expired at 2021-01-01 00:00:00 UTC", "successor"),
        (false, &future, "not valid before 2090-01-01", "clock"),
        (false, &server, "not for code signing", "codeSigning"),
        (false, &agreement, "not for digital signatures", "digitalSignature"),
        (false, &small, "RSA with 1024 bits", "2048"),
        (false, &missing, "No such file", "check the name"),
    ];
    for (anchor, path, expected, remedy) in cases {
        let signer = if anchor { rule("vendor", &[path], &[]) } else { rule("vendor", &[], &[path]) };
        let Err(error) = TrustStore::check_signer(&signer, scene.now) else { panic!("{expected}: loaded") };
        let message = error.to_string();
        assert!(message.contains(expected) && message.contains("vendor") && message.contains(text(path)), "{expected}: {message}");
        assert!(error.hint().contains(remedy), "{expected}: {}", error.hint());
    }
}

#[test]
fn one_file_may_hold_several_certificates_and_an_anchor_that_expires_later_ends_its_trust() {
    let mut scene = Scene::new();
    let own = PKI.self_signed(AUTHORITY);
    let both = [fs::read(&own.certificate).unwrap(), fs::read(&PKI.root.certificate).unwrap()].concat();
    let both = scene.file("both.pem", both);
    scene.signers = vec![rule("vendor", &[&both], &[])];
    let file = scene.file("program", "content");
    crate::pki::cms_sign(&file, &PKI.signer("p256"), &[], &scene.path("program.p7s"));
    assert_eq!(scene.word(&file), "detached vendor");
    // The root is valid for ten years.
    let examiner = scene.examiner();
    let opened = enforcer::measure::open(&file).unwrap();
    let at = |days| crate::scene::word(&examiner.examine(&opened, Some(&file), &Facts::at(later(scene.now, days))).unwrap());
    assert_eq!(at(300), "detached vendor");
    assert_eq!(at(4000), "certificate-expired");
}

#[test]
fn an_intermediate_for_another_purpose_spoils_the_chain() {
    let scene = Scene::new();
    let file = scene.file("program", "content");
    let restricted = PKI.issue_authority(&format!("{AUTHORITY}extendedKeyUsage=serverAuth\n"));
    crate::pki::cms_sign(&file, &PKI.issue_below(&restricted, SIGNING), &[], &scene.path("program.p7s"));
    assert_eq!(scene.word(&file), "certificate-purpose");
    let dead_end = PKI.issue_authority(&AUTHORITY.replace("CA:TRUE", "CA:TRUE,pathlen:0"));
    crate::pki::cms_sign(&file, &PKI.issue_below(&dead_end, SIGNING), &[], &scene.path("program.p7s"));
    assert_eq!(scene.word(&file), "detached vendor");
    let below = PKI.issue_authority_below(&dead_end);
    crate::pki::cms_sign(&file, &PKI.issue_below(&below, SIGNING), &[], &scene.path("program.p7s"));
    assert_eq!(scene.word(&file), "certificate-chain");
    let fraud = PKI.issue("p256", SIGNING);
    crate::pki::cms_sign(&file, &PKI.issue_below(&fraud, SIGNING), &[], &scene.path("program.p7s"));
    assert_eq!(scene.word(&file), "certificate-chain", "a signer's certificate issues nothing");
}
