//! Chains of certificates: time, purposes, constraints, keys, and every way in which a chain can be broken.

use crate::certificates::{
    ANY_PURPOSE, CLIENT_AUTH, CODE_SIGNING, CRL_SIGNING, DAY, DIGITAL_SIGNATURE, Draft, EMAIL_PROTECTION, ISSUING, Identity, KEY_AGREEMENT,
    KEY_ENCIPHERMENT, NON_REPUDIATION, NOW, SERVER_AUTH, TIME_STAMPING, basic_constraints, directory_name, dns_name, dns_names, extended_key_usage,
    extension, key_usage, moment, name_constraints, name_of, subject_key_id,
};
use crate::compare::{Accepted, Refused, Trust, Variant, Verdict, group};
use crate::keys::{Key, Md};
use crate::message::Message;
use crate::tree::{Node, leaf, oid, sequence};

const CONTENT: &[u8] = b"the content that was signed\n";

/// What a chain may consist of; each part may be changed before it is made.
struct Plan {
    root: Draft,
    intermediate: Draft,
    signer: Draft,
}

impl Plan {
    fn new() -> Self {
        Self { root: Draft::authority("root"), intermediate: Draft::authority("intermediate"), signer: Draft::leaf("signer") }
    }

    /// The part with this name.
    fn part(&mut self, name: &str) -> &mut Draft {
        match name {
            "root" => &mut self.root,
            "intermediate" => &mut self.intermediate,
            _ => &mut self.signer,
        }
    }

    fn variant(self, name: impl Into<String>) -> Variant {
        let root = self.root.self_signed();
        let intermediate = self.intermediate.signed_by(&root);
        signed(name, &self.signer.signed_by(&intermediate), &[&intermediate], &Trust::anchor(&root))
    }
}

pub fn signed(name: impl Into<String>, signer: &Identity, chain: &[&Identity], trust: &Trust) -> Variant {
    Variant::new(name, CONTENT, Message::sign(CONTENT, signer, chain).der(), trust)
}

const PARTS: [&str; 3] = ["root", "intermediate", "signer"];

/// A chain that differs from a good one in one part.
fn changed(name: impl Into<String>, part: &str, change: impl FnOnce(Draft) -> Draft) -> Variant {
    let mut plan = Plan::new();
    let draft = plan.part(part);
    *draft = change(draft.clone());
    plan.variant(name)
}

/// The same extensions but for this one, which is `None` where it is left out.
pub fn replacing(draft: Draft, number: &str, new: Option<Node>) -> Draft {
    let number = oid("", number).der();
    let mut extensions: Vec<Node> =
        draft.extensions.clone().into_iter().filter(|one| !one.der().windows(number.len()).any(|bytes| bytes == number)).collect();
    extensions.extend(new);
    draft.only(extensions)
}

pub const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub const KEY_USAGE: &str = "2.5.29.15";
pub const EXTENDED_KEY_USAGE: &str = "2.5.29.37";

#[test]
fn time() {
    let mut variants = Vec::new();
    for part in PARTS {
        let times: [(&str, u64, u64, Verdict); 8] = [
            ("long-expired", NOW - 300 * DAY, NOW - 200 * DAY, Refused),
            ("just-expired", NOW - 300 * DAY, NOW - 1, Refused),
            ("last-second", NOW - 300 * DAY, NOW, Accepted),
            ("first-second", NOW, NOW + DAY, Accepted),
            ("not-yet-valid-by-a-second", NOW + 1, NOW + DAY, Refused),
            ("not-yet-valid", NOW + DAY, NOW + 2 * DAY, Refused),
            ("never-valid", NOW + DAY, NOW - DAY, Refused),
            ("beyond-2050", NOW - DAY, 2_600_000_000, Accepted),
        ];
        for (name, from, until, verdict) in times {
            variants.push(changed(format!("{part}/{name}"), part, |draft| draft.valid(from, until)).ought(verdict));
        }
        let forms: [(&str, Node); 6] = [
            ("generalized-time-before-2050", leaf("", 0x18, "20260901000000Z")),
            ("utc-time-without-seconds", leaf("", 0x17, "2609010000Z")),
            ("utc-time-with-offset", leaf("", 0x17, "260901000000+0100")),
            ("generalized-time-with-fraction", leaf("", 0x18, "20260901000000.5Z")),
            ("impossible-date", leaf("", 0x17, "260231000000Z")),
            ("year-9999", leaf("", 0x18, "99991231235959Z")),
        ];
        for (name, until) in forms {
            variants.push(changed(format!("{part}/{name}"), part, |mut draft| {
                draft.until = until.clone();
                draft
            }));
        }
    }
    for (name, at) in [("1970", 1), ("1990", 631_152_000), ("2100", 4_102_444_800)] {
        variants.push(Plan::new().variant(format!("judged-in-{name}")).at(at).ought(Refused));
    }
    group("time", "openssl", &variants);
}

#[test]
fn purposes() {
    let mut variants = Vec::new();
    let purposes: [(&str, &[&str]); 8] = [
        ("code", &[CODE_SIGNING]),
        ("code-and-server", &[CODE_SIGNING, SERVER_AUTH]),
        ("server", &[SERVER_AUTH]),
        ("client", &[CLIENT_AUTH]),
        ("email", &[EMAIL_PROTECTION]),
        ("time-stamping", &[TIME_STAMPING]),
        ("any", &[ANY_PURPOSE]),
        ("unknown", &["1.2.3.4"]),
    ];
    for part in PARTS {
        variants.push(changed(format!("extended/{part}/absent"), part, |draft| replacing(draft, EXTENDED_KEY_USAGE, None)));
        for (name, purposes) in purposes {
            variants.push(changed(format!("extended/{part}/{name}"), part, |draft| {
                replacing(draft, EXTENDED_KEY_USAGE, Some(extended_key_usage(purposes)))
            }));
        }
        let critical = extension(EXTENDED_KEY_USAGE, true, &sequence(vec![oid("", CODE_SIGNING)]));
        variants
            .push(changed(format!("extended/{part}/critical"), part, |draft| replacing(draft, EXTENDED_KEY_USAGE, Some(critical))).ought(Accepted));
        variants.push(changed(format!("extended/{part}/empty"), part, |draft| replacing(draft, EXTENDED_KEY_USAGE, Some(extended_key_usage(&[])))));
        let usages = [
            ("digital-signature", DIGITAL_SIGNATURE),
            ("non-repudiation", NON_REPUDIATION),
            ("both-signatures", DIGITAL_SIGNATURE | NON_REPUDIATION),
            ("key-encipherment", KEY_ENCIPHERMENT),
            ("key-agreement", KEY_AGREEMENT),
            ("crl-signing", CRL_SIGNING),
            ("issuing", ISSUING),
            ("issuing-and-signing", ISSUING | DIGITAL_SIGNATURE),
        ];
        variants.push(changed(format!("usage/{part}/absent"), part, |draft| replacing(draft, KEY_USAGE, None)).ought(Accepted));
        for (name, bits) in usages {
            variants.push(changed(format!("usage/{part}/{name}"), part, |draft| replacing(draft, KEY_USAGE, Some(key_usage(bits)))));
        }
        let constraints = [
            ("authority", basic_constraints(Some(None), true)),
            ("authority-not-critical", basic_constraints(Some(None), false)),
            ("no-authority", basic_constraints(None, true)),
            ("length-0", basic_constraints(Some(Some(0)), true)),
            ("no-authority-with-length", extension(BASIC_CONSTRAINTS, true, &sequence(vec![leaf("", 0x02, [0])]))),
            ("negative-length", extension(BASIC_CONSTRAINTS, true, &sequence(vec![leaf("", 0x01, [0xff]), leaf("", 0x02, [0xff])]))),
            ("boolean-of-1", extension(BASIC_CONSTRAINTS, true, &sequence(vec![leaf("", 0x01, [1])]))),
        ];
        variants.push(changed(format!("constraints/{part}/absent"), part, |draft| replacing(draft, BASIC_CONSTRAINTS, None)));
        for (name, value) in constraints {
            variants.push(changed(format!("constraints/{part}/{name}"), part, |draft| replacing(draft, BASIC_CONSTRAINTS, Some(value.clone()))));
        }
    }
    group("purposes", "openssl", &variants);
}

#[test]
fn keys_and_digests() {
    let mut variants = Vec::new();
    let kinds = [
        ("rsa2048", Accepted),
        ("rsa3072", Accepted),
        ("rsa4096", Accepted),
        ("p256", Accepted),
        ("p384", Accepted),
        ("ed25519", Accepted),
        ("rsa1024", Refused),
        ("rsa2047", Refused),
        ("p224", Refused),
        ("p521", Refused),
        ("secp256k1", Refused),
        ("brainpool", Refused),
        ("explicit", Refused),
    ];
    for part in PARTS {
        for (kind, verdict) in kinds {
            let change = |draft: Draft| draft.key(Key::shared(kind));
            variants.push(changed(format!("key/{part}/{kind}"), part, change).ought(verdict));
        }
    }
    // Whoever is above signs with the digest, so that the part below bears it.
    for (part, kind) in [("intermediate", "rsa2048"), ("signer", "rsa2048"), ("intermediate", "p256"), ("signer", "p256")] {
        for md in [Md::Md5, Md::Sha1, Md::Sha224, Md::Sha256, Md::Sha384, Md::Sha512] {
            if kind == "p256" && md == Md::Md5 {
                continue;
            }
            let mut plan = Plan::new();
            let above = plan.part(if part == "signer" { "intermediate" } else { "root" });
            *above = above.clone().key(Key::shared(kind));
            plan.part(part).md = Some(md);
            variants.push(plan.variant(format!("digest/{part}/{kind}-{}", md.name())));
        }
    }
    // And the digest of the signature itself.
    for kind in ["rsa2048", "p256", "p384"] {
        for md in [Md::Md5, Md::Sha1, Md::Sha224, Md::Sha256, Md::Sha384, Md::Sha512] {
            if kind != "rsa2048" && md == Md::Md5 {
                continue;
            }
            for attributes in [true, false] {
                let root = Draft::authority("root").self_signed();
                let signer = Draft::leaf("signer").key(Key::shared(kind)).signed_by(&root);
                let style = crate::message::Style { md: Some(md), attributes, key_id: false };
                let message = Message::sign_as(CONTENT, &signer, &[], style, |_| {});
                let name = format!("signature/{kind}-{}{}", md.name(), if attributes { "" } else { "-no-attributes" });
                variants.push(Variant::new(name, CONTENT, message.der(), &Trust::anchor(&root)));
            }
        }
    }
    group("keys", "openssl", &variants);
}

#[test]
fn paths() {
    let mut variants = Vec::new();
    for bound in [None, Some(0), Some(1), Some(2)] {
        for count in 0..4 {
            let name = format!("length/{}-with-{count}", bound.map_or("unbounded".to_owned(), |bound: u8| bound.to_string()));
            let root = replacing(Draft::authority("root"), BASIC_CONSTRAINTS, Some(basic_constraints(Some(bound), true))).self_signed();
            let verdict = if bound.is_none_or(|bound| count <= usize::from(bound)) { Accepted } else { Refused };
            variants.push(tower(name, root, count).ought(verdict));
        }
    }
    for count in [4, 5, 6, 7, 10] {
        variants.push(tower(format!("depth/{count}"), Draft::authority("root").self_signed(), count));
    }
    let root = Draft::authority("root").self_signed();
    let other = Draft::authority("other").self_signed();
    let intermediate = Draft::authority("intermediate").signed_by(&root);
    let signer = Draft::leaf("signer").signed_by(&intermediate);
    let trust = Trust::anchor(&root);
    // The same name, another key.
    let impostor_root = Draft::authority("root").self_signed();
    let impostor = Draft::authority("intermediate").signed_by(&root);
    // The same key and name, certified by somebody else too.
    let cross = Draft { key: intermediate.key.clone(), ..Draft::authority("intermediate").key(intermediate.key.clone()) }.signed_by(&other);
    let cross_root = Draft::authority("root").key(root.key.clone()).signed_by(&other);
    let both = Trust { anchors: vec![root.certificate.clone(), other.certificate.clone()], ..Trust::default() };
    let stranger = Draft::leaf("stranger").signed_by(&signer);
    let cases: Vec<(&str, &Identity, Vec<&Identity>, Trust, Verdict)> = vec![
        ("good", &signer, vec![&intermediate], trust.clone(), Accepted),
        ("with-root", &signer, vec![&intermediate, &root], trust.clone(), Accepted),
        ("intermediate-missing", &signer, vec![], trust.clone(), Refused),
        ("intermediate-of-another-key", &signer, vec![&impostor], trust.clone(), Refused),
        ("both-intermediates", &signer, vec![&impostor, &intermediate], trust.clone(), Accepted),
        ("both-intermediates-right-one-first", &signer, vec![&intermediate, &impostor], trust.clone(), Accepted),
        ("unknown-root", &signer, vec![&intermediate, &root], Trust::anchor(&other), Refused),
        ("root-of-another-key", &signer, vec![&intermediate], Trust::anchor(&impostor_root), Refused),
        ("root-of-another-key-with-true-root", &signer, vec![&intermediate, &root], Trust::anchor(&impostor_root), Refused),
        ("cross-signed-intermediate", &signer, vec![&cross], Trust::anchor(&other), Accepted),
        ("cross-signed-intermediate-and-own", &signer, vec![&intermediate, &cross], Trust::anchor(&other), Accepted),
        ("cross-signed-intermediate-both-trusted", &signer, vec![&cross, &intermediate], both, Accepted),
        ("cross-signed-root", &signer, vec![&intermediate, &cross_root], Trust::anchor(&other), Accepted),
        ("cross-signed-root-missing", &signer, vec![&intermediate], Trust::anchor(&other), Refused),
        ("intermediate-as-anchor", &signer, vec![], Trust::anchor(&intermediate), Accepted),
        ("intermediate-as-anchor-and-in-chain", &signer, vec![&intermediate], Trust::anchor(&intermediate), Accepted),
        ("leaf-as-issuer", &stranger, vec![&signer, &intermediate], trust.clone(), Refused),
        ("authority-as-signer", &intermediate, vec![], trust.clone(), Refused),
        ("root-as-signer", &root, vec![], trust.clone(), Refused),
        ("signer-as-anchor", &signer, vec![], Trust::anchor(&signer), Refused),
    ];
    for (name, signer, chain, trust, verdict) in cases {
        variants.push(signed(format!("structure/{name}"), signer, &chain, &trust).ought(verdict));
    }
    variants.extend(pinned());
    group("paths", "openssl", &variants);
}

/// Root, so many intermediates, signer.
fn tower(name: String, root: Identity, count: usize) -> Variant {
    let mut chain = Vec::new();
    let mut above = root.clone();
    for number in 0..count {
        above = Draft::authority(&format!("intermediate {number}")).signed_by(&above);
        chain.push(above.clone());
    }
    let signer = Draft::leaf("signer").signed_by(&above);
    signed(name, &signer, &chain.iter().collect::<Vec<_>>(), &Trust::anchor(&root))
}

/// Certificates that are trusted by themselves.
fn pinned() -> Vec<Variant> {
    let root = Draft::authority("root").self_signed();
    let key = Key::new("p256");
    let plain = Draft::new("plain", key.clone());
    let signing = Draft::leaf("signer");
    let cases: Vec<(&str, Identity, Verdict)> = vec![
        ("self-signed", plain.clone().self_signed(), Accepted),
        ("self-signed-for-code", signing.clone().self_signed(), Accepted),
        ("self-signed-authority", Draft::authority("authority").self_signed(), Refused),
        (
            "self-signed-authority-that-signs",
            replacing(Draft::authority("authority"), KEY_USAGE, Some(key_usage(ISSUING | DIGITAL_SIGNATURE))).self_signed(),
            Accepted,
        ),
        ("issued", signing.clone().signed_by(&root), Accepted),
        ("issued-for-servers", replacing(signing.clone(), EXTENDED_KEY_USAGE, Some(extended_key_usage(&[SERVER_AUTH]))).signed_by(&root), Refused),
        ("issued-for-agreement", replacing(signing.clone(), KEY_USAGE, Some(key_usage(KEY_AGREEMENT))).signed_by(&root), Refused),
        ("expired", signing.clone().valid(NOW - 2 * DAY, NOW - DAY).signed_by(&root), Refused),
        ("not-yet-valid", signing.clone().valid(NOW + DAY, NOW + 2 * DAY).signed_by(&root), Refused),
    ];
    let trust = |one: &Identity| Trust { pinned: vec![one.certificate.clone()], ..Trust::default() };
    let mut variants: Vec<Variant> = Vec::new();
    for (name, identity, verdict) in &cases {
        variants.push(signed(format!("pinned/{name}"), identity, &[], &trust(identity)).ought(*verdict));
        let mut message = Message::sign(CONTENT, identity, &[]);
        message.certificates.clear();
        variants.push(Variant::new(format!("pinned/{name}-left-out"), CONTENT, message.der(), &trust(identity)).ought(*verdict));
    }
    // The same key and names in another certificate: not the one that is pinned.
    let twin = plain.clone().self_signed();
    let other = Draft { serial: vec![9], ..plain }.self_signed();
    variants.push(signed("pinned/same-key-another-serial", &other, &[], &trust(&twin)).ought(Refused));
    variants.push(signed("pinned/somebody-else", &signing.self_signed(), &[], &trust(&twin)).ought(Refused));
    variants
}

#[test]
fn odd_certificates() {
    let mut variants = Vec::new();
    let unknown = |critical| extension("1.3.6.1.4.1.55738.666.1", critical, &sequence(vec![]));
    for part in PARTS {
        let mut add = |name: &str, change: &dyn Fn(Draft) -> Draft| variants.push(changed(format!("{part}/{name}"), part, change));
        add("version-1-with-extensions", &|draft| Draft { version: None, ..draft });
        add("version-2-with-extensions", &|draft| Draft { version: Some(1), ..draft });
        add("version-4", &|draft| Draft { version: Some(3), ..draft });
        add("version-1-without-extensions", &|draft| Draft { version: None, ..draft }.only(vec![]));
        add("no-extensions", &|draft| draft.only(vec![]));
        add("serial-zero", &|draft| Draft { serial: vec![0], ..draft });
        add("serial-negative", &|draft| Draft { serial: vec![0xff, 1], ..draft });
        add("serial-padded", &|draft| Draft { serial: vec![0, 0, 1], ..draft });
        add("serial-empty", &|draft| Draft { serial: vec![], ..draft });
        add("serial-of-20-bytes", &|draft| Draft { serial: vec![0x7f; 20], ..draft });
        add("serial-of-21-bytes", &|draft| Draft { serial: vec![0x7f; 21], ..draft });
        add("serial-of-100-bytes", &|draft| Draft { serial: vec![0x7f; 100], ..draft });
        add("unknown-critical-extension", &|draft| draft.with(vec![unknown(true)]));
        add("unknown-extension", &|draft| draft.with(vec![unknown(false)]));
        add("unknown-extension-twice", &|draft| draft.with(vec![unknown(false), unknown(false)]));
        add("key-id-twice", &|draft| {
            let again = subject_key_id(&draft.key);
            draft.with(vec![again])
        });
        add("without-key-id", &|draft| replacing(draft, "2.5.29.14", None));
        add("empty-subject", &|draft| Draft { subject: sequence(vec![]), ..draft });
        add("long-subject", &|draft| Draft { subject: name_of(&"x".repeat(5000)), ..draft });
        add("subject-of-control-characters", &|draft| Draft { subject: name_of("a\u{1b}[31m\0b\n"), ..draft });
        add("another-algorithm-inside", &|draft| Draft { inner_algorithm: Some(sequence(vec![oid("", "1.2.840.10045.4.3.3")])), ..draft });
        add("times-swapped", &|draft| draft.valid(NOW + DAY, NOW - DAY));
        add("another-issuer-name", &|draft| Draft { issuer: Some(name_of("somebody else")), ..draft });
        add("empty-issuer-name", &|draft| Draft { issuer: Some(sequence(vec![])), ..draft });
        add("validity-of-one-second", &|draft| Draft { until: moment(NOW), from: moment(NOW), ..draft });
    }
    for part in ["intermediate", "signer"] {
        for at in [0, 5, 30, 100, 200, 300] {
            let root = Draft::authority("root").self_signed();
            let intermediate = Draft::authority("intermediate").signed_by(&root);
            let signer = Draft::leaf("signer").signed_by(&intermediate);
            let mut message = Message::sign(CONTENT, &signer, &[&intermediate]);
            let number = usize::from(part == "intermediate");
            message.certificates[number][at] ^= 0x20;
            variants.push(Variant::new(format!("{part}/byte-{at}-changed"), CONTENT, message.der(), &Trust::anchor(&root)).ought(Refused));
        }
    }
    group("certificates", "openssl", &variants);
}

#[test]
fn names() {
    let mut variants = Vec::new();
    let constraints: Vec<(&str, Node)> = vec![
        ("permits-the-dns-name", name_constraints(vec![dns_name("example.com")], vec![])),
        ("permits-another-dns-name", name_constraints(vec![dns_name("example.org")], vec![])),
        ("excludes-the-dns-name", name_constraints(vec![], vec![dns_name("example.com")])),
        ("excludes-another-dns-name", name_constraints(vec![], vec![dns_name("example.org")])),
        ("permits-and-excludes", name_constraints(vec![dns_name("example.com")], vec![dns_name("build.example.com")])),
        ("permits-the-subject", name_constraints(vec![directory_name(name_of("signer"))], vec![])),
        ("permits-another-subject", name_constraints(vec![directory_name(name_of("somebody"))], vec![])),
        ("excludes-the-subject", name_constraints(vec![], vec![directory_name(name_of("signer"))])),
        ("excludes-another-subject", name_constraints(vec![], vec![directory_name(name_of("somebody"))])),
        ("permits-a-mail-domain", name_constraints(vec![leaf("", 0x81, "example.com")], vec![])),
        ("excludes-everybody", name_constraints(vec![], vec![directory_name(sequence(vec![])), dns_name("")])),
        ("says-nothing", name_constraints(vec![], vec![])),
    ];
    let signers: [(&str, &[&str]); 4] = [
        ("without-dns-name", &[]),
        ("build.example.com", &["build.example.com"]),
        ("example.com", &["example.com"]),
        ("example.com.evil", &["example.com.evil"]),
    ];
    for part in ["root", "intermediate"] {
        for (constraint_name, constraint) in &constraints {
            for (signer_name, names) in signers {
                let mut plan = Plan::new();
                let draft = plan.part(part);
                *draft = draft.clone().with(vec![constraint.clone()]);
                if !names.is_empty() {
                    plan.signer = plan.signer.with(vec![dns_names(names)]);
                }
                variants.push(plan.variant(format!("{part}-{constraint_name}/{signer_name}")));
            }
        }
    }
    group("names", "openssl", &variants);
}
