//! Why bytes are no usable CMS signature.

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
    /// PEM.
    #[error("the signature is PEM; it must be DER")]
    Pem,
    /// BER's indefinite length.
    #[error("the signature is BER with indefinite lengths; it must be DER")]
    IndefiniteLength,
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
    /// The content is inside.
    #[error("the signature contains its content; it must be detached")]
    Attached,
    /// Signed content that claims to be something else than plain data.
    #[error("the signed content is of the type {found}, not data")]
    ContentType {
        /// Its object identifier.
        found: String,
    },
    /// Not exactly one signer.
    #[error("the signature has {count} signers; exactly one is supported")]
    SignerCount {
        /// How many.
        count: usize,
    },
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
            Self::Pem => "convert it: `openssl cms -cmsout -inform PEM -outform DER`",
            Self::IndefiniteLength => "sign again without `-stream`",
            Self::Attached => "sign again without `-nodetach`",
            Self::SignerCount { .. } => "sign with one certificate, or keep the second signature in another carrier",
            Self::WeakDigest { .. } | Self::Digest { .. } => "sign again with `-md sha256`",
            Self::Algorithm { .. } => "sign again with RSA (PKCS #1 v1.5), ECDSA with SHA-256 or SHA-384, or Ed25519",
            Self::Empty | Self::Truncated { .. } => "copy the signature again, or sign again",
            _ => "sign again: `enforcer sign`, or `openssl cms -sign -binary -outform DER`",
        }
    }
}
