//! Keys in a token: SoftHSM holds them, openssl accepts what they sign.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pki::{Identity, PKI, openssl, text};
use crate::scene::{Scene, openssl_verifies, stderr, stdout};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A token with one key, labelled `signer`, in a folder of its own.
struct Token {
    scene: Scene,
    signer: Identity,
}

impl Token {
    fn with(kind: &str) -> Self {
        let scene = Scene::new();
        fs::create_dir(scene.path("tokens")).unwrap();
        scene.file(
            "softhsm2.conf",
            format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", text(&scene.path("tokens"))),
        );
        scene.file("pin", "1234\n");
        let token = Self { signer: PKI.signer(kind), scene };
        token.softhsm(&["--init-token", "--free", "--label", "code signing", "--so-pin", "5678", "--pin", "1234"]);
        token.import("signer", "01", &token.signer.key);
        token
    }

    fn import(&self, label: &str, id: &str, key: &Path) {
        let pkcs8: PathBuf = self.scene.path("pkcs8.pem");
        openssl(&["pkcs8", "-topk8", "-nocrypt", "-in", text(key), "-out", text(&pkcs8)]);
        self.softhsm(&["--import", text(&pkcs8), "--token", "code signing", "--label", label, "--id", id, "--pin", "1234"]);
    }

    fn softhsm(&self, arguments: &[&str]) {
        let output = Command::new("softhsm2-util").args(arguments).env("SOFTHSM2_CONF", self.scene.path("softhsm2.conf")).output();
        let output = output.expect("softhsm2-util is needed: apt install softhsm2");
        assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    }

    /// The URI of the key, with this behind `pkcs11:token=…;`.
    fn uri(&self, rest: &str) -> String {
        format!("pkcs11:token=code%20signing;{rest}").replace("MODULE", MODULE).replace("PIN", text(&self.scene.path("pin")))
    }

    fn sign(&self, uri: &str, arguments: &[&str], environment: &[(&str, &str)]) -> std::process::Output {
        let chain = self.signer.chain.as_ref().unwrap();
        let mut command = self.scene.command(["sign", "--key", uri, "--certificate", text(&self.signer.certificate), "--chain", text(chain)]);
        command.args(arguments).env("SOFTHSM2_CONF", self.scene.path("softhsm2.conf")).envs(environment.iter().copied());
        command.output().unwrap()
    }
}

const WHOLE: &str = "object=signer?module-path=MODULE&pin-source=file:PIN";

#[test]
fn openssl_accepts_what_a_token_signs_for_every_kind_of_key() {
    for (kind, more) in
        [("rsa2048", &[][..]), ("rsa2048", &["--digest", "sha512"]), ("rsa2048", &["--rsa-pss", "--digest", "sha384"]), ("p256", &[]), ("p384", &[])]
    {
        let token = Token::with(kind);
        let file = token.scene.file("tool", "content");
        // More than once, since each of the two numbers of ECDSA may happen to be short.
        for _ in 0..4 {
            let output = token.sign(&token.uri(WHOLE), &[&["--detach", "tool"], more].concat(), &[]);
            assert!(output.status.success(), "{kind}: {}", stderr(&output));
            assert!(openssl_verifies(&file, &token.scene.path("tool.p7s"), &[]), "{kind} {more:?}");
        }
    }
}

#[test]
fn a_token_signs_the_same_bytes_as_the_key_in_a_file() {
    let token = Token::with("rsa2048");
    for name in ["tool", "twin"] {
        fs::copy("/bin/true", token.scene.path(name)).unwrap();
    }
    let output = token.sign(&token.uri(WHOLE), &["tool"], &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    token.scene.sign(&token.signer, &["twin"]);
    assert_eq!(fs::read(token.scene.path("tool")).unwrap(), fs::read(token.scene.path("twin")).unwrap());
}

#[test]
fn ed25519_keys_sign_in_a_token_too() {
    let token = Token::with("ed25519");
    let file = token.scene.file("tool", "content");
    let output = token.sign(&token.uri(WHOLE), &["--detach", "tool"], &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    // Deterministic, so the key in a file must make the same.
    let from_token = fs::read(token.scene.path("tool.p7s")).unwrap();
    token.scene.sign(&token.signer, &["--detach", text(&file)]);
    assert_eq!(from_token, fs::read(token.scene.path("tool.p7s")).unwrap());
}

#[test]
fn pin_and_library_may_come_from_the_environment_and_the_key_by_its_number() {
    let token = Token::with("p256");
    token.import("signer", "02", &PKI.signer("p256").key);
    let file = token.scene.file("tool", "content");
    let environment = [("ENFORCER_PIN", "1234"), ("ENFORCER_PKCS11_MODULE", MODULE)];
    let output = token.sign(&token.uri("id=%01"), &["--detach", "tool"], &environment);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(openssl_verifies(&file, &token.scene.path("tool.p7s"), &[]));
    let output = token.sign(&token.uri("object=signer?pin-value=1234"), &["--detach", "tool"], &environment[1..]);
    assert!(stderr(&output).contains("2 private keys"), "{}", stderr(&output));
    let output = token.sign(&token.uri("object=signer;id=%02"), &["--detach", "tool"], &environment);
    assert!(stderr(&output).contains("not that of the certificate"), "{}", stderr(&output));
}

#[test]
fn what_is_wrong_is_named_with_a_remedy_and_the_pin_is_never_told() {
    let token = Token::with("p256");
    token.scene.file("tool", "content");
    let cases = [
        (token.uri("object=signer?module-path=MODULE&pin-value=geheim"), "refused the PIN"),
        (token.uri("object=signer?module-path=MODULE"), "needs a PIN"),
        (token.uri("object=signer?pin-value=geheim"), "token's library"),
        (token.uri("object=other?module-path=MODULE&pin-source=file:PIN"), "no private key"),
        (token.uri("object=signer?module-path=/nowhere.so&pin-value=geheim"), "/nowhere.so"),
        (token.uri("object=signer?module-path=libsofthsm2.so&pin-value=geheim"), "absolute path"),
        (token.uri("object=signer?module-path=MODULE&pin-source=file:/nowhere"), "/nowhere"),
        (token.uri(WHOLE).replace("code%20signing", "other"), "`code signing`"),
        (token.uri("type=cert;object=signer?module-path=MODULE&pin-value=geheim"), "private key"),
        ("pkcs11:object=a b?pin-value=geheim".to_owned(), "RFC 7512"),
        (token.uri("serial=0?module-path=MODULE&pin-value=geheim"), "names no key"),
    ];
    for (uri, expected) in cases {
        let output = token.sign(&uri, &["tool"], &[]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{uri}: {told}");
        assert!(told.contains(expected) && told.contains("hint"), "{uri}: {told}");
        assert!(!told.contains("geheim"), "{told}");
    }
}
