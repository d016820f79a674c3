//! Claims and algorithms: openssl shows what was claimed and accepts every form.

use crate::pki::{PKI, openssl, text};
use crate::scene::{Scene, openssl_prints, openssl_verifies};

const ARC: &str = "2.25.322318446290107374361183276047428195561";

#[test]
fn openssl_shows_the_claims_and_accepts_the_signature() {
    let scene = Scene::new();
    let file = scene.file("tool", "content");
    let claims = ["--identifier", "com.example.tool", "--software-version", "2.1 beta", "--security-version", "7"];
    let rights = ["--entitlement", "write-execute", "--entitlement", "foreign-libraries", "--entitlement", "write-execute"];
    for kind in ["rsa2048", "p256", "p384"] {
        scene.sign(&PKI.signer(kind), &[&["--detach", "tool"][..], &claims, &rights].concat());
        let signature = scene.path("tool.p7s");
        assert!(openssl_verifies(&file, &signature, &[]), "{kind}");
        let shown = openssl_prints(&signature);
        let value_of = |number: u32| {
            let at = shown.find(&format!("({ARC}.{number})")).unwrap_or_else(|| panic!("no {number} in {shown}"));
            shown[at..].lines().take(8).collect::<Vec<_>>().join("\n")
        };
        assert!(value_of(1).contains("UTF8STRING:com.example.tool"), "{}", value_of(1));
        assert!(value_of(2).contains("UTF8STRING:2.1 beta"), "{}", value_of(2));
        assert!(value_of(3).contains("INTEGER:7"), "{}", value_of(3));
        assert!(value_of(4).contains("SEQUENCE"), "{}", value_of(4));
        let parsed = openssl(&["asn1parse", "-inform", "DER", "-in", text(&signature)]).stdout;
        let parsed = String::from_utf8(parsed).unwrap();
        let names: Vec<&str> = parsed.lines().filter_map(|line| line.split_once("UTF8STRING        :")).map(|(_, name)| name).collect();
        let rights = names.iter().filter(|name| name.contains('-')).copied().collect::<Vec<_>>();
        assert_eq!(rights, ["foreign-libraries", "write-execute"]);
    }
}

#[test]
fn claims_without_an_identifier_and_claims_that_break_a_rule_are_usage_errors() {
    let scene = Scene::new();
    scene.file("tool", "content");
    let signer = PKI.signer("p256");
    let cases: [(&[&str], &str); 7] = [
        (&["--software-version", "1"], "--identifier"),
        (&["--security-version", "1"], "--identifier"),
        (&["--entitlement", "a"], "--identifier"),
        (&["--identifier", "a/b"], "hint"),
        (&["--identifier", "a", "--entitlement", "Upper"], "lower-case"),
        (&["--identifier", "a", "--security-version", "4294967296"], "4294967296"),
        (&["--identifier", "a", "--no-attributes"], "--no-attributes"),
    ];
    for (claims, expected) in cases {
        let told = scene.sign_fails(2, &signer, &[&["tool"], claims].concat());
        assert!(told.contains(expected), "{claims:?}: {told}");
    }
    assert_eq!(scene.names(), ["tool"]);
}

#[test]
fn openssl_accepts_every_digest_and_padding_with_and_without_attributes() {
    let scene = Scene::new();
    let file = scene.file("tool", "content");
    let rsa = PKI.signer("rsa2048");
    let other = scene.file("other", "other content");
    // openssl builds no chain from `-certfile`.
    let known = ["-certfile", text(&rsa.certificate), "-noverify"];
    for digest in ["sha256", "sha384", "sha512"] {
        for padding in [&[][..], &["--rsa-pss"]] {
            for form in [&[][..], &["--no-attributes"], &["--no-certificates"], &["--no-attributes", "--no-certificates"]] {
                scene.sign(&rsa, &[&["--detach", "--digest", digest, "tool"][..], padding, form].concat());
                let more = if form.contains(&"--no-certificates") { &known[..] } else { &[] };
                assert!(openssl_verifies(&file, &scene.path("tool.p7s"), more), "{digest} {padding:?} {form:?}");
                assert!(!openssl_verifies(&other, &scene.path("tool.p7s"), more), "{digest} {padding:?} {form:?}");
                let shown = openssl_prints(&scene.path("tool.p7s"));
                assert!(shown.contains(digest), "{shown}");
                assert_eq!(shown.contains("rsassaPss"), !padding.is_empty());
                assert_eq!(shown.contains("messageDigest"), !form.contains(&"--no-attributes"));
                assert_eq!(shown.contains("d.certificate"), !form.contains(&"--no-certificates"));
            }
        }
    }
    for kind in ["p256", "p384"] {
        scene.sign(&PKI.signer(kind), &["--detach", "--no-attributes", "tool"]);
        assert!(openssl_verifies(&file, &scene.path("tool.p7s"), &[]), "{kind}");
    }
}

#[test]
fn what_does_not_go_together_is_refused_with_a_remedy() {
    let scene = Scene::new();
    scene.file("tool", "content");
    for (kind, arguments, expected) in [
        ("p256", &["--digest", "sha384"][..], "P-256 signs with SHA-256"),
        ("p384", &["--digest", "sha256"], "P-384 signs with SHA-384"),
        ("ed25519", &["--digest", "sha256"], "Ed25519 signs with SHA-512"),
        ("p256", &["--rsa-pss"], "needs an RSA key"),
    ] {
        let told = scene.sign_fails(2, &PKI.signer(kind), &[&["tool"], arguments].concat());
        assert!(told.contains(expected) && told.contains("hint"), "{told}");
    }
}
