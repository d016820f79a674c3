//! Why a signature is not accepted, and why a manifest is not loaded; each with what can be done about it.

use std::path::{Path, PathBuf};

use super::cms::CmsError;
use super::elf::ElfError;
use super::manifest::LineError;
use crate::measure::MeasureError;
use crate::trust::{CertificateProblem, ChainError};

/// Why a file is not [`super::Verified`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// No carrier has a signature for it.
    #[error("it is not signed")]
    Unsigned,
    /// A signature is there and cannot be read.
    #[error("the signature file cannot be used: {0}")]
    SignatureFile(#[source] MeasureError),
    /// The signature itself is bad.
    #[error(transparent)]
    Cms(#[from] CmsError),
    /// The ELF file, or its signature section, is bad.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// A certificate in the signature cannot be read.
    #[error("a certificate in the signature is {0}")]
    Certificate(#[from] CertificateProblem),
    /// The signer's certificate is neither in the signature nor pinned.
    #[error("the certificate of its signer is not in the signature")]
    SignerUnknown,
    /// Several different certificates answer to the signer identifier.
    #[error("several certificates in the signature answer to its signer's name")]
    SignerAmbiguous,
    /// The signed digest is another one.
    #[error("the content is not the one that was signed: it was changed, or the signature belongs to another file")]
    DigestMismatch,
    /// The signature value does not fit key and content.
    #[error("the signature does not verify with the key of `{subject}`: the content or the signature was changed")]
    BadSignature {
        /// The signer's certificate.
        subject: String,
    },
    /// The signer's key is of another kind than the signature.
    #[error("the key of `{subject}` does not fit the signature's algorithm")]
    KeyKind {
        /// The signer's certificate.
        subject: String,
    },
    /// The signature is good and its signer is not trusted.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Without signed attributes the whole content has to be in memory.
    #[error("its signature has no signed attributes, which is supported up to {limit} bytes of content; it has {size}")]
    ContentTooLarge {
        /// Size of the content.
        size: u64,
        /// The bound in bytes.
        limit: u64,
    },
    /// The file could not be read again, or changed.
    #[error("the file: {0}")]
    File(#[from] MeasureError),
}

impl Rejected {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unsigned => "sign it with `enforcer sign`, or list it in a signed manifest",
            Self::SignatureFile(problem) | Self::File(problem) => problem.hint().unwrap_or("check the disk"),
            Self::Cms(problem) => problem.hint(),
            Self::Elf(problem) => problem.hint(),
            Self::Certificate(_) => "sign again with certificates that `openssl x509 -text` can read",
            Self::SignerUnknown => "sign again without `-nocerts`",
            Self::SignerAmbiguous => "sign again with one certificate only",
            Self::DigestMismatch | Self::BadSignature { .. } => "install the signed version again, or sign this one if the change is yours",
            Self::KeyKind { .. } => "sign again with RSA, ECDSA on P-256 or P-384, or Ed25519",
            Self::Chain(problem) => problem.hint(),
            Self::ContentTooLarge { .. } => "sign again without `-noattr`",
        }
    }

    /// Whether it may go away by itself, so that a denial for this reason should not last.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::SignatureFile(problem) | Self::File(problem) => problem.is_transient(),
            _ => false,
        }
    }

    /// A short name for JSON, metrics and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::SignatureFile(_) => "signature-file",
            Self::Cms(CmsError::WeakDigest { .. }) => "weak-digest",
            Self::Cms(_) => "bad-signature-format",
            Self::Elf(_) => "bad-elf",
            Self::Certificate(_) => "bad-certificate",
            Self::SignerUnknown | Self::SignerAmbiguous => "signer-certificate",
            Self::DigestMismatch => "digest-mismatch",
            Self::BadSignature { .. } | Self::KeyKind { .. } => "bad-signature",
            Self::Chain(ChainError::UnknownIssuer { .. } | ChainError::NoSigners) => "unknown-issuer",
            Self::Chain(ChainError::Expired { .. }) => "certificate-expired",
            Self::Chain(ChainError::NotYetValid { .. }) => "certificate-not-yet-valid",
            Self::Chain(ChainError::NotForCodeSigning { .. } | ChainError::NotForSigning { .. } | ChainError::CaAsSigner { .. }) => {
                "certificate-purpose"
            }
            Self::Chain(_) => "certificate-chain",
            Self::ContentTooLarge { .. } => "content-too-large",
            Self::File(_) => "file",
        }
    }
}

/// A manifest that is not in force. The others are.
#[derive(Debug, thiserror::Error)]
#[error("manifest `{}`: {problem}", path.display())]
pub struct ManifestError {
    /// The manifest, or the folder of manifests.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub problem: ManifestProblem,
}

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestProblem {
    /// The manifest, or the folder, cannot be read.
    #[error(transparent)]
    File(#[from] MeasureError),
    /// There is no signature beside it.
    #[error("there is no signature `{}`", .0.display())]
    NoSignature(PathBuf),
    /// Its signature is not accepted.
    #[error("its signature: {0}")]
    Signature(#[from] Rejected),
    /// Its text is wrong.
    #[error(transparent)]
    Line(#[from] LineError),
}

impl ManifestError {
    pub(super) fn new(path: &Path, problem: impl Into<ManifestProblem>) -> Self {
        Self { path: path.to_owned(), problem: problem.into() }
    }

    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match &self.problem {
            ManifestProblem::File(problem) => problem.hint().unwrap_or("check the disk"),
            ManifestProblem::NoSignature(_) => "sign it: `enforcer manifest sign --key KEY --certificate CERTIFICATE MANIFEST`",
            ManifestProblem::Signature(Rejected::DigestMismatch | Rejected::BadSignature { .. }) => {
                "restore the signed manifest, or sign it again: `enforcer manifest sign`"
            }
            ManifestProblem::Signature(problem) => problem.hint(),
            ManifestProblem::Line(_) => "make it with `enforcer manifest create`, or with `sha256sum --tag`",
        }
    }
}
