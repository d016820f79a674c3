//! The message itself: every element of a CMS signature changed in every way, and messages that are wrong on purpose.

use std::sync::LazyLock;

use crate::certificates::{Draft, Identity};
use crate::compare::{Accepted, Refused, Trust, Variant, group};
use crate::keys::{Key, Md};
use crate::message::{CONTENT_TYPE, DATA, Message, SIGNING_TIME, Signer, Style, attribute, content_type, digest_algorithm, message_digest, number};
use crate::tree::{Change, Node, branch, leaf, null, oid, raw, sequence};

/// Root → intermediate → signer, with an RSA key: its signatures have a fixed length.
struct Chain {
    root: Identity,
    intermediate: Identity,
    signer: Identity,
}

static CHAIN: LazyLock<Chain> = LazyLock::new(|| {
    let root = Draft::authority("root").self_signed();
    let intermediate = Draft::authority("intermediate").signed_by(&root);
    let signer = Draft::leaf("signer").only(vec![]).key(Key::shared("rsa2048"));
    let extensions = Draft::leaf("").extensions.into_iter().skip(1);
    let extensions = std::iter::once(crate::certificates::subject_key_id(&signer.key)).chain(extensions).collect();
    let signer = signer.only(extensions).signed_by(&intermediate);
    Chain { root, intermediate, signer }
});

const CONTENT: &[u8] = b"the content that was signed\n";

fn message(style: Style) -> Message {
    Message::sign_as(CONTENT, &CHAIN.signer, &[&CHAIN.intermediate], style, |_| {})
}

fn edited(edit: impl FnOnce(&mut Vec<Node>)) -> Message {
    Message::sign_as(CONTENT, &CHAIN.signer, &[&CHAIN.intermediate], Style::PLAIN, edit)
}

fn variant(name: impl Into<String>, message: &Message) -> Variant {
    Variant::new(name, CONTENT, message.der(), &Trust::anchor(&CHAIN.root))
}

#[test]
fn every_element_changed_in_every_way() {
    let mut variants = Vec::new();
    let styles = [
        ("attributes", Style::PLAIN),
        ("no-attributes", Style { attributes: false, ..Style::PLAIN }),
        ("key-id", Style { key_id: true, ..Style::PLAIN }),
    ];
    for (style_name, style) in styles {
        let mut message = message(style);
        message.signers[0].unsigned = vec![attribute("unsignedAttr", "1.2.3.4.5", vec![number(1)])];
        variants.push(variant(style_name, &message).ought(Accepted));
        let tree = message.tree();
        for name in tree.names() {
            // Two signers have a group of their own.
            let changes = Change::ALL.into_iter().filter(|(change, _)| !change.is_ber() && (name, *change) != ("signerInfo", Change::Twice));
            for (change, change_name) in changes {
                let Some(signature) = tree.varied(name, change) else { continue };
                variants.push(Variant::new(format!("{style_name}/{name}/{change_name}"), CONTENT, signature, &Trust::anchor(&CHAIN.root)));
            }
        }
    }
    group("elements", "openssl", &variants);
}

/// The same signature in BER: as streaming signers write it, and with single elements that are not DER.
#[test]
fn every_element_in_ber() {
    let mut variants = Vec::new();
    for (style_name, style) in [
        ("attributes", Style::PLAIN),
        ("no-attributes", Style { attributes: false, ..Style::PLAIN }),
        ("key-id", Style { key_id: true, ..Style::PLAIN }),
    ] {
        let tree = message(style).tree();
        variants.push(Variant::new(format!("{style_name}/streamed"), CONTENT, tree.streamed(), &Trust::anchor(&CHAIN.root)));
        for name in tree.names() {
            for (change, change_name) in Change::ALL.into_iter().filter(|(change, _)| change.is_ber()) {
                let Some(signature) = tree.varied(name, change) else { continue };
                variants.push(Variant::new(format!("{style_name}/{name}/{change_name}"), CONTENT, signature, &Trust::anchor(&CHAIN.root)));
                // And inside of a streamed whole, as tools write it.
                let Some(signature) = tree.varied_and_streamed(name, change) else { continue };
                variants.push(Variant::new(format!("{style_name}/{name}/streamed-{change_name}"), CONTENT, signature, &Trust::anchor(&CHAIN.root)));
            }
        }
    }
    group("ber", "openssl", &variants);
}

#[test]
fn bytes_changed_cut_and_added() {
    let trust = Trust::anchor(&CHAIN.root);
    let good = message(Style::PLAIN).der();
    let mut variants = vec![Variant::new("unchanged", CONTENT, good.clone(), &trust).ought(Accepted)];
    for part in 0..20 {
        let length = good.len() * part / 20;
        variants.push(Variant::new(format!("cut/{part}-twentieths"), CONTENT, good[..length].to_vec(), &trust).ought(Refused));
    }
    for (name, tail) in [("zero", &[0][..]), ("null", &[5, 0]), ("zeros", &[0; 64]), ("newline", b"\n"), ("itself", &good)] {
        variants.push(Variant::new(format!("tail/{name}"), CONTENT, [&good, tail].concat(), &trust));
    }
    for (name, head) in [("zero", &[0][..]), ("newline", b"\n"), ("byte-order-mark", b"\xef\xbb\xbf")] {
        variants.push(Variant::new(format!("head/{name}"), CONTENT, [head, &good].concat(), &trust).ought(Refused));
    }
    for (name, content) in [
        ("nothing", &b""[..]),
        ("a-bit", b"the content that was signee\n"),
        ("longer", b"the content that was signed\n\n"),
        ("shorter", b"the content that was signed"),
        ("carriage-return", b"the content that was signed\r\n"),
        ("zero", b"the content that was signed\n\0"),
    ] {
        for (style_name, style) in [("attributes", Style::PLAIN), ("no-attributes", Style { attributes: false, ..Style::PLAIN })] {
            let signature = message(style).der();
            variants.push(Variant::new(format!("other-content/{style_name}/{name}"), content, signature, &trust).ought(Refused));
        }
    }
    // RFC 5652 §5.4: the DER of the signed attributes, as a content without attributes, has the same signature.
    let attributes = message(Style::PLAIN).signers[0].attributes.clone().unwrap();
    let as_content = branch("", 0x31, attributes).der();
    let mut swapped = message(Style::PLAIN);
    swapped.signers[0].attributes = None;
    variants.push(Variant::new("attributes-as-content", &as_content, swapped.der(), &trust));
    group("bytes", "openssl", &variants);
}

#[test]
fn attributes_that_are_wrong() {
    let digest = Md::Sha256.digest(CONTENT);
    let extra = |value| attribute("", "1.2.3.4.5", vec![number(value)]);
    let sorted = |attributes: &mut Vec<Node>| attributes.sort_by_key(Node::der);
    let mut variants = vec![
        variant("none-at-all", &edited(Vec::clear)),
        variant("unsorted", &edited(|all| all.reverse())),
        variant("content-type/missing", &edited(|all| all.retain(|one| one.der() != content_type(DATA).der()))),
        variant(
            "content-type/twice",
            &edited(|all| {
                all.push(content_type(DATA));
                sorted(all);
            }),
        ),
        variant(
            "content-type/other",
            &edited(|all| {
                *all = vec![content_type("1.2.840.113549.1.7.5"), message_digest(&digest)];
                sorted(all);
            }),
        ),
        variant(
            "content-type/two-values",
            &edited(|all| {
                *all = vec![attribute("", CONTENT_TYPE, vec![oid("", DATA), oid("", DATA)]), message_digest(&digest)];
                sorted(all);
            }),
        ),
        variant(
            "content-type/no-value",
            &edited(|all| {
                *all = vec![attribute("", CONTENT_TYPE, vec![]), message_digest(&digest)];
                sorted(all);
            }),
        ),
        variant(
            "content-type/not-an-oid",
            &edited(|all| {
                *all = vec![attribute("", CONTENT_TYPE, vec![number(1)]), message_digest(&digest)];
                sorted(all);
            }),
        ),
        variant("message-digest/missing", &edited(|all| all.retain(|one| one.der() == content_type(DATA).der()))),
        variant(
            "message-digest/twice",
            &edited(|all| {
                all.push(message_digest(&digest));
                sorted(all);
            }),
        ),
        variant(
            "message-digest/twice-one-wrong",
            &edited(|all| {
                all.push(message_digest(&[0; 32]));
                sorted(all);
            }),
        ),
        variant("message-digest/wrong", &edited(|all| *all = vec![content_type(DATA), message_digest(&[0; 32])])),
        variant(
            "message-digest/empty",
            &edited(|all| {
                *all = vec![content_type(DATA), message_digest(&[])];
                sorted(all);
            }),
        ),
        variant(
            "message-digest/short",
            &edited(|all| {
                *all = vec![content_type(DATA), message_digest(&digest[..20])];
                sorted(all);
            }),
        ),
        variant("message-digest/long", &edited(|all| *all = vec![content_type(DATA), message_digest(&[&digest[..], &[0]].concat())])),
        variant(
            "message-digest/of-another-algorithm",
            &edited(|all| {
                *all = vec![content_type(DATA), message_digest(&Md::Sha512.digest(CONTENT))];
            }),
        ),
        variant(
            "message-digest/not-octets",
            &edited(|all| {
                *all = vec![content_type(DATA), attribute("", crate::message::MESSAGE_DIGEST, vec![number(1)])];
                sorted(all);
            }),
        ),
        variant(
            "unknown",
            &edited(|all| {
                all.push(extra(1));
                sorted(all);
            }),
        )
        .ought(Accepted),
        variant(
            "unknown/twice",
            &edited(|all| {
                all.extend([extra(1), extra(2)]);
                sorted(all);
            }),
        ),
        variant(
            "unknown/no-value",
            &edited(|all| {
                all.push(attribute("", "1.2.3.4.5", vec![]));
                sorted(all);
            }),
        ),
        variant(
            "signing-time",
            &edited(|all| {
                all.push(attribute("", SIGNING_TIME, vec![leaf("", 0x17, "250101000000Z")]));
                sorted(all);
            }),
        )
        .ought(Accepted),
        variant(
            "signing-time/in-the-future",
            &edited(|all| {
                all.push(attribute("", SIGNING_TIME, vec![leaf("", 0x17, "490101000000Z")]));
                sorted(all);
            }),
        )
        .ought(Accepted),
    ];
    for count in [30, 31, 200] {
        let many = edited(|all| {
            all.extend((0..count).map(|number| attribute("", &format!("1.2.3.4.{number}"), vec![crate::message::number(1)])));
            sorted(all);
        });
        variants.push(variant(format!("many/{count}"), &many));
    }
    for (name, kind) in [("content-type", content_type(DATA)), ("message-digest", message_digest(&[0; 32])), ("unknown", extra(1))] {
        let mut message = message(Style::PLAIN);
        message.signers[0].unsigned = vec![kind];
        variants.push(variant(format!("unsigned/{name}"), &message));
    }
    group("attributes", "openssl", &variants);
}

#[test]
fn fields_that_are_wrong() {
    let changed = |change: &dyn Fn(&mut Message)| {
        let mut message = message(Style::PLAIN);
        change(&mut message);
        message
    };
    let mut variants = Vec::new();
    for version in [0, 1, 2, 3, 4, 5, 127] {
        variants.push(variant(format!("version/{version}"), &changed(&|message| message.version = version)));
        variants.push(variant(format!("signer-version/{version}"), &changed(&|message| message.signers[0].version = version)));
        variants.push(variant(
            format!("both-versions/{version}"),
            &changed(&|message| {
                message.version = version;
                message.signers[0].version = version;
            }),
        ));
    }
    for (name, kind) in [("data", DATA), ("enveloped", "1.2.840.113549.1.7.3"), ("digested", "1.2.840.113549.1.7.5"), ("unknown", "1.2.3.4")] {
        variants.push(variant(format!("kind/{name}"), &changed(&|message| message.kind = kind)).ought(Refused));
        if kind != DATA {
            variants.push(variant(format!("content-kind/{name}"), &changed(&|message| message.content_kind = kind)));
        }
    }
    for (name, content) in [("same", CONTENT), ("other", &b"another content"[..]), ("empty", b"")] {
        variants.push(variant(format!("attached/{name}"), &changed(&|message| message.content = Some(content.to_vec()))));
    }
    variants.push(variant("digests/none", &changed(&|message| message.digests.clear())));
    variants.push(variant("digests/other", &changed(&|message| message.digests = vec![digest_algorithm(Md::Sha512)])));
    variants.push(variant("digests/more", &changed(&|message| message.digests.push(digest_algorithm(Md::Sha512)))).ought(Accepted));
    variants.push(variant("digests/twice", &changed(&|message| message.digests.push(digest_algorithm(Md::Sha256)))));
    variants.push(variant("digests/and-sha1", &changed(&|message| message.digests.push(digest_algorithm(Md::Sha1)))));
    variants.push(variant("digests/and-unknown", &changed(&|message| message.digests.push(sequence(vec![oid("", "1.2.3.4")])))));
    let without_null = |md: Md| sequence(vec![oid("", md.oid())]);
    variants.push(
        variant(
            "digest-parameters/absent",
            &changed(&|message| {
                message.digests = vec![without_null(Md::Sha256)];
                message.signers[0].digest = without_null(Md::Sha256);
            }),
        )
        .ought(Accepted),
    );
    variants.push(variant(
        "digest-parameters/odd",
        &changed(&|message| {
            message.signers[0].digest = sequence(vec![oid("", Md::Sha256.oid()), number(1)]);
        }),
    ));
    for (name, algorithm) in [
        ("rsa-encryption", sequence(vec![oid("", "1.2.840.113549.1.1.1"), null()])),
        ("rsa-encryption-without-null", sequence(vec![oid("", "1.2.840.113549.1.1.1")])),
        ("sha256-without-null", sequence(vec![oid("", "1.2.840.113549.1.1.11")])),
        ("sha256-with-a-number", sequence(vec![oid("", "1.2.840.113549.1.1.11"), number(1)])),
        ("sha512", Key::shared("rsa2048").algorithm(Md::Sha512)),
        ("sha1", Key::shared("rsa2048").algorithm(Md::Sha1)),
        ("ecdsa", sequence(vec![oid("", "1.2.840.10045.4.3.2")])),
        ("pss-without-parameters", sequence(vec![oid("", "1.2.840.113549.1.1.10")])),
        ("ed25519", sequence(vec![oid("", "1.3.101.112")])),
        ("sha256-itself", digest_algorithm(Md::Sha256)),
        ("unknown", sequence(vec![oid("", "1.2.3.4")])),
    ] {
        variants.push(variant(format!("algorithm/{name}"), &changed(&|message| message.signers[0].algorithm = algorithm.clone())));
    }
    variants.push(variant("signers/none", &changed(&|message| message.signers.clear())).ought(Refused));
    variants.push(variant("certificates/none", &changed(&|message| message.certificates.clear())).ought(Refused));
    variants.push(variant("certificates/without-signer", &changed(&|message| drop(message.certificates.remove(0)))).ought(Refused));
    variants.push(variant("certificates/without-intermediate", &changed(&|message| message.certificates.truncate(1))).ought(Refused));
    variants.push(variant("certificates/reversed", &changed(&|message| message.certificates.reverse())).ought(Accepted));
    variants.push(variant("certificates/with-root", &changed(&|message| message.certificates.push(CHAIN.root.certificate.clone()))).ought(Accepted));
    variants.push(variant("certificates/twice", &changed(&|message| message.certificates.extend(message.certificates.clone()))));
    variants.push(variant("certificates/garbage", &changed(&|message| message.certificates.push(vec![0x30, 3, 2, 1, 1]))));
    variants.push(variant("certificates/attribute-certificate", &changed(&|message| message.certificates.push(vec![0xa1, 3, 2, 1, 1]))));
    variants.push(variant("crls/garbage", &changed(&|message| message.revocations.push(vec![0x30, 3, 2, 1, 1]))));
    for count in [10, 14, 15, 40] {
        let many = changed(&|message| {
            message.certificates.extend((0..count).map(|number| Draft::leaf(&format!("other {number}")).signed_by(&CHAIN.root).certificate))
        });
        variants.push(variant(format!("certificates/{count}-more"), &many));
    }
    let stranger = Draft::leaf("stranger").signed_by(&CHAIN.intermediate);
    variants.push(
        variant(
            "sid/of-another-certificate",
            &changed(&|message| {
                message.certificates.push(stranger.certificate.clone());
                message.signers[0].id = Signer::sign(CONTENT, &stranger, Style::PLAIN, |_| {}).id;
            }),
        )
        .ought(Refused),
    );
    variants.push(
        variant(
            "sid/of-nobody",
            &changed(&|message| {
                message.signers[0].id = branch("", 0x30, vec![CHAIN.signer.issuer.clone(), number(77)]);
            }),
        )
        .ought(Refused),
    );
    variants.push(
        variant("value/of-another-key", &changed(&|message| message.signers[0].value = Key::new("rsa2048").sign(Md::Sha256, CONTENT))).ought(Refused),
    );
    variants.push(variant("value/empty", &changed(&|message| message.signers[0].value.clear())).ought(Refused));
    variants.push(variant("value/with-zero-before", &changed(&|message| message.signers[0].value.insert(0, 0))).ought(Refused));
    variants.push(variant("value/with-zero-behind", &changed(&|message| message.signers[0].value.push(0))).ought(Refused));
    variants.push(
        Variant::new("raw-signature-without-cms", CONTENT, message(Style::PLAIN).signers[0].value.clone(), &Trust::anchor(&CHAIN.root))
            .ought(Refused),
    );
    variants.push(Variant::new("only-a-certificate", CONTENT, CHAIN.signer.certificate.clone(), &Trust::anchor(&CHAIN.root)).ought(Refused));
    let inner = branch("", 0x30, vec![oid("", crate::message::SIGNED_DATA), branch("", 0xa0, vec![raw("", message(Style::PLAIN).der())])]);
    variants.push(Variant::new("wrapped-twice", CONTENT, inner.der(), &Trust::anchor(&CHAIN.root)).ought(Refused));
    group("fields", "openssl", &variants);
}
