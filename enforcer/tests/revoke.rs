//! `enforcer revoke` as an administrator meets it, without a daemon.
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A policy whose one signer is a certificate made by openssl.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        let request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Operations", "-days", "30"];
        let extensions = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=codeSigning"];
        let files = ["-keyout", "key.pem", "-out", "certificate.pem"];
        let made = Command::new("openssl").current_dir(scene.folder.path()).args(request).args(extensions).args(files).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        scene.write_policy("");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_policy(&self, more: &str) {
        let at = |name: &str| self.path(name).display().to_string();
        let text = format!(
            "version = 1\nmode = \"audit\"\n[[signer]]\nname = \"operations\"\ncertificates = [\"{}\"]\n[revocation]\nfile = \"{}\"\ncrls = []\n\
             [sources]\nmanifests = []\nstores = []\n{more}",
            at("certificate.pem"),
            at("revoked.toml")
        );
        fs::write(self.path("policy.toml"), text).unwrap();
    }

    fn revoke(&self, words: &[&str]) -> (i32, String, String) {
        let policy = self.path("policy.toml");
        let output: Output = Command::new(env!("CARGO_BIN_EXE_enforcer")).arg("revoke").args(words).arg("--policy").arg(policy).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn file(&self) -> String {
        fs::read_to_string(self.path("revoked.toml")).unwrap_or_default()
    }
}

#[test]
fn what_is_revoked_is_listed_with_its_reason_and_undone() {
    let scene = Scene::new();
    let tool = scene.path("tool");
    fs::write(&tool, "content").unwrap();
    let sum = String::from_utf8(Command::new("sha256sum").arg(&tool).output().unwrap().stdout).unwrap();
    let (sum, tool, certificate) = (&sum[..64], tool.to_str().unwrap(), scene.path("certificate.pem"));
    let certificate = certificate.to_str().unwrap();
    let der = Command::new("openssl").args(["x509", "-noout", "-fingerprint", "-sha256", "-in", certificate]).output().unwrap().stdout;
    let fingerprint = String::from_utf8(der).unwrap().trim().rsplit('=').next().unwrap().to_owned();

    assert_eq!(scene.revoke(&["list"]).0, 0);
    let (exit, stdout, _) = scene.revoke(&["digest", "--file", tool, "--reason", "a hole"]);
    assert_eq!((exit, stdout.lines().next()), (0, Some(format!("revoked: digest sha256:{sum}").as_str())));
    assert_eq!(scene.revoke(&["certificate", certificate]).0, 0);
    assert_eq!(scene.revoke(&["signer", "operations"]).0, 0);

    let (exit, listed, _) = scene.revoke(&["list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let kinds: Vec<_> = listed["revoked"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!((exit, kinds), (0, vec!["digest", "certificate", "signer"]));
    assert_eq!(listed["revoked"][0]["reason"], "a hole");
    assert_eq!(listed["revoked"][1]["value"], fingerprint.replace(':', "").to_lowercase());
    assert!(listed["revoked"][0]["at"].as_str().unwrap().ends_with('Z'));

    let (exit, _, stderr) = scene.revoke(&["certificate", &fingerprint]);
    assert!(exit == 0 && stderr.contains("was revoked before"), "{stderr}");
    for undone in [["digest", &format!("sha256:{sum}")], ["certificate", &fingerprint], ["signer", "operations"]] {
        let words = [&["undo"], undone.as_slice()].concat();
        assert_eq!(scene.revoke(&words).0, 0);
        assert_eq!(scene.revoke(&words).0, 1, "{undone:?} was undone before");
    }
    assert!(!scene.file().contains("[["), "{}", scene.file());
}

#[test]
fn what_is_no_revocation_changes_nothing_and_says_why() {
    let scene = Scene::new();
    let key = scene.path("key.pem").display().to_string();
    for (words, expected) in [
        (&["digest", "abc"][..], "64 hexadecimal digits"),
        (&["digest"], "required"),
        (&["certificate", &key], "private key"),
        (&["signer", "oprations"], "has no signer `oprations`"),
    ] {
        let (exit, stdout, stderr) = scene.revoke(words);
        assert!(exit == 2 && stdout.is_empty() && stderr.contains(expected), "{words:?}: {exit} {stderr}");
    }
    let (exit, _, stderr) = scene.revoke(&["digest", "--file", "/no/such/file"]);
    assert!(exit == 3 && stderr.contains("/no/such/file"), "{exit} {stderr}");
    assert!(!scene.path("revoked.toml").exists());
    assert_eq!(scene.revoke(&["signer", "oprations", "--force"]).0, 0);
}

#[test]
fn a_damaged_file_is_shown_with_its_place_and_left_alone() {
    let scene = Scene::new();
    fs::write(scene.path("revoked.toml"), "[[signer]]\nnmae = \"x\"\n").unwrap();
    let (exit, _, stderr) = scene.revoke(&["signer", "operations"]);
    assert!(exit == 2 && stderr.contains("revoked.toml:2:1: unknown key `nmae`"), "{exit} {stderr}");
    assert!(scene.file().contains("nmae"));
}

/// In a copy of the program that its own signature lets in, a revocation of that signature is refused.
#[test]
fn what_would_keep_the_daemon_from_starting_is_refused_unless_forced() {
    let scene = Scene::new();
    let enforcer = Path::new(env!("CARGO_BIN_EXE_enforcer"));
    let store = scene.path("store");
    fs::create_dir(&store).unwrap();
    scene.write_policy("");
    let policy = fs::read_to_string(scene.path("policy.toml")).unwrap().replace("stores = []", &format!("stores = [\"{}\"]", store.display()));
    fs::write(scene.path("policy.toml"), policy).unwrap();
    let (key, certificate) = (scene.path("key.pem"), scene.path("certificate.pem"));
    let mut sign = Command::new(enforcer);
    sign.args(["sign", "--store"]).arg(&store).arg("--key").arg(key).arg("--certificate").arg(certificate).arg(enforcer);
    let signed = sign.output().unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));

    let (exit, _, stderr) = scene.revoke(&["signer", "operations"]);
    assert!(exit == 4 && stderr.contains("could not start again"), "{exit} {stderr}");
    assert!(!scene.path("revoked.toml").exists());
    let (exit, _, stderr) = scene.revoke(&["signer", "operations", "--force"]);
    assert!(exit == 0 && stderr.contains("the daemon will refuse this"), "{exit} {stderr}");
}
