//! Several signers of one content: all of them have to be trusted, or one of them, as the policy says.

use crate::certificates::{DAY, Draft, Identity, NOW, SERVER_AUTH, extended_key_usage};
use crate::chains::{EXTENDED_KEY_USAGE, replacing};
use crate::compare::{Accepted, Refused, Trust, Variant, Verdict, group};
use crate::keys::Md;
use crate::message::{Message, Signer, Style, digest_algorithm};

const CONTENT: &[u8] = b"the content that was signed\n";

/// What is wrong with one of two signers.
type Flaw = (&'static str, fn(&Identity, &Identity) -> (Identity, Signer));

/// One signature by all of them.
fn joined(all: &[(Identity, Signer)], more: &[&Identity]) -> Message {
    let mut message = Message::sign(CONTENT, &all[0].0, more);
    message.certificates = all.iter().map(|(identity, _)| identity).chain(more.iter().copied()).map(|one| one.certificate.clone()).collect();
    message.signers = all.iter().map(|(_, signer)| signer.clone()).collect();
    message.digests = vec![digest_algorithm(Md::Sha256), digest_algorithm(Md::Sha384)];
    if all.iter().any(|(_, signer)| signer.version == 3) {
        message.version = 3;
    }
    message
}

fn plain(identity: Identity) -> (Identity, Signer) {
    let signer = Signer::sign(CONTENT, &identity, Style::PLAIN, |_| {});
    (identity, signer)
}

const FLAWS: [Flaw; 9] = [
    ("none", |root, _| plain(Draft::leaf("second").signed_by(root))),
    ("unknown-issuer", |_, other| plain(Draft::leaf("second").signed_by(other))),
    ("self-signed", |_, _| plain(Draft::leaf("second").self_signed())),
    ("expired", |root, _| plain(Draft::leaf("second").valid(NOW - 9 * DAY, NOW - DAY).signed_by(root))),
    ("for-servers", |root, _| plain(replacing(Draft::leaf("second"), EXTENDED_KEY_USAGE, Some(extended_key_usage(&[SERVER_AUTH]))).signed_by(root))),
    ("other-content", |root, _| {
        let identity = Draft::leaf("second").signed_by(root);
        let signer = Signer::sign(b"another content", &identity, Style::PLAIN, |_| {});
        (identity, signer)
    }),
    ("bad-value", |root, _| {
        let (identity, mut signer) = plain(Draft::leaf("second").signed_by(root));
        *signer.value.last_mut().expect("a value") ^= 1;
        (identity, signer)
    }),
    ("weak-digest", |root, _| {
        let identity = Draft::leaf("second").key(crate::keys::Key::shared("p256")).signed_by(root);
        let signer = Signer::sign(CONTENT, &identity, Style { md: Some(Md::Sha1), ..Style::PLAIN }, |_| {});
        (identity, signer)
    }),
    ("unknown-algorithm", |root, _| {
        let (identity, mut signer) = plain(Draft::leaf("second").signed_by(root));
        signer.algorithm = crate::tree::sequence(vec![crate::tree::oid("", "1.2.3.4")]);
        (identity, signer)
    }),
];

#[test]
fn two_signers() {
    let root = Draft::authority("root").self_signed();
    let other = Draft::authority("other").self_signed();
    let mut variants = Vec::new();
    for (rule, policy) in [("all", ""), ("one", "[signatures]\nseveral-signers = \"one\"\n")] {
        let trust = Trust { policy: policy.to_owned(), ..Trust::anchor(&root) };
        for (flaw, make) in FLAWS {
            let good = plain(Draft::leaf("first").signed_by(&root));
            let second = make(&root, &other);
            // With `one`, a signer that is good is enough, unless what stands beside it cannot even be read.
            let verdict = if flaw == "none" || rule == "one" && is_readable(flaw) { Accepted } else { Refused };
            for (order, all) in [("second", [good.clone(), second.clone()]), ("first", [second.clone(), good.clone()])] {
                variants.push(variant(format!("{rule}/{flaw}-{order}"), &joined(&all, &[]), &trust, verdict));
            }
            let both = [second.clone(), make(&root, &other)];
            let verdict = if flaw == "none" { Accepted } else { Refused };
            variants.push(variant(format!("{rule}/{flaw}-both"), &joined(&both, &[]), &trust, verdict));
        }
        let good = plain(Draft::leaf("first").signed_by(&root));
        variants.push(variant(format!("{rule}/the-same-twice"), &joined(&[good.clone(), good.clone()], &[]), &trust, Accepted));
        let by_key_id = {
            let identity = Draft::leaf("second").signed_by(&root);
            let signer = Signer::sign(CONTENT, &identity, Style { key_id: true, ..Style::PLAIN }, |_| {});
            (identity, signer)
        };
        variants.push(variant(format!("{rule}/one-by-key-id"), &joined(&[good.clone(), by_key_id], &[]), &trust, Accepted));
        let p384 = plain(Draft::leaf("second").key(crate::keys::Key::shared("p384")).signed_by(&root));
        variants.push(variant(format!("{rule}/another-digest"), &joined(&[good.clone(), p384], &[]), &trust, Accepted));
        let mut without_certificate = joined(&[good.clone(), plain(Draft::leaf("second").signed_by(&root))], &[]);
        without_certificate.certificates.pop();
        let verdict = if rule == "one" { Accepted } else { Refused };
        variants.push(variant(format!("{rule}/certificate-left-out"), &without_certificate, &trust, verdict));
    }
    for count in [3, 4, 8, 9, 20] {
        let all: Vec<_> = (0..count).map(|number| plain(Draft::leaf(&format!("signer {number}")).signed_by(&root))).collect();
        variants.push(Variant::new(format!("count/{count}"), CONTENT, joined(&all, &[]).der(), &Trust::anchor(&root)));
    }
    group("signers", "openssl", &variants);
}

fn is_readable(flaw: &str) -> bool {
    !["weak-digest", "unknown-algorithm"].contains(&flaw)
}

fn variant(name: String, message: &Message, trust: &Trust, verdict: Verdict) -> Variant {
    Variant::new(name, CONTENT, message.der(), trust).ought(verdict)
}
