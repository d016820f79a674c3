//! `enforcer seal` as far as any file system goes: what would not run is left alone, and what cannot be sealed is told with a remedy.

use std::fs;

use crate::pki::text;
use crate::scene::{Scene, stdout};

#[test]
fn what_would_not_run_is_not_sealed() {
    let scene = Scene::new();
    scene.run(&["trust", "init", "pki"]);
    fs::copy("/bin/true", scene.path("tool")).unwrap();
    let root = text(&scene.path("pki/root.pem")).to_owned();
    scene.file("policy.toml", format!("version = 1\nmode = \"audit\"\n[[signer]]\nname = \"trial\"\nanchors = [\"{root}\"]\n"));
    let told = scene.fail(1, &["seal", "--policy", "policy.toml", "tool"]);
    assert!(told.contains("would not run") && told.contains("enforcer sign"), "{told}");
    fs::File::options().append(true).open(scene.path("tool")).expect("it can still be written");
}

#[test]
fn a_file_is_sealed_or_the_obstacle_is_named_with_a_remedy() {
    let scene = Scene::new();
    fs::copy("/bin/true", scene.path("tool")).unwrap();
    let output = scene.command(["seal", "--all", "--json", "tool"]).output().unwrap();
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    if report[0]["sealed"] == true {
        // The kernel keeps its word.
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(report[0]["fsverity_sha256"].as_str().unwrap().len(), 64);
        assert!(fs::File::options().append(true).open(scene.path("tool")).is_err());
    } else {
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("fs-verity") && told.contains("hint"), "{told}");
    }
    // tmpfs never can.
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let file = memory.path().join("tool");
    fs::copy("/bin/true", &file).unwrap();
    let told = scene.fail(1, &["seal", "--all", text(&file)]);
    assert!(told.contains("fs-verity") && told.contains("hint"), "{told}");
    assert_eq!(scene.command(["seal", "--all", "missing"]).output().unwrap().status.code(), Some(3));
}
