//! Signatures in comments as users meet them: what the commands say, signing in two steps, timestamps.

use std::fs;
use std::process::{Command, Output};

use crate::comments::{SCRIPT, read, sha256};
use crate::pki::{Identity, PKI, openssl, text};
use crate::scene::Scene;

/// `enforcer` in the scene's folder.
fn enforcer(scene: &Scene, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_enforcer")).args(arguments).current_dir(scene.folder.path()).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What `enforcer sign` needs to know of a signer.
fn signer_options(signer: &Identity) -> [&str; 4] {
    ["--certificate", text(&signer.certificate), "--chain", text(signer.chain.as_deref().unwrap())]
}

#[test]
fn the_commands_sign_verify_and_tell() {
    let scene = Scene::new();
    let signer = PKI.signer("p256");
    let root = text(&PKI.root.certificate);
    scene.file("policy.toml", format!("version = 1\nmode = \"audit\"\n[[signer]]\nname = \"vendor\"\nanchors = [\"{root}\"]\n"));
    let (script, other) = (scene.file("script.sh", SCRIPT), scene.file("other", SCRIPT));
    let sign = |arguments: &[&str]| enforcer(&scene, &[&["sign", "--key", text(&signer.key)], &signer_options(&signer)[..], arguments].concat());
    let signed = sign(&["--comment", "script.sh", "other"]);
    assert!(signed.status.success() && told(&signed).contains("comment"), "{}", told(&signed));
    // Of the blank behind the marks there is always one, however they are named.
    for marks in ["--comment=##", "--comment=## "] {
        assert!(sign(&[marks, "--identifier", "a.b", "other"]).status.success());
        assert!(read(&other).contains("\n## -----BEGIN CMS-----\n## MI"));
    }
    let tree = enforcer(&scene, &["verify", "--policy", "policy.toml", "script.sh"]);
    assert!(tree.status.success() && told(&tree).contains("signature in the comments at its end: accepted"), "{}", told(&tree));
    let json = enforcer(&scene, &["verify", "--policy", "policy.toml", "--json", "script.sh", "other"]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&report[0]["carrier"], &report[0]["signature"]), (&"comment".into(), &serde_json::Value::Null));
    assert_eq!((&report[1]["carrier"], &report[1]["identifier"]), (&"comment".into(), &"a.b".into()));
    // The kernel knows a file by all of its bytes.
    assert_eq!(report[0]["sha256"], sha256(&scene, &read(&script)));
    for (arguments, expected) in [
        (&["--comment=a b", "script.sh"][..], "comment marks are"),
        (&["--comment=123456789", "script.sh"], "comment marks are"),
        (&["--comment", "--detach", "script.sh"], "cannot be used with"),
        (&["--comment", "/bin/true"], "an ELF file"),
    ] {
        let before = read(&script);
        let refused = sign(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(told(&refused).contains(expected), "{}", told(&refused));
        assert_eq!(read(&script), before);
    }
}

#[test]
fn two_steps_make_the_same_bytes_as_one() {
    let (one, two) = (Scene::new(), Scene::new());
    let signer = PKI.signer("rsa2048");
    for marks in ["--comment", "--comment=//"] {
        let scripts = [&one, &two].map(|scene| scene.file("script", "#!/bin/sh\necho hello"));
        let signed = enforcer(&one, &[&["sign", "--key", text(&signer.key)], &signer_options(&signer)[..], &[marks, "script"]].concat());
        assert!(signed.status.success(), "{}", told(&signed));
        let prepared = enforcer(&two, &[&["sign", "--prepare", "to-sign"], &signer_options(&signer)[..], &[marks, "script"]].concat());
        assert!(prepared.status.success(), "{}", told(&prepared));
        assert_eq!(read(&scripts[1]), "#!/bin/sh\necho hello");
        let (tbs, value) = (two.path("to-sign/0001-script.tbs"), two.path("to-sign/0001-script.sig"));
        openssl(&["dgst", "-sha256", "-sign", text(&signer.key), "-out", text(&value), text(&tbs)]);
        let attached = enforcer(&two, &["sign", "--attach", "to-sign"]);
        assert!(attached.status.success(), "{}", told(&attached));
        assert_eq!(read(&scripts[0]), read(&scripts[1]));
        // With other marks it would be another content, and the value does not fit that.
        let ticket = read(&two.path("to-sign/ticket.json"));
        for (changed, expected) in [("\"marks\": \"%\"", "changed"), ("\"marks\": \"a b\"", "comment marks are")] {
            let from = if marks == "--comment" { "\"marks\": \"#\"" } else { "\"marks\": \"//\"" };
            assert!(ticket.contains(from), "{ticket}");
            fs::write(two.path("to-sign/ticket.json"), ticket.replace(from, changed)).unwrap();
            let before = fs::read(&scripts[1]).unwrap();
            let refused = enforcer(&two, &["sign", "--attach", "to-sign"]);
            assert!(!refused.status.success() && told(&refused).contains(expected), "{}", told(&refused));
            assert_eq!(fs::read(&scripts[1]).unwrap(), before);
        }
        fs::remove_dir_all(two.path("to-sign")).unwrap();
    }
}

#[test]
fn a_timestamp_goes_into_the_comments() {
    let scene = Scene::new();
    assert!(enforcer(&scene, &["trust", "init", "pki"]).status.success());
    let at = |name: &str| text(&scene.path(name)).to_owned();
    let policy = format!(
        "version = 1\nmode = \"audit\"\n[[signer]]\nname = \"trial\"\nanchors = [\"{0}\"]\n[[timestamp-authority]]\nname = \"clock\"\nanchors = [\"{0}\"]\n",
        at("pki/root.pem")
    );
    scene.file("policy.toml", policy);
    scene.file("serial", "01\n");
    let config = format!(
        "[tsa]\ndefault_tsa=t\n[t]\nserial={}\nsigner_cert={}\nsigner_key={}\ncerts={}\nsigner_digest=sha256\ndefault_policy=1.2.3.4\ndigests=sha256\n",
        at("serial"),
        at("pki/timestamp.pem"),
        at("pki/timestamp-key.pem"),
        at("pki/chain.pem")
    );
    scene.file("tsa.conf", config);
    let script = scene.file("script.lua", "print(1)");
    let signer = ["--key", "pki/signer-key.pem", "--certificate", "pki/signer.pem", "--chain", "pki/chain.pem"];
    let run = |arguments: &[&str]| {
        let output = enforcer(&scene, arguments);
        assert!(output.status.success(), "{}", told(&output));
        told(&output)
    };
    run(&[&["sign"], &signer[..], &["--comment", "script.lua"]].concat());
    let before = read(&script);
    run(&["timestamp", "query", "script.lua", "-o", "query"]);
    openssl(&["ts", "-reply", "-config", &at("tsa.conf"), "-queryfile", &at("query"), "-out", &at("reply")]);
    assert!(run(&["timestamp", "attach", "reply", "script.lua"]).contains("comment"));
    assert!(read(&script).len() > before.len() && read(&script).starts_with("print(1)\n-- -----BEGIN CMS-----\n-- MI"));
    let report: serde_json::Value = serde_json::from_str(&run(&["verify", "--policy", "policy.toml", "--json", "script.lua"])).unwrap();
    assert_eq!(report[0]["carrier"], "comment");
    assert!(report[0]["attempts"][0]["signers"][0]["signed_at"].is_string(), "{report}");
}
