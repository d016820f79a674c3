//! Who and what is trusted no longer: certificate revocation lists made by `openssl ca`, and the policy's own list.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use enforcer::policy::StaleCrl;
use enforcer::signature::sign::Destination;
use enforcer::signature::{Facts, content_digests};
use enforcer::trust::TrustStore;

use crate::pki::{Identity, PKI, SIGNING, cms_sign, openssl, text};
use crate::scene::{Scene, later, rule, word};

#[test]
fn a_revoked_signer_or_intermediate_is_refused_and_others_of_the_same_authority_go_on() {
    for (encoding, name) in [("PEM", "list.pem"), ("DER", "list.crl")] {
        let mut scene = Scene::new();
        let (good, bad) = (PKI.issue("p256", SIGNING), PKI.issue("p256", SIGNING));
        let (one, other) = (signed(&scene, "one", &good), signed(&scene, "other", &bad));
        let crls = scene.folder.path().join("crls");
        fs::create_dir(&crls).unwrap();
        let list = crls.join(name);
        revoke(&PKI.intermediate, &[&bad], 30, encoding, &list);
        assert_eq!((scene.word(&one), scene.word(&other)), ("detached vendor".to_owned(), "detached vendor".to_owned()), "without the list");
        scene.rest.revocation.crls = vec![crls.clone()];
        assert_eq!((scene.word(&one), scene.word(&other)), ("detached vendor".to_owned(), "revoked".to_owned()), "{encoding}");
        let message = scene.examine(&other).outcome().unwrap_err().to_string();
        assert!(message.contains("is revoked"), "{message}");
        // The intermediate itself, by the root.
        revoke(&PKI.root, &[&PKI.intermediate], 30, encoding, &list);
        assert_eq!(scene.word(&one), "revoked");
    }
}

#[test]
fn a_pinned_certificate_is_revoked_by_its_issuers_list_too() {
    let mut scene = Scene::new();
    let signer = PKI.issue("p256", SIGNING);
    scene.signers = vec![rule("pinned", &[], &[&signer.certificate])];
    let file = signed(&scene, "program", &signer);
    assert_eq!(scene.word(&file), "detached pinned");
    let list = scene.path("list.crl");
    revoke(&PKI.intermediate, &[&signer], 30, "DER", &list);
    scene.rest.revocation.crls = vec![list];
    assert_eq!(scene.word(&file), "revoked");
}

#[test]
fn a_newer_list_that_a_stranger_made_hides_no_revocation() {
    let mut scene = Scene::new();
    let folder = scene.folder.path();
    let crls = folder.join("crls");
    fs::create_dir(&crls).unwrap();
    let [ours, theirs] = ["ours", "theirs"].map(|name| {
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        crate::pki::self_signed(&folder, "authority", "p256", crate::pki::AUTHORITY)
    });
    let signer = crate::pki::issue(&folder.join("ours"), "signer", "p256", SIGNING, &ours, &["-days", "30"]);
    let file = signed(&scene, "program", &signer);
    revoke(&ours, &[&signer], 30, "DER", &crls.join("ours.crl"));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    revoke(&theirs, &[], 30, "DER", &crls.join("theirs.crl"));
    for (rule, good, bad) in [
        (rule("pinned", &[], &[&signer.certificate]), "detached pinned", "revoked"),
        // There the key is known, and a list that it did not sign is an error.
        (rule("vendor", &[&ours.certificate], &[]), "detached vendor", "certificate-chain"),
    ] {
        scene.signers = vec![rule];
        scene.rest.revocation.crls = Vec::new();
        assert_eq!(scene.word(&file), good);
        scene.rest.revocation.crls = vec![crls.clone()];
        assert_eq!(scene.word(&file), bad);
    }
}

#[test]
fn a_stale_list_fails_hard_or_warns_as_the_policy_says_and_a_newer_one_replaces_it() {
    let mut scene = Scene::new();
    let (good, bad) = (PKI.issue("p256", SIGNING), PKI.issue("p256", SIGNING));
    let (one, other) = (signed(&scene, "one", &good), signed(&scene, "other", &bad));
    let crls = scene.folder.path().join("crls");
    fs::create_dir(&crls).unwrap();
    revoke(&PKI.intermediate, &[&bad], 5, "PEM", &crls.join("old.pem"));
    scene.rest.revocation.crls = vec![crls.clone()];
    let soon = later(scene.now, 10);
    let at = |scene: &Scene, path: &Path, now| word(&scene.examine_at(path, now));
    // A decision made now does not outlive the list, so that the kernel asks again.
    let due = scene.examine(&one).outcome().unwrap().not_after().unwrap();
    assert!(due < later(scene.now, 6), "{due:?}");
    assert_eq!(at(&scene, &one, soon), "stale-crl");
    let trust = TrustStore::load(&scene.policy(), scene.now).unwrap();
    assert_eq!((trust.overdue_crls(scene.now).len(), trust.overdue_crls(soon).len()), (0, 1));
    scene.rest.revocation.stale_crl = StaleCrl::Warn;
    assert_eq!(at(&scene, &one, soon), "detached vendor");
    assert_eq!(at(&scene, &other, soon), "revoked", "what it says still counts");
    assert!(scene.examine(&one).outcome().unwrap().not_after().unwrap() > later(scene.now, 300));
    scene.rest.revocation.stale_crl = StaleCrl::HardFail;
    // Lists have seconds in their dates, and the newer one counts.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    revoke(&PKI.intermediate, &[], 60, "PEM", &crls.join("new.pem"));
    assert_eq!(at(&scene, &one, soon), "detached vendor");
    assert_eq!(at(&scene, &other, soon), "detached vendor", "the newer list takes the revocation back");
}

#[test]
fn a_list_that_is_none_or_is_forged_is_an_error_and_never_an_empty_list() {
    let mut scene = Scene::new();
    let signer = PKI.issue("p256", SIGNING);
    let file = signed(&scene, "program", &signer);
    let list = scene.path("list.crl");
    scene.rest.revocation.crls = vec![list.clone()];
    let load = |scene: &Scene| TrustStore::load(&scene.policy(), scene.now).map(|_| ()).unwrap_err();
    assert!(load(&scene).to_string().contains("No such file"), "a list that is named must exist");
    for (content, expected) in
        [(&b"garbage"[..], "no revocation list"), (&[0x30, 0x03, 1, 1, 0xff], "no certificate revocation list"), (b"", "no revocation list")]
    {
        fs::write(&list, content).unwrap();
        let error = load(&scene);
        assert!(error.to_string().contains(expected) && error.to_string().contains("list.crl"), "{error}");
    }
    revoke(&PKI.intermediate, &[], 30, "DER", &list);
    assert_eq!(scene.word(&file), "detached vendor");
    let whole = fs::read(&list).unwrap();
    for length in (0..whole.len()).step_by(16) {
        fs::write(&list, &whole[..length]).unwrap();
        assert!(TrustStore::load(&scene.policy(), scene.now).is_err(), "{length}");
    }
    // Well-formed, and not by the authority whose name it bears.
    let mut forged = whole;
    let last = forged.len() - 1;
    forged[last] ^= 1;
    fs::write(&list, &forged).unwrap();
    assert_eq!(scene.word(&file), "certificate-chain");
}

#[test]
fn digests_certificates_and_signers_of_the_policys_list_are_refused() {
    let scene = Scene::new();
    let signer = PKI.issue("p256", SIGNING);
    let file = signed(&scene, "program", &signer);
    let digest = sha256sum(&file);
    let fingerprint = |certificate: &Path| {
        let der = scene.path("certificate.der");
        openssl(&["x509", "-in", text(certificate), "-outform", "DER", "-out", text(&der)]);
        sha256sum(&der)
    };
    let revoked = scene.path("revoked.toml");
    for (entry, step) in [
        (format!("[[digest]]\nsha256 = \"{digest}\"\n"), "look for revocations"),
        (format!("[[certificate]]\nsha256 = \"{}\"\n", fingerprint(&signer.certificate)), "follow the chain"),
        (format!("[[certificate]]\nsha256 = \"{}\"\n", fingerprint(&PKI.intermediate.certificate)), "follow the chain"),
        (format!("[[certificate]]\nsha256 = \"{}\"\n", fingerprint(&PKI.root.certificate)), "follow the chain"),
        ("[[signer]]\nname = \"vendor\"\n".to_owned(), "follow the chain"),
    ] {
        assert_eq!(scene.word(&file), "detached vendor");
        fs::write(&revoked, &entry).unwrap();
        let examination = scene.examine(&file);
        let rejected = examination.outcome().unwrap_err();
        assert_eq!((rejected.code(), rejected.step()), ("revoked", step), "{entry}");
        fs::remove_file(&revoked).unwrap();
    }
    fs::write(&revoked, "[[digest]]\nsha256 = \"12\"\n").unwrap();
    assert!(TrustStore::load(&scene.policy(), scene.now).is_err(), "what cannot be read is no empty list");
}

/// Of an ECDSA signature (r, s), (r, n - s) is another one that verifies: a certificate with another fingerprint, which anybody can make.
fn twin(certificate: &Path, order: &str, name: &Path) {
    let der = name.with_extension("der");
    openssl(&["x509", "-in", text(certificate), "-outform", "DER", "-out", text(&der)]);
    let script = "import sys
der, order = open(sys.argv[1], 'rb').read(), int(sys.argv[2], 16)
def read(at):
    size, start = der[at + 1], at + 2
    if size & 128:
        start, size = start + (size & 127), int.from_bytes(der[start:start + (size & 127)], 'big')
    return start, start + size
def write(tag, content):
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([129, size]) if size < 256 else bytes([130, size >> 8, size & 255])
    return bytes([tag]) + length + content
inside = read(0)[0]
algorithm = read(inside)[1]
value = read(algorithm)[1]
pair = read(read(value)[0] + 1)[0]
r_end = read(pair)[1]
s = order - int.from_bytes(der[slice(*read(r_end))], 'big')
pair = write(48, der[pair:r_end] + write(2, s.to_bytes(s.bit_length() // 8 + 1, 'big')))
open(sys.argv[1], 'wb').write(write(48, der[inside:value] + write(3, bytes([0]) + pair)))
";
    let made = Command::new("python3").args(["-c", script, text(&der), order]).status().unwrap();
    assert!(made.success());
    openssl(&["x509", "-inform", "DER", "-in", text(&der), "-out", text(name)]);
}

#[test]
fn a_revoked_certificate_is_refused_with_the_other_signature_of_its_issuer_too() {
    let p256 = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let p384 = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";
    for (kind, order) in [("p256", p256), ("p384", p384)] {
        let mut scene = Scene::new();
        let folder = scene.folder.path().join(kind);
        fs::create_dir(&folder).unwrap();
        let root = crate::pki::self_signed(&folder, "root", kind, crate::pki::AUTHORITY);
        let signer = crate::pki::issue(&folder, "signer", "p256", SIGNING, &root, &["-days", "30"]);
        scene.signers = vec![rule("vendor", &[&root.certificate], &[])];
        let other = scene.path("twin.pem");
        twin(&signer.certificate, order, &other);
        openssl(&["verify", "-CAfile", text(&root.certificate), "-purpose", "any", text(&other)]);
        let file = scene.file("program", "content");
        cms_sign(&file, &signer, &["-nocerts", "-certfile", text(&other)], &scene.path("program.p7s"));
        assert_eq!(scene.word(&file), "detached vendor", "{kind}");
        let fingerprint = |certificate: &Path| {
            let told = openssl(&["x509", "-in", text(certificate), "-noout", "-fingerprint", "-sha256"]).stdout;
            String::from_utf8(told).unwrap().trim().split_once('=').unwrap().1.to_owned()
        };
        assert_ne!(fingerprint(&signer.certificate), fingerprint(&other));
        fs::write(scene.path("revoked.toml"), format!("[[certificate]]\nsha256 = \"{}\"\n", fingerprint(&signer.certificate))).unwrap();
        assert_eq!(scene.word(&file), "revoked", "{kind}");
    }
}

#[test]
fn a_revoked_content_stays_revoked_with_another_signature_in_the_file() {
    let scene = Scene::new();
    let sign = |path: &Path, destination| drop(crate::signing::identity(&PKI.signer("p256")).sign(path, &destination).unwrap());
    let revoke = |digests: &[String]| {
        let entries: String = digests.iter().map(|digest| format!("[[digest]]\nsha256 = \"{digest}\"\n")).collect();
        fs::write(scene.path("revoked.toml"), entries).unwrap();
    };
    let program = scene.path("program");
    fs::copy("/bin/true", &program).unwrap();
    let unsigned = sha256sum(&program);
    sign(&program, Destination::Embedded);
    let first = sha256sum(&program);
    let contents = content_digests(&fs::File::open(&program).unwrap()).unwrap();
    let contents: Vec<String> = contents.iter().map(|digest| digest.bytes.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
    assert_eq!((contents.len(), &contents[0]), (2, &first));
    sign(&program, Destination::Embedded);
    assert_ne!(sha256sum(&program), first, "another value of the same content");
    revoke(&contents[..1]);
    assert_eq!(scene.word(&program), "embedded vendor", "its name changed");
    revoke(&contents);
    assert_eq!(scene.word(&program), "revoked");
    // A signature from elsewhere, put behind the content.
    let copy = scene.path("copy");
    fs::copy("/bin/true", &copy).unwrap();
    sign(&copy, Destination::Appended);
    assert_ne!(sha256sum(&copy), unsigned);
    revoke(&[unsigned]);
    assert_eq!(scene.word(&copy), "revoked");
}

#[test]
fn a_revoked_digest_is_taken_out_of_manifests() {
    let mut scene = Scene::new();
    let file = scene.file("program", "content");
    let manifest = scene.file("base.manifest", format!("SHA256 (/program) = {}\n", sha256sum(&file)));
    cms_sign(&manifest, &PKI.signer("p256"), &[], &scene.path("base.manifest.p7s"));
    scene.sources.manifests = vec![manifest];
    assert_eq!(scene.word(&file), "manifest vendor");
    assert_eq!(scene.examiner().manifest_entries().count(), 1);
    fs::write(scene.path("revoked.toml"), format!("[[digest]]\nsha256 = \"{}\"\n", sha256sum(&file))).unwrap();
    assert_eq!(scene.examiner().manifest_entries().count(), 0);
    assert_eq!(scene.word(&file), "revoked");
}

#[test]
fn a_chain_that_was_accepted_once_is_judged_again_as_time_goes_on() {
    let scene = Scene::new();
    let file = signed(&scene, "program", &PKI.signer("p256"));
    let examiner = scene.examiner();
    let at = |days| word(&examiner.examine(&enforcer::measure::open(&file).unwrap(), Some(&file), &Facts::at(later(scene.now, days))).unwrap());
    assert_eq!((at(0), at(1), at(400), at(2)), tuple(["detached vendor", "detached vendor", "certificate-expired", "detached vendor"]));
}

fn tuple([a, b, c, d]: [&str; 4]) -> (String, String, String, String) {
    (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned())
}

fn signed(scene: &Scene, name: &str, signer: &Identity) -> PathBuf {
    let file = scene.file(name, format!("content of {name}"));
    cms_sign(&file, signer, &[], &scene.path(&format!("{name}.p7s")));
    file
}

/// A revocation list by `openssl ca -gencrl`, good for so many days.
/// What `status` and the metrics tell about dates is what openssl wrote into the files.
#[test]
fn the_dates_of_certificates_and_lists_are_told_as_they_are() {
    let mut scene = Scene::new();
    let signer = PKI.issue("p256", SIGNING);
    scene.signers.push(rule("pinned", &[], &[&signer.certificate]));
    let (soon, late) = (scene.path("soon.crl"), scene.path("late.crl"));
    revoke(&PKI.intermediate, &[], 3, "DER", &soon);
    revoke(&PKI.root, &[], 30, "DER", &late);
    scene.rest.revocation.crls = vec![late.clone(), soon.clone()];
    let trust = TrustStore::load(&scene.policy(), scene.now).unwrap();

    let date = |words: &[&str]| {
        let output = String::from_utf8(openssl(words).stdout).unwrap();
        let date = output.trim().split_once('=').unwrap().1.to_owned();
        let seconds = Command::new("date").args(["-u", "+%s", "-d", &date]).output().unwrap().stdout;
        String::from_utf8(seconds).unwrap().trim().parse::<u64>().unwrap()
    };
    let end = |path: &Path| date(&["x509", "-in", text(path), "-noout", "-enddate"]);
    let next = |path: &Path| date(&["crl", "-inform", "DER", "-in", text(path), "-noout", "-nextupdate"]);
    let mut expiries: Vec<_> = trust.expiries().into_iter().map(|it| (it.whose, it.role.name(), it.not_after_seconds)).collect();
    assert!(expiries.is_sorted_by_key(|(_, _, not_after)| *not_after), "{expiries:?}");
    expiries.sort();
    let expected = [("pinned".to_owned(), "pinned", end(&signer.certificate)), ("vendor".to_owned(), "anchor", end(&PKI.root.certificate))];
    assert_eq!(expiries, expected);
    let mut dates: Vec<u64> = trust.next_updates().into_iter().map(|it| it.next_update_seconds).collect();
    dates.sort_unstable();
    assert_eq!(dates, [next(&soon), next(&late)]);
}

fn revoke(issuer: &Identity, revoked: &[&Identity], days: u32, encoding: &str, list: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| text(&folder.path().join(name)).to_owned();
    let index: String = revoked
        .iter()
        .map(|identity| {
            let serial = openssl(&["x509", "-in", text(&identity.certificate), "-noout", "-serial"]).stdout;
            let serial = String::from_utf8(serial).unwrap().trim().strip_prefix("serial=").unwrap().to_owned();
            format!("R\t360101000000Z\t260101000000Z\t{serial}\tunknown\t/CN=revoked\n")
        })
        .collect();
    fs::write(at("index"), index).unwrap();
    fs::write(at("number"), "01\n").unwrap();
    let (index, number) = (at("index"), at("number"));
    fs::write(at("config"), format!("[ca]\ndefault_ca=d\n[d]\ndatabase={index}\ncrlnumber={number}\ndefault_md=sha256\n")).unwrap();
    let days = days.to_string();
    let (certificate, key, config, pem) = (text(&issuer.certificate), text(&issuer.key), at("config"), at("list"));
    openssl(&["ca", "-gencrl", "-config", &config, "-cert", certificate, "-keyfile", key, "-crldays", &days, "-out", &pem]);
    openssl(&["crl", "-in", &pem, "-outform", encoding, "-out", text(list)]);
}

fn sha256sum(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap().stdout;
    String::from_utf8(output).unwrap()[..64].to_owned()
}
