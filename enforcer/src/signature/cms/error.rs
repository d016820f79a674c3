//! Why bytes are no usable CMS signature.

use crate::signature::claims::ClaimsError;

/// Why bytes are no usable CMS signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CmsError {
    /// Nothing there.
    #[error("the signature is empty")]
    Empty,
    /// Longer than allowed.
    #[error("the signature has more than {limit} bytes")]
    TooLarge {
        /// The bound in bytes.
        limit: usize,
    },
    /// Shorter than its header says.
    #[error("the signature is truncated: {size} of {expected} bytes are there")]
    Truncated {
        /// What there is.
        size: usize,
        /// What its header announces.
        expected: usize,
    },
    /// Longer than its header says.
    #[error("{count} bytes follow the signature")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// Broken armour.
    #[error("the PEM armour of the signature is broken: {problem}")]
    Pem {
        /// What the reader said.
        problem: String,
    },
    /// PEM of something else.
    #[error("the PEM file holds `{found}`, not a signature (`CMS` or `PKCS7`)")]
    PemLabel {
        /// What it says it is.
        found: String,
    },
    /// Indefinite lengths, and not even BER.
    #[error("the signature is not well-formed BER: {problem}")]
    Ber {
        /// What the reader said.
        problem: String,
    },
    /// Indefinite lengths without an end.
    #[error("the signature is truncated: it is BER, and after {size} bytes its end has not come")]
    BerTruncated {
        /// What there is.
        size: usize,
    },
    /// Nested without end.
    #[error("the signature is nested more than {limit} deep")]
    TooDeep {
        /// The bound.
        limit: usize,
    },
    /// It does not begin like any CMS.
    #[error("this is no CMS signature")]
    NotCms,
    /// Not the DER of the structure it should be.
    #[error("the signature is not well-formed DER: {0}")]
    Der(der::Error),
    /// Another CMS content type.
    #[error("this is CMS of the type {found}, not SignedData")]
    NotSignedData {
        /// Its object identifier.
        found: String,
    },
    /// Signed content that claims to be something else than it should be.
    #[error("the signed content is of the type {found}, not {expected}")]
    ContentType {
        /// Its object identifier.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Certificates only.
    #[error("nobody signed: the signature has no signer information")]
    NoSigner,
    /// More of something than the bound.
    #[error("the signature has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// Attribute certificates and other formats.
    #[error("the signature contains a certificate that is not X.509")]
    CertificateKind,
    /// RFC 5652 §5.1: with plain data and X.509 certificates the version is that of the signer information.
    #[error("the version {version} of the signed data does not fit its signer information")]
    Version {
        /// The version.
        version: u8,
    },
    /// The signer's digest algorithm is not among those of the signed data.
    #[error("the signer's digest algorithm is not among those that the signed data announces")]
    DigestNotAnnounced,
    /// Whoever parsed it said something else than what it says.
    #[error("the signed attributes are not what the worker that read them said")]
    Misread,
    /// RFC 5652 §5.3 binds the version to the kind of signer identifier.
    #[error("the version {version} of the signer information does not fit its signer identifier")]
    SignerVersion {
        /// The version.
        version: u8,
    },
    /// A digest that can be forged.
    #[error("the signature uses {name}, which is broken")]
    WeakDigest {
        /// Which.
        name: &'static str,
    },
    /// Another digest.
    #[error("the digest algorithm {found} is not supported")]
    Digest {
        /// Which.
        found: String,
    },
    /// Another signature algorithm.
    #[error("the signature algorithm {found} with {digest} is not supported")]
    Algorithm {
        /// Which.
        found: String,
        /// With which digest.
        digest: &'static str,
    },
    /// RSA-PSS with another digest inside, or another salt length.
    #[error("the parameters of RSA-PSS are not those for {digest}: the same digest for MGF1, and a salt of its length")]
    PssParameters {
        /// The signer's digest.
        digest: &'static str,
    },
    /// Parameters where none belong.
    #[error("an algorithm of the signature has parameters that it must not have")]
    Parameters,
    /// Not in DER's order.
    #[error("the signed attributes are not in DER order")]
    AttributeOrder,
    /// A signed attribute twice.
    #[error("the signed attribute {attribute} is there twice")]
    AttributeTwice {
        /// Its object identifier.
        attribute: String,
    },
    /// A required signed attribute is not there.
    #[error("the signed attribute {name} is missing")]
    AttributeMissing {
        /// Which.
        name: &'static str,
    },
    /// A signed attribute without a value, or with several.
    #[error("the signed attribute {name} must have exactly one value")]
    AttributeValues {
        /// Which.
        name: &'static str,
    },
    /// A claim that breaks its rules.
    #[error("what the signature says about the program is wrong: {0}")]
    Claims(#[from] ClaimsError),
}

// `der::Error` is no `std::error::Error` without a feature that nothing else needs.
impl From<der::Error> for CmsError {
    fn from(error: der::Error) -> Self {
        Self::Der(error)
    }
}

impl CmsError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::PemLabel { .. } => "a signature begins with `-----BEGIN CMS-----` or `-----BEGIN PKCS7-----`",
            Self::PssParameters { .. } => "sign again with `-keyopt rsa_pss_saltlen:-1`",
            Self::Claims(problem) => problem.hint(),
            Self::WeakDigest { .. } | Self::Digest { .. } => "sign again with `-md sha256`",
            Self::Algorithm { .. } => "sign again with RSA, ECDSA or Ed25519, and SHA-256, SHA-384 or SHA-512",
            Self::Empty | Self::Truncated { .. } | Self::BerTruncated { .. } | Self::Pem { .. } => "copy the signature again, or sign again",
            _ => "sign again: `enforcer sign`, or `openssl cms -sign -binary -outform DER`",
        }
    }
}
