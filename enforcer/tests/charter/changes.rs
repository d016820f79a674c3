//! Changes of the policy, and of the certificates that it names.

use std::fs;

use enforcer::charter::{Charter, CharterError, InForce};
use enforcer::signature::Rejected;

use crate::pki::{cms_sign, openssl, text};
use crate::scene::{Scene, append, through_bytes};

#[test]
fn a_policy_without_policy_signers_needs_no_signature_as_long_as_none_is_in_force() {
    let scene = Scene::new();
    scene.write_policy("");
    let admitted = scene.admit(&[]).unwrap();
    assert!(admitted.charter.is_empty() && admitted.list.is_none());
    assert!(scene.admit(&[InForce { charter: Charter::default(), kept: Default::default() }]).is_ok());
    assert_eq!(through_bytes(&admitted.charter), Charter::default());
}

#[test]
fn a_policy_that_demands_a_signature_has_to_bear_it() {
    let scene = Scene::new();
    let error = scene.admit(&[]).unwrap_err();
    assert!(matches!(error, CharterError::NoList { .. }) && error.to_string().contains("policy.toml.manifest"), "{error}");
    scene.write_list();
    let error = scene.admit(&[]).unwrap_err();
    assert!(error.to_string().contains("there is no signature"), "{error}");
    scene.sign(&scene.board);
    let admitted = scene.admit(&[]).unwrap();
    assert_eq!(admitted.charter.signers().collect::<Vec<_>>(), ["board"]);
    assert_eq!(admitted.endorsement.unwrap().signer(), "board");
}

#[test]
fn whoever_may_sign_code_alone_may_change_no_policy() {
    let scene = Scene::new();
    scene.sign(&scene.operator);
    let error = scene.admit(&[]).unwrap_err();
    assert!(matches!(error, CharterError::Signature { .. }) && error.to_string().contains("`board`"), "{error}");
}

#[test]
fn what_was_changed_after_it_was_signed_is_named() {
    let scene = Scene::new();
    scene.sign(&scene.board);
    let in_force = [scene.in_force()];
    assert!(scene.admit(&in_force).is_ok());
    for name in ["policy.toml", "operator.pem", "board.pem"] {
        let (path, before) = (scene.path(name), fs::read(scene.path(name)).unwrap());
        append(&path, "\n# another byte\n");
        for judges in [&in_force[..], &[]] {
            let error = scene.admit(judges).unwrap_err();
            assert!(matches!(&error, CharterError::NotListed { path: named, .. } if *named == path), "{name}: {error}");
        }
        fs::write(&path, before).unwrap();
    }
    assert!(scene.admit(&in_force).is_ok());
    append(&scene.list(), "# another line\n");
    let error = scene.admit(&in_force).unwrap_err();
    assert!(matches!(&error, CharterError::Signature { problem, .. } if matches!(**problem, Rejected::DigestMismatch)), "{error}");
}

#[test]
fn a_policy_is_judged_by_the_signers_in_force_and_not_by_those_it_brings_along() {
    let scene = Scene::new();
    scene.sign(&scene.board);
    let in_force = [scene.in_force()];
    // The operator makes themselves the policy signer, in a policy that is right by itself.
    scene.write_policy(&scene.signed_by("operators"));
    scene.sign(&scene.operator);
    assert!(scene.admit(&[]).is_ok());
    assert!(matches!(scene.admit(&in_force), Err(CharterError::Signature { .. })));
    // Or puts another authority behind the board's name.
    fs::copy(scene.path("operator.pem"), scene.path("board.pem")).unwrap();
    let policy = fs::read_to_string(scene.path("policy.toml")).unwrap().replace("anchors", "certificates");
    fs::write(scene.path("policy.toml"), policy).unwrap();
    scene.sign(&scene.operator);
    assert!(scene.admit(&[]).is_ok());
    assert!(matches!(scene.admit(&in_force), Err(CharterError::Signature { .. })));
    // Or a policy that demands nothing.
    fs::copy(&scene.board_root.certificate, scene.path("board.pem")).unwrap();
    scene.write_policy("");
    assert!(matches!(scene.admit(&in_force), Err(CharterError::Signature { .. })));
}

#[test]
fn the_board_may_hand_over_and_may_end_the_demand() {
    let scene = Scene::new();
    scene.sign(&scene.board);
    let in_force = [scene.in_force()];
    scene.write_policy(&scene.signed_by("operators"));
    scene.sign(&scene.board);
    assert!(matches!(scene.admit(&in_force), Err(CharterError::Signature { .. })), "the new signer has to stand behind it as well");
    let (board, operator) = (&scene.board, &scene.operator);
    let signature = scene.path("policy.toml.manifest.p7s");
    cms_sign(&scene.list(), board, &["-signer", text(&operator.certificate), "-inkey", text(&operator.key)], &signature);
    let admitted = scene.admit(&in_force).unwrap();
    assert_eq!(admitted.charter.signers().collect::<Vec<_>>(), ["operators"]);
    scene.write_policy("");
    scene.sign(&scene.board);
    assert!(scene.admit(&in_force).unwrap().charter.is_empty());
}

#[test]
fn a_list_that_was_signed_for_another_purpose_is_none_of_a_policy() {
    let scene = Scene::new();
    scene.write_list();
    let list = fs::read_to_string(scene.list()).unwrap();
    for text in [list.split_once('\n').unwrap().1.to_owned(), format!("\n{list}"), list.replacen("# enforcer policy", "# enforcer policy of old", 1)]
    {
        fs::write(scene.list(), text).unwrap();
        cms_sign(&scene.list(), &scene.board, &[], &scene.path("policy.toml.manifest.p7s"));
        assert!(matches!(scene.admit(&[]), Err(CharterError::NoHeader { .. })));
    }
}

#[test]
fn an_older_policy_is_not_brought_back() {
    let mut scene = Scene::new();
    scene.sign_edition(&scene.board, "policy", 7);
    let in_force = [scene.in_force()];
    assert!(scene.admit(&in_force).is_ok(), "it may start again");
    for (identifier, version) in [("policy", 6), ("another", 8)] {
        scene.sign_edition(&scene.board, identifier, version);
        assert!(matches!(scene.admit(&in_force), Err(CharterError::Older { .. })), "{identifier} {version}");
    }
    scene.sign(&scene.board);
    let error = scene.admit(&in_force).unwrap_err();
    assert!(error.to_string().contains("no identifier, and `policy` 7 is in force"), "{error}");
    scene.sign_edition(&scene.board, "policy", 8);
    assert!(scene.admit(&in_force).is_ok());
    // What was accepted once counts after a reboot too.
    scene.versions.raise("policy@board", 9);
    let error = scene.admit(&[]).unwrap_err();
    assert!(
        matches!(&error, CharterError::Signature { problem, .. } if matches!(**problem, Rejected::Rollback { version: 8, floor: 9, .. })),
        "{error}"
    );
}

#[test]
fn what_is_in_the_kernel_is_taken_as_it_is_or_not_at_all() {
    let scene = Scene::new();
    scene.sign_edition(&scene.board, "policy", 7);
    let charter = scene.in_force().charter;
    let bytes = charter.to_bytes(enforcer_common::CHARTER_SIZE).unwrap();
    assert!(matches!(charter.to_bytes(bytes.len() - 1), Err(CharterError::TooLarge { .. })));
    for damaged in [&bytes[..bytes.len() - 1], b"{}", br#"{"signers":[],"clocks":[],"edition":null,"lists":[],"kept":null}"#] {
        assert!(matches!(Charter::from_bytes(damaged), Err(CharterError::Damaged { .. })), "{}", String::from_utf8_lossy(damaged));
    }
    let text = String::from_utf8(bytes).unwrap();
    let shown = openssl(&["x509", "-in", text_of(&scene, "board.pem").as_str(), "-outform", "PEM"]).stdout;
    let body = String::from_utf8(shown).unwrap().lines().nth(1).unwrap().to_owned();
    assert!(text.contains(&body), "the certificate can be read in the kernel's map");
}

fn text_of(scene: &Scene, name: &str) -> String {
    scene.path(name).display().to_string()
}
