//! Appended, in an extended attribute, in `security.ima`: written as the tools that people know write and read them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::pki::{Identity, PKI, SIGNING, cms_sign, openssl, text};
use crate::scene::{Scene, attribute, openssl_prints, openssl_verifies, stderr};

const MAGIC: &[u8] = b"~Module signature appended~\n";

/// The content, the signature, and `struct module_signature` of a file, taken apart by the book.
fn take_apart(bytes: &[u8]) -> (Vec<u8>, Vec<u8>, [u8; 12]) {
    let rest = bytes.strip_suffix(MAGIC).expect("the kernel's line of text");
    let (rest, header) = rest.split_last_chunk::<12>().unwrap();
    let length = u32::from_be_bytes(header[8..].try_into().unwrap()) as usize;
    let (content, signature) = rest.split_at(rest.len() - length);
    (content.to_vec(), signature.to_vec(), *header)
}

#[test]
fn an_appended_signature_is_byte_for_byte_what_openssl_makes_with_sign_files_flags() {
    let scene = Scene::new();
    let program = fs::read("/bin/true").unwrap();
    let (content, module) = (scene.file("content", &program), scene.file("module.ko", &program));
    fs::set_permissions(&module, fs::Permissions::from_mode(0o640)).unwrap();
    for (kind, digest) in [("rsa2048", "sha256"), ("rsa4096", "sha256"), ("rsa2048", "sha512")] {
        let signer = PKI.signer(kind);
        // Signing again replaces what the round before has appended.
        scene.sign(&signer, &["--append", "--digest", digest, "module.ko"]);
        let (before, signature, header) = take_apart(&fs::read(&module).unwrap());
        assert_eq!(before, fs::read(&content).unwrap());
        assert_eq!(header[..8], [0, 0, 2, 0, 0, 0, 0, 0]);
        let alone = Identity { chain: None, ..signer.clone() };
        cms_sign(&content, &alone, &["-noattr", "-nocerts", "-nosmimecap", "-md", digest], &scene.path("theirs"));
        assert_eq!(signature, fs::read(scene.path("theirs")).unwrap(), "{kind} {digest}");
    }
    assert_eq!(fs::metadata(&module).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(scene.names(), ["content", "module.ko", "theirs"]);
}

#[test]
fn an_appended_signature_may_have_claims_and_certificates() {
    let scene = Scene::new();
    let program = fs::read("/bin/true").unwrap();
    let (content, tool) = (scene.file("content", &program), scene.file("tool", &program));
    scene.sign(&PKI.signer("p256"), &["--append", "--certificates", "--identifier", "a", "tool"]);
    let (_, signature, _) = take_apart(&fs::read(&tool).unwrap());
    let signature = scene.file("signature", signature);
    assert!(openssl_verifies(&content, &signature, &[]));
    assert!(openssl_prints(&signature).contains("UTF8STRING:a"));
}

#[test]
fn a_broken_trailer_and_a_content_beyond_the_bound_are_refused_and_left_alone() {
    let scene = Scene::new();
    let signer = PKI.signer("p256");
    for header in
        [[0; 12], [0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 9], [0, 0, 2, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]]
    {
        let bytes = [&b"x"[..], &header, MAGIC].concat();
        let file = scene.file("file", &bytes);
        let told = scene.sign_fails(2, &signer, &["--append", "file"]);
        assert!(told.contains("appended signature") && told.contains("hint"), "{told}");
        assert_eq!(fs::read(&file).unwrap(), bytes);
    }
    fs::File::create(scene.path("large")).unwrap().set_len((64 << 20) + 1).unwrap();
    let told = scene.sign_fails(2, &signer, &["--detach", "--no-attributes", "large"]);
    assert!(told.contains("67108865 bytes") && told.contains("hint"), "{told}");
    assert!(scene.names().iter().all(|name| !name.starts_with('.')), "no draft is left");
}

#[test]
fn an_extended_attribute_holds_a_signature_that_openssl_accepts_and_the_file_stays_as_it_was() {
    let scene = Scene::new();
    let file = scene.file("tool", "content");
    for kind in ["p256", "rsa2048"] {
        scene.sign(&PKI.signer(kind), &["--xattr", "tool"]);
        let signature = scene.file("signature", attribute(&file, "user.enforcer.signature").unwrap());
        assert!(openssl_verifies(&file, &signature, &[]), "{kind}");
        assert_eq!(fs::read(&file).unwrap(), b"content");
    }
}

#[test]
fn an_attribute_that_the_file_system_has_no_room_for_is_an_error_with_a_way_out() {
    let scene = Scene::new();
    let file = scene.file("tool", "content");
    // ext4 keeps the attributes of a file in one block.
    let room = (1..=70).take_while(|count| {
        let name = format!("user.room{count}");
        rustix::fs::setxattr(&file, name.as_str(), &[7; 1000], rustix::fs::XattrFlags::empty()).is_ok()
    });
    if room.count() == 70 {
        return; // xfs and btrfs have room for all of it, and then nothing can fail.
    }
    let told = scene.sign_fails(3, &PKI.signer("rsa4096"), &["--xattr", "tool"]);
    assert!(told.contains("user.enforcer.signature") && told.contains("--detach"), "{told}");
    assert_eq!(attribute(&file, "user.enforcer.signature"), None);
}

#[test]
fn evmctl_accepts_our_security_ima_and_refuses_it_for_another_content() {
    let scene = Scene::new();
    let signers = [
        ("rsa2048", PKI.signer("rsa2048"), "sha256"),
        ("rsa4096", PKI.signer("rsa4096"), "sha512"),
        ("p256", PKI.signer("p256"), "sha256"),
        (
            "without a key identifier",
            PKI.issue("rsa2048", &format!("{}subjectKeyIdentifier=none\n", SIGNING.replace("subjectKeyIdentifier=hash\n", ""))),
            "sha256",
        ),
    ];
    for (kind, signer, digest) in signers {
        let file = scene.file("tool", format!("content {kind}"));
        let digest_option: &[&str] = if kind.starts_with('p') { &[] } else { &["--digest", digest] };
        scene.sign(&signer, &[&["--ima", "tool"], digest_option].concat());
        let value = attribute(&file, "security.ima").unwrap();
        assert_eq!(value[..3], [3, 2, if digest == "sha256" { 4 } else { 6 }]);
        assert!(evmctl_verifies(&signer.certificate, &file), "{kind}");
        let other = scene.file("other", "something else");
        rustix::fs::setxattr(&other, "security.ima", &value, rustix::fs::XattrFlags::empty()).unwrap();
        assert!(!evmctl_verifies(&signer.certificate, &other), "{kind}");
    }
}

#[test]
fn evmctls_own_signature_has_the_same_bytes_for_rsa() {
    let scene = Scene::new();
    let signer = PKI.signer("rsa2048");
    let (ours, theirs) = (scene.file("ours", "content"), scene.file("theirs", "content"));
    scene.sign(&signer, &["--ima", "ours"]);
    let output = Command::new("evmctl").args(["ima_sign", "--hashalgo", "sha256", "--key", text(&signer.key), text(&theirs)]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(attribute(&ours, "security.ima").unwrap(), attribute(&theirs, "security.ima").unwrap());
}

#[test]
fn keys_that_ima_does_not_know_are_refused_with_a_way_out() {
    let scene = Scene::new();
    scene.file("tool", "content");
    for (kind, more) in [("ed25519", &[][..]), ("rsa2048", &["--rsa-pss"])] {
        let told = scene.sign_fails(2, &PKI.signer(kind), &[&["--ima", "tool"], more].concat());
        assert!(told.contains("security.ima") && told.contains("--xattr"), "{told}");
    }
}

fn evmctl_verifies(certificate: &Path, file: &Path) -> bool {
    // evmctl reads certificates in DER only.
    let der = file.with_extension("der");
    openssl(&["x509", "-in", text(certificate), "-outform", "DER", "-out", text(&der)]);
    let output = Command::new("evmctl").args(["ima_verify", "--key", text(&der), text(file)]).output();
    output.expect("evmctl is needed: apt install ima-evm-utils").status.success()
}
