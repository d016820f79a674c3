//! `enforcer policy list` and `enforcer policy check`, as an administrator meets them.

use std::process::Command;

use crate::scene::{Scene, append};

fn enforcer(scene: &Scene, words: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_enforcer")).args(words).arg(scene.path("policy.toml")).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_list_is_one_that_sha256sum_checks() {
    let scene = Scene::new();
    let (exit, list, stderr) = enforcer(&scene, &["policy", "list"]);
    assert!(exit == 0 && list.starts_with("# enforcer policy\nSHA256 ("), "{list}{stderr}");
    std::fs::write(scene.list(), &list).unwrap();
    let checked = Command::new("sha256sum").args(["--check", "--strict"]).arg(scene.list()).output().unwrap();
    let checked = (checked.status.success(), String::from_utf8(checked.stdout).unwrap());
    assert!(checked.0 && checked.1.lines().count() == 3, "{}", checked.1);
}

#[test]
fn the_check_says_whose_signature_is_missing() {
    let scene = Scene::new();
    let (exit, _, stderr) = enforcer(&scene, &["policy", "check"]);
    assert!(exit == 2 && stderr.contains("has to be signed") && stderr.contains("enforcer policy list"), "{stderr}");
    scene.sign(&scene.board);
    let (exit, stdout, stderr) = enforcer(&scene, &["policy", "check"]);
    assert!(exit == 0 && stdout.contains("valid"), "{stdout}{stderr}");
    append(&scene.path("operator.pem"), "\n");
    let (exit, stdout, _) = enforcer(&scene, &["policy", "check", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert!(exit == 2 && report["valid"] == false && report["problems"][0]["message"].as_str().unwrap().contains("operator.pem"), "{report}");
}
