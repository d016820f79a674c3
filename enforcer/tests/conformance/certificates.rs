//! Certificates and revocation lists, right or wrong as asked for (RFC 5280), assembled and signed here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use time::OffsetDateTime;

use crate::keys::{Key, Md};
use crate::tree::{CONSTRUCTED_0, IMPLICIT_0, Node, OCTET_STRING, bit_string, boolean, branch, integer, leaf, oid, sequence, set};

/// What a certificate will say; every field may be changed before it is signed.
#[derive(Clone)]
pub struct Draft {
    /// 2 means version 3; `None` leaves it out, which means version 1.
    pub version: Option<u8>,
    pub serial: Vec<u8>,
    pub subject: Node,
    pub from: Node,
    pub until: Node,
    pub key: Arc<Key>,
    pub spki: Node,
    pub extensions: Vec<Node>,
    /// Which digest its issuer signs with; what fits the issuer's key, unless it is said.
    pub md: Option<Md>,
    /// The issuer's name, if not the true one.
    pub issuer: Option<Node>,
    /// The algorithm inside of what is signed, if not the true one.
    pub inner_algorithm: Option<Node>,
}

/// A certificate with its key.
#[derive(Clone)]
pub struct Identity {
    pub certificate: Vec<u8>,
    pub subject: Node,
    pub issuer: Node,
    pub serial: Vec<u8>,
    pub key: Arc<Key>,
}

impl Draft {
    /// A certificate that may sign code.
    pub fn leaf(name: &str) -> Self {
        Self::new(name, Key::new("p256")).with(vec![basic_constraints(None, true), key_usage(DIGITAL_SIGNATURE), extended_key_usage(&[CODE_SIGNING])])
    }

    /// An authority.
    pub fn authority(name: &str) -> Self {
        Self::new(name, Key::new("p256")).with(vec![basic_constraints(Some(None), true), key_usage(ISSUING)])
    }

    pub fn new(name: &str, key: Arc<Key>) -> Self {
        let spki = key.spki_node();
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed).to_be_bytes().to_vec();
        let (from, until) = (moment(NOW - 30 * DAY), moment(FAR));
        let (subject, extensions) = (name_of(name), vec![subject_key_id(&key)]);
        Self { version: Some(2), serial, subject, from, until, spki, key, extensions, md: None, issuer: None, inner_algorithm: None }
    }

    /// With more extensions.
    pub fn with(mut self, extensions: Vec<Node>) -> Self {
        self.extensions.extend(extensions);
        self
    }

    /// With these extensions and no others.
    pub fn only(mut self, extensions: Vec<Node>) -> Self {
        self.extensions = extensions;
        self
    }

    /// With another key.
    pub fn key(mut self, key: Arc<Key>) -> Self {
        self.spki = key.spki_node();
        self.key = key;
        self
    }

    pub fn valid(mut self, from: u64, until: u64) -> Self {
        (self.from, self.until) = (moment(from), moment(until));
        self
    }

    pub fn self_signed(self) -> Identity {
        let (key, subject) = (Arc::clone(&self.key), self.subject.clone());
        self.sign(&key, subject)
    }

    pub fn signed_by(self, issuer: &Identity) -> Identity {
        self.sign(&issuer.key, issuer.subject.clone())
    }

    fn sign(self, key: &Key, issuer: Node) -> Identity {
        let issuer = self.issuer.unwrap_or(issuer);
        let md = self.md.unwrap_or_else(|| key.md());
        let algorithm = key.algorithm(md);
        let mut fields = Vec::new();
        if let Some(version) = self.version {
            fields.push(branch("", CONSTRUCTED_0, vec![leaf("", 0x02, [version])]));
        }
        let serial = leaf("", 0x02, self.serial.clone());
        fields.extend([serial, self.inner_algorithm.unwrap_or_else(|| algorithm.clone()), issuer.clone()]);
        fields.extend([sequence(vec![self.from, self.until]), self.subject.clone(), self.spki]);
        if !self.extensions.is_empty() {
            fields.push(branch("", 0xa3, vec![sequence(self.extensions)]));
        }
        let tbs = sequence(fields);
        let value = key.sign(md, &tbs.der());
        let certificate = sequence(vec![tbs, algorithm, bit_string(&value)]).der();
        Identity { certificate, subject: self.subject, issuer, serial: self.serial, key: self.key }
    }
}

impl Identity {
    /// RFC 5280 §4.2.1.2, method 1.
    pub fn key_id(&self) -> Vec<u8> {
        Md::Sha1.digest(&self.key.public)
    }
}

/// A revocation list of this authority.
pub struct Revocations<'a> {
    pub issuer: &'a Identity,
    pub from: u64,
    pub until: Option<u64>,
    /// Serial number, date and, if any, reason (RFC 5280 §5.3.1).
    pub revoked: Vec<(Vec<u8>, u64, Option<u8>)>,
    pub extensions: Vec<Node>,
    pub md: Md,
}

impl<'a> Revocations<'a> {
    pub fn of(issuer: &'a Identity) -> Self {
        let extensions = vec![authority_key_id(issuer), extension("2.5.29.20", false, &integer("", &[1]))];
        Self { issuer, from: NOW - DAY, until: Some(NOW + 7 * DAY), revoked: Vec::new(), extensions, md: issuer.key.md() }
    }

    pub fn with(mut self, identity: &Identity, date: u64, reason: Option<u8>) -> Self {
        self.revoked.push((identity.serial.clone(), date, reason));
        self
    }

    pub fn sign(self) -> Vec<u8> {
        let algorithm = self.issuer.key.algorithm(self.md);
        let mut fields = vec![integer("", &[1]), algorithm.clone(), self.issuer.subject.clone(), moment(self.from)];
        fields.extend(self.until.map(moment));
        let entries = self.revoked.into_iter().map(|(serial, date, reason)| {
            let reason = reason.map(|reason| sequence(vec![extension("2.5.29.21", false, &leaf("", 0x0a, [reason]))]));
            sequence([leaf("", 0x02, serial), moment(date)].into_iter().chain(reason).collect())
        });
        let entries: Vec<Node> = entries.collect();
        if !entries.is_empty() {
            fields.push(sequence(entries));
        }
        if !self.extensions.is_empty() {
            fields.push(branch("", CONSTRUCTED_0, vec![sequence(self.extensions)]));
        }
        let tbs = sequence(fields);
        let value = self.issuer.key.sign(self.md, &tbs.der());
        sequence(vec![tbs, algorithm, bit_string(&value)]).der()
    }
}

/// A name with this common name.
pub fn name_of(common_name: &str) -> Node {
    sequence(vec![set("", 0x31, vec![sequence(vec![oid("", "2.5.4.3"), leaf("", 0x0c, common_name)])])])
}

/// A time as RFC 5280 §4.1.2.5 wants it.
pub fn moment(seconds: u64) -> Node {
    let t = OffsetDateTime::from_unix_timestamp(seconds as i64).unwrap();
    let rest = format!("{:02}{:02}{:02}{:02}{:02}Z", u8::from(t.month()), t.day(), t.hour(), t.minute(), t.second());
    match t.year() {
        year @ 1950..2050 => leaf("", 0x17, format!("{:02}{rest}", year % 100)),
        year => leaf("", 0x18, format!("{year:04}{rest}")),
    }
}

pub fn extension(number: &str, critical: bool, value: &Node) -> Node {
    let mut fields = vec![oid("", number)];
    if critical {
        fields.push(boolean(true));
    }
    fields.push(leaf("", OCTET_STRING, value.der()));
    sequence(fields)
}

/// `Some(length)` is an authority, with a bound on its path if `length` has one.
pub fn basic_constraints(authority: Option<Option<u8>>, critical: bool) -> Node {
    let fields = match authority {
        None => vec![],
        Some(None) => vec![boolean(true)],
        Some(Some(length)) => vec![boolean(true), integer("", &[length])],
    };
    extension("2.5.29.19", critical, &sequence(fields))
}

/// The bits of keyUsage, the first one being the highest.
pub fn key_usage(bits: u8) -> Node {
    extension("2.5.29.15", true, &leaf("", 0x03, [bits.trailing_zeros() as u8, bits]))
}

pub fn extended_key_usage(purposes: &[&str]) -> Node {
    extension("2.5.29.37", false, &sequence(purposes.iter().map(|purpose| oid("", purpose)).collect()))
}

pub fn subject_key_id(key: &Key) -> Node {
    extension("2.5.29.14", false, &leaf("", OCTET_STRING, Md::Sha1.digest(&key.public)))
}

pub fn authority_key_id(issuer: &Identity) -> Node {
    extension("2.5.29.35", false, &sequence(vec![leaf("", IMPLICIT_0, issuer.key_id())]))
}

/// Subject alternative names that are DNS names.
pub fn dns_names(names: &[&str]) -> Node {
    extension("2.5.29.17", false, &sequence(names.iter().map(|name| dns_name(name)).collect()))
}

pub fn dns_name(name: &str) -> Node {
    leaf("", 0x82, name)
}

/// A directory name, as general names have it.
pub fn directory_name(name: Node) -> Node {
    branch("", 0xa4, vec![name])
}

/// Subtrees of general names.
pub fn name_constraints(permitted: Vec<Node>, excluded: Vec<Node>) -> Node {
    let subtrees = |tag, names: Vec<Node>| branch("", tag, names.into_iter().map(|name| sequence(vec![name])).collect());
    let mut fields = Vec::new();
    if !permitted.is_empty() {
        fields.push(subtrees(0xa0, permitted));
    }
    if !excluded.is_empty() {
        fields.push(subtrees(0xa1, excluded));
    }
    extension("2.5.29.30", true, &sequence(fields))
}

/// The second at which everything is judged: 2026-02-01 00:00:00 UTC, unless a variant says otherwise.
pub const NOW: u64 = 1_769_904_000;
pub const DAY: u64 = 86_400;
/// When certificates end, unless a variant says otherwise: 2049-12-31 00:00:00 UTC. Tools sign by the machine's clock, which is not asked to be at [`NOW`].
pub const FAR: u64 = 2_524_521_600;

pub const DIGITAL_SIGNATURE: u8 = 0x80;
pub const NON_REPUDIATION: u8 = 0x40;
pub const KEY_ENCIPHERMENT: u8 = 0x20;
pub const KEY_AGREEMENT: u8 = 0x08;
pub const CERTIFICATE_SIGNING: u8 = 0x04;
pub const CRL_SIGNING: u8 = 0x02;
/// What an authority's key is for.
pub const ISSUING: u8 = CERTIFICATE_SIGNING | CRL_SIGNING;

pub const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
pub const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub const EMAIL_PROTECTION: &str = "1.3.6.1.5.5.7.3.4";
pub const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
pub const ANY_PURPOSE: &str = "2.5.29.37.0";

static SERIAL: AtomicU32 = AtomicU32::new(0x0100_0001);
