//! The structures of RFC 5652, as the crate `der` decodes and encodes them. Only shapes: what they may contain is decided in [`super`].

use cms::cert::x509::spki::AlgorithmIdentifierRef;
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{DecodeValue, EncodeValue, FixedTag, Header, Length, Reader, Sequence, SliceReader, Tag, Writer};

use super::CmsError;

/// RFC 5652 §3.
#[derive(Sequence)]
pub(super) struct ContentInfo<'a> {
    pub(super) content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(super) content: AnyRef<'a>,
}

/// RFC 5652 §5.1.
#[derive(Sequence)]
pub(super) struct SignedData<'a> {
    pub(super) version: u8,
    pub(super) digest_algorithms: Elements<'a>,
    pub(super) encapsulated: EncapsulatedContent<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) certificates: Option<Elements<'a>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) revocations: Option<Elements<'a>>,
    pub(super) signer_infos: Elements<'a>,
}

/// RFC 5652 §5.2.
#[derive(Sequence)]
pub(super) struct EncapsulatedContent<'a> {
    pub(super) content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) content: Option<AnyRef<'a>>,
}

/// RFC 5652 §5.3.
#[derive(Sequence)]
pub(super) struct SignerInfo<'a> {
    pub(super) version: u8,
    pub(super) signer: AnyRef<'a>,
    pub(super) digest_algorithm: AlgorithmIdentifierRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) signed_attributes: Option<Elements<'a>>,
    pub(super) signature_algorithm: AlgorithmIdentifierRef<'a>,
    pub(super) signature: OctetStringRef<'a>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true", optional = "true")]
    pub(super) unsigned_attributes: Option<Elements<'a>>,
}

/// RFC 5652 §5.3, Attribute. Its type is not decoded: arcs made of a UUID (ITU-T X.667) are too large for [`ObjectIdentifier`].
#[derive(Sequence)]
pub(super) struct Attribute<'a> {
    pub(super) kind: AnyRef<'a>,
    pub(super) values: Elements<'a>,
}

/// RFC 5035 §3.
#[derive(Sequence)]
pub(super) struct SigningCertificateV2<'a> {
    pub(super) certificates: AnyRef<'a>,
    #[asn1(optional = "true")]
    pub(super) policies: Option<AnyRef<'a>>,
}

/// RFC 5035 §4.
#[derive(Sequence)]
pub(super) struct EssCertIdV2<'a> {
    #[asn1(optional = "true")]
    pub(super) algorithm: Option<AlgorithmIdentifierRef<'a>>,
    pub(super) digest: OctetStringRef<'a>,
    #[asn1(optional = "true")]
    pub(super) issuer_serial: Option<AnyRef<'a>>,
}

/// The content bytes of a SET OF, not decoded yet: a hostile set is counted before any work is done on it.
pub(in crate::signature) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// A SEQUENCE OF is counted in the same way.
    pub(super) fn of(sequence: AnyRef<'a>) -> Self {
        Self(sequence.value())
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn elements(&self, limit: usize, what: &'static str) -> Result<Vec<&'a [u8]>, CmsError> {
        let mut reader = SliceReader::new(self.0)?;
        let mut found = Vec::new();
        while !reader.is_finished() {
            if found.len() == limit {
                return Err(CmsError::TooMany { what, limit });
            }
            found.push(reader.tlv_bytes()?);
        }
        Ok(found)
    }
}

impl FixedTag for Elements<'_> {
    const TAG: Tag = Tag::Set;
}

impl<'a> DecodeValue<'a> for Elements<'a> {
    fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
        reader.read_slice(header.length).map(Self)
    }
}

impl EncodeValue for Elements<'_> {
    fn value_len(&self) -> der::Result<Length> {
        Length::try_from(self.0.len())
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(self.0)
    }
}
