//! Revocation lists: who is on them, how old they are, whose they are; and x509-limbo's kinds of list with its verdicts.

use crate::certificates::{CERTIFICATE_SIGNING, DAY, Draft, Identity, NOW, Revocations, authority_key_id, extension, key_usage};
use crate::chains::{KEY_USAGE, replacing, signed};
use crate::compare::{Accepted, Refused, Trust, Variant, Verdict, group};
use crate::keys::Md;
use crate::message::Message;
use crate::tree::{Node, boolean, branch, integer, leaf, sequence};

/// Root → intermediate → signer, with lists of both authorities.
struct Chain {
    root: Identity,
    intermediate: Identity,
    signer: Identity,
}

impl Chain {
    fn new() -> Self {
        let root = Draft::authority("root").self_signed();
        let intermediate = Draft::authority("intermediate").with(vec![authority_key_id(&root)]).signed_by(&root);
        let signer = Draft::leaf("signer").with(vec![authority_key_id(&intermediate)]).signed_by(&intermediate);
        Self { root, intermediate, signer }
    }

    fn of_root(&self) -> Revocations<'_> {
        Revocations::of(&self.root)
    }

    fn of_intermediate(&self) -> Revocations<'_> {
        Revocations::of(&self.intermediate)
    }

    fn variant(&self, name: impl Into<String>, lists: Vec<Vec<u8>>) -> Variant {
        signed(name, &self.signer, &[&self.intermediate], &Trust::anchor(&self.root).revocations(lists))
    }

    /// With a list of the root, and this one of the intermediate.
    fn with(&self, name: impl Into<String>, list: Revocations<'_>) -> Variant {
        self.variant(name, vec![self.of_root().sign(), list.sign()])
    }
}

const UNKNOWN: &str = "1.3.6.1.4.1.55738.666.1";

#[test]
fn lists() {
    let chain = Chain::new();
    let (root, intermediate, signer) = (&chain.root, &chain.intermediate, &chain.signer);
    let other = Draft::authority("intermediate").signed_by(root);
    let stranger = Draft::authority("stranger").self_signed();
    let somebody = Draft::leaf("somebody").signed_by(intermediate);
    let yesterday = NOW - DAY;
    let mut variants = vec![
        chain.variant("good", vec![chain.of_root().sign(), chain.of_intermediate().sign()]).ought(Accepted),
        chain.with("somebody-else-revoked", chain.of_intermediate().with(&somebody, yesterday, None)).ought(Accepted),
        chain.with("signer-revoked", chain.of_intermediate().with(signer, yesterday, None)).ought(Refused),
        chain
            .with("signer-revoked-among-others", chain.of_intermediate().with(&somebody, yesterday, None).with(signer, yesterday, None))
            .ought(Refused),
        chain.with("signer-revoked-tomorrow", chain.of_intermediate().with(signer, NOW + DAY, None)).ought(Refused),
        chain.with("signer-revoked-before-it-was-issued", chain.of_intermediate().with(signer, NOW - 999 * DAY, None)).ought(Refused),
        chain
            .variant("intermediate-revoked", vec![chain.of_root().with(intermediate, yesterday, None).sign(), chain.of_intermediate().sign()])
            .ought(Refused),
        chain.variant("only-the-root-s-list", vec![chain.of_root().sign()]).ought(Accepted),
        chain.variant("only-the-intermediate-s-list", vec![chain.of_intermediate().sign()]).ought(Accepted),
        chain.variant("only-a-stranger-s-list", vec![Revocations::of(&stranger).sign()]).ought(Accepted),
        chain.variant("intermediate-revoked-and-no-other-list", vec![chain.of_root().with(intermediate, yesterday, None).sign()]).ought(Refused),
        chain.variant("signer-revoked-and-no-other-list", vec![chain.of_intermediate().with(signer, yesterday, None).sign()]).ought(Refused),
        chain
            .variant(
                "a-stranger-revokes-the-serial",
                vec![chain.of_root().sign(), chain.of_intermediate().sign(), Revocations::of(&stranger).with(signer, yesterday, None).sign()],
            )
            .ought(Accepted),
        chain
            .variant(
                "the-root-revokes-the-signer-s-serial",
                vec![chain.of_root().with(signer, yesterday, None).sign(), chain.of_intermediate().sign()],
            )
            .ought(Accepted),
        chain.with("of-another-key-with-the-same-name", Revocations::of(&other)).ought(Refused),
        chain.with("stale", Revocations { from: NOW - 9 * DAY, until: Some(NOW - DAY), ..chain.of_intermediate() }).ought(Refused),
        chain.with("stale-by-a-second", Revocations { from: NOW - 9 * DAY, until: Some(NOW - 1), ..chain.of_intermediate() }).ought(Refused),
        chain.with("last-second", Revocations { from: NOW - 9 * DAY, until: Some(NOW), ..chain.of_intermediate() }).ought(Accepted),
        chain
            .variant(
                "stale-root-s",
                vec![Revocations { from: NOW - 9 * DAY, until: Some(NOW - DAY), ..chain.of_root() }.sign(), chain.of_intermediate().sign()],
            )
            .ought(Refused),
        chain
            .with(
                "stale-and-revoked",
                Revocations { from: NOW - 9 * DAY, until: Some(NOW - DAY), ..chain.of_intermediate() }.with(signer, NOW - 8 * DAY, None),
            )
            .ought(Refused),
        chain.with("not-yet-valid", Revocations { from: NOW + DAY, until: Some(NOW + 9 * DAY), ..chain.of_intermediate() }),
        chain
            .with(
                "not-yet-valid-and-revoked",
                Revocations { from: NOW + DAY, until: Some(NOW + 9 * DAY), ..chain.of_intermediate() }.with(signer, NOW, None),
            )
            .ought(Refused),
        chain.with("signed-with-sha1", Revocations { md: Md::Sha1, ..chain.of_intermediate() }),
        chain.with("unknown-critical-extension", more(chain.of_intermediate(), extension(UNKNOWN, true, &sequence(vec![])))),
        chain.with("unknown-extension", more(chain.of_intermediate(), extension(UNKNOWN, false, &sequence(vec![])))).ought(Accepted),
        chain.with("without-extensions", Revocations { extensions: vec![], ..chain.of_intermediate() }),
        chain.with("delta", more(chain.of_intermediate(), extension("2.5.29.27", true, &integer("", &[1])))),
        chain.variant(
            "newer-list-takes-it-back",
            vec![
                chain.of_root().sign(),
                Revocations { from: NOW - 5 * DAY, ..chain.of_intermediate() }.with(signer, NOW - 6 * DAY, None).sign(),
                chain.of_intermediate().sign(),
            ],
        ),
        chain
            .variant(
                "newer-list-revokes",
                vec![
                    chain.of_root().sign(),
                    chain.of_intermediate().with(signer, yesterday, None).sign(),
                    Revocations { from: NOW - 5 * DAY, ..chain.of_intermediate() }.sign(),
                ],
            )
            .ought(Refused),
        chain
            .variant("the-same-list-twice", vec![chain.of_root().sign(), chain.of_intermediate().sign(), chain.of_intermediate().sign()])
            .ought(Accepted),
    ];
    for reason in 0..=10 {
        variants.push(chain.with(format!("reason/{reason}"), chain.of_intermediate().with(signer, yesterday, Some(reason))));
    }
    for (name, point) in [("users", 0x81), ("authorities", 0x82), ("attributes", 0x85), ("indirect", 0x84)] {
        let point = extension("2.5.29.28", true, &sequence(vec![boolean(true).tagged(point)]));
        variants.push(chain.with(format!("only-for-{name}"), more(chain.of_intermediate(), point.clone())));
        variants.push(chain.with(format!("only-for-{name}-and-revoked"), more(chain.of_intermediate().with(signer, yesterday, None), point)));
    }
    let mut many = chain.of_intermediate();
    many.revoked = (0..10_000_u32)
        .map(|number| (number.to_be_bytes().iter().skip_while(|byte| **byte == 0).copied().collect::<Vec<u8>>(), yesterday, None))
        .filter(|(serial, ..)| serial.first().is_some_and(|first| *first < 0x80))
        .collect();
    variants.push(chain.with("of-thousands", many).ought(Accepted));
    // A list inside of the signature counts for nobody but its maker.
    let mut message = Message::sign(b"the content that was signed\n", signer, &[intermediate]);
    message.revocations = vec![chain.of_intermediate().with(signer, yesterday, None).sign()];
    let trust = Trust::anchor(root);
    variants.push(Variant::new("inside-of-the-signature", b"the content that was signed\n", message.der(), &trust));
    message.revocations = vec![chain.of_root().sign(), chain.of_intermediate().sign()];
    let trust = trust.revocations(vec![chain.of_root().sign(), chain.of_intermediate().with(signer, yesterday, None).sign()]);
    variants
        .push(Variant::new("inside-of-the-signature-and-outside-revoked", b"the content that was signed\n", message.der(), &trust).ought(Refused));
    for (name, list, verdict) in [
        ("stale", Revocations { from: NOW - 9 * DAY, until: Some(NOW - DAY), ..chain.of_intermediate() }, Accepted),
        (
            "stale-and-revoked",
            Revocations { from: NOW - 9 * DAY, until: Some(NOW - DAY), ..chain.of_intermediate() }.with(signer, NOW - 8 * DAY, None),
            Refused,
        ),
    ] {
        let mut variant = chain.with(format!("warn/{name}"), list);
        variant.trust.revocation_policy = "stale-crl = \"warn\"";
        variants.push(variant.ought(verdict));
    }
    // A signer that is pinned is looked for on the lists of its issuer all the same.
    let trust = |lists| Trust { pinned: vec![signer.certificate.clone()], revocations: lists, ..Trust::default() };
    variants.push(signed("pinned/revoked", signer, &[], &trust(vec![chain.of_intermediate().with(signer, yesterday, None).sign()])).ought(Refused));
    variants.push(signed("pinned/good", signer, &[], &trust(vec![chain.of_intermediate().sign()])).ought(Accepted));
    group("revocation", "openssl", &variants);
}

fn more<'a>(mut list: Revocations<'a>, extension: Node) -> Revocations<'a> {
    list.extensions.push(extension);
    list
}

#[test]
fn limbo_lists() {
    let root = Draft::authority("root").self_signed();
    let signer = Draft::leaf("signer").with(vec![authority_key_id(&root)]).signed_by(&root);
    let somebody = Draft::leaf("somebody").signed_by(&root);
    let trust = Trust::anchor(&root);
    let yesterday = NOW - DAY;
    let list = || Revocations::of(&root);
    let one =
        |id: &str, verdict: Verdict, list: Revocations<'_>| signed(id, &signer, &[], &trust.clone().revocations(vec![list.sign()])).against(verdict);
    let unrelated = || list().with(&somebody, yesterday, None);
    let number = |critical| vec![authority_key_id(&root), extension("2.5.29.20", critical, &integer("", &[0x30, 0x39]))];
    let distribution = |uri: &str| {
        let full_name = branch("", 0xa0, vec![leaf("", 0x86, uri)]);
        branch("", 0xa0, vec![full_name])
    };
    let point = |uri: &str| extension("2.5.29.28", true, &sequence(vec![distribution(uri)]));
    let points = |uri: &str| extension("2.5.29.31", false, &sequence(vec![sequence(vec![distribution(uri)])]));
    let scoped = |tag| extension("2.5.29.28", true, &sequence(vec![boolean(true).tagged(tag)]));
    let pointed = |id: &str, verdict: Verdict, at: &str, list_at: &str| {
        let signer = Draft::leaf("signer").with(vec![authority_key_id(&root), points(at)]).signed_by(&root);
        signed(id, &signer, &[], &trust.clone().revocations(vec![more(list(), point(list_at)).sign()])).against(verdict)
    };
    let mut variants = vec![
        one("rfc5280::crl::revoked-certificate-with-crl", Refused, list().with(&signer, yesterday, None)),
        one("rfc5280::crl::crlnumber-missing", Refused, Revocations { extensions: vec![authority_key_id(&root)], ..unrelated() }),
        one("rfc5280::crl::crlnumber-critical", Refused, Revocations { extensions: number(true), ..unrelated() }),
        one("rfc5280::crl::certificate-not-on-crl", Accepted, unrelated()),
        one("crl::structure::crl-empty", Accepted, list()),
        one("crl::structure::crl-unknown-critical-extension", Refused, more(unrelated(), extension(UNKNOWN, true, &sequence(vec![])))),
        one("crl::structure::crl-unknown-noncritical-extension", Accepted, more(unrelated(), extension(UNKNOWN, false, &sequence(vec![])))),
        one("crl::structure::crl-duplicate-revoked-serial", Refused, unrelated().with(&somebody, yesterday, None)),
        one("crl::temporal::this-update-in-future", Refused, Revocations { from: NOW + DAY, until: Some(NOW + 30 * DAY), ..list() }),
        one("crl::temporal::next-update-in-past", Refused, Revocations { from: NOW - 60 * DAY, until: Some(NOW - 30 * DAY), ..list() }),
        one("crl::temporal::revocation-date-in-future", Refused, list().with(&signer, NOW + DAY, None)),
        one("crl::temporal::revocation-date-before-not-before", Refused, list().with(&signer, NOW - 60 * DAY, None)),
        one("crl::temporal::crl-validity-no-overlap", Refused, Revocations { from: NOW - 365 * DAY, until: Some(NOW - 180 * DAY), ..list() }),
        pointed("crl::idp::idp-cdp-scope-mismatch", Refused, "http://example.com/cdp.crl", "http://example.com/other.crl"),
        pointed("crl::idp::idp-cdp-scope-match", Accepted, "http://example.com/partition.crl", "http://example.com/partition.crl"),
        one("crl::idp::idp-only-contains-ca-certs-ee-target", Refused, more(list(), scoped(0x82))),
        one("crl::idp::idp-present-certificate-missing-cdp", Refused, more(list(), point("http://example.com/partition.crl"))),
        one("crl::idp::idp-only-contains-attribute-certs", Refused, more(unrelated(), scoped(0x85))),
    ];
    let impostor = Draft::authority("root").self_signed();
    let forged = Revocations { extensions: list().extensions, ..Revocations::of(&impostor) }.with(&somebody, yesterday, None);
    variants.push(one("crl::structure::crl-invalid-signature", Refused, forged));
    let second = Draft::authority("second root").self_signed();
    let both = Trust { anchors: vec![root.certificate.clone(), second.certificate.clone()], ..Trust::default() };
    let elsewhere = Revocations::of(&second).with(&signer, yesterday, None).sign();
    variants.push(
        signed("rfc5280::crl::certificate-serial-on-crl-different-issuer", &signer, &[], &both.clone().revocations(vec![list().sign(), elsewhere]))
            .against(Accepted),
    );
    let renamed = Identity { subject: root.subject.clone(), ..second };
    variants.push(
        signed("crl::structure::crl-wrong-signing-key", &signer, &[], &both.revocations(vec![Revocations::of(&renamed).sign()])).against(Refused),
    );
    for (id, usage, verdict) in [
        ("issuer-missing-crlsign", Some(key_usage(CERTIFICATE_SIGNING)), Refused),
        ("issuer-no-keyusage-extension", None, Accepted),
        ("issuer-valid-crlsign-and-keycertsign", Some(key_usage(crate::certificates::ISSUING)), Accepted),
    ] {
        let root = replacing(Draft::authority("root"), KEY_USAGE, usage).self_signed();
        let signer = Draft::leaf("signer").with(vec![authority_key_id(&root)]).signed_by(&root);
        let trust = Trust::anchor(&root).revocations(vec![Revocations::of(&root).sign()]);
        variants.push(signed(format!("rfc5280::crl::{id}"), &signer, &[], &trust).against(verdict));
    }
    let chain = Chain::new();
    let users_only = more(chain.of_root(), scoped(0x81)).sign();
    variants
        .push(chain.variant("crl::idp::idp-only-contains-user-certs-ca-target", vec![users_only, chain.of_intermediate().sign()]).against(Refused));
    group("limbo-crl", "x509-limbo", &variants);
}
