//! What signatures say about a program, and what the policy makes of it: components, security versions, entitlements, several signers.

use std::path::{Path, PathBuf};
use std::process::Command;

use enforcer::policy::{Component, SeveralSigners};
use enforcer::signature::Facts;
use enforcer::trust::SecurityVersions;

use crate::pki::{Identity, PKI, cms_sign, text};
use crate::scene::{Scene, rule, word};

#[test]
fn claims_are_read_and_entitlements_are_given_only_where_the_policy_grants_them() {
    let mut scene = Scene::new();
    let more =
        ["--identifier", "com.example.tool", "--software-version", "2.1", "--security-version", "7", "--entitlement", "jit", "--entitlement", "net"];
    let file = signed(&scene, "tool", &PKI.signer("p256"), &more);
    let claimed = |scene: &Scene| {
        let examination = scene.examine(&file);
        let verified = examination.outcome().unwrap().clone();
        assert_eq!(verified.claims().identifier.as_deref(), Some("com.example.tool"));
        assert_eq!((verified.claims().version.as_deref(), verified.claims().security_version), (Some("2.1"), Some(7)));
        verified.entitlements().to_vec()
    };
    assert!(claimed(&scene).is_empty(), "nothing is granted by default");
    scene.signers[0].entitlements = vec!["jit".to_owned(), "other".to_owned()];
    assert_eq!(claimed(&scene), ["jit"]);
}

#[test]
fn an_older_release_is_refused_once_a_newer_one_was_accepted() {
    let scene = Scene::new();
    let old = signed(&scene, "old", &PKI.signer("p256"), &["--identifier", "tool", "--security-version", "1"]);
    let new = signed(&scene, "new", &PKI.signer("p256"), &["--identifier", "tool", "--security-version", "2"]);
    let unnumbered = signed(&scene, "unnumbered", &PKI.signer("p256"), &["--identifier", "tool"]);
    let foreign = signed(&scene, "foreign", &PKI.signer("p256"), &["--identifier", "other"]);
    let mut versions = SecurityVersions::default();
    let judge = |versions: &SecurityVersions, path: &Path| {
        let facts = Facts { now: scene.now, security_versions: versions };
        word(&scene.examiner().examine(&enforcer::measure::open(path).unwrap(), Some(path), &facts).unwrap())
    };
    for file in [&old, &new, &unnumbered] {
        assert_eq!(judge(&versions, file), "detached vendor");
    }
    assert!(versions.raise("tool@vendor", 2));
    assert_eq!(judge(&versions, &old), "rollback");
    assert_eq!(judge(&versions, &unnumbered), "rollback", "leaving the number out does not help");
    assert_eq!(judge(&versions, &new), "detached vendor");
    assert_eq!(judge(&versions, &foreign), "detached vendor");
}

#[test]
fn a_signer_cannot_make_the_releases_of_another_one_too_old() {
    let mut scene = Scene::new();
    let stranger = PKI.self_signed(crate::pki::SIGNING);
    scene.signers.push(rule("stranger", &[], &[&stranger.certificate]));
    let ours = signed(&scene, "ours", &PKI.signer("p256"), &["--identifier", "tool", "--security-version", "1"]);
    let theirs = signed(&scene, "theirs", &stranger, &["--identifier", "tool", "--security-version", "4294967295"]);
    let line = |scene: &Scene, path: &Path| scene.examine(path).outcome().unwrap().release().unwrap().line.clone();
    assert_eq!((line(&scene, &ours).as_str(), line(&scene, &theirs).as_str()), ("tool@vendor", "tool@stranger"));
    // A component says whose releases are one line, and whose are none of it.
    let signers = vec!["vendor".to_owned()];
    scene.rest.components = vec![Component { identifier: "tool".to_owned(), signers, min_security_version: 0, names: Vec::new(), paths: Vec::new() }];
    assert_eq!((line(&scene, &ours).as_str(), scene.word(&theirs).as_str()), ("tool", "wrong-signer"));
}

#[test]
fn a_manifest_as_a_whole_can_be_too_old() {
    let mut scene = Scene::new();
    let file = scene.file("program", "content");
    let manifest = scene.file("base.manifest", "");
    let list = Command::new("sha256sum").arg("--tag").arg(&file).output().unwrap().stdout;
    std::fs::write(&manifest, list).unwrap();
    sign(&manifest, &PKI.signer("p256"), &["--identifier", "base-system", "--security-version", "3"]);
    scene.sources.manifests = vec![manifest];
    let mut versions = SecurityVersions::default();
    let examine = |versions: &SecurityVersions| {
        let facts = Facts { now: scene.now, security_versions: versions };
        let policy = scene.policy();
        let trust = enforcer::trust::TrustStore::load(&policy, scene.now).unwrap();
        let examiner = enforcer::signature::Examiner::new(&policy, trust, &facts);
        let word = word(&examiner.examine(&enforcer::measure::open(&file).unwrap(), Some(&file), &facts).unwrap());
        (word, examiner.manifest_errors().first().map(ToString::to_string))
    };
    assert_eq!(examine(&versions).0, "manifest vendor");
    versions.raise("base-system@vendor", 4);
    let (word, error) = examine(&versions);
    assert_eq!(word, "unsigned");
    assert!(error.unwrap().contains("security version 3, and 4"));
}

#[test]
fn a_component_demands_its_signer_and_its_lowest_version() {
    let mut scene = Scene::new();
    let (vendor, stranger) = (PKI.signer("p256"), PKI.self_signed(crate::pki::SIGNING));
    scene.signers = vec![rule("vendor", &[&PKI.root.certificate], &[]), rule("stranger", &[], &[&stranger.certificate])];
    let component = Component {
        identifier: "sshd".to_owned(),
        signers: vec!["vendor".to_owned()],
        min_security_version: 2,
        names: Vec::new(),
        paths: Vec::new(),
    };
    scene.rest.components = vec![Component { identifier: "first".to_owned(), ..component.clone() }, component];
    let file = |name: &str, signer: &Identity, version: &str| signed(&scene, name, signer, &["--identifier", "sshd", "--security-version", version]);
    let good = file("good", &vendor, "2");
    assert_eq!(scene.word(&good), "detached vendor");
    assert_eq!(scene.examine(&good).outcome().unwrap().component(), 2);
    assert_eq!(scene.word(&file("old", &vendor, "1")), "rollback");
    let by_stranger = file("stranger", &stranger, "9");
    assert_eq!(scene.word(&by_stranger), "wrong-signer");
    let message = scene.examine(&by_stranger).outcome().unwrap_err().to_string();
    assert!(message.contains("`sshd` may not be signed by `stranger`"), "{message}");
    // The same signer may sign what is no such component.
    let plain = signed(&scene, "plain", &stranger, &[]);
    assert_eq!(scene.word(&plain), "detached stranger");
    assert_eq!(scene.examine(&plain).outcome().unwrap().component(), 0);
}

#[test]
fn of_several_signers_all_or_one_must_hold_as_the_policy_says() {
    let mut scene = Scene::new();
    let file = scene.file("program", "content");
    let (first, second, stranger) = (PKI.signer("rsa2048"), PKI.signer("p256"), PKI.self_signed(crate::pki::SIGNING));
    let sign = |signer: &Identity| {
        let more = ["-signer", text(&signer.certificate), "-inkey", text(&signer.key)];
        cms_sign(&file, &first, &more, &scene.path("program.p7s"));
    };
    sign(&second);
    let examination = scene.examine(&file);
    assert_eq!((word(&examination).as_str(), examination.attempts[0].signers.len()), ("detached vendor", 2));
    sign(&stranger);
    assert_eq!(scene.word(&file), "unknown-issuer");
    let examination = scene.examine(&file);
    let signers = &examination.attempts[0].signers;
    assert_eq!(signers.iter().filter(|signer| signer.problem.is_some()).count(), 1, "{signers:?}");
    scene.rest.signatures.several_signers = SeveralSigners::One;
    assert_eq!(scene.word(&file), "detached vendor");
    std::fs::write(&file, "other content").unwrap();
    assert_eq!(scene.word(&file), "digest-mismatch");
}

#[test]
fn two_signers_may_do_only_what_both_may() {
    let mut scene = Scene::new();
    let file = scene.file("program", "content");
    let (one, other) = (PKI.self_signed(crate::pki::SIGNING), PKI.self_signed(crate::pki::SIGNING));
    scene.signers = vec![rule("programs", &[], &[&one.certificate]), rule("libraries", &[], &[&other.certificate])];
    scene.signers[1].uses = enforcer_common::USE_LIBRARY;
    let more = ["-signer", text(&other.certificate), "-inkey", text(&other.key)];
    cms_sign(&file, &one, &more, &scene.path("program.p7s"));
    assert_eq!(scene.word(&file), "signers-disagree");
    scene.signers[1].uses |= enforcer_common::USE_EXEC;
    scene.signers[0].uses |= enforcer_common::USE_LIBRARY;
    scene.signers[1].uses = enforcer_common::USE_EXEC;
    assert_eq!(scene.examine(&file).outcome().unwrap().uses(), enforcer_common::USE_EXEC);
}

#[test]
fn certificates_may_be_left_out_when_the_policy_knows_them_and_that_adds_no_trust() {
    let mut scene = Scene::new();
    let file = scene.file("program", "content");
    let signer = Identity { chain: None, ..PKI.issue("p256", crate::pki::SIGNING) };
    for form in [&["-nocerts"][..], &["-nocerts", "-keyid"]] {
        cms_sign(&file, &signer, form, &scene.path("program.p7s"));
        scene.signers[0].intermediates = Vec::new();
        assert_eq!(scene.word(&file), "signer-certificate");
        scene.signers[0].intermediates = vec![signer.certificate.clone()];
        assert_eq!(scene.word(&file), "unknown-issuer", "the intermediate is still missing");
        scene.signers[0].intermediates.push(PKI.intermediate.certificate.clone());
        assert_eq!(scene.word(&file), "detached vendor");
    }
    let stranger = PKI.self_signed(crate::pki::SIGNING);
    scene.signers[0].intermediates.push(stranger.certificate.clone());
    cms_sign(&file, &stranger, &["-nocerts"], &scene.path("program.p7s"));
    assert_eq!(scene.word(&file), "unknown-issuer");
}

fn signed(scene: &Scene, name: &str, signer: &Identity, more: &[&str]) -> PathBuf {
    let file = scene.file(name, format!("content of {name}"));
    sign(&file, signer, more);
    file
}

/// By `enforcer sign`: openssl's command cannot add attributes.
fn sign(file: &Path, signer: &Identity, more: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enforcer"));
    command.args(["sign", "--detach", "--key", text(&signer.key), "--certificate", text(&signer.certificate)]).args(more);
    if let Some(chain) = &signer.chain {
        command.args(["--chain", text(chain)]);
    }
    let output = command.arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
