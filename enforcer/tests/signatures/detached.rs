//! Detached signatures and manifests as `openssl cms` makes them.

use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerInfos};
use der::asn1::{Any, ObjectIdentifier, SetOfVec};
use der::{Decode, Encode};
use enforcer::signature::Facts;
use std::fs;
use std::path::Path;
use std::process::Command;

use enforcer::signature::{Carrier, Rejected};

use crate::pki::{AUTHORITY, Identity, KEY_KINDS, PKI, SIGNING, cms_sign, openssl, text};
use crate::scene::{Scene, later, rule, word};

#[test]
fn what_openssl_signs_is_accepted_for_every_key_digest_and_form() {
    let scene = Scene::new();
    let file = scene.file("program", "some content\n");
    let signature = scene.path("program.p7s");
    let mut seen = 0;
    // OpenSSL 3.0's cms command cannot make Ed25519 signatures; `sign.rs` covers them.
    for kind in KEY_KINDS.iter().filter(|kind| **kind != "ed25519") {
        let signer = PKI.signer(kind);
        for digest in ["sha256", "sha384", "sha512"] {
            // ring has no ECDSA with SHA-512.
            if digest == "sha512" && !kind.starts_with("rsa") {
                continue;
            }
            for form in [&[][..], &["-noattr"], &["-keyid"], &["-noattr", "-keyid"], &["-cades"]] {
                cms_sign(&file, &signer, &[&["-md", digest], form].concat(), &signature);
                assert_eq!(scene.word(&file), "detached vendor", "{kind} {digest} {form:?}: {:?}", scene.examine(&file));
                seen += 1;
            }
        }
    }
    assert_eq!(seen, (3 * 3 + 2 * 2) * 5);
}

#[test]
fn a_store_is_asked_by_the_content_s_digest() {
    let mut scene = Scene::new();
    let store = scene.path("store");
    fs::create_dir(&store).unwrap();
    scene.sources.stores = vec![scene.path("not-there"), store.clone()];
    let file = scene.file("program", "content");
    assert_eq!(scene.word(&file), "unsigned");
    cms_sign(&file, &PKI.signer("p256"), &["-md", "sha384"], &store.join(format!("{}.p7s", sha256sum(&file))));
    assert_eq!(scene.word(&file), "store vendor");
    // The content counts, not the name.
    assert_eq!(scene.word(&scene.file("another-name", "content")), "store vendor");
    assert_eq!(scene.word(&scene.file("program", "content!")), "unsigned");
}

#[test]
fn a_manifest_as_sha256sum_writes_it_vouches_for_its_files_and_no_others() {
    let mut scene = Scene::new();
    let (a, b, other) = (scene.file("a", "A"), scene.file("b\nwith newline", "B"), scene.file("other", "O"));
    let listing = Command::new("sha256sum").arg("--tag").args([&a, &b]).output().unwrap().stdout;
    let manifests = scene.path("manifests");
    fs::create_dir(&manifests).unwrap();
    let manifest = manifests.join("base.manifest");
    fs::write(&manifest, [b"# comment\n\n", listing.as_slice()].concat()).unwrap();
    cms_sign(&manifest, &PKI.signer("rsa2048"), &[], &manifests.join("base.manifest.p7s"));
    fs::write(manifests.join("unsigned.manifest"), listing).unwrap();
    scene.sources.manifests = vec![manifests];
    assert_eq!([&a, &b, &other].map(|path| scene.word(path)), ["manifest vendor", "manifest vendor", "unsigned"]);
    let examiner = scene.examiner();
    let [error] = examiner.manifest_errors() else { panic!("{:?}", examiner.manifest_errors()) };
    assert!(error.to_string().contains("unsigned.manifest.p7s"), "{error}");
    assert_eq!(examiner.manifest_entries().count(), 2);
    // The certificate expires while the manifest is loaded.
    assert_eq!(examiner_word_at(&examiner, &a, later(scene.now, 400)), "certificate-expired");
    // One byte of the manifest is changed.
    fs::write(&manifest, fs::read_to_string(&manifest).unwrap().replace("# comment", "# Comment")).unwrap();
    assert_eq!(scene.word(&a), "unsigned");
    assert!(scene.examiner().manifest_errors()[0].to_string().contains("not the one that was signed"));
}

#[test]
fn a_signed_manifest_with_a_bad_line_is_an_error_that_names_the_line() {
    let mut scene = Scene::new();
    let manifest = scene.file("x.manifest", "# one\nSHA256 (a) = 00\n");
    cms_sign(&manifest, &PKI.signer("p256"), &[], &scene.path("x.manifest.p7s"));
    scene.sources.manifests = vec![manifest, scene.path("missing.manifest")];
    let errors: Vec<String> = scene.examiner().manifest_errors().iter().map(ToString::to_string).collect();
    assert!(errors[0].contains("line 2") && errors[1].contains("missing.manifest"), "{errors:?}");
}

#[test]
fn the_first_rule_that_accepts_wins_and_a_pinned_certificate_needs_no_chain() {
    let mut scene = Scene::new();
    let file = scene.file("program", "content");
    let mut signer = PKI.signer("p256");
    let chain = signer.chain.take();
    cms_sign(&file, &signer, &["-nocerts"], &scene.path("program.p7s"));
    assert_eq!(scene.word(&file), "signer-certificate");
    scene.signers.push(rule("pinned", &[], &[&signer.certificate]));
    assert_eq!(scene.word(&file), "detached pinned");
    signer.chain = chain;
    cms_sign(&file, &signer, &[], &scene.path("program.p7s"));
    assert_eq!(scene.word(&file), "detached vendor");
    scene.signers.rotate_left(1);
    assert_eq!(scene.word(&file), "detached pinned");
    assert_eq!(word(&scene.examine_at(&file, later(scene.now, 400))), "certificate-expired");
    // What `openssl req -x509` makes: a certificate authority that signs itself. It counts when it is pinned, and only then.
    let own = PKI.self_signed("basicConstraints=CA:TRUE\n");
    cms_sign(&file, &own, &[], &scene.path("program.p7s"));
    assert_eq!(scene.word(&file), "certificate-purpose");
    scene.signers = vec![rule("own", &[], &[&own.certificate])];
    assert_eq!(scene.word(&file), "detached own");
}

#[test]
fn the_earliest_end_in_the_chain_is_the_end() {
    let scene = Scene::new();
    let file = scene.file("program", "content");
    let signer = PKI.signer("p256");
    cms_sign(&file, &signer, &[], &scene.path("program.p7s"));
    let examination = scene.examine(&file);
    let end = examination.outcome().unwrap().not_after().unwrap();
    assert_eq!(word(&scene.examine_at(&file, end)), "detached vendor");
    assert_eq!(word(&scene.examine_at(&file, later(end, 1))), "certificate-expired");
}

#[test]
fn certificates_that_may_not_sign_code_are_refused_by_name() {
    let scene = Scene::new();
    let file = scene.file("program", "content");
    let cases = [
        ("certificate-purpose", PKI.issue("p256", "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")),
        ("certificate-purpose", PKI.issue("p256", "basicConstraints=CA:FALSE\nextendedKeyUsage=anyExtendedKeyUsage\n")),
        ("certificate-purpose", PKI.issue("p256", "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n")),
        ("certificate-purpose", PKI.issue("p256", &SIGNING.replace("digitalSignature", "keyAgreement"))),
        ("certificate-purpose", PKI.issue("p256", &format!("{AUTHORITY}extendedKeyUsage=codeSigning\n"))),
        ("certificate-purpose", Identity { chain: None, ..PKI.intermediate.clone() }),
        ("unknown-issuer", PKI.self_signed(SIGNING)),
        ("certificate-expired", PKI.issue_between("20200101000000Z", "20210101000000Z")),
        ("certificate-not-yet-valid", PKI.issue_between("20900101000000Z", "20910101000000Z")),
    ];
    for (code, signer) in cases {
        cms_sign(&file, &signer, &[], &scene.path("program.p7s"));
        assert_eq!(scene.word(&file), code, "{:?}", scene.examine(&file));
    }
    let mut signer = PKI.signer("p256");
    signer.chain = None;
    cms_sign(&file, &signer, &[], &scene.path("program.p7s"));
    assert_eq!(scene.word(&file), "unknown-issuer", "without its intermediate");
}

#[test]
fn signatures_of_another_form_are_refused_by_name() {
    let scene = Scene::new();
    let file = scene.file("program", "content");
    let signature = scene.path("program.p7s");
    let signer = PKI.signer("rsa2048");
    let cases: [(&[&str], &str); 7] = [
        (&["-md", "sha1"], "SHA-1"),
        (&["-md", "md5"], "MD5"),
        (&["-md", "sha1", "-noattr"], "SHA-1"),
        (&["-md", "sha224"], "not supported"),
        (&["-keyopt", "rsa_padding_mode:pss"], "parameters of RSA-PSS"),
        (&["-econtent_type", "1.2.3.4"], "not data"),
        (&["-nocerts"], "neither in the signature nor in the policy"),
    ];
    for (arguments, expected) in cases {
        cms_sign(&file, &signer, arguments, &signature);
        let examination = scene.examine(&file);
        let message = examination.outcome().unwrap_err().to_string();
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
    let odd = PKI.issue("p521", SIGNING);
    cms_sign(&file, &odd, &[], &signature);
    assert_eq!(scene.word(&file), "bad-signature");
}

#[test]
fn a_signature_cut_from_another_file_or_by_another_key_is_refused() {
    let scene = Scene::new();
    let (file, other) = (scene.file("program", "content"), scene.file("other", "other content"));
    for form in [&[][..], &["-noattr"]] {
        cms_sign(&other, &PKI.signer("p256"), form, &scene.path("program.p7s"));
        let examination = scene.examine(&file);
        let expected = examination.outcome().unwrap_err();
        assert!(matches!(expected, Rejected::DigestMismatch | Rejected::BadSignature { .. }), "{expected}");
    }
    // A trusted certificate beside a signature that it did not make.
    let (trusted, thief) = (PKI.signer("p256"), PKI.self_signed(SIGNING));
    cms_sign(&file, &thief, &["-certfile", text(&trusted.certificate)], &scene.path("program.p7s"));
    assert_eq!(scene.word(&file), "unknown-issuer");
}

#[test]
fn attributes_cut_out_of_a_signature_are_no_signed_content() {
    let scene = Scene::new();
    let file = scene.file("program", "content");
    let signature = scene.path("program.p7s");
    cms_sign(&file, &PKI.signer("p256"), &[], &signature);
    // The same signature value, over what it really is over: the attributes as a SET OF.
    let mut signed_data: SignedData = ContentInfo::from_der(&fs::read(&signature).unwrap()).unwrap().content.decode_as().unwrap();
    let mut info = signed_data.signer_infos.0.as_slice()[0].clone();
    let attributes = info.signed_attrs.take().unwrap().to_der().unwrap();
    signed_data.signer_infos = SignerInfos(SetOfVec::try_from(vec![info]).unwrap());
    let content_type = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
    let info = ContentInfo { content_type, content: Any::encode_from(&signed_data).unwrap() };
    fs::write(&signature, info.to_der().unwrap()).unwrap();
    fs::write(&file, attributes).unwrap();
    let arguments = ["cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", "-in", text(&signature), "-content", text(&file)];
    openssl(&[&arguments[..], &["-CAfile", text(&PKI.root.certificate), "-out", "/dev/null"]].concat());
    assert_eq!(scene.word(&file), "attributes-as-content", "what openssl accepts");
}

#[test]
fn ber_and_pem_are_read_and_nothing_may_stand_behind_them() {
    let scene = Scene::new();
    let file = scene.file("program", "content");
    let signature = scene.path("program.p7s");
    let signer = PKI.signer("p256");
    let other = scene.file("other", "another");
    for form in [&["-stream"][..], &["-outform", "PEM"], &["-outform", "PEM", "-stream"], &["-nodetach"], &["-stream", "-indef", "-nodetach"]] {
        cms_sign(&other, &signer, form, &signature);
        assert_eq!(scene.word(&file), "digest-mismatch", "a copy of the content inside does not make it the file's");
        cms_sign(&file, &signer, form, &signature);
        assert_eq!(scene.word(&file), "detached vendor", "{form:?}");
        let whole = fs::read(&signature).unwrap();
        for tail in [&b"\0"[..], b"x", b"\n-----BEGIN CMS-----\nMAA=\n-----END CMS-----\n"] {
            fs::write(&signature, [&whole, tail].concat()).unwrap();
            assert_eq!(scene.word(&file), "bad-signature-format", "{form:?} {tail:?}");
        }
        for length in (0..whole.len()).step_by(5) {
            fs::write(&signature, &whole[..length]).unwrap();
            let word = scene.word(&file);
            // The last line's end may be missing.
            assert!(word == "bad-signature-format" || length + 5 > whole.len(), "{form:?} {length}: {word}");
        }
    }
}

#[test]
fn every_truncation_and_every_trailing_byte_is_refused() {
    let scene = Scene::new();
    let file = scene.file("program", "content");
    let path = scene.path("program.p7s");
    cms_sign(&file, &PKI.signer("p256"), &[], &path);
    let whole = fs::read(&path).unwrap();
    let examiner = scene.examiner();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(examiner_word_at(&examiner, &file, scene.now), "bad-signature-format", "{length}");
    }
    fs::write(&path, [whole.as_slice(), &[0]].concat()).unwrap();
    assert_eq!(scene.word(&file), "bad-signature-format");
    fs::write(&path, vec![0x30; 70_000]).unwrap();
    assert_eq!(scene.word(&file), "bad-signature-format");
    fs::write(&path, &whole).unwrap();
    assert_eq!(scene.word(&file), "detached vendor");
}

#[test]
fn a_later_carrier_helps_when_an_earlier_one_is_bad_and_both_are_told() {
    let mut scene = Scene::new();
    let file = scene.file("program", "content");
    scene.file("program.p7s", "garbage");
    scene.sources.stores = vec![scene.folder.path().to_owned()];
    cms_sign(&file, &PKI.signer("p256"), &[], &scene.path(&format!("{}.p7s", sha256sum(&file))));
    let examination = scene.examine(&file);
    assert_eq!(word(&examination), "store vendor");
    assert!(matches!(&examination.attempts[0].carrier, Carrier::Detached(_)) && examination.attempts[0].result.is_err());
    // A signature that cannot be read is a reason of its own, and may go away.
    fs::remove_file(scene.path("program.p7s")).unwrap();
    fs::create_dir(scene.path("program.p7s")).unwrap();
    scene.sources.stores.clear();
    assert_eq!(scene.word(&file), "signature-file");
}

fn sha256sum(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap().stdout;
    String::from_utf8(output).unwrap()[..64].to_owned()
}

fn examiner_word_at(examiner: &enforcer::signature::Examiner, path: &Path, now: rustls_pki_types::UnixTime) -> String {
    word(&examiner.examine(&enforcer::measure::open(path).unwrap(), Some(path), &Facts::at(now)).unwrap())
}
