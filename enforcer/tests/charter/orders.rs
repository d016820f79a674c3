//! Orders to take enforcement off.

use std::fs;

use enforcer::charter::{InForce, OrderError, order_text, verify_order};
use enforcer::signature::SignedText;
use enforcer::trust::{Revocation, Subject, TrustStore};

use crate::pki::{Identity, cms_sign};
use crate::scene::Scene;

const THIS_BOOT: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
const ANOTHER: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

fn judge(scene: &Scene, in_force: &InForce, text: &str, signer: &Identity) -> Result<String, OrderError> {
    let path = scene.path("order");
    fs::write(&path, text).unwrap();
    cms_sign(&path, signer, &[], &scene.path("order.p7s"));
    let order = SignedText::read(&path, 4096).unwrap();
    let trust = TrustStore::of_nobody(in_force.kept.clone());
    verify_order(in_force, &order, THIS_BOOT, &trust, &scene.facts()).map(|endorsement| endorsement.signer().to_owned())
}

#[test]
fn an_order_is_good_for_one_boot_and_by_the_policys_signer() {
    let scene = Scene::new();
    scene.sign(&scene.board);
    let mut in_force = scene.in_force();
    assert_eq!(judge(&scene, &in_force, &order_text(THIS_BOOT), &scene.board).unwrap(), "board");
    assert!(matches!(judge(&scene, &in_force, &order_text(THIS_BOOT), &scene.operator), Err(OrderError::Signature { .. })));
    let right = order_text(THIS_BOOT);
    for wrong in [
        order_text(ANOTHER),
        format!("{right}\n"),
        format!(" {right}"),
        right.trim_end().to_owned(),
        right.to_uppercase(),
        String::from("# enforcer policy\n"),
    ] {
        assert!(matches!(judge(&scene, &in_force, &wrong, &scene.board), Err(OrderError::Another { .. })), "{wrong:?}");
    }
    in_force.kept.add(Revocation { subject: Subject::Signer("board".to_owned()), reason: None, at: None });
    assert!(matches!(judge(&scene, &in_force, &right, &scene.board), Err(OrderError::Signature { .. })), "once the signer is revoked");
}
