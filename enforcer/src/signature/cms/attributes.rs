//! Signed and unsigned attributes (RFC 5652 §5.3 and §11): which must be there, which may, and none twice.

use cms::cert::x509::spki::AlgorithmIdentifierRef;
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::oid::db::rfc6268;
use der::{Decode, Encode, Tag, Tagged};

use super::structure::{Attribute, Elements, EssCertIdV2, SigningCertificateV2};
use super::{Attributes, CmsError, Content, MAX_ATTRIBUTES, digest_algorithm};
use crate::measure::Algorithm;
use crate::signature::claims::Claims;
use crate::text::hex;

/// Reads signed attributes: contentType and messageDigest must be there once, claims may.
pub(super) fn signed(set: &Elements<'_>, content: Content) -> Result<Attributes, CmsError> {
    let elements = set.elements(MAX_ATTRIBUTES, "signed attributes")?;
    if !elements.is_sorted_by(|a, b| a < b) {
        return Err(CmsError::AttributeOrder);
    }
    let all = parse(&elements)?;
    for (index, (kind, _)) in all.iter().enumerate() {
        if all[..index].iter().any(|(earlier, _)| earlier == kind) {
            return Err(CmsError::AttributeTwice { attribute: type_name(kind) });
        }
    }
    let required = |kind: ObjectIdentifier, name| match all.iter().find(|(found, _)| *found == kind.as_bytes()) {
        Some((_, values)) => single(values, name),
        None => Err(CmsError::AttributeMissing { name }),
    };
    let content_type = ObjectIdentifier::from_der(required(rfc6268::ID_CONTENT_TYPE, "contentType")?)?;
    if content_type != content.oid() {
        return Err(CmsError::ContentType { found: content_type.to_string(), expected: content.name() });
    }
    let message_digest = OctetStringRef::from_der(required(rfc6268::ID_MESSAGE_DIGEST, "messageDigest")?)?.as_bytes().to_vec();
    let certificate_digest = match required(SIGNING_CERTIFICATE_V2, "signingCertificateV2") {
        Ok(value) => Some(certificate_digest(value)?),
        Err(CmsError::AttributeMissing { .. }) => None,
        Err(error) => return Err(error),
    };
    let single_valued = all.iter().filter_map(|(kind, values)| Some((*kind, single(values, "of a claim").ok()?)));
    let several = all.iter().find(|(kind, values)| Claims::is_claim(kind) && single(values, "of a claim").is_err());
    if several.is_some() {
        return Err(CmsError::AttributeValues { name: "of a claim" });
    }
    let claims = Claims::from_attributes(single_valued)?;
    Ok(Attributes { der: AnyRef::new(Tag::Set, set.bytes())?.to_der()?, message_digest, claims, certificate_digest })
}

/// The timestamp over the signature value, among unsigned attributes. Everything else there is passed over: nobody vouches for it.
pub(super) fn timestamp(set: &Elements<'_>) -> Result<Option<Vec<u8>>, CmsError> {
    let elements = set.elements(MAX_ATTRIBUTES, "unsigned attributes")?;
    let all = parse(&elements)?;
    let mut found = all.iter().filter(|(kind, _)| *kind == TIMESTAMP_TOKEN.as_bytes());
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some((_, values)), None) => Ok(Some(single(values, "timeStampToken")?.to_vec())),
        (Some(_), Some(_)) => Err(CmsError::AttributeTwice { attribute: "timeStampToken".to_owned() }),
    }
}

/// The content bytes of each attribute's type, and its values.
fn parse<'a>(elements: &[&'a [u8]]) -> Result<Vec<(&'a [u8], Elements<'a>)>, CmsError> {
    let parse = |element: &&'a [u8]| {
        let attribute = Attribute::from_der(element)?;
        attribute.kind.tag().assert_eq(Tag::ObjectIdentifier)?;
        Ok((attribute.kind.value(), attribute.values))
    };
    elements.iter().map(parse).collect()
}

fn single<'a>(values: &Elements<'a>, name: &'static str) -> Result<&'a [u8], CmsError> {
    match values.elements(MAX_ATTRIBUTES, name)?[..] {
        [value] => Ok(value),
        _ => Err(CmsError::AttributeValues { name }),
    }
}

/// RFC 5035 §3: the first of the certificates is the signer's.
fn certificate_digest(value: &[u8]) -> Result<(Algorithm, Vec<u8>), CmsError> {
    let attribute = SigningCertificateV2::from_der(value)?;
    attribute.certificates.tag().assert_eq(Tag::Sequence)?;
    let certificates = Elements::of(attribute.certificates).elements(super::MAX_CERTIFICATES, "signing certificates")?;
    let first = EssCertIdV2::from_der(certificates.first().ok_or(CmsError::AttributeValues { name: "signingCertificateV2" })?)?;
    let algorithm = first.algorithm.as_ref().map_or(Ok(Algorithm::Sha256), |found: &AlgorithmIdentifierRef<'_>| digest_algorithm(found))?;
    Ok((algorithm, first.digest.as_bytes().to_vec()))
}

/// The dotted form, or bytes where the numbers are too large for it.
fn type_name(kind: &[u8]) -> String {
    ObjectIdentifier::from_bytes(kind).map_or_else(|_| hex(kind), |oid| oid.to_string())
}

/// id-aa-signingCertificateV2 (RFC 5035 §3).
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
/// id-aa-timeStampToken (RFC 3161 appendix A).
const TIMESTAMP_TOKEN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.14");
