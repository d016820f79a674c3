//! What `enforcer sign` makes: openssl and we accept it, for every kind of key; unfit keys and certificates are refused.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use enforcer::signature::sign::{Destination, Identity};
use enforcer::trust::CertificateFacts;
use rustls_pki_types::UnixTime;

use crate::pki::{AUTHORITY, Identity as Pair, KEY_KINDS, PKI, SIGNING, openssl, text, try_openssl};
use crate::scene::{Scene, later};

pub fn identity(pair: &Pair) -> Identity {
    Identity::load(&pair.key, &pair.certificate, pair.chain.as_deref(), now()).unwrap()
}

fn now() -> UnixTime {
    later(UnixTime::now(), 1)
}

/// `openssl cms -verify` with the test root.
pub fn openssl_verifies(content: &Path, signature: &Path) -> bool {
    let root = text(&PKI.root.certificate);
    let arguments = ["cms", "-verify", "-binary", "-inform", "DER", "-in", text(signature), "-content", text(content), "-purpose", "any"];
    try_openssl(&[&arguments[..], &["-CAfile", root, "-out", "/dev/null"]].concat()).status.success()
}

#[test]
fn our_detached_signature_is_accepted_by_openssl_and_by_us_for_every_kind_of_key() {
    let scene = Scene::new();
    let file = scene.file("program", "some content\n");
    let signature = scene.path("program.p7s");
    for kind in KEY_KINDS {
        let signed = identity(&PKI.signer(kind)).sign(&file, &Destination::Detached).unwrap();
        assert_eq!(signed.carrier.name(), "detached");
        assert_eq!(scene.word(&file), "detached vendor", "{kind}: {:?}", scene.examine(&file));
        if kind == "ed25519" {
            continue; // OpenSSL 3.0's cms command knows no Ed25519; see below.
        }
        assert!(openssl_verifies(&file, &signature), "{kind}");
        let other = scene.file("other", "other content\n");
        assert!(!openssl_verifies(&other, &signature), "{kind}");
    }
}

#[test]
fn our_ed25519_signature_is_the_one_that_openssl_pkeyutl_makes_over_the_signed_attributes() {
    let scene = Scene::new();
    let pair = PKI.signer("ed25519");
    let file = scene.file("program", "content");
    identity(&pair).sign(&file, &Destination::Detached).unwrap();
    let der = fs::read(scene.path("program.p7s")).unwrap();
    // The signed attributes are the first [0] behind the digest algorithm; openssl tells where.
    let listing = openssl(&["asn1parse", "-inform", "DER", "-in", text(&scene.path("program.p7s"))]).stdout;
    let listing = String::from_utf8(listing).unwrap();
    let line = listing.lines().rfind(|line| line.contains("cont [ 0 ]")).unwrap();
    let number = |key: &str| {
        let digits = line.split_once(key).unwrap().1.trim_start().split(|c: char| !c.is_ascii_digit()).next().unwrap();
        digits.parse::<usize>().unwrap()
    };
    let start: usize = line.trim_start().split(':').next().unwrap().parse().unwrap();
    let mut attributes = der[start..start + number("hl=") + number(" l=")].to_vec();
    attributes[0] = 0x31;
    let message = scene.file("attributes", attributes);
    let value = openssl(&["pkeyutl", "-sign", "-rawin", "-inkey", text(&pair.key), "-in", text(&message)]).stdout;
    assert_eq!(value.len(), 64);
    assert!(der.ends_with(&value));
}

#[test]
fn signing_twice_gives_the_same_bytes_where_the_algorithm_allows() {
    let scene = Scene::new();
    let file = scene.file("program", "content");
    for kind in ["rsa2048", "ed25519"] {
        let identity = identity(&PKI.signer(kind));
        let signatures = [(); 2].map(|()| {
            identity.sign(&file, &Destination::Detached).unwrap();
            fs::read(scene.path("program.p7s")).unwrap()
        });
        assert_eq!(signatures[0], signatures[1]);
    }
}

#[test]
fn a_store_is_filled_by_digest() {
    let mut scene = Scene::new();
    let file = scene.file("program", "content");
    let store = scene.path("store");
    fs::create_dir(&store).unwrap();
    identity(&PKI.signer("p256")).sign(&file, &Destination::Store(store.clone())).unwrap();
    scene.sources.stores = vec![store];
    assert_eq!(scene.word(&file), "store vendor");
}

#[test]
fn keys_in_every_pem_form_are_read() {
    let scene = Scene::new();
    let file = scene.file("program", "content");
    for (kind, convert) in [("rsa2048", &["rsa", "-traditional"][..]), ("p256", &["ec"]), ("p384", &["ec"]), ("p256", &["pkey"])] {
        let mut pair = PKI.signer(kind);
        let converted = scene.path("converted.pem");
        openssl(&[convert, &["-in", text(&pair.key), "-out", text(&converted)]].concat());
        pair.key = converted;
        identity(&pair).sign(&file, &Destination::Detached).unwrap();
        assert_eq!(scene.word(&file), "detached vendor", "{kind} {convert:?}");
    }
}

#[test]
fn unfit_keys_and_certificates_are_refused_with_a_reason_and_a_remedy() {
    let scene = Scene::new();
    let good = PKI.signer("p256");
    let encrypted = scene.path("encrypted.pem");
    openssl(&["pkey", "-in", text(&good.key), "-aes256", "-passout", "pass:x", "-out", text(&encrypted)]);
    let with = |key: &Path, certificate: &Path| Pair { key: key.to_owned(), certificate: certificate.to_owned(), chain: None };
    let cases = [
        ("not the key of the certificate", with(&PKI.signer("p256").key, &good.certificate)),
        ("not the key of the certificate", with(&PKI.signer("rsa2048").key, &good.certificate)),
        ("not the key of the certificate", with(&good.key, &PKI.signer("rsa2048").certificate)),
        ("not the key of the certificate", with(&PKI.signer("ed25519").key, &PKI.signer("ed25519").certificate)),
        ("encrypted", with(&encrypted, &good.certificate)),
        ("no PEM private key", with(&good.certificate, &good.certificate)),
        ("private key", with(&good.key, &good.key)),
        ("cannot open", with(&scene.path("missing"), &good.certificate)),
        ("a directory", with(scene.folder.path(), &good.certificate)),
        ("expired", PKI.issue_between("20200101000000Z", "20210101000000Z")),
        ("not valid before", PKI.issue_between("20900101000000Z", "20910101000000Z")),
        ("not for code signing", PKI.issue("p256", "extendedKeyUsage=serverAuth\n")),
        ("not for code signing", PKI.issue("p256", "basicConstraints=CA:FALSE\n")),
        ("certificate authority", PKI.issue("p256", AUTHORITY)),
        ("not for digital signatures", PKI.issue("p256", &SIGNING.replace("digitalSignature", "keyAgreement"))),
        ("not supported", PKI.issue("p521", SIGNING)),
        ("not supported", PKI.issue("rsa1024", SIGNING)),
    ];
    for (expected, pair) in cases {
        let Err(error) = Identity::load(&pair.key, &pair.certificate, None, now()) else { panic!("{expected}: accepted") };
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        assert!(error.hint().is_some_and(|hint| hint.len() > 10), "{error}");
    }
}

#[test]
fn mode_owner_and_extended_attributes_survive_and_hard_links_are_told() {
    let scene = Scene::new();
    let file = scene.path("program");
    fs::copy("/bin/true", &file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4751)).unwrap();
    let root = std::os::unix::fs::chown(&file, Some(1234), Some(4321)).is_ok();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4751)).unwrap();
    let attributes = rustix::fs::setxattr(&file, "user.test", b"value", rustix::fs::XattrFlags::empty()).is_ok();
    fs::hard_link(&file, scene.path("second-name")).unwrap();
    let before = fs::metadata(&file).unwrap();
    let signed = identity(&PKI.signer("p256")).sign(&file, &Destination::Embedded).unwrap();
    let after = fs::metadata(&file).unwrap();
    assert_eq!((before.mode(), before.uid(), before.gid()), (after.mode(), after.uid(), after.gid()));
    assert!(!root || after.uid() == 1234);
    if attributes {
        let mut value = [0; 16];
        assert_eq!(rustix::fs::getxattr(&file, "user.test", &mut value).unwrap(), 5);
    }
    assert!(signed.notes[0].contains("2 hard links"));
    assert_eq!(fs::read("/bin/true").unwrap(), fs::read(scene.path("second-name")).unwrap());
    assert_eq!(fs::read_dir(scene.folder.path()).unwrap().count(), 2, "no draft is left behind");
}

#[test]
fn a_symbolic_link_stays_and_its_target_is_signed() {
    let scene = Scene::new();
    let file = scene.path("program");
    fs::copy("/bin/true", &file).unwrap();
    let link = scene.path("link");
    std::os::unix::fs::symlink("program", &link).unwrap();
    identity(&PKI.signer("p256")).sign(&link, &Destination::Automatic).unwrap();
    assert!(link.is_symlink());
    assert_eq!(scene.word(&file), "embedded vendor");
}

#[test]
fn facts_name_the_dates_that_openssl_names() {
    let pair = PKI.issue_between("20200102030405Z", "20210102030405Z");
    let facts = CertificateFacts::of(&enforcer::trust::read_certificates(&pair.certificate).unwrap()[0]).unwrap();
    assert_eq!(enforcer::trust::date(facts.validity.not_before), "2020-01-02 03:04:05 UTC");
}
