//! The kinds of chain of x509-limbo (C2SP), named by its identifiers, with its verdicts, as chains of code signers.
//!
//! Made anew after its descriptions: the same defects in the same places, with codeSigning in place of serverAuth.

use crate::certificates::{
    CERTIFICATE_SIGNING, CLIENT_AUTH, DAY, DIGITAL_SIGNATURE, Draft, Identity, NOW, authority_key_id, basic_constraints, directory_name, dns_name,
    extended_key_usage, extension, key_usage, name_constraints, name_of, subject_key_id,
};
use crate::chains::{BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE, KEY_USAGE, replacing, signed};
use crate::compare::{Accepted, Refused, Trust, Variant, Verdict, group};
use crate::keys::Key;
use crate::tree::{Node, integer, leaf, oid, sequence};

pub fn authority(name: &str) -> Draft {
    Draft::authority(name)
}

/// An authority below another one, with the identifier of its issuer's key.
pub fn below(issuer: &Identity, name: &str) -> Draft {
    Draft::authority(name).with(vec![authority_key_id(issuer)])
}

pub fn end(issuer: &Identity) -> Draft {
    Draft::leaf("signer").with(vec![authority_key_id(issuer)])
}

fn bounded(draft: Draft, length: u8) -> Draft {
    replacing(draft, BASIC_CONSTRAINTS, Some(basic_constraints(Some(Some(length)), true)))
}

fn alternative_names(names: Vec<Node>) -> Node {
    extension("2.5.29.17", false, &sequence(names))
}

fn address(bytes: &[u8]) -> Node {
    leaf("", 0x87, bytes)
}

fn mail(name: &str) -> Node {
    leaf("", 0x81, name)
}

/// Root → signer; each may be changed.
fn pair(id: &str, verdict: Verdict, root: impl FnOnce(Draft) -> Draft, signer: impl FnOnce(Draft) -> Draft) -> Variant {
    let root = root(authority("root")).self_signed();
    let signer = signer(end(&root)).signed_by(&root);
    signed(id, &signer, &[], &Trust::anchor(&root)).against(verdict)
}

/// Root → intermediate → signer; each may be changed.
fn triple(
    id: &str,
    verdict: Verdict,
    root: impl FnOnce(Draft) -> Draft,
    intermediate: impl FnOnce(Draft) -> Draft,
    signer: impl FnOnce(Draft) -> Draft,
) -> Variant {
    let root = root(authority("root")).self_signed();
    let intermediate = intermediate(below(&root, "intermediate")).signed_by(&root);
    let signer = signer(end(&intermediate)).signed_by(&intermediate);
    signed(id, &signer, &[&intermediate], &Trust::anchor(&root)).against(verdict)
}

fn same(draft: Draft) -> Draft {
    draft
}

#[test]
fn rfc5280() {
    let unknown = |draft: Draft| draft.with(vec![extension("1.3.6.1.4.1.55738.666.1", true, &sequence(vec![]))]);
    let access =
        |critical| extension("1.3.6.1.5.5.7.1.1", critical, &sequence(vec![sequence(vec![oid("", "1.3.6.1.5.5.7.48.2"), dns_name("example.com")])]));
    let constraints = |draft, value| replacing(draft, BASIC_CONSTRAINTS, value);
    let serial = |bytes: &[u8]| {
        let serial = bytes.to_vec();
        move |draft: Draft| Draft { serial, ..draft }
    };
    let mut variants = vec![
        pair("rfc5280::ee-empty-issuer", Refused, same, |draft| Draft { issuer: Some(sequence(vec![])), ..draft }),
        pair("rfc5280::ca-empty-subject", Refused, |draft| Draft { subject: sequence(vec![]), ..draft }, same),
        pair("rfc5280::unknown-critical-extension-ee", Refused, same, unknown),
        pair("rfc5280::unknown-critical-extension-root", Refused, unknown, same),
        triple("rfc5280::unknown-critical-extension-intermediate", Refused, same, |draft| unknown(bounded(draft, 0)), same),
        triple("rfc5280::intermediate-ca-without-ca-bit", Refused, same, |draft| constraints(draft, Some(basic_constraints(None, true))), same),
        triple("rfc5280::intermediate-ca-missing-basic-constraints", Refused, same, |draft| constraints(draft, None), same),
        pair("rfc5280::root-missing-basic-constraints", Refused, |draft| constraints(draft, None), same),
        pair("rfc5280::root-non-critical-basic-constraints", Refused, |draft| constraints(draft, Some(basic_constraints(Some(None), false))), same),
        pair("rfc5280::root-inconsistent-ca-extensions", Refused, |draft| replacing(draft, KEY_USAGE, Some(no_usage())), same),
        triple("rfc5280::ica-ku-keycertsign", Refused, same, |draft| replacing(bounded(draft, 0), KEY_USAGE, Some(no_usage())), same),
        pair("rfc5280::leaf-ku-keycertsign", Refused, same, |draft| {
            replacing(draft, KEY_USAGE, Some(key_usage(DIGITAL_SIGNATURE | CERTIFICATE_SIGNING)))
        }),
        pair("rfc5280::ee-aia", Accepted, same, |draft| draft.with(vec![access(false)])),
        pair("rfc5280::ee-critical-aia-invalid", Refused, same, |draft| draft.with(vec![access(true)])),
        pair("rfc5280::duplicate-extensions", Refused, same, |draft| {
            let names = || alternative_names(vec![dns_name("example.com")]);
            draft.with(vec![names(), names()])
        }),
        pair("rfc5280::no-keyusage", Accepted, same, |draft| replacing(draft, KEY_USAGE, None)),
        pair("rfc5280::no-basicconstraints", Accepted, same, |draft| constraints(draft, None)),
        pair(
            "rfc5280::mismatching-signature-algorithm",
            Refused,
            |draft| Draft { inner_algorithm: Some(Key::new("p384").algorithm(crate::keys::Md::Sha384)), ..draft },
            same,
        ),
        pair(
            "rfc5280::aki::critical-aki",
            Refused,
            |draft| {
                let id = leaf("", 0x80, crate::keys::Md::Sha1.digest(&draft.key.public));
                draft.with(vec![extension("2.5.29.35", true, &sequence(vec![id]))])
            },
            same,
        ),
        pair("rfc5280::aki::leaf-missing-aki", Refused, same, |draft| replacing(draft, "2.5.29.35", None)),
        triple("rfc5280::aki::intermediate-missing-aki", Refused, same, |draft| replacing(draft, "2.5.29.35", None), same),
        pair("rfc5280::aki::self-signed-root-missing-aki", Accepted, same, same),
        pair(
            "rfc5280::ski::critical-ski",
            Refused,
            |draft| {
                let id = leaf("", 0x04, crate::keys::Md::Sha1.digest(&draft.key.public));
                replacing(draft, "2.5.29.14", Some(extension("2.5.29.14", true, &id)))
            },
            same,
        ),
        pair("rfc5280::ski::root-missing-ski", Refused, |draft| replacing(draft, "2.5.29.14", None), same),
        triple("rfc5280::ski::intermediate-missing-ski", Refused, same, |draft| replacing(draft, "2.5.29.14", None), same),
        pair("rfc5280::serial::too-long", Refused, same, serial(&[0x7f; 22])),
        pair("rfc5280::serial::zero", Refused, same, serial(&[0])),
        pair("rfc5280::serial::negative", Refused, same, serial(&[0xf0, 1])),
        pair("rfc5280::eku::ee-wrong-eku", Refused, same, |draft| replacing(draft, EXTENDED_KEY_USAGE, Some(extended_key_usage(&[CLIENT_AUTH])))),
        pair("rfc5280::eku::ee-without-eku", Accepted, same, |draft| replacing(draft, EXTENDED_KEY_USAGE, None)),
        triple(
            "rfc5280::pc::ica-noncritical-pc",
            Refused,
            same,
            |draft| draft.with(vec![extension("2.5.29.36", false, &sequence(vec![integer("", &[3]).tagged(0x80)]))]),
            same,
        ),
        triple("rfc5280::validity::expired-root", Refused, |draft| draft.valid(NOW - 99 * DAY, NOW - DAY), same, same),
        triple("rfc5280::validity::expired-intermediate", Refused, same, |draft| draft.valid(NOW - 99 * DAY, NOW - DAY), same),
        triple("rfc5280::validity::expired-leaf", Refused, same, same, |draft| draft.valid(NOW - 99 * DAY, NOW - DAY)),
    ];
    let exact =
        |id, from, until| triple(id, Accepted, |draft| draft.valid(from, until), |draft| draft.valid(from, until), |draft| draft.valid(from, until));
    variants.push(exact("rfc5280::validity::notbefore-exact", NOW, NOW + DAY));
    variants.push(exact("rfc5280::validity::notafter-exact", NOW - DAY, NOW));
    let root = authority("root").self_signed();
    let unrelated = authority("unrelated").self_signed();
    let intermediate = bounded(below(&root, "intermediate"), 0).signed_by(&root);
    let signer = end(&intermediate).signed_by(&intermediate);
    variants.push(signed("rfc5280::chain-untrusted-root", &signer, &[&root, &intermediate], &Trust::anchor(&unrelated)).against(Refused));
    let cross = replacing(bounded(below(&unrelated, "cross"), 0), "2.5.29.35", None).signed_by(&unrelated);
    let signer = end(&cross).signed_by(&cross);
    variants.push(signed("rfc5280::aki::cross-signed-root-missing-aki", &signer, &[], &Trust::anchor(&cross)).against(Refused));
    group("limbo", "x509-limbo", &variants);
}

/// keyUsage in which every bit is off.
fn no_usage() -> Node {
    extension(KEY_USAGE, false, &leaf("", 0x03, [0]))
}

#[test]
fn path_lengths() {
    let mut variants = Vec::new();
    let cases: [(&str, &[u8], Verdict); 6] = [
        ("ee-with-intermediate-pathlen-0", &[0], Accepted),
        ("ee-with-intermediate-pathlen-1", &[1], Accepted),
        ("ee-with-intermediate-pathlen-2", &[2], Accepted),
        ("intermediate-violates-pathlen-0", &[0, 0], Refused),
        ("intermediate-pathlen-may-increase", &[1, 2], Accepted),
        ("intermediate-pathlen-too-long", &[1, 0, 0], Refused),
    ];
    for (id, lengths, verdict) in cases {
        let root = authority("root").self_signed();
        let mut chain: Vec<Identity> = Vec::new();
        for length in lengths {
            let above = chain.last().unwrap_or(&root).clone();
            chain.push(bounded(below(&above, &format!("intermediate {}", chain.len())), *length).signed_by(&above));
        }
        let above = chain.last().expect("an intermediate");
        let signer = end(above).signed_by(above);
        variants.push(signed(format!("pathlen::{id}"), &signer, &chain.iter().collect::<Vec<_>>(), &Trust::anchor(&root)).against(verdict));
    }
    let root = authority("root").self_signed();
    let first = bounded(below(&root, "intermediate"), 0).signed_by(&root);
    let second = bounded(below(&first, "second"), 0).signed_by(&first);
    variants.push(signed("pathlen::validation-ignores-pathlen-in-leaf", &second, &[&first], &Trust::anchor(&root)).against(Accepted));
    let first = bounded(below(&root, "intermediate"), 1).signed_by(&root);
    let again = bounded(below(&first, "intermediate"), 1).signed_by(&first);
    let third = bounded(below(&again, "third"), 0).signed_by(&again);
    let signer = end(&third).signed_by(&third);
    variants.push(signed("pathlen::self-issued-certs-pathlen", &signer, &[&first, &again, &third], &Trust::anchor(&root)).against(Accepted));
    group("limbo-pathlen", "x509-limbo", &variants);
}

#[test]
fn constrained_names() {
    let dns = |name: &str| vec![dns_name(name)];
    let dn = |name: &str| vec![directory_name(name_of(name))];
    let net4 = || vec![address(&[192, 0, 2, 0, 255, 255, 255, 0])];
    let net6 = || vec![address(&[[0; 15].as_slice(), &[1], &[0xff; 16]].concat())];
    let localhost = || vec![address(&[[0; 15].as_slice(), &[1]].concat())];
    // What the root permits and excludes, the signer's alternative names, and its subject.
    type Case = (&'static str, Verdict, Vec<Node>, Vec<Node>, Vec<Node>, &'static str);
    let cases: Vec<Case> = vec![
        ("permitted-dns-mismatch", Refused, dns("example.com"), vec![], dns("not-example.com"), "signer"),
        ("permitted-dns-match", Accepted, dns("example.com"), vec![], dns("example.com"), "signer"),
        ("permitted-dns-match-more", Accepted, dns("example.com"), vec![], dns("foo.bar.example.com"), "signer"),
        (
            "excluded-dns-match-second",
            Refused,
            vec![],
            dns("not-allowed.example.com"),
            [dns("example.com"), dns("not-allowed.example.com")].concat(),
            "signer",
        ),
        ("permitted-ip-mismatch", Refused, net4(), vec![], vec![address(&[192, 0, 3, 1])], "signer"),
        ("excluded-ipv4-match", Refused, vec![], net4(), vec![address(&[192, 0, 2, 1])], "signer"),
        ("excluded-ipv6-match", Refused, vec![], net6(), localhost(), "signer"),
        ("permitted-ipv4-match", Accepted, net4(), vec![], vec![address(&[192, 0, 2, 1])], "signer"),
        ("permitted-ipv6-match", Accepted, net6(), vec![], localhost(), "signer"),
        ("permitted-dn-mismatch", Refused, dn("foo"), vec![], dn("not-foo"), "not-foo"),
        ("excluded-dn-match", Refused, vec![], dn("foo"), dn("foo"), "foo"),
        ("permitted-dn-match", Accepted, dn("foo"), vec![], dn("foo"), "foo"),
        ("permitted-dn-match-subject-san-mismatch", Refused, dn("foo"), vec![], dn("foo"), "not-foo"),
        ("excluded-dn-match-sub-mismatch", Refused, vec![], dn("foo"), dn("not-foo"), "foo"),
        ("excluded-match-permitted-and-excluded", Refused, dns("example.com"), dns("example.com"), dns("example.com"), "signer"),
        ("permitted-different-constraint-type", Accepted, net4(), vec![], dns("example.com"), "signer"),
        ("excluded-different-constraint-type", Accepted, vec![], net4(), dns("example.com"), "signer"),
        ("invalid-dnsname-wildcard", Refused, dns("*.example.com"), vec![], dns("foo.example.com"), "signer"),
        ("invalid-dnsname-leading-period", Refused, dns(".example.com"), vec![], dns("foo.example.com"), "signer"),
        ("invalid-ipv4-address", Refused, vec![address(&[127, 0, 0, 1])], vec![], vec![address(&[127, 0, 0, 1])], "signer"),
        ("invalid-ipv6-address", Refused, localhost(), vec![], localhost(), "signer"),
        ("invalid-email-address", Refused, vec![mail("invalid@invalid@example.com")], vec![], vec![mail("example@example.com")], "signer"),
    ];
    let mut variants = Vec::new();
    for (id, verdict, permitted, excluded, names, subject) in cases {
        let constraint = name_constraints(permitted, excluded);
        variants.push(pair(
            &format!("rfc5280::nc::{id}"),
            verdict,
            |draft| draft.with(vec![constraint]),
            |draft| Draft { subject: name_of(subject), ..draft }.with(vec![alternative_names(names)]),
        ));
    }
    let named = |names: Vec<Node>| move |draft: Draft| draft.with(vec![alternative_names(names)]);
    let limited = |permitted, excluded| move |draft: Draft| draft.with(vec![name_constraints(permitted, excluded)]);
    let nc = |id: &str| format!("rfc5280::nc::{id}");
    variants.extend([
        triple(&nc("excluded-dns-match"), Refused, same, limited(vec![], dns("example.com")), named(dns("example.com"))),
        pair(&nc("not-allowed-in-ee-noncritical"), Refused, same, |draft| {
            draft.with(vec![
                alternative_names(dns("example.com")),
                sequence(vec![oid("", "2.5.29.30"), leaf("", 4, name_constraints_value(&dns("example.com")))]),
            ])
        }),
        pair(&nc("not-allowed-in-ee-critical"), Refused, same, |draft| {
            draft.with(vec![alternative_names(dns("example.com")), name_constraints(dns("example.com"), vec![])])
        }),
        triple(
            &nc("nc-permits-invalid-dns-san"),
            Refused,
            same,
            limited(dns("example.com"), vec![]),
            named([dns(".example.com"), dns("foo.example.com")].concat()),
        ),
        triple(&nc("nc-permits-invalid-ip-san"), Refused, same, limited(net4(), vec![]), named([net4(), vec![address(&[192, 0, 2, 1])]].concat())),
        triple(
            &nc("nc-permits-invalid-email-san"),
            Refused,
            same,
            limited(vec![mail("example.com")], vec![]),
            named(vec![mail("good@example.com"), mail("invalid@address@example.com")]),
        ),
        triple(&nc("nc-permits-email-exact"), Accepted, same, limited(vec![mail("foo@example.com")], vec![]), named(vec![mail("foo@example.com")])),
    ]);
    variants.push(two_intermediates(
        &nc("intermediate-with-san-rejected-by-intermediate-nc"),
        same,
        limited(dns("permitted.example.com"), dns("forbidden.example.com")),
        named(dns("forbidden.example.com")),
        named(dns("permitted.example.com")),
    ));
    variants.push(two_intermediates(
        &nc("intermediate-with-san-rejected-by-root-nc"),
        limited(dns("permitted.example.com"), dns("forbidden.example.com")),
        same,
        named(dns("forbidden.example.com")),
        named(dns("permitted.example.com")),
    ));
    let both = || [dns("foo.example.com"), dns("bar.example.com")].concat();
    variants.push(two_intermediates(
        &nc("restrictive-permits-in-intermediates-narrows"),
        same,
        limited(both(), vec![]),
        limited(dns("bar.example.com"), vec![]),
        named(dns("foo.example.com")),
    ));
    variants.push(two_intermediates(
        &nc("restrictive-permits-in-intermediates-widens"),
        same,
        limited(dns("bar.example.com"), vec![]),
        limited(both(), vec![]),
        named(dns("foo.example.com")),
    ));
    variants.extend(self_issued());
    variants.extend(alternate_chains());
    group("limbo-names", "x509-limbo", &variants);
}

fn name_constraints_value(permitted: &[Node]) -> Vec<u8> {
    let subtrees = permitted.iter().map(|name| sequence(vec![name.clone()])).collect();
    sequence(vec![sequence(subtrees).tagged(0xa0)]).der()
}

fn two_intermediates(
    id: &str,
    root: impl FnOnce(Draft) -> Draft,
    first: impl FnOnce(Draft) -> Draft,
    second: impl FnOnce(Draft) -> Draft,
    signer: impl FnOnce(Draft) -> Draft,
) -> Variant {
    let root = root(authority("root")).self_signed();
    let first = first(below(&root, "first")).signed_by(&root);
    let second = second(below(&first, "second")).signed_by(&first);
    let signer = signer(end(&second)).signed_by(&second);
    signed(id, &signer, &[&first, &second], &Trust::anchor(&root)).against(Refused)
}

/// Certificates whose issuer has their own name.
fn self_issued() -> Vec<Variant> {
    let wrong = || alternative_names(vec![dns_name("not-example.com")]);
    let limit = || name_constraints(vec![dns_name("example.com")], vec![]);
    let root = authority("not-example.com").with(vec![wrong(), limit()]).self_signed();
    let intermediate = below(&root, "not-example.com").with(vec![wrong()]).signed_by(&root);
    let signer = end(&intermediate).with(vec![alternative_names(vec![dns_name("example.com")])]).signed_by(&intermediate);
    let permitted = signed("rfc5280::nc::permitted-self-issued", &signer, &[&intermediate], &Trust::anchor(&root)).against(Accepted);
    let root = authority("root").with(vec![limit()]).self_signed();
    let intermediate = below(&root, "not-example.com").with(vec![wrong()]).signed_by(&root);
    let signer = Draft { subject: name_of("not-example.com"), ..end(&intermediate) }.with(vec![wrong()]).signed_by(&intermediate);
    let excluded = signed("rfc5280::nc::excluded-self-issued-leaf", &signer, &[&intermediate], &Trust::anchor(&root)).against(Refused);
    vec![permitted, excluded]
}

/// One authority with two certificates, of which one leads nowhere.
fn alternate_chains() -> Vec<Variant> {
    let names = |name: &str| alternative_names(vec![dns_name(name)]);
    let (discarded, trusted) = (authority("discarded root").self_signed(), authority("trusted root").self_signed());
    let limit = name_constraints(vec![dns_name("permitted.example.com")], vec![dns_name("forbidden.example.com")]);
    let above = below(&trusted, "above").with(vec![limit]).signed_by(&trusted);
    let key = Key::new("p256");
    let with_key = |draft: Draft| replacing(draft, "2.5.29.14", Some(subject_key_id(&key))).key(key.clone());
    let first = with_key(below(&discarded, "an-intermediate")).with(vec![names("forbidden.example.com")]).signed_by(&discarded);
    let second = with_key(below(&above, "an-intermediate")).signed_by(&above);
    let signer = end(&first).with(vec![names("permitted.example.com")]).signed_by(&first);
    let other_chain = signed("rfc5280::nc::nc-forbids-alternate-chain-ica", &signer, &[&above, &first, &second], &Trust::anchor(&trusted));
    let limit = name_constraints(vec![], vec![dns_name("forbidden.example.com")]);
    let above = below(&trusted, "above").with(vec![limit]).signed_by(&trusted);
    let first = with_key(below(&above, "an-intermediate")).with(vec![names("forbidden.example.com")]).signed_by(&above);
    let second = with_key(below(&discarded, "an-intermediate")).with(vec![names("unconstrained-ica.example.com")]).signed_by(&discarded);
    let signer = end(&first).with(vec![names("unconstrained.example.com")]).signed_by(&first);
    let trust = Trust { anchors: vec![trusted.certificate.clone(), discarded.certificate.clone()], ..Trust::default() };
    let same_chain = signed("rfc5280::nc::nc-forbids-same-chain-ica", &signer, &[&above, &first, &second], &trust);
    vec![other_chain.against(Accepted), same_chain.against(Accepted)]
}
