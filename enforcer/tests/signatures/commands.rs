//! The commands `sign`, `verify` and `manifest` as users meet them: what they say, and their exit statuses.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::pki::{Identity, PKI, SIGNING, text};
use crate::scene::Scene;

/// Runs the program in the scene's folder.
fn enforcer(scene: &Scene, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_enforcer")).args(arguments).current_dir(scene.folder.path()).stdin(Stdio::null()).output().unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().expect("no signal")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// `sign` with this pair and these arguments.
fn sign(scene: &Scene, pair: &Identity, arguments: &[&str]) -> Output {
    let mut all = vec!["sign", "--key", text(&pair.key), "--certificate", text(&pair.certificate)];
    if let Some(chain) = &pair.chain {
        all.extend(["--chain", text(chain)]);
    }
    enforcer(scene, &[&all, arguments].concat())
}

/// A scene with a policy that trusts the test root.
fn scene_with_policy() -> Scene {
    let scene = Scene::new();
    let root = text(&PKI.root.certificate);
    scene.file("policy.toml", format!("version = 1\nmode = \"audit\"\n[[signer]]\nname = \"vendor\"\nanchors = [\"{root}\"]\n"));
    scene
}

fn verify(scene: &Scene, arguments: &[&str]) -> Output {
    enforcer(scene, &[&["verify", "--policy", "policy.toml"], arguments].concat())
}

#[test]
fn signed_files_would_run_and_the_status_says_so() {
    let scene = scene_with_policy();
    fs::copy("/bin/true", scene.path("true")).unwrap();
    scene.file("script.sh", "#!/bin/sh\n");
    let unsigned = verify(&scene, &["true", "script.sh"]);
    assert_eq!(status(&unsigned), 1);
    assert!(stdout(&unsigned).contains("it is not signed") && stdout(&unsigned).contains("enforcer sign"), "{}", stdout(&unsigned));
    let signed = sign(&scene, &PKI.signer("p256"), &["true", "script.sh"]);
    assert_eq!(status(&signed), 0, "{}", stderr(&signed));
    assert!(stdout(&signed).contains("embedded") && stdout(&signed).contains("script.sh.p7s"), "{}", stdout(&signed));
    std::os::unix::fs::symlink("script.sh", scene.path("link")).unwrap();
    let verified = verify(&scene, &["true", "script.sh", "link"]);
    assert_eq!(status(&verified), 0, "{}", stdout(&verified));
    assert!(stdout(&verified).contains("vendor"), "{}", stdout(&verified));
}

#[test]
fn json_is_an_array_with_reasons_and_remedies() {
    let scene = scene_with_policy();
    fs::create_dir(scene.path("bin")).unwrap();
    fs::copy("/bin/true", scene.path("bin/good")).unwrap();
    fs::copy("/bin/true", scene.path("bin/plain")).unwrap();
    scene.file("bin/README", "no code, so not reported");
    assert_eq!(status(&sign(&scene, &PKI.signer("ed25519"), &["bin/good"])), 0);
    let output = verify(&scene, &["--json", "bin"]);
    assert_eq!(status(&output), 1);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [good, plain] = &report.as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!((&good["path"], &good["would_run"], &good["carrier"]), (&"bin/good".into(), &true.into(), &"embedded".into()));
    assert_eq!((&good["signer"], &good["uses"][0], &good["reason"]), (&"vendor".into(), &"exec".into(), &Value::Null));
    assert_eq!((&plain["would_run"], &plain["reason"]["code"]), (&false.into(), &"unsigned".into()));
    assert!(plain["reason"]["hint"].as_str().unwrap().contains("enforcer sign"));
    let sum = Command::new("sha256sum").arg(scene.path("bin/good")).output().unwrap().stdout;
    assert!(String::from_utf8(sum).unwrap().starts_with(good["sha256"].as_str().unwrap()));
}

#[test]
fn bad_input_has_a_clear_message_and_its_exit_status_and_hangs_nothing() {
    let scene = scene_with_policy();
    let fifo = scene.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    scene.file("empty", "");
    scene.file("elf", b"\x7fELF\x02\x01\x01");
    fs::File::create(scene.path("sparse")).unwrap().set_len(10 << 30).unwrap();
    let magic = fs::File::options().write(true).open(scene.path("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&magic, b"\x7fELF", 0).unwrap();
    scene.file("truncated", "content");
    scene.file("truncated.p7s", b"\x30\x82\x04\x00\x06\x09");
    let cases = [
        ("fifo", 2, "a FIFO", "name a regular file"),
        ("missing", 3, "No such file", "check the name"),
        ("/dev/null", 2, "a character device", "name a regular file"),
        ("empty", 1, "not signed", "enforcer sign"),
        ("elf", 1, "ELF headers are broken", "install the file again"),
        ("sparse", 1, "more than the 1073741824", "max-file-size"),
        ("truncated", 1, "truncated: 6 of 1028 bytes", "sign again"),
    ];
    for (file, expected, message, remedy) in cases {
        let output = verify(&scene, &[file]);
        assert_eq!(status(&output), expected, "{file}: {}{}", stdout(&output), stderr(&output));
        assert!(stdout(&output).contains(message) && stdout(&output).contains(remedy), "{file}: {}", stdout(&output));
    }
    assert_eq!(status(&verify(&scene, &["empty", "fifo", "missing"])), 3, "the worst counts");
    assert_eq!(status(&enforcer(&scene, &["verify", "--policy", "policy.toml"])), 2, "no file");
    for (file, expected, message) in [("fifo", 2, "a FIFO"), ("/dev/null", 2, "a character device"), ("missing", 3, "No such file")] {
        let output = sign(&scene, &PKI.signer("p256"), &[file]);
        assert_eq!(status(&output), expected, "{file}");
        assert!(stderr(&output).contains(message) && stderr(&output).contains("hint"), "{file}: {}", stderr(&output));
    }
}

#[test]
fn unfit_policies_and_keys_are_usage_errors_with_a_remedy() {
    let scene = scene_with_policy();
    scene.file("true", "x");
    let cases: [(Identity, &str, &str); 4] = [
        (PKI.issue_between("20200101000000Z", "20210101000000Z"), "expired at 2021-01-01", "hint"),
        (PKI.issue("p256", "extendedKeyUsage=serverAuth\n"), "not for code signing", "extendedKeyUsage=codeSigning"),
        (PKI.self_signed("basicConstraints=CA:TRUE\n"), "certificate authority", "openssl req -x509"),
        (Identity { key: PKI.signer("p256").key, ..PKI.signer("p256") }, "not the key of the certificate", "openssl pkey"),
    ];
    for (pair, message, remedy) in cases {
        let output = sign(&scene, &pair, &["true"]);
        assert_eq!(status(&output), 2);
        assert!(stderr(&output).contains(message) && stderr(&output).contains(remedy), "{}", stderr(&output));
    }
    let policy = |anchor: &Path| format!("version = 1\nmode = \"audit\"\n[[signer]]\nname = \"v\"\nanchors = [\"{}\"]\n", anchor.display());
    for (anchor, expected, message) in [
        (scene.path("missing.pem"), 2, "No such file"),
        (PKI.signer("p256").certificate, 2, "not a certificate authority"),
        (PKI.issue_between("20200101000000Z", "20210101000000Z").certificate, 2, "expired"),
    ] {
        scene.file("policy.toml", policy(&anchor));
        let output = verify(&scene, &["true"]);
        assert_eq!(status(&output), expected, "{}", stderr(&output));
        assert!(stderr(&output).contains(message) && stderr(&output).contains("hint"), "{}", stderr(&output));
    }
}

#[test]
fn a_signature_that_cannot_be_written_changes_nothing() {
    let scene = scene_with_policy();
    let program = scene.path("true");
    fs::copy("/bin/true", &program).unwrap();
    let before = fs::read(&program).unwrap();
    let pair = PKI.signer("p256");
    // A file size limit stands for a full disk: the write in the middle fails.
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$@\"";
    let (key, certificate) = (text(&pair.key), text(&pair.certificate));
    let output = Command::new("bash")
        .args(["-c", script, "bash", env!("CARGO_BIN_EXE_enforcer"), "sign", "--key", key, "--certificate", certificate, text(&program)])
        .output()
        .unwrap();
    assert_eq!(status(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot write") && stderr(&output).contains("nothing was changed"), "{}", stderr(&output));
    assert_eq!(fs::read(&program).unwrap(), before);
    // A folder that nobody can write to, root neither.
    let output = sign(&scene, &pair, &["--store", "/proc/1", "true"]);
    assert_eq!(status(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot write `/proc/1/"), "{}", stderr(&output));
    let names: Vec<_> = fs::read_dir(scene.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "no draft is left behind: {names:?}");
}

#[test]
fn manifests_are_made_signed_and_in_force() {
    let scene = scene_with_policy();
    let tree = scene.path("tree");
    fs::create_dir_all(tree.join("deep")).unwrap();
    fs::copy("/bin/true", tree.join("true")).unwrap();
    fs::copy("/bin/echo", tree.join("deep/library.so")).unwrap();
    fs::set_permissions(tree.join("deep/library.so"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(tree.join("script\nwith newline"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(tree.join("script\nwith newline"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(tree.join("README"), "text").unwrap();
    fs::create_dir(scene.path("manifests")).unwrap();
    let created = enforcer(&scene, &["manifest", "create", "tree", "-o", "manifests/base.manifest"]);
    assert_eq!(status(&created), 0, "{}", stderr(&created));
    let lines = fs::read_to_string(scene.path("manifests/base.manifest")).unwrap();
    let listed = |name: &str| lines.lines().any(|line| line.contains(name));
    assert!(listed("tree/true)") && listed("deep/library.so)") && listed("script\\nwith newline)") && !listed("README"), "{lines}");
    // coreutils reads it.
    let check = Command::new("sha256sum").args(["--check", "--strict", "manifests/base.manifest"]).current_dir(scene.folder.path()).output().unwrap();
    assert!(check.status.success(), "{}", stderr(&check));
    assert_eq!(stdout(&enforcer(&scene, &["manifest", "create", "tree"])), lines);
    let folder = scene.path("manifests");
    let policy = fs::read_to_string(scene.path("policy.toml")).unwrap();
    scene.file("policy.toml", format!("{policy}[sources]\nmanifests = [\"{}\"]\n", folder.display()));
    let pair = PKI.signer("rsa2048");
    let (key, certificate, chain) = (text(&pair.key), text(&pair.certificate), text(pair.chain.as_deref().unwrap()));
    let unsigned = verify(&scene, &["tree"]);
    assert_eq!(status(&unsigned), 1, "{}", stderr(&unsigned));
    assert!(stderr(&unsigned).contains("not in force") && stderr(&unsigned).contains("manifest sign"), "{}", stderr(&unsigned));
    let signed = enforcer(&scene, &["manifest", "sign", "--key", key, "--certificate", certificate, "--chain", chain, "manifests/base.manifest"]);
    assert_eq!(status(&signed), 0, "{}", stderr(&signed));
    assert!(crate::signing::openssl_verifies(&scene.path("manifests/base.manifest"), &scene.path("manifests/base.manifest.p7s")));
    let verified = verify(&scene, &["tree"]);
    assert_eq!(status(&verified), 0, "{}{}", stdout(&verified), stderr(&verified));
    // What is no manifest is not signed.
    scene.file("bad.manifest", "SHA256 (x) = 12\n");
    let bad = enforcer(&scene, &["manifest", "sign", "--key", key, "--certificate", certificate, "bad.manifest"]);
    assert_eq!(status(&bad), 2);
    assert!(stderr(&bad).contains("line 1"), "{}", stderr(&bad));
    assert_eq!(status(&enforcer(&scene, &["manifest", "create", "missing"])), 3);
}

#[test]
fn names_of_files_and_signers_cannot_steer_the_terminal() {
    let scene = scene_with_policy();
    scene.file("evil\x1b[2J", "x");
    let output = verify(&scene, &["evil\x1b[2J"]);
    assert!(!stdout(&output).contains('\x1b') && stdout(&output).contains("\\u{1b}"), "{}", stdout(&output));
    let json = verify(&scene, &["--json", "evil\x1b[2J"]);
    assert!(!stdout(&json).contains('\x1b'));
    let wrong = sign(&scene, &PKI.issue("p256", SIGNING), &["missing\x1b[2J"]);
    assert!(!stderr(&wrong).contains('\x1b'), "{}", stderr(&wrong));
}

#[test]
fn one_file_is_explained_step_by_step() {
    let scene = scene_with_policy();
    let path = scene.path("policy.toml");
    let component = "[[component]]\nidentifier = \"com.example.true\"\nnames = [\"true\"]\n";
    fs::write(&path, fs::read_to_string(&path).unwrap() + component).unwrap();
    fs::copy("/bin/true", scene.path("true")).unwrap();
    let signer = PKI.signer("p256");
    let claims = ["--identifier", "com.example.true", "--software-version", "9.1", "--security-version", "3", "--entitlement", "jit"];
    assert_eq!(status(&sign(&scene, &signer, &[&claims[..], &["true"]].concat())), 0);
    let explained = stdout(&verify(&scene, &["true"]));
    for expected in [
        "true: would run\n",
        "|- embedded signature: accepted\n|  `- signer: CN=",
        "ECDSA with SHA-256",
        "says it is com.example.true 9.1, security version 3, asks for jit",
        "entitlements granted, of those asked for: none",
        "it is the component `com.example.true`",
        "`- verdict: allowed, until 20",
    ] {
        assert!(explained.contains(expected), "{expected}:\n{explained}");
    }
    // The name of one component, the signature of none.
    fs::copy("/bin/false", scene.path("true")).unwrap();
    assert_eq!(status(&sign(&scene, &signer, &["true"])), 0);
    let other = verify(&scene, &["true"]);
    assert!(stdout(&other).contains("wrong-component") && status(&other) == 1, "{}", stdout(&other));
    let mut changed = fs::read(scene.path("true")).unwrap();
    changed[0x100] ^= 1;
    fs::write(scene.path("true"), changed).unwrap();
    let denied = verify(&scene, &["--explain", "true"]);
    let denied = stdout(&denied);
    assert!(
        denied.contains("embedded signature: not accepted") && denied.contains("denied at the step \"compare the content\" (digest-mismatch)"),
        "{denied}"
    );
}
