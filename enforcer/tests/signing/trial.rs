//! `enforcer trust init`: openssl accepts every certificate for its purpose, and what it makes signs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::pki::{openssl, text, try_openssl};
use crate::scene::{Scene, stderr};

#[test]
fn openssl_accepts_the_trial_certificates_strictly_and_for_their_purpose_only() {
    for kind in ["p256", "p384", "ed25519"] {
        let scene = Scene::new();
        let told = scene.run(&["trust", "init", "--key-type", kind, "--name", "Größe & Co", "--days", "30", "pki"]);
        assert!(told.contains("[[signer]]") && told.contains("enforcer sign"), "{told}");
        let at = |name: &str| scene.path(&format!("pki/{name}"));
        let verify = |purpose: &str, certificate: &str| {
            let (root, chain, certificate) = (at("root.pem"), at("chain.pem"), at(certificate));
            let arguments = ["verify", "-x509_strict", "-CAfile", text(&root), "-untrusted", text(&chain), "-purpose", purpose, text(&certificate)];
            let output = try_openssl(&arguments);
            (output.status.success(), stderr(&output))
        };
        assert!(verify("timestampsign", "timestamp.pem").0, "{kind}: {}", verify("timestampsign", "timestamp.pem").1);
        assert!(verify("any", "signer.pem").0, "{kind}: {}", verify("any", "signer.pem").1);
        assert!(verify("any", "intermediate.pem").0, "{kind}: {}", verify("any", "intermediate.pem").1);
        assert!(!verify("timestampsign", "signer.pem").0, "{kind}");
        assert!(!verify("sslserver", "signer.pem").0, "{kind}");
        let shown = String::from_utf8(openssl(&["x509", "-in", text(&at("signer.pem")), "-noout", "-text"]).stdout).unwrap();
        assert!(shown.contains("Code Signing") && shown.contains("CA:FALSE") && shown.contains("Subject Key Identifier"), "{shown}");
        let shown = String::from_utf8(openssl(&["x509", "-in", text(&at("timestamp.pem")), "-noout", "-text"]).stdout).unwrap();
        assert!(shown.contains("X509v3 Extended Key Usage: critical\n                Time Stamping"), "{shown}");
        for name in ["root", "intermediate", "signer", "timestamp"] {
            let (key, certificate) = (at(&format!("{name}-key.pem")), at(&format!("{name}.pem")));
            assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
            let public = |arguments: &[&str]| openssl(arguments).stdout;
            assert_eq!(public(&["pkey", "-in", text(&key), "-pubout"]), public(&["x509", "-in", text(&certificate), "-noout", "-pubkey"]), "{name}");
        }
    }
}

#[test]
fn what_the_trial_signer_signs_openssl_and_the_policy_accept() {
    let scene = Scene::new();
    let told = scene.run(&["trust", "init", "pki"]);
    fs::copy("/bin/true", scene.path("tool")).unwrap();
    let sign = told.lines().find(|line| line.contains("enforcer sign")).unwrap().trim().replace("PROGRAM", "tool");
    scene.run(&sign.split(' ').skip(1).collect::<Vec<_>>());
    // The policy is the one that was shown.
    let shown: String = told.lines().filter(|line| line.contains('[') || line.contains("name =")).map(|line| format!("{}\n", line.trim())).collect();
    scene.file("policy.toml", format!("version = 1\nmode = \"audit\"\n{shown}"));
    let told = scene.run(&["verify", "--policy", "policy.toml", "tool"]);
    assert!(told.contains("trial"), "{told}");
    assert!(fs::read_to_string(scene.path("pki/README.txt")).unwrap().contains("For trials only"));
}

#[test]
fn a_folder_that_is_not_empty_and_impossible_wishes_are_refused() {
    let scene = Scene::new();
    scene.file("something", "");
    assert!(scene.fail(2, &["trust", "init", "."]).contains("not empty"));
    assert!(scene.fail(2, &["trust", "init", "--days", "0", "pki"]).contains("1 to 3650"));
    assert!(scene.fail(2, &["trust", "init", "--name", "", "pki"]).contains("1 to 40"));
    assert!(scene.fail(3, &["trust", "init", "missing/pki"]).contains("No such file"));
    assert_eq!(scene.names(), ["something"]);
}
