//! Why a certificate is not trusted, and why a trust store cannot be loaded.

use std::io;
use std::path::PathBuf;

use rustls_pki_types::UnixTime;

use super::{RecordError, date};
use crate::measure::MeasureError;

/// Why bytes are no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an X.509 certificate: {0}")]
pub struct CertificateProblem(pub(super) String);

/// Why a signer's certificate is not accepted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The policy has no signer at all.
    #[error("the policy names no signer")]
    NoSigners,
    /// The bytes are no certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateProblem),
    /// No path to an anchor.
    #[error("`{subject}`, issued by `{issuer}`, leads to no trust anchor of the policy")]
    UnknownIssuer {
        /// Whose certificate.
        subject: String,
        /// Its issuer.
        issuer: String,
    },
    /// A certificate of the chain has expired.
    #[error("the certificate of `{subject}` expired at {}", date(*not_after))]
    Expired {
        /// Whose certificate.
        subject: String,
        /// Its last second.
        not_after: UnixTime,
    },
    /// A certificate of the chain is not valid yet.
    #[error("the certificate of `{subject}` is not valid before {}", date(*not_before))]
    NotYetValid {
        /// Whose certificate.
        subject: String,
        /// Its first second.
        not_before: UnixTime,
    },
    /// No extendedKeyUsage with code signing.
    #[error("the certificate of `{subject}` is not for code signing (extendedKeyUsage)")]
    NotForCodeSigning {
        /// Whose certificate.
        subject: String,
    },
    /// keyUsage without digitalSignature.
    #[error("the certificate of `{subject}` is not for digital signatures (keyUsage)")]
    NotForSigning {
        /// Whose certificate.
        subject: String,
    },
    /// A certificate authority signed code itself.
    #[error("`{subject}` is a certificate authority and may not sign code itself")]
    CaAsSigner {
        /// Whose certificate.
        subject: String,
    },
    /// No extendedKeyUsage with time stamping alone.
    #[error("the certificate of `{subject}` is not for time stamping (a critical extendedKeyUsage with nothing else)")]
    NotForTimeStamping {
        /// Whose certificate.
        subject: String,
    },
    /// The policy has no timestamp authority.
    #[error("the policy names no timestamp authority")]
    NoTimestampAuthorities,
    /// A certificate of the chain is revoked.
    #[error("the certificate of `{subject}` is revoked, says {by}")]
    Revoked {
        /// Whose certificate.
        subject: String,
        /// Who says so.
        by: String,
    },
    /// A signer of the policy is revoked.
    #[error("the signer `{name}` is revoked, says the policy's list of revocations")]
    SignerRevoked {
        /// The signer's name.
        name: String,
    },
    /// It cannot be known whether a certificate is revoked.
    #[error("the revocation list of `{issuer}` is overdue since {}: `{}`", date(*next_update), path.display())]
    StaleCrl {
        /// Whose list.
        issuer: String,
        /// The file.
        path: PathBuf,
        /// When the next one was due.
        next_update: UnixTime,
    },
    /// Anything else that rustls-webpki found.
    #[error("the chain of `{subject}` is refused: {source}")]
    Refused {
        /// The signer's certificate.
        subject: String,
        /// What was found.
        source: webpki::Error,
    },
}

impl ChainError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoSigners => "add a `[[signer]]` to the policy",
            Self::Certificate(_) => "sign again with a certificate that `openssl x509 -text` can read",
            Self::UnknownIssuer { .. } => {
                "if you trust it, add its root to the `anchors` of a signer; if its root is there, sign again with the intermediates: `--chain`"
            }
            Self::Expired { .. } => "sign again with a current certificate; if the clock is wrong, set it",
            Self::NotYetValid { .. } => "check the clock (`date -u`), or wait",
            Self::NotForCodeSigning { .. } => "ask the authority for a certificate with `extendedKeyUsage = codeSigning`",
            Self::NotForSigning { .. } => "ask the authority for a certificate with `keyUsage = digitalSignature`",
            Self::CaAsSigner { .. } => "issue a code-signing certificate below it, or list this very certificate under `certificates` of a signer",
            Self::NotForTimeStamping { .. } => "ask the authority for a certificate with `extendedKeyUsage = critical,timeStamping`",
            Self::NoTimestampAuthorities => "add a `[[timestamp-authority]]` to the policy",
            Self::Revoked { .. } | Self::SignerRevoked { .. } => "install a version that is signed by somebody who is still trusted",
            Self::StaleCrl { .. } => "fetch the authority's current list, or set `stale-crl = \"warn\"`",
            Self::Refused { .. } => "look at the chain with `openssl cms -inform DER -cmsout -print`",
        }
    }

    /// Whether so many paths were tried that it was given up: certificates are made like this to keep others waiting, and nothing more is tried for
    /// their sake.
    pub fn is_exhaustion(&self) -> bool {
        use webpki::Error::{MaximumNameConstraintComparisonsExceeded, MaximumPathBuildCallsExceeded, MaximumSignatureChecksExceeded};
        let Self::Refused { source, .. } = self else { return false };
        matches!(source, MaximumNameConstraintComparisonsExceeded | MaximumPathBuildCallsExceeded | MaximumSignatureChecksExceeded)
    }

    /// Of the failures of two rules the one that says more: "unknown issuer" only means that the rule is about somebody else.
    pub(super) fn more_telling(first: Option<Self>, second: Self) -> Self {
        match first {
            Some(first) if !matches!(first, Self::UnknownIssuer { .. }) => first,
            Some(first) if matches!(second, Self::UnknownIssuer { .. }) => first,
            _ => second,
        }
    }
}

/// Why the policy's certificates, lists or revocations cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{whose}: `{}`: {problem}", path.display())]
pub struct TrustError {
    /// The rule of the policy that names the file.
    pub whose: String,
    /// The file that it names.
    pub path: PathBuf,
    /// What is wrong with the file.
    #[source]
    pub problem: Box<TrustProblem>,
}

impl TrustError {
    /// What a user can do about it.
    pub fn hint(&self) -> String {
        self.problem.hint()
    }
}

/// What is wrong with a file of certificates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustProblem {
    /// It cannot be opened or is no regular file.
    #[error(transparent)]
    File(#[from] MeasureError),
    /// Reading it failed.
    #[error("cannot read it: {0}")]
    Read(#[from] io::Error),
    /// Too large to be what it should be.
    #[error("it has more than {limit} bytes")]
    TooLarge {
        /// The bound in bytes.
        limit: u64,
    },
    /// A certificate in DER.
    #[error("it is binary (DER), not PEM")]
    Der,
    /// PEM armour that does not close, or bad Base64.
    #[error("its PEM is broken: {reason}")]
    BrokenPem {
        /// What the reader said.
        reason: String,
    },
    /// A private key where only certificates belong.
    #[error("it holds a private key")]
    PrivateKey,
    /// No `BEGIN CERTIFICATE` in it.
    #[error("it holds no PEM certificate")]
    NoCertificate,
    /// One of its certificates is broken.
    #[error("its certificate {number}: {problem}")]
    Certificate {
        /// Which one, from 1.
        number: usize,
        /// What is wrong.
        problem: CertificateProblem,
    },
    /// rustls-webpki does not take it.
    #[error("the certificate of `{subject}` cannot be used: {source}")]
    Anchor {
        /// Whose certificate.
        subject: String,
        /// What was found.
        source: webpki::Error,
    },
    /// A key that no signature can be checked with.
    #[error("the key of `{subject}` is {kind}, which is not supported")]
    Key {
        /// Whose certificate.
        subject: String,
        /// What it is.
        kind: String,
    },
    /// An anchor that may not issue certificates.
    #[error("`{subject}` is not a certificate authority")]
    NotAuthority {
        /// Whose certificate.
        subject: String,
    },
    /// Not a revocation list.
    #[error("it is no certificate revocation list: {reason}")]
    Crl {
        /// What the reader said.
        reason: String,
    },
    /// No `BEGIN X509 CRL` in it.
    #[error("it holds no revocation list")]
    NoCrl,
    /// More lists than can be meant.
    #[error("with it there are more than {limit} revocation lists")]
    TooManyLists {
        /// The bound.
        limit: usize,
    },
    /// The file of single revocations.
    #[error("{}", .0.report())]
    Revoked(RecordError),
    /// Expired, not valid yet, or (pinned) not for signing code.
    #[error(transparent)]
    Unfit(ChainError),
}

impl TrustProblem {
    /// Whether the machine failed (exit status 3), rather than the file being unfit (exit status 2).
    pub fn is_io(&self) -> bool {
        match self {
            Self::File(problem) => problem.is_io(),
            Self::Read(_) => true,
            Self::Revoked(problem) => problem.is_system(),
            _ => false,
        }
    }

    /// What a user can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::File(problem) => problem.hint().unwrap_or("check the file").to_owned(),
            Self::Read(_) => "check the disk".to_owned(),
            Self::TooLarge { .. } => "name a PEM file with the few certificates that are trusted".to_owned(),
            Self::Der => "convert it: `openssl x509 -inform DER -in FILE -out FILE.pem`".to_owned(),
            Self::BrokenPem { .. } => "export it again: `openssl x509 -in CERTIFICATE -out FILE.pem`".to_owned(),
            Self::PrivateKey => {
                "a host that verifies needs certificates only: move the key to where signing happens and name the certificate".to_owned()
            }
            Self::NoCertificate => "it must contain `-----BEGIN CERTIFICATE-----`".to_owned(),
            Self::Certificate { .. } | Self::Anchor { .. } => "look at it with `openssl x509 -in FILE -noout -text`".to_owned(),
            Self::Key { .. } => "use RSA with 2048 to 8192 bits, ECDSA on P-256 or P-384, or Ed25519".to_owned(),
            Self::NotAuthority { .. } => {
                "to trust this one certificate by itself, list it under `certificates`; otherwise name its root under `anchors`".to_owned()
            }
            Self::Crl { .. } => "look at it with `openssl crl -noout -text`; delta and indirect lists are not supported".to_owned(),
            Self::NoCrl => "it must be DER, or contain `-----BEGIN X509 CRL-----`".to_owned(),
            Self::TooManyLists { .. } => "remove the lists of authorities that the policy does not trust".to_owned(),
            Self::Revoked(_) => "mend the file, or write it anew with `enforcer revoke`".to_owned(),
            Self::Unfit(ChainError::Expired { .. }) => "replace it by its successor, or remove it from the policy".to_owned(),
            Self::Unfit(problem) => problem.hint().to_owned(),
        }
    }
}
