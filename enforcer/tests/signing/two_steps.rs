//! Signing in two steps: openssl makes the values, as an HSM would, and the result is the one that a single step makes.

use std::fs;
use std::path::Path;

use crate::pki::{Identity, PKI, openssl, text};
use crate::scene::{Scene, attribute, openssl_verifies};

/// `--prepare` for this signer.
fn prepare(scene: &Scene, signer: &Identity, arguments: &[&str]) -> String {
    let mut words = vec!["sign", "--certificate", text(&signer.certificate), "--prepare", "to-sign"];
    if let Some(chain) = &signer.chain {
        words.extend(["--chain", text(chain)]);
    }
    scene.run(&[&words[..], arguments].concat())
}

/// Runs the command that `--prepare` showed, with this key.
fn run_shown_command(scene: &Scene, shown: &str, signer: &Identity) {
    let line = shown.lines().find(|line| line.contains("for f in")).expect("a command").replace("key.pem", text(&signer.key));
    let status = std::process::Command::new("sh").args(["-c", &line]).current_dir(scene.folder.path()).status().unwrap();
    assert!(status.success(), "{line}");
}

#[test]
fn two_steps_make_the_same_bytes_as_one_for_every_carrier() {
    let signer = PKI.signer("rsa2048");
    let claims = ["--identifier", "a.b", "--security-version", "2"];
    for carrier in ["--embed", "--append", "--detach", "--xattr", "--ima", "--store"] {
        let (one, two) = (Scene::new(), Scene::new());
        let read = |scene: &Scene| {
            let store = fs::read_dir(scene.path("store")).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect::<Vec<_>>();
            let file = scene.path("tool");
            (
                fs::read(&file).unwrap(),
                fs::read(scene.path("tool.p7s")).ok(),
                ["user.enforcer.signature", "security.ima"].map(|name| attribute(&file, name)),
                store,
            )
        };
        for scene in [&one, &two] {
            fs::copy("/bin/true", scene.path("tool")).unwrap();
            fs::create_dir(scene.path("store")).unwrap();
        }
        let before = read(&one);
        let destination = if carrier == "--store" { vec![carrier, "store"] } else { vec![carrier] };
        let claims = if carrier == "--ima" { &[][..] } else { &claims };
        let arguments = [&destination[..], claims, &["tool"]].concat();
        one.sign(&signer, &arguments);
        let shown = prepare(&two, &signer, &arguments);
        assert_eq!(read(&two), before, "{carrier}: preparing changes nothing");
        run_shown_command(&two, &shown, &signer);
        two.run(&["sign", "--attach", "to-sign"]);
        assert_eq!(read(&one), read(&two), "{carrier}");
        assert_ne!(read(&one), before, "{carrier}");
    }
}

#[test]
fn the_shown_command_makes_values_for_every_kind_of_key() {
    for (kind, more) in
        [("p256", &[][..]), ("p384", &[]), ("ed25519", &[]), ("rsa2048", &["--rsa-pss", "--digest", "sha384"]), ("rsa2048", &["--no-attributes"])]
    {
        let scene = Scene::new();
        let signer = PKI.signer(kind);
        let file = scene.file("a file", "content");
        let shown = prepare(&scene, &signer, &[more, &["--detach", "a file"]].concat());
        run_shown_command(&scene, &shown, &signer);
        scene.run(&["sign", "--attach", "to-sign"]);
        // OpenSSL 3.0's cms command knows no Ed25519; that value was checked before it was attached.
        assert!(kind == "ed25519" || openssl_verifies(&file, &scene.path("a file.p7s"), &[]), "{kind}");
    }
}

#[test]
fn a_plain_pair_of_numbers_as_tokens_give_it_is_taken_too() {
    for (kind, digest, size) in [("p256", "-sha256", 32), ("p384", "-sha384", 48)] {
        let scene = Scene::new();
        let signer = PKI.signer(kind);
        let file = scene.file("tool", "content");
        prepare(&scene, &signer, &["--detach", "tool"]);
        // Again and again, since a number may happen to be short.
        for _ in 0..8 {
            let tbs = scene.path("to-sign/0001-tool.tbs");
            let der = openssl(&["dgst", digest, "-sign", text(&signer.key), text(&tbs)]).stdout;
            fs::write(scene.path("to-sign/0001-tool.sig"), plain_pair(&scene, &der, size)).unwrap();
            scene.run(&["sign", "--attach", "to-sign"]);
            assert!(openssl_verifies(&file, &scene.path("tool.p7s"), &[]), "{kind}");
        }
    }
}

/// Two INTEGERs in DER, as openssl reads them, as two numbers of the same size.
fn plain_pair(scene: &Scene, der: &[u8], size: usize) -> Vec<u8> {
    let path = scene.file("value", der);
    let parsed = String::from_utf8(openssl(&["asn1parse", "-inform", "DER", "-in", text(&path)]).stdout).unwrap();
    let numbers = parsed.lines().filter_map(|line| line.split_once("INTEGER           :")).map(|(_, digits)| {
        let digits = format!("{digits:0>width$}", width = size * 2);
        (0..size).map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).unwrap()).collect::<Vec<_>>()
    });
    numbers.flatten().collect()
}

/// What is done to the folder, the exit status, what is told, and how it is done.
type Case = (&'static str, i32, &'static str, fn(&Scene));

#[test]
fn nothing_is_attached_when_one_value_or_file_or_ticket_is_not_as_it_should_be() {
    let signer = PKI.signer("p256");
    let cases: [Case; 9] = [
        ("a missing value", 3, "0002-two.sig", |scene| fs::remove_file(scene.path("to-sign/0002-two.sig")).unwrap()),
        ("another value", 2, "is not a signature", |scene| {
            fs::copy(scene.path("to-sign/0001-one.sig"), scene.path("to-sign/0002-two.sig")).map(drop).unwrap()
        }),
        ("an empty value", 2, "is not a signature", |scene| fs::write(scene.path("to-sign/0002-two.sig"), "").unwrap()),
        ("a huge value", 2, "0002-two.sig", |scene| fs::write(scene.path("to-sign/0002-two.sig"), [7; 5000]).unwrap()),
        ("a changed file", 2, "changed since", |scene| fs::write(scene.path("two"), "other").unwrap()),
        ("a missing file", 3, "cannot open", |scene| fs::remove_file(scene.path("two")).unwrap()),
        ("a changed claim", 2, "is not a signature", |scene| {
            edit(&scene.path("to-sign/ticket.json"), "\"identifier\": \"x\"", "\"identifier\": \"y\"")
        }),
        ("a name that leads out", 2, "no file name", |scene| edit(&scene.path("to-sign/ticket.json"), "0002-two", "../0002-two")),
        ("another format", 2, "format 2", |scene| edit(&scene.path("to-sign/ticket.json"), "\"format\": 1", "\"format\": 2")),
    ];
    for (what, status, expected, change) in cases {
        let scene = Scene::new();
        scene.file("one", "content one");
        scene.file("two", "content two");
        let shown = prepare(&scene, &signer, &["--detach", "--identifier", "x", "one", "two"]);
        run_shown_command(&scene, &shown, &signer);
        change(&scene);
        let told = scene.fail(status, &["sign", "--attach", "to-sign"]);
        assert!(told.contains(expected) && told.contains("hint"), "{what}: {told}");
        assert!(!scene.path("one.p7s").exists() && !scene.path("two.p7s").exists(), "{what}");
    }
}

#[test]
fn a_folder_with_something_in_it_is_not_prepared_over_and_a_key_is_not_needed() {
    let scene = Scene::new();
    scene.file("tool", "content");
    let certificate = PKI.signer("p256").certificate;
    let told = scene.fail(2, &["sign", "--certificate", text(&certificate), "--prepare", ".", "tool"]);
    assert!(told.contains("not empty"), "{told}");
    let told = scene.fail(2, &["sign", "--key", "k", "--certificate", text(&certificate), "--prepare", "new", "tool"]);
    assert!(told.contains("--key"), "{told}");
    let told = scene.fail(2, &["sign", "--certificate", text(&certificate), "tool"]);
    assert!(told.contains("--key"), "{told}");
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}
