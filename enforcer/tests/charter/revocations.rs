//! What was revoked under a charter stays revoked.

use std::fs;

use enforcer::charter::{self, CharterError, InForce};
use enforcer::trust::{Revocation, Revoked, Subject};

use crate::pki::{openssl, text};
use crate::scene::Scene;

fn revoke(scene: &Scene, names: &[&str]) {
    let mut revoked = Revoked::default();
    for name in names {
        revoked.add(Revocation { subject: Subject::Signer((*name).to_owned()), reason: None, at: None });
    }
    revoked.save(&scene.path("revoked.toml")).unwrap();
}

/// What a running daemon does when the file of revocations changes.
fn renew(scene: &Scene, in_force: &InForce) -> Result<Revoked, CharterError> {
    let mut trust = scene.trust().renewed(&scene.policy().revocation).unwrap();
    let list = charter::beside(&scene.path("policy.toml")).unwrap();
    charter::renew(&mut trust, in_force, &list, &scene.facts()).map(|()| trust.revoked().clone())
}

#[test]
fn a_revocation_needs_no_signature_and_its_end_needs_one() {
    let scene = Scene::new();
    revoke(&scene, &["one"]);
    scene.sign_edition(&scene.board, "policy", 1);
    let mut in_force = scene.in_force();
    revoke(&scene, &["one", "two"]);
    in_force.kept = renew(&scene, &in_force).unwrap();
    assert!(in_force.kept.has_signer("one") && in_force.kept.has_signer("two"));
    // The very file that the list in force stands behind.
    revoke(&scene, &["one"]);
    assert!(renew(&scene, &in_force).unwrap().has_signer("two"));
    fs::remove_file(scene.path("revoked.toml")).unwrap();
    assert!(renew(&scene, &in_force).unwrap().has_signer("two"));
    // The next daemon, and one more reload of the same policy.
    revoke(&scene, &["one"]);
    let (admitted, revoked) = scene.admit_with(std::slice::from_ref(&in_force));
    assert!(admitted.is_ok() && revoked.has_signer("two"));
    // A list of the same version could be an old one.
    scene.sign_edition(&scene.board, "policy", 1);
    assert!(scene.admit_with(std::slice::from_ref(&in_force)).1.has_signer("two"));
    scene.sign_edition(&scene.board, "policy", 2);
    let (admitted, revoked) = scene.admit_with(std::slice::from_ref(&in_force));
    assert!(admitted.is_ok() && revoked.has_signer("one") && !revoked.has_signer("two"));
    // A newer policy that does not stand behind the file changes nothing of it.
    revoke(&scene, &[]);
    let (admitted, revoked) = scene.admit_with(&[in_force]);
    assert!(admitted.is_ok() && revoked.has_signer("one") && revoked.has_signer("two"));
}

#[test]
fn nobody_is_locked_out_by_the_revocation_of_the_policys_own_signer() {
    let scene = Scene::new();
    scene.sign(&scene.board);
    let in_force = scene.in_force();
    revoke(&scene, &["board"]);
    assert!(matches!(renew(&scene, &in_force), Err(CharterError::LocksOut { .. })));
    revoke(&scene, &["operators"]);
    assert!(renew(&scene, &in_force).is_ok());
}

#[test]
fn a_revoked_policy_signer_changes_no_policy() {
    let scene = Scene::new();
    scene.sign(&scene.board);
    let mut in_force = scene.in_force();
    in_force.kept.add(Revocation { subject: Subject::Signer("board".to_owned()), reason: None, at: None });
    assert!(matches!(scene.admit(&[in_force]), Err(CharterError::Signature { .. })));
}

#[test]
fn a_revocation_list_neither_vanishes_nor_grows_older() {
    let scene = Scene::new();
    scene.sign(&scene.board);
    let folder = scene.path("crls");
    fs::create_dir(&folder).unwrap();
    make_list(&scene, "20260101000000Z");
    let old = fs::read(folder.join("board.crl")).unwrap();
    make_list(&scene, "20260201000000Z");
    let new = fs::read(folder.join("board.crl")).unwrap();
    let in_force = scene.in_force();
    assert!(renew(&scene, &in_force).is_ok() && scene.admit(std::slice::from_ref(&in_force)).is_ok());
    fs::write(folder.join("board.crl"), &old).unwrap();
    assert!(matches!(renew(&scene, &in_force), Err(CharterError::ListGone { .. })), "an older one");
    fs::remove_file(folder.join("board.crl")).unwrap();
    assert!(matches!(renew(&scene, &in_force), Err(CharterError::ListGone { .. })), "none");
    let error = scene.admit(std::slice::from_ref(&in_force)).unwrap_err();
    assert!(error.to_string().contains("board-root"), "{error}");
    fs::write(folder.join("moved.crl"), new).unwrap();
    assert!(renew(&scene, &in_force).is_ok(), "by another name");
}

/// A list of the board's authority, on which nobody stands.
fn make_list(scene: &Scene, this_update: &str) {
    let at = |name: &str| scene.path(name).display().to_string();
    fs::write(at("index"), "").unwrap();
    fs::write(at("number"), "01\n").unwrap();
    let config = format!("[ca]\ndefault_ca=d\n[d]\ndatabase={}\ncrlnumber={}\ndefault_md=sha256\n", at("index"), at("number"));
    fs::write(at("config"), config).unwrap();
    let (config, pem, list) = (at("config"), at("list.pem"), at("crls/board.crl"));
    let (certificate, key) = (text(&scene.board_root.certificate), text(&scene.board_root.key));
    let dates = ["-crl_lastupdate", this_update, "-crl_nextupdate", "20400101000000Z"];
    openssl(&[&["ca", "-gencrl", "-config", &config, "-cert", certificate, "-keyfile", key, "-out", &pem][..], &dates].concat());
    openssl(&["crl", "-in", &pem, "-outform", "DER", "-out", &list]);
}
