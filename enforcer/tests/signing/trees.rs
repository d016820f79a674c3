//! Whole folders: what is signed, what is left alone, and what an interruption leaves.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::pki::PKI;
use crate::scene::{Scene, openssl_verifies};

/// Scripts with an executable bit, in folders of a hundred.
fn scripts(scene: &Scene, count: usize) {
    for number in 0..count {
        let folder = scene.path(&format!("tree/{}", number / 100));
        fs::create_dir_all(&folder).unwrap();
        let script = folder.join(format!("script{number}"));
        fs::write(&script, format!("#!/bin/sh\necho {number}\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn all_code_below_a_folder_is_signed_and_nothing_else() {
    let scene = Scene::new();
    scripts(&scene, 250);
    fs::copy("/bin/true", scene.path("tree/elf")).unwrap();
    fs::write(scene.path("tree/data"), "no code").unwrap();
    std::os::unix::fs::symlink("elf", scene.path("tree/link")).unwrap();
    let signer = PKI.signer("p256");
    let told = scene.sign(&signer, &["tree"]);
    assert!(told.contains("251 files signed (250 detached, 1 embedded)"), "{told}");
    let mut signed = 0;
    for number in (0..250).step_by(50) {
        let script = scene.path(&format!("tree/{}/script{number}", number / 100));
        assert!(openssl_verifies(&script, &script.with_extension("p7s"), &[]));
        signed += 1;
    }
    assert_eq!(signed, 5);
    assert!(!scene.path("tree/data.p7s").exists() && !scene.path("tree/link.p7s").exists());
    assert!(scene.path("tree/link").is_symlink());
    // A second time: the old signatures are replaced, and are not signed themselves.
    let before = fs::read(scene.path("tree/0/script0.p7s")).unwrap();
    let told = scene.sign(&signer, &["tree"]);
    assert!(told.contains("251 files signed"), "{told}");
    assert_ne!(fs::read(scene.path("tree/0/script0.p7s")).unwrap(), before);
    assert!(no_drafts(&scene.path("tree")));
}

#[test]
fn a_store_is_filled_from_a_folder_and_each_report_names_its_signature() {
    let scene = Scene::new();
    scripts(&scene, 30);
    fs::create_dir(scene.path("store")).unwrap();
    let told = scene.sign(&PKI.signer("p256"), &["--json", "--store", "store", "tree"]);
    let reports: serde_json::Value = serde_json::from_str(&told).unwrap();
    let reports = reports.as_array().unwrap();
    assert_eq!(reports.len(), 30);
    for report in reports {
        let (file, signature) = (report["path"].as_str().unwrap(), report["signature"].as_str().unwrap());
        assert_eq!(signature, format!("store/{}.p7s", report["sha256"].as_str().unwrap()));
        assert!(openssl_verifies(&scene.path(file), &scene.path(signature), &[]), "{file}");
    }
}

#[test]
fn a_file_that_cannot_be_signed_does_not_hold_up_the_others() {
    let scene = Scene::new();
    scripts(&scene, 10);
    let missing = scene.path("tree/0/missing");
    let told = scene.sign_fails(3, &PKI.signer("p256"), &["tree", "tree/0/missing"]);
    assert!(told.contains("missing") && told.contains("hint"), "{told}");
    assert!(!missing.exists());
    assert!(scene.path("tree/0/script9.p7s").exists());
    fs::create_dir(scene.path("empty")).unwrap();
    assert!(scene.sign(&PKI.signer("p256"), &["empty"]).contains("nothing here is code"));
}

#[test]
fn an_interruption_leaves_whole_signatures_and_no_drafts() {
    let scene = Scene::new();
    scripts(&scene, 6000);
    let signer = PKI.signer("p256");
    let key = [signer.key.to_str().unwrap(), signer.certificate.to_str().unwrap(), signer.chain.as_ref().unwrap().to_str().unwrap()];
    let mut child = scene
        .command(["sign", "--key", key[0], "--certificate", key[1], "--chain", key[2], "--detach", "tree"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // In the midst of it: some signatures are there.
    let started = Instant::now();
    while !scene.path("tree/0/script0.p7s").exists() {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3), "it was interrupted before its end");
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(told.contains("interrupted") && told.contains("hint"), "{told}");
    assert!(no_drafts(&scene.path("tree")));
    let mut signed = 0;
    for number in (0..6000).step_by(7) {
        let script = scene.path(&format!("tree/{}/script{number}", number / 100));
        let signature = script.with_extension("p7s");
        if signature.exists() {
            signed += 1;
            let der = fs::read(&signature).unwrap();
            // The length in the outermost header is the file's: nothing is cut off.
            assert_eq!(der[..2], [0x30, 0x82]);
            assert_eq!(usize::from(der[2]) * 256 + usize::from(der[3]) + 4, der.len());
        }
    }
    assert!(signed > 0);
}

fn no_drafts(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().all(|entry| {
        let entry = entry.unwrap();
        let is_draft = entry.file_name().to_string_lossy().starts_with(".enforcer-");
        !is_draft && (!entry.file_type().unwrap().is_dir() || no_drafts(&entry.path()))
    })
}

#[test]
fn a_store_that_is_not_there_is_told_of_once() {
    let scene = Scene::new();
    scripts(&scene, 2);
    let said = scene.sign_fails(2, &PKI.signer("p256"), &["--store", "nowhere", "tree"]);
    assert_eq!(said.matches("is no folder").count(), 1, "{said}");
    assert!(said.contains("mkdir -p nowhere"), "{said}");
}
