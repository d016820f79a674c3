//! CMS SignedData (RFC 5652 §5) with every field free, so that it can be right but for one of them.

use crate::certificates::Identity;
use crate::keys::Md;
use crate::tree::{
    CONSTRUCTED_0, CONSTRUCTED_1, IMPLICIT_0, Node, OCTET_STRING, SEQUENCE, SET, branch, integer, leaf, null, oid, raw, sequence, set,
};

/// A signature about to be written.
#[derive(Clone)]
pub struct Message {
    pub kind: &'static str,
    pub version: u8,
    pub digests: Vec<Node>,
    pub content_kind: &'static str,
    pub content: Option<Vec<u8>>,
    pub certificates: Vec<Vec<u8>>,
    pub revocations: Vec<Vec<u8>>,
    pub signers: Vec<Signer>,
}

/// One signer's part.
#[derive(Clone)]
pub struct Signer {
    pub version: u8,
    pub id: Node,
    pub digest: Node,
    /// In the order in which they are written.
    pub attributes: Option<Vec<Node>>,
    pub algorithm: Node,
    pub value: Vec<u8>,
    pub unsigned: Vec<Node>,
}

/// How somebody signs.
#[derive(Clone, Copy)]
pub struct Style {
    pub md: Option<Md>,
    pub attributes: bool,
    pub key_id: bool,
}

impl Style {
    pub const PLAIN: Self = Self { md: None, attributes: true, key_id: false };
}

impl Message {
    /// An ordinary signature by one identity, with its certificate and these.
    pub fn sign(content: &[u8], identity: &Identity, chain: &[&Identity]) -> Self {
        Self::sign_as(content, identity, chain, Style::PLAIN, |_| {})
    }

    /// The same in another style; `edit` changes the attributes before they are signed.
    pub fn sign_as(content: &[u8], identity: &Identity, chain: &[&Identity], style: Style, edit: impl FnOnce(&mut Vec<Node>)) -> Self {
        let signer = Signer::sign(content, identity, style, edit);
        let certificates = std::iter::once(identity).chain(chain.iter().copied()).map(|one| one.certificate.clone()).collect();
        Self {
            kind: SIGNED_DATA,
            version: signer.version,
            digests: vec![signer.digest.clone()],
            content_kind: DATA,
            content: None,
            certificates,
            revocations: Vec::new(),
            signers: vec![signer],
        }
    }

    pub fn tree(&self) -> Node {
        let mut encapsulated = vec![oid("eContentType", self.content_kind)];
        if let Some(content) = &self.content {
            encapsulated.push(branch("eContent", CONSTRUCTED_0, vec![leaf("eContentOctets", OCTET_STRING, content.clone())]));
        }
        let mut fields = vec![leaf("version", 0x02, [self.version]), set("digestAlgorithms", SET, self.digests.clone())];
        fields.push(branch("encapContentInfo", SEQUENCE, encapsulated));
        if !self.certificates.is_empty() {
            let named = |(number, bytes): (usize, &Vec<u8>)| raw(CERTIFICATE_NAMES[number.min(2)], bytes.clone());
            fields.push(branch("certificates", CONSTRUCTED_0, self.certificates.iter().enumerate().map(named).collect()));
        }
        if !self.revocations.is_empty() {
            fields.push(branch("crls", CONSTRUCTED_1, self.revocations.iter().map(|bytes| raw("crl", bytes.clone())).collect()));
        }
        fields.push(branch("signerInfos", SET, self.signers.iter().map(Signer::tree).collect()));
        let signed_data = branch("signedData", SEQUENCE, fields);
        branch("contentInfo", SEQUENCE, vec![oid("contentType", self.kind), branch("content", CONSTRUCTED_0, vec![signed_data])])
    }

    pub fn der(&self) -> Vec<u8> {
        self.tree().der()
    }
}

impl Signer {
    pub fn sign(content: &[u8], identity: &Identity, style: Style, edit: impl FnOnce(&mut Vec<Node>)) -> Self {
        let md = style.md.unwrap_or_else(|| identity.key.md());
        let (version, id) = if style.key_id {
            (3, leaf("sid", IMPLICIT_0, identity.key_id()))
        } else {
            (1, branch("sid", SEQUENCE, vec![identity.issuer.clone(), leaf("sidSerial", 0x02, identity.serial.clone())]))
        };
        let attributes = style.attributes.then(|| {
            let mut attributes = vec![content_type(DATA), message_digest(&md.digest(content))];
            attributes.sort_by_key(Node::der);
            edit(&mut attributes);
            attributes
        });
        let signed = match &attributes {
            Some(attributes) => branch("", SET, attributes.clone()).der(),
            None => content.to_vec(),
        };
        let value = identity.key.sign(md, &signed);
        Self { version, id, digest: digest_algorithm(md), attributes, algorithm: identity.key.algorithm(md), value, unsigned: Vec::new() }
    }

    fn tree(&self) -> Node {
        let mut fields = vec![leaf("signerVersion", 0x02, [self.version]), self.id.clone(), self.digest.clone().named("digestAlgorithm")];
        if let Some(attributes) = &self.attributes {
            fields.push(branch("signedAttrs", CONSTRUCTED_0, attributes.clone()));
        }
        fields.push(self.algorithm.clone().named("signatureAlgorithm"));
        fields.push(leaf("signature", OCTET_STRING, self.value.clone()));
        if !self.unsigned.is_empty() {
            fields.push(branch("unsignedAttrs", CONSTRUCTED_1, self.unsigned.clone()));
        }
        branch("signerInfo", SEQUENCE, fields)
    }
}

pub fn digest_algorithm(md: Md) -> Node {
    sequence(vec![oid("", md.oid()), null()])
}

pub fn content_type(kind: &str) -> Node {
    attribute("contentTypeAttr", CONTENT_TYPE, vec![oid("contentTypeValue", kind)])
}

pub fn message_digest(digest: &[u8]) -> Node {
    attribute("messageDigestAttr", MESSAGE_DIGEST, vec![leaf("messageDigestValue", OCTET_STRING, digest)])
}

pub fn attribute(name: &'static str, kind: &str, values: Vec<Node>) -> Node {
    branch(name, SEQUENCE, vec![oid("", kind), branch("", SET, values)])
}

/// A number as an attribute's value, so that others can be made up.
pub fn number(value: u8) -> Node {
    integer("", &[value])
}

const CERTIFICATE_NAMES: [&str; 3] = ["signerCertificate", "intermediateCertificate", "moreCertificates"];

pub const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
pub const DATA: &str = "1.2.840.113549.1.7.1";
pub const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
pub const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
pub const SIGNING_TIME: &str = "1.2.840.113549.1.9.5";
