//! `manifest show`, `verify` and `diff` as users meet them.

use std::fs;

use serde_json::Value;

use crate::workshop::{Workshop, status, stderr, stdout};

/// A policy that pins a self-signed certificate, and a manifest `a.manifest` of a small tree.
fn scene() -> Workshop {
    let workshop = Workshop::new();
    workshop.tree("tree");
    workshop.run(
        "sh",
        &[
            "-euc",
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out signer.pem -days 30 \
        -subj /CN=Test -addext extendedKeyUsage=codeSigning -addext basicConstraints=CA:FALSE -addext keyUsage=digitalSignature 2>&1",
        ],
    );
    let pinned = workshop.path("signer.pem");
    workshop
        .file("policy.toml", format!("version = 1\nmode = \"audit\"\n[[signer]]\nname = \"vendor\"\ncertificates = [\"{}\"]\n", pinned.display()));
    assert_eq!(status(&workshop.enforcer(&["manifest", "create", "tree", "-o", "a.manifest"])), 0);
    workshop
}

fn sign(workshop: &Workshop, manifest: &str) {
    let output = workshop.enforcer(&["manifest", "sign", "--key", "key.pem", "--certificate", "signer.pem", manifest]);
    assert_eq!(status(&output), 0, "{}", stderr(&output));
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

#[test]
fn show_lists_paths_kinds_and_counts() {
    let workshop = scene();
    let fsverity = format!("FSVERITY-SHA256 (/x) = {}\n", "ab".repeat(32));
    let text = fs::read_to_string(workshop.path("a.manifest")).unwrap() + &fsverity;
    workshop.file("b.manifest", &text);
    let output = workshop.enforcer(&["manifest", "show", "b.manifest"]);
    assert_eq!(status(&output), 0, "{}", stderr(&output));
    let count = text.lines().count();
    let summary = format!("{count} digests: {} sha256, 1 fsverity-sha256; no signature beside it", count - 1);
    assert!(
        stdout(&output).contains("usr/bin/tool") && stdout(&output).contains("abababababababab") && stdout(&output).contains(&summary),
        "{}",
        stdout(&output)
    );
    let report = json(&workshop.enforcer(&["manifest", "show", "--json", "b.manifest"]).stdout);
    assert_eq!((&report["counts"]["entries"], &report["counts"]["fsverity_sha256"]), (&count.into(), &1.into()));
    assert_eq!(report["entries"].as_array().unwrap().last().unwrap()["digest"], "ab".repeat(32));
    sign(&workshop, "b.manifest");
    assert!(stdout(&workshop.enforcer(&["manifest", "show", "b.manifest"])).contains("signature beside it: b.manifest.p7s"));
    workshop.file("bad.manifest", "SHA256 (x) = 12\n");
    let bad = workshop.enforcer(&["manifest", "show", "bad.manifest"]);
    assert_eq!(status(&bad), 2);
    assert!(stderr(&bad).contains("line 1") && stderr(&bad).contains("hint"), "{}", stderr(&bad));
    assert_eq!(status(&workshop.enforcer(&["manifest", "show", "missing"])), 3);
    assert_eq!(status(&workshop.enforcer(&["manifest", "show", "tree"])), 2);
}

#[test]
fn verify_tells_whether_the_policy_would_put_it_in_force() {
    let workshop = scene();
    let verify = |manifest: &str| workshop.enforcer(&["manifest", "verify", "--policy", "policy.toml", manifest]);
    let unsigned = verify("a.manifest");
    assert_eq!(status(&unsigned), 1);
    assert!(
        stdout(&unsigned).contains("not in force: there is no signature") && stdout(&unsigned).contains("hint: sign it"),
        "{}",
        stdout(&unsigned)
    );
    sign(&workshop, "a.manifest");
    let signed = verify("a.manifest");
    assert_eq!(status(&signed), 0, "{}{}", stdout(&signed), stderr(&signed));
    assert!(stdout(&signed).contains("in force") && stdout(&signed).contains("signed by vendor"), "{}", stdout(&signed));
    assert!(stderr(&signed).contains("does not name it"), "{}", stderr(&signed));
    let report = json(&workshop.enforcer(&["manifest", "verify", "--policy", "policy.toml", "--json", "a.manifest"]).stdout);
    let lines = fs::read_to_string(workshop.path("a.manifest")).unwrap();
    let different: std::collections::BTreeSet<_> = lines.lines().map(|line| line.rsplit_once(' ').unwrap().1).collect();
    assert_eq!((&report["in_force"], &report["entries"], &report["signer"]["name"]), (&true.into(), &different.len().into(), &"vendor".into()));
    let policy = fs::read_to_string(workshop.path("policy.toml")).unwrap();
    workshop.file("policy.toml", format!("{policy}[sources]\nmanifests = [\"{}\"]\n", workshop.path("").display()));
    assert!(!stderr(&verify("a.manifest")).contains("does not name it"));
    // One more byte, and it is another manifest.
    workshop.file("a.manifest", lines.clone() + "\n");
    let changed = verify("a.manifest");
    assert_eq!(status(&changed), 1);
    assert!(stdout(&changed).contains("sign it again"), "{}", stdout(&changed));
    // Signed, and no manifest all the same.
    workshop.file("a.manifest", lines + "MD5 (x) = 12\n");
    workshop.run("sh", &["-euc", "openssl cms -sign -binary -outform DER -in a.manifest -signer signer.pem -inkey key.pem -out a.manifest.p7s"]);
    let report = json(&workshop.enforcer(&["manifest", "verify", "--policy", "policy.toml", "--json", "a.manifest"]).stdout);
    assert_eq!((&report["in_force"], &report["reason"]["code"], &report["signer"]), (&false.into(), &"bad-line".into(), &Value::Null));
    assert_eq!(status(&verify("missing.manifest")), 3);
    assert_eq!(status(&verify("tree")), 2);
    assert_eq!(status(&workshop.enforcer(&["manifest", "verify", "--policy", "missing.toml", "a.manifest"])), 3);
}

#[test]
fn a_signer_whom_the_policy_does_not_trust_is_named() {
    let workshop = scene();
    sign(&workshop, "a.manifest");
    workshop.run(
        "sh",
        &[
            "-euc",
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -out signer.pem -days 30 -subj /CN=Another \
        -addext extendedKeyUsage=codeSigning 2>&1",
        ],
    );
    let output = workshop.enforcer(&["manifest", "verify", "--policy", "policy.toml", "a.manifest"]);
    assert_eq!(status(&output), 1, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("not in force") && stdout(&output).contains("hint"), "{}", stdout(&output));
}

#[test]
fn diff_tells_what_was_added_removed_and_changed() {
    let workshop = scene();
    let same = workshop.enforcer(&["manifest", "diff", "a.manifest", "a.manifest"]);
    assert_eq!((status(&same), stdout(&same).contains("no difference")), (0, true), "{}", stdout(&same));
    fs::remove_file(workshop.path("tree/usr/bin/alias")).unwrap();
    fs::copy("/bin/true", workshop.path("tree/usr/bin/new")).unwrap();
    fs::write(workshop.path("tree/usr/bin/script"), "#!/bin/sh\nelse\n").unwrap();
    assert_eq!(status(&workshop.enforcer(&["manifest", "create", "tree", "-o", "b.manifest"])), 0);
    let output = workshop.enforcer(&["manifest", "diff", "a.manifest", "b.manifest"]);
    assert_eq!(status(&output), 1, "{}", stderr(&output));
    assert!(stdout(&output).contains("1 added, 1 removed, 1 changed"), "{}", stdout(&output));
    let report = json(&workshop.enforcer(&["manifest", "diff", "--json", "a.manifest", "b.manifest"]).stdout);
    let ends_with = |value: &Value, end: &str| value.as_str().unwrap().ends_with(end);
    assert!(ends_with(&report["added"][0], "/new") && ends_with(&report["removed"][0], "/alias"), "{report}");
    assert!(ends_with(&report["changed"][0]["path"], "/script"), "{report}");
    assert_ne!(report["changed"][0]["old"][0]["digest"], report["changed"][0]["new"][0]["digest"]);
    assert_eq!(status(&workshop.enforcer(&["manifest", "diff", "a.manifest", "missing"])), 3);
}

#[test]
fn every_command_has_an_example_and_none_of_a_manifests_paths_can_steer_the_terminal() {
    let workshop = Workshop::new();
    for command in ["create", "sign", "show", "verify", "diff"] {
        assert!(stdout(&workshop.enforcer(&["manifest", command, "--help"])).contains("Example"), "{command}");
    }
    workshop.file("a.manifest", format!("SHA256 (/evil\x1b[2J) = {}\n", "00".repeat(32)));
    workshop.file("b.manifest", "");
    for arguments in [&["show", "a.manifest"][..], &["diff", "a.manifest", "b.manifest"], &["show", "--json", "a.manifest"]] {
        let output = workshop.enforcer(&[&["manifest"], arguments].concat());
        assert!(!stdout(&output).contains('\x1b') && stdout(&output).contains("evil"), "{}", stdout(&output));
    }
}
