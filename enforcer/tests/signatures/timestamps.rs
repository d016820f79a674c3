//! Timestamps made by `openssl ts`: a signature outlives its certificate, and not its revocation.

use std::fs;
use std::path::{Path, PathBuf};

use cms::cert::x509::attr::Attribute;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerInfos};
use der::asn1::{Any, ObjectIdentifier, SetOfVec};
use der::{Decode, Encode};
use enforcer::policy::TimestampAuthority;

use crate::pki::{Identity, PKI, SIGNING, cms_sign, openssl, text};
use crate::scene::{Scene, later, word};

#[test]
fn a_timestamped_signature_outlives_its_certificate_and_no_other_does() {
    let mut scene = Scene::new();
    let (file, signature) = signed(&scene);
    let after = later(scene.now, 500);
    assert_eq!(word(&scene.examine_at(&file, after)), "certificate-expired");
    stamp(&signature, &authority(STAMPING), "sha256");
    assert_eq!(word(&scene.examine_at(&file, after)), "bad-timestamp", "the policy names no authority");
    trust_root(&mut scene);
    assert_eq!(word(&scene.examine_at(&file, after)), "detached vendor");
    let examination = scene.examine(&file);
    let verified = examination.outcome().unwrap();
    assert_eq!(verified.not_after(), None, "it never ends");
    assert!(verified.authority().signed_at().is_some());
    // The authority's certificate has expired too by then; the root of both goes on to be read.
    assert_eq!(word(&scene.examine_at(&file, later(scene.now, 5000))), "detached vendor");
    let fingerprint = enforcer::trust::fingerprint(&der_of(&scene, &verified_certificate(&scene)));
    fs::write(scene.path("revoked.toml"), format!("[[certificate]]\nsha256 = \"{}\"\n", hex(&fingerprint))).unwrap();
    assert_eq!(word(&scene.examine_at(&file, after)), "revoked");
}

#[test]
fn timestamps_of_every_digest_count_and_weak_ones_do_not() {
    for (digest, expected) in [("sha256", "detached vendor"), ("sha384", "detached vendor"), ("sha512", "detached vendor"), ("sha1", "bad-timestamp")]
    {
        let mut scene = Scene::new();
        trust_root(&mut scene);
        let (file, signature) = signed(&scene);
        stamp(&signature, &authority(STAMPING), digest);
        assert_eq!(word(&scene.examine_at(&file, later(scene.now, 500))), expected, "{digest}");
    }
}

#[test]
fn timestamps_by_the_wrong_hands_do_not_count_and_do_no_harm() {
    let purposes = [
        ("no purpose", "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"),
        ("code signing", SIGNING),
        ("not critical", "basicConstraints=CA:FALSE\nextendedKeyUsage=timeStamping\n"),
        ("and something else", "basicConstraints=CA:FALSE\nextendedKeyUsage=critical,timeStamping,codeSigning\n"),
    ];
    for (name, extensions) in purposes {
        let mut scene = Scene::new();
        trust_root(&mut scene);
        let (file, signature) = signed(&scene);
        stamp(&signature, &authority(extensions), "sha256");
        assert_eq!(word(&scene.examine_at(&file, later(scene.now, 500))), "bad-timestamp", "{name}");
        assert_eq!(scene.word(&file), "detached vendor", "{name}: while the certificate is valid nobody needs it");
    }
}

#[test]
fn a_timestamp_of_another_signature_or_of_tomorrow_does_not_count() {
    let mut scene = Scene::new();
    trust_root(&mut scene);
    let (file, signature) = signed(&scene);
    let other = scene.file("other", "other content");
    let other_signature = scene.path("other.p7s");
    cms_sign(&other, &PKI.signer("p256"), &[], &other_signature);
    let token = token(&value_of(&other_signature), &authority(STAMPING), "sha256");
    attach(&signature, &token);
    let examination = scene.examine_at(&file, later(scene.now, 500));
    assert!(examination.outcome().unwrap_err().to_string().contains("another signature"));
    // The clock was set back: what is stamped later than now proves nothing now.
    stamp(&signature, &authority(STAMPING), "sha256");
    let before = rustls_pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(scene.now.as_secs() - 3 * 86_400));
    assert_eq!(word(&scene.examine_at(&file, before)), "certificate-not-yet-valid");
    let whole = fs::read(&signature).unwrap();
    let mut accepted = 0;
    for position in (0..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[position] ^= 0x20;
        fs::write(&signature, &changed).unwrap();
        // Whatever changes, an expired certificate is not revived, unless the byte is one that nobody signed.
        accepted += usize::from(scene.examine_at(&file, later(scene.now, 500)).outcome().is_ok());
    }
    assert!(accepted < whole.len() / 7 / 3, "{accepted} of {} changes went unnoticed", whole.len() / 7);
}

const STAMPING: &str = "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n";

fn trust_root(scene: &mut Scene) {
    let anchors = vec![PKI.root.certificate.clone()];
    scene.rest.timestamp_authorities = vec![TimestampAuthority { name: "clock".to_owned(), anchors, intermediates: Vec::new() }];
}

fn signed(scene: &Scene) -> (PathBuf, PathBuf) {
    let file = scene.file("program", "content");
    let signature = scene.path("program.p7s");
    let signer = PKI.issue("p256", SIGNING);
    fs::copy(&signer.certificate, scene.path("signer.pem")).unwrap();
    cms_sign(&file, &signer, &[], &signature);
    (file, signature)
}

fn verified_certificate(scene: &Scene) -> PathBuf {
    scene.path("signer.pem")
}

fn der_of(scene: &Scene, certificate: &Path) -> Vec<u8> {
    let der = scene.path("signer.der");
    openssl(&["x509", "-in", text(certificate), "-outform", "DER", "-out", text(&der)]);
    fs::read(der).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A timestamp authority's certificate below the intermediate.
fn authority(extensions: &str) -> Identity {
    PKI.issue("p256", extensions)
}

fn stamp(signature: &Path, authority: &Identity, digest: &str) {
    attach(signature, &token(&value_of(signature), authority, digest));
}

/// A token over this value, by `openssl ts`.
fn token(value: &[u8], authority: &Identity, digest: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| text(&folder.path().join(name)).to_owned();
    fs::write(at("value"), value).unwrap();
    openssl(&["ts", "-query", "-data", &at("value"), &format!("-{digest}"), "-cert", "-out", &at("query")]);
    fs::write(at("serial"), "01\n").unwrap();
    let config = format!(
        "[tsa]\ndefault_tsa=t\n[t]\nserial={}\ncrypto_device=builtin\nsigner_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha1,sha256,sha384,sha512\n",
        at("serial")
    );
    fs::write(at("config"), config).unwrap();
    let (certificate, key, chain) = (text(&authority.certificate), text(&authority.key), text(authority.chain.as_ref().unwrap()));
    let arguments = ["ts", "-reply", "-config", &at("config"), "-queryfile", &at("query"), "-signer", certificate, "-inkey", key, "-chain", chain];
    let made = crate::pki::try_openssl(&[&arguments[..], &["-token_out", "-out", &at("token")]].concat());
    if !made.status.success() {
        // openssl refuses to stamp with a certificate for something else.
        return forged(&at("config"), &at("query"), authority, &at("token"));
    }
    fs::read(at("token")).unwrap()
}

/// A token by a certificate that openssl would not stamp with: the TSTInfo of a proper one, signed again.
fn forged(config: &str, query: &str, authority: &Identity, out: &str) -> Vec<u8> {
    let good = PKI.issue("p256", STAMPING);
    let (certificate, key, chain) = (text(&good.certificate), text(&good.key), text(good.chain.as_ref().unwrap()));
    let arguments = ["ts", "-reply", "-config", config, "-queryfile", query, "-signer", certificate, "-inkey", key, "-chain", chain, "-token_out"];
    openssl(&[&arguments[..], &["-out", out]].concat());
    let info = format!("{out}.info");
    openssl(&["cms", "-verify", "-noverify", "-inform", "DER", "-in", out, "-out", &info]);
    let (certificate, key, chain) = (text(&authority.certificate), text(&authority.key), text(authority.chain.as_ref().unwrap()));
    let token = format!("{out}.forged");
    let arguments = ["cms", "-sign", "-binary", "-nodetach", "-econtent_type", "1.2.840.113549.1.9.16.1.4", "-outform", "DER", "-in", &info];
    openssl(&[&arguments[..], &["-signer", certificate, "-inkey", key, "-certfile", chain, "-out", &token]].concat());
    fs::read(token).unwrap()
}

fn value_of(signature: &Path) -> Vec<u8> {
    let signed_data = parse(signature);
    signed_data.signer_infos.0.as_slice()[0].signature.as_bytes().to_vec()
}

/// Puts the token into the unsigned attributes.
fn attach(signature: &Path, token: &[u8]) {
    let mut signed_data = parse(signature);
    let mut info = signed_data.signer_infos.0.as_slice()[0].clone();
    let attribute = Attribute {
        oid: ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.14"),
        values: SetOfVec::try_from(vec![Any::from_der(token).unwrap()]).unwrap(),
    };
    info.unsigned_attrs = Some(SetOfVec::try_from(vec![attribute]).unwrap());
    signed_data.signer_infos = SignerInfos(SetOfVec::try_from(vec![info]).unwrap());
    let content_type = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
    let info = ContentInfo { content_type, content: Any::encode_from(&signed_data).unwrap() };
    fs::write(signature, info.to_der().unwrap()).unwrap();
}

fn parse(signature: &Path) -> SignedData {
    let info = ContentInfo::from_der(&fs::read(signature).unwrap()).unwrap();
    info.content.decode_as().unwrap()
}
