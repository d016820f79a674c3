//! Why a signature is not accepted, and why a manifest is not loaded; each with what can be done about it.

use std::path::{Path, PathBuf};

use rustls_pki_types::UnixTime;

use super::cms::CmsError;
use super::comment::CommentError;
use super::elf::ElfError;
use super::ima::ImaError;
use super::manifest::LineError;
use super::timestamp::TimestampError;
use super::trailer::TrailerError;
use crate::measure::MeasureError;
use crate::trust::{CertificateProblem, ChainError, date};

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
    /// An extended attribute cannot be read.
    #[error("the extended attribute `{name}` cannot be read: {source}")]
    Attribute {
        /// Which.
        name: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// This very content was revoked.
    #[error("it was revoked, says the policy's list of revocations")]
    Revoked,
    /// The signature at the end of the file is bad.
    #[error(transparent)]
    Trailer(#[from] TrailerError),
    /// The signature in comment lines at the end of the file is bad.
    #[error(transparent)]
    Comment(#[from] CommentError),
    /// The signature in `security.ima` is bad.
    #[error(transparent)]
    Ima(#[from] ImaError),
    /// The signature is about the fs-verity digest of a file that has none.
    #[error("its signature is about its fs-verity digest, and the file is not sealed with fs-verity")]
    NotSealed,
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
    #[error("the certificate of its signer is neither in the signature nor in the policy")]
    SignerUnknown,
    /// Too many different certificates answer to the signer identifier.
    #[error("too many certificates answer to the name of its signer")]
    SignerAmbiguous,
    /// Several signers, who say different things about the content.
    #[error("its signers do not agree on what it is (identifier, version, security version or entitlements)")]
    ClaimsDiffer,
    /// Several signers, whom the policy allows different things.
    #[error("its signers may not sign for the same use")]
    NoCommonUse,
    /// Not a signer of this component.
    #[error("`{identifier}` may not be signed by `{signer}`")]
    WrongSigner {
        /// The component.
        identifier: String,
        /// Who signed.
        signer: String,
    },
    /// Older than what was accepted before, or than the policy demands.
    #[error("`{identifier}` has the security version {version}, and {floor} is the lowest that may run")]
    Rollback {
        /// The component.
        identifier: String,
        /// What it has.
        version: u32,
        /// What it needs.
        floor: u32,
    },
    /// The certificate has expired, and the timestamp does not save it.
    #[error("the certificate of `{subject}` expired at {}, and the signature's timestamp does not count: {problem}", date(*not_after))]
    Timestamp {
        /// Whose certificate.
        subject: String,
        /// Its last second.
        not_after: UnixTime,
        /// What is wrong with the timestamp.
        problem: TimestampError,
    },
    /// The signed digest is another one.
    #[error("the content is not the one that was signed: it was changed, or the signature belongs to another file")]
    DigestMismatch,
    /// A content that could be the signed attributes of another signature.
    #[error("the content is a set of signed attributes, which nobody signs as it is: it was cut out of another signature")]
    LooksLikeAttributes,
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
    /// Without signed attributes each signer costs another pass over the content.
    #[error("more than {limit} of its signatures have no signed attributes and are over a long content")]
    TooManyReads {
        /// How many are looked at.
        limit: usize,
    },
    /// The file could not be read again, or changed.
    #[error("the file: {0}")]
    File(#[from] MeasureError),
    /// What the worker that looked into it said.
    #[error("{0}")]
    Told(String),
    /// The signature is good, and does not lie where the worker said that it lies.
    #[error("its signature is not where the worker that looked for it found it")]
    Misplaced,
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
            Self::Attribute { .. } => "check the file system",
            Self::Revoked => "install a version that is not revoked (`enforcer revoke list` says why)",
            Self::Trailer(problem) => problem.hint(),
            Self::Comment(problem) => problem.hint(),
            Self::Ima(problem) => problem.hint(),
            Self::NotSealed => "seal it: `enforcer seal`",
            Self::SignerUnknown => "sign again without `-nocerts`, or list the certificate under `intermediates` of its signer",
            Self::SignerAmbiguous => "sign again with one certificate only",
            Self::ClaimsDiffer => {
                "let every signer sign with the same `--identifier`, `--software-version`, `--security-version` and `--entitlement`"
            }
            Self::NoCommonUse => "look at `allow` of these signers in the policy, or say `several-signers = \"one\"`",
            Self::WrongSigner { .. } => "have it signed by one of the component's signers, or add this one to the `[[component]]`",
            Self::Rollback { .. } => "install a newer release",
            Self::Timestamp { problem, .. } => problem.hint(),
            Self::LooksLikeAttributes => "sign it with signed attributes: without `-noattr`",
            Self::DigestMismatch | Self::BadSignature { .. } => "install the signed version again, or sign this one if the change is yours",
            Self::KeyKind { .. } => "sign again with RSA, ECDSA on P-256 or P-384, or Ed25519",
            Self::Chain(problem) => problem.hint(),
            Self::ContentTooLarge { .. } | Self::TooManyReads { .. } => "sign again without `-noattr`",
            Self::Told(_) | Self::Misplaced => "see what `enforcer verify FILE` says",
        }
    }

    /// Whether it may go away by itself, so that a denial for this reason should not last.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::SignatureFile(problem) | Self::File(problem) => problem.is_transient(),
            Self::Attribute { .. } => true,
            _ => false,
        }
    }

    /// Whether it was given up because it cost too much.
    pub(super) fn is_exhaustion(&self) -> bool {
        matches!(self, Self::Chain(problem) if problem.is_exhaustion())
    }

    /// Which step of the decision said no, as people would name it.
    pub fn step(&self) -> &'static str {
        match self {
            Self::Unsigned | Self::SignatureFile(_) | Self::Attribute { .. } => "find a signature",
            Self::Cms(_) | Self::Elf(_) | Self::Trailer(_) | Self::Comment(_) | Self::Ima(_) | Self::Told(_) | Self::Misplaced => {
                "read the signature"
            }
            Self::Certificate(_) | Self::SignerUnknown | Self::SignerAmbiguous => "find the signer's certificate",
            Self::File(_) | Self::ContentTooLarge { .. } | Self::TooManyReads { .. } => "read the file",
            Self::DigestMismatch | Self::NotSealed | Self::LooksLikeAttributes => "compare the content",
            Self::BadSignature { .. } | Self::KeyKind { .. } => "check the signature value",
            Self::Timestamp { .. } => "check the timestamp",
            Self::Chain(_) => "follow the chain",
            Self::Revoked => "look for revocations",
            Self::Rollback { .. } => "compare the security version",
            Self::ClaimsDiffer | Self::NoCommonUse | Self::WrongSigner { .. } => "apply the policy",
        }
    }

    /// A short name for JSON, metrics and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::SignatureFile(_) => "signature-file",
            Self::Cms(CmsError::WeakDigest { .. }) | Self::Ima(ImaError::WeakDigest { .. }) => "weak-digest",
            Self::Cms(_) | Self::Trailer(_) | Self::Comment(_) | Self::Ima(_) | Self::Told(_) | Self::Misplaced => "bad-signature-format",
            Self::Attribute { .. } => "signature-attribute",
            Self::Revoked => "revoked",
            Self::NotSealed => "not-sealed",
            Self::ClaimsDiffer | Self::NoCommonUse => "signers-disagree",
            Self::WrongSigner { .. } => "wrong-signer",
            Self::Rollback { .. } => "rollback",
            Self::Timestamp { .. } => "bad-timestamp",
            Self::Elf(_) => "bad-elf",
            Self::Certificate(_) => "bad-certificate",
            Self::SignerUnknown | Self::SignerAmbiguous => "signer-certificate",
            Self::DigestMismatch => "digest-mismatch",
            Self::LooksLikeAttributes => "attributes-as-content",
            Self::BadSignature { .. } | Self::KeyKind { .. } => "bad-signature",
            Self::Chain(ChainError::UnknownIssuer { .. } | ChainError::NoSigners) => "unknown-issuer",
            Self::Chain(ChainError::Expired { .. }) => "certificate-expired",
            Self::Chain(ChainError::NotYetValid { .. }) => "certificate-not-yet-valid",
            Self::Chain(ChainError::Revoked { .. } | ChainError::SignerRevoked { .. }) => "revoked",
            Self::Chain(ChainError::StaleCrl { .. }) => "stale-crl",
            Self::Chain(ChainError::NotForCodeSigning { .. } | ChainError::NotForSigning { .. } | ChainError::CaAsSigner { .. }) => {
                "certificate-purpose"
            }
            Self::Chain(_) => "certificate-chain",
            Self::ContentTooLarge { .. } => "content-too-large",
            Self::TooManyReads { .. } => "too-many-signatures",
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
