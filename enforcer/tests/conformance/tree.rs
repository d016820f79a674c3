//! DER put together from its parts, and put together wrongly on purpose. Writes only; nothing here reads.

use der::asn1::ObjectIdentifier;

/// One element of an encoding. Those with a name can be varied one by one.
#[derive(Clone, Debug)]
pub struct Node {
    name: &'static str,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    /// Tag and content.
    Leaf(u8, Vec<u8>),
    /// Tag and elements.
    Branch(u8, Vec<Node>),
    /// Already encoded.
    Raw(Vec<u8>),
}

/// What is done to one named element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its length takes one byte more than it must: BER, not DER.
    LongLength,
    /// Its length is not said and two zeros end it: BER, not DER.
    Indefinite,
    /// Its content is cut into two strings inside of a constructed one: BER, not DER.
    Chunked,
    /// It is missing.
    Dropped,
    /// It is there twice.
    Twice,
    /// It has no content.
    Emptied,
    /// Its tag's lowest bit is flipped.
    TagFlipped,
    /// It announces one byte more than it has.
    LengthRaised,
    /// It announces one byte less than it has.
    LengthLowered,
    /// Its first byte of content is changed.
    FirstFlipped,
    /// Its last byte of content is changed.
    LastFlipped,
    /// It ends with a NULL that nobody expects.
    NullAdded,
    /// Its last byte of content is missing, and its length says so.
    Shortened,
}

impl Change {
    /// Every change, with the name that variants have.
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::LongLength, "long-length"),
        (Self::Indefinite, "indefinite"),
        (Self::Chunked, "chunked"),
        (Self::Dropped, "dropped"),
        (Self::Twice, "twice"),
        (Self::Emptied, "emptied"),
        (Self::TagFlipped, "tag-flipped"),
        (Self::LengthRaised, "length-raised"),
        (Self::LengthLowered, "length-lowered"),
        (Self::FirstFlipped, "first-flipped"),
        (Self::LastFlipped, "last-flipped"),
        (Self::NullAdded, "null-added"),
        (Self::Shortened, "shortened"),
    ];

    /// Whether the result says the same, in BER that is no DER.
    pub fn is_ber(self) -> bool {
        matches!(self, Self::LongLength | Self::Indefinite | Self::Chunked)
    }
}

pub fn leaf(name: &'static str, tag: u8, content: impl Into<Vec<u8>>) -> Node {
    Node { name, body: Body::Leaf(tag, content.into()) }
}

pub fn branch(name: &'static str, tag: u8, elements: Vec<Node>) -> Node {
    Node { name, body: Body::Branch(tag, elements) }
}

pub fn raw(name: &'static str, bytes: impl Into<Vec<u8>>) -> Node {
    Node { name, body: Body::Raw(bytes.into()) }
}

pub fn sequence(elements: Vec<Node>) -> Node {
    branch("", SEQUENCE, elements)
}

/// A SET OF in DER's order.
pub fn set(name: &'static str, tag: u8, mut elements: Vec<Node>) -> Node {
    elements.sort_by_key(Node::der);
    branch(name, tag, elements)
}

pub fn oid(name: &'static str, dotted: &str) -> Node {
    leaf(name, 0x06, ObjectIdentifier::new_unwrap(dotted).as_bytes())
}

/// The shortest INTEGER for these big-endian bytes of a number that is not negative.
pub fn integer(name: &'static str, bytes: &[u8]) -> Node {
    let significant = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len())..];
    let mut content = significant.to_vec();
    if content.first().is_none_or(|first| first & 0x80 != 0) {
        content.insert(0, 0);
    }
    leaf(name, 0x02, content)
}

pub fn null() -> Node {
    leaf("", 0x05, [])
}

pub fn boolean(value: bool) -> Node {
    leaf("", 0x01, [if value { 0xff } else { 0 }])
}

pub fn bit_string(bytes: &[u8]) -> Node {
    leaf("", 0x03, [&[0], bytes].concat())
}

impl Node {
    pub fn der(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(None, &mut out);
        out
    }

    /// The encoding with one change, or nothing where the change makes no sense there.
    pub fn varied(&self, name: &str, change: Change) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        self.write(Some((name, change)), &mut out);
        (out != self.der()).then_some(out)
    }

    /// The same with every length of a constructed element left open, as streaming signers write it; strings stay whole.
    pub fn streamed(&self) -> Vec<u8> {
        match &self.body {
            Body::Branch(tag, elements) => {
                let content: Vec<u8> = elements.iter().flat_map(Self::streamed).collect();
                [&[*tag, 0x80][..], &content, &[0, 0]].concat()
            }
            _ => self.der(),
        }
    }

    /// One change, and the outermost element left open, as the first thing that streaming signers write.
    pub fn varied_and_streamed(&self, name: &str, change: Change) -> Option<Vec<u8>> {
        let Body::Branch(tag, elements) = &self.body else { return None };
        self.varied(name, change).filter(|_| name != self.name)?;
        let mut content = Vec::new();
        elements.iter().for_each(|element| element.write(Some((name, change)), &mut content));
        Some([&[*tag, 0x80][..], &content, &[0, 0]].concat())
    }

    /// The same with another tag.
    pub fn tagged(mut self, new: u8) -> Self {
        match &mut self.body {
            Body::Leaf(tag, _) | Body::Branch(tag, _) => *tag = new,
            Body::Raw(bytes) => bytes[0] = new,
        }
        self
    }

    /// The same with a name.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Every name in it.
    pub fn names(&self) -> Vec<&'static str> {
        let own = (!self.name.is_empty()).then_some(self.name);
        let below = match &self.body {
            Body::Branch(_, elements) => elements.iter().flat_map(Self::names).collect(),
            _ => Vec::new(),
        };
        own.into_iter().chain(below).collect()
    }

    fn write(&self, plan: Option<(&str, Change)>, out: &mut Vec<u8>) {
        let (tag, content) = match &self.body {
            Body::Raw(bytes) => return self.write_raw(bytes, plan, out),
            Body::Leaf(tag, content) => (*tag, content.clone()),
            Body::Branch(tag, elements) => {
                let mut content = Vec::new();
                elements.iter().for_each(|element| element.write(plan, &mut content));
                (*tag, content)
            }
        };
        match plan {
            Some((name, change)) if name == self.name => self.write_changed(tag, content, change, out),
            _ => tlv(tag, &content, out),
        }
    }

    fn write_raw(&self, bytes: &[u8], plan: Option<(&str, Change)>, out: &mut Vec<u8>) {
        match plan {
            Some((name, Change::Dropped)) if name == self.name => {}
            Some((name, Change::Twice)) if name == self.name => out.extend([bytes, bytes].concat()),
            _ => out.extend(bytes),
        }
    }

    fn write_changed(&self, tag: u8, mut content: Vec<u8>, change: Change, out: &mut Vec<u8>) {
        let is_branch = matches!(self.body, Body::Branch(..));
        match change {
            Change::LongLength => {
                out.push(tag);
                out.extend([0x84]);
                out.extend((content.len() as u32).to_be_bytes());
                out.extend(content);
            }
            Change::Indefinite if is_branch => out.extend([&[tag, 0x80][..], &content, &[0, 0]].concat()),
            Change::Chunked if !is_branch && matches!(tag, OCTET_STRING | IMPLICIT_0) && content.len() > 1 => {
                let (first, second) = content.split_at(content.len() / 2);
                let mut chunks = Vec::new();
                tlv(OCTET_STRING, first, &mut chunks);
                tlv(OCTET_STRING, second, &mut chunks);
                tlv(tag | 0x20, &chunks, out);
            }
            Change::Dropped => {}
            Change::Twice => {
                tlv(tag, &content, out);
                tlv(tag, &content, out);
            }
            Change::Emptied => tlv(tag, &[], out),
            Change::TagFlipped => tlv(tag ^ 1, &content, out),
            Change::LengthRaised => {
                let mut whole = Vec::new();
                tlv(tag, &content, &mut whole);
                let last_of_length = whole.len() - content.len() - 1;
                whole[last_of_length] = whole[last_of_length].wrapping_add(1);
                out.extend(whole);
            }
            Change::LengthLowered if !content.is_empty() => {
                let mut whole = Vec::new();
                tlv(tag, &content, &mut whole);
                let last_of_length = whole.len() - content.len() - 1;
                whole[last_of_length] = whole[last_of_length].wrapping_sub(1);
                out.extend(whole);
            }
            Change::FirstFlipped if !is_branch && !content.is_empty() => {
                content[0] ^= 1;
                tlv(tag, &content, out);
            }
            Change::LastFlipped if !is_branch && !content.is_empty() => {
                *content.last_mut().expect("not empty") ^= 1;
                tlv(tag, &content, out);
            }
            Change::NullAdded if is_branch => {
                content.extend([0x05, 0x00]);
                tlv(tag, &content, out);
            }
            Change::Shortened if !content.is_empty() => tlv(tag, &content[..content.len() - 1], out),
            _ => tlv(tag, &content, out),
        }
    }
}

fn tlv(tag: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    match content.len() {
        short @ 0..128 => out.push(short as u8),
        length => {
            let bytes = length.to_be_bytes();
            let significant = &bytes[bytes.iter().position(|byte| *byte != 0).expect("not zero")..];
            out.push(0x80 | significant.len() as u8);
            out.extend(significant);
        }
    }
    out.extend(content);
}

pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
pub const OCTET_STRING: u8 = 0x04;
/// `[0]`, primitive.
pub const IMPLICIT_0: u8 = 0x80;
/// `[0]`, constructed.
pub const CONSTRUCTED_0: u8 = 0xa0;
/// `[1]`, constructed.
pub const CONSTRUCTED_1: u8 = 0xa1;
