//! Why nothing was signed.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::super::comment::CommentError;
use super::super::elf::ElfError;
use super::comment::UnfitScript;
use super::stamp::StampError;
use super::ticket::TicketError;
use super::token::TokenError;
use crate::measure::MeasureError;
use crate::signature::claims::ClaimsError;
use crate::trust::{ChainError, TrustProblem};

/// Why nothing was signed. The file to be signed is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The name leads nowhere.
    #[error("cannot find it: {0}")]
    Name(#[source] io::Error),
    /// The file cannot be measured.
    #[error(transparent)]
    File(#[from] MeasureError),
    /// The ELF file cannot carry a signature.
    #[error(transparent)]
    Elf(ElfError),
    /// The private key.
    #[error("the key `{}`: {problem}", path.display())]
    Key {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        problem: KeyError,
    },
    /// The file of a certificate.
    #[error("the certificate `{}`: {problem}", path.display())]
    Certificate {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        problem: Box<TrustProblem>,
    },
    /// A certificate that no verifier would accept for code.
    #[error("the certificate `{}`: {problem}", path.display())]
    Unfit {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        problem: ChainError,
    },
    /// A kind of key that is not supported.
    #[error("the certificate `{}`: its key is {kind}, which is not supported", path.display())]
    KeyKind {
        /// Its file.
        path: PathBuf,
        /// What it is.
        kind: String,
    },
    /// A certificate that is not exactly DER, so that it cannot be put into a signature unchanged.
    #[error("a certificate is not strict DER: {0}")]
    CertificateForm(der::Error),
    /// A signature that cannot be written as DER.
    #[error("the signature cannot be encoded: {0}")]
    Encoding(der::Error),
    /// Claims that break a rule.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// Claims, and nowhere to put them.
    #[error("claims are signed attributes, and the signature is to have none")]
    ClaimsWithoutAttributes,
    /// A digest that does not go with the key.
    #[error("a key on {key} signs with {needed}, not with {digest}")]
    Digest {
        /// The kind of key.
        key: &'static str,
        /// What was asked for.
        digest: &'static str,
        /// What is possible.
        needed: &'static str,
    },
    /// RSA-PSS with a key that is not RSA.
    #[error("RSA-PSS needs an RSA key, and this one is {key}")]
    Padding {
        /// The kind of key.
        key: &'static str,
    },
    /// A kind of signature that IMA does not know.
    #[error("`security.ima` holds no {key} signature that the kernel or `evmctl` could check")]
    Ima {
        /// The kind of signature.
        key: &'static str,
    },
    /// A content that would have to be in memory at once.
    #[error("its content has {size} bytes; a signature without signed attributes is over at most {limit}")]
    ContentTooLarge {
        /// Its size in bytes.
        size: u64,
        /// The bound in bytes.
        limit: u64,
    },
    /// The kernel's line of text at the end, and no signature before it.
    #[error("it ends like a file with an appended signature, and the signature before that is broken")]
    Trailer,
    /// A file that must not bear a signature at its end.
    #[error(transparent)]
    Append(#[from] crate::signature::trailer::TrailerError),
    /// A script whose comments hold something like a signature, or marks that are none.
    #[error(transparent)]
    Comment(#[from] CommentError),
    /// A file that a signature in comments would break.
    #[error(transparent)]
    Script(#[from] UnfitScript),
    /// Signing in two steps.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// Somebody wanted it to stop.
    #[error("interrupted before it was signed")]
    Interrupted,
    /// The key in a token.
    #[error("the key in the token: {0}")]
    Token(#[from] TokenError),
    /// A timestamp.
    #[error(transparent)]
    Stamp(#[from] StampError),
    /// ring refused.
    #[error("the key could not sign")]
    Signing,
    /// Too many certificates.
    #[error("the signature would have more than {limit} bytes")]
    TooLarge {
        /// The bound in bytes.
        limit: usize,
    },
    /// The signed file or the signature cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The extended attribute that would hold the signature cannot be set.
    #[error("cannot set `{name}` ({size} bytes) of `{}`: {source}", path.display())]
    Attribute {
        /// The file.
        path: PathBuf,
        /// The attribute.
        name: &'static str,
        /// Its size in bytes.
        size: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// Owner, mode or an extended attribute cannot be kept.
    #[error("cannot keep {what} of `{}`: {source}", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// What would be lost.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// What is wrong with a private key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file.
    #[error(transparent)]
    File(#[from] TrustProblem),
    /// No PEM private key in it.
    #[error("it holds no PEM private key")]
    NoKey,
    /// Encrypted.
    #[error("it is encrypted")]
    Encrypted,
    /// Not a key of the kind that the certificate has.
    #[error("it cannot be read as a key of the certificate's kind: {reason}")]
    Unusable {
        /// What the reader said.
        reason: String,
    },
    /// The public key of another certificate.
    #[error("it is not the key of the certificate")]
    Mismatch,
}

impl SignError {
    pub(super) fn name(source: io::Error) -> Self {
        Self::Name(source)
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    /// What a user can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Name(_) => "check the name",
            Self::File(problem) => problem.hint()?,
            Self::Elf(problem) => problem.hint(),
            Self::Key { problem, .. } => return problem.hint(),
            Self::Certificate { problem, .. } => return Some(problem.hint()),
            Self::Unfit {
                problem: ChainError::NotForCodeSigning { .. } | ChainError::CaAsSigner { .. } | ChainError::NotForSigning { .. }, ..
            } => SELF_SIGNED,
            Self::Unfit { problem, .. } => problem.hint(),
            Self::KeyKind { .. } => "use RSA with 2048 to 4096 bits, ECDSA on P-256 or P-384, or Ed25519",
            Self::CertificateForm(_) => "convert it: `openssl x509 -in FILE -out FILE`",
            Self::Encoding(_) => "leave the root and unrelated certificates out of `--chain`",
            Self::Claims(problem) => problem.hint(),
            Self::ClaimsWithoutAttributes => "leave out `--no-attributes`, or the claims",
            Self::Digest { .. } => "leave out `--digest`, or use an RSA key, which goes with each of them",
            Self::Padding { .. } => "leave out `--rsa-pss`",
            Self::Ima { .. } => "use RSA without `--rsa-pss`, P-256 or P-384; or `--xattr`, which takes every kind",
            Self::ContentTooLarge { .. } => "sign it with signed attributes: leave out `--no-attributes`, or use another carrier than `--ima`",
            Self::Ticket(problem) => problem.hint(),
            Self::Interrupted => "sign it again; nothing was changed",
            Self::Token(problem) => problem.hint(),
            Self::Stamp(problem) => problem.hint(),
            Self::Append(problem) => problem.hint(),
            Self::Comment(problem) => problem.hint(),
            Self::Script(problem) => problem.hint(),
            Self::Trailer => "install the file again; or cut its end off with `truncate`",
            Self::Attribute { source, .. } => match source.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::OPNOTSUPP) => "this file system has no such attributes; put the signature beside the file: `--detach`, or into a store",
                Some(Errno::NOSPC | Errno::TOOBIG | Errno::RANGE | Errno::NAMETOOLONG) => {
                    "ext4 has about one block, 4 KiB, for all attributes of a file; use `--no-certificates` with a pinned certificate, or `--detach`"
                }
                Some(Errno::PERM | Errno::ACCESS) => "run it as root (`security.ima` needs CAP_SYS_ADMIN), or use `--detach`; nothing was changed",
                Some(Errno::ROFS) => "remount it writable, or put the signature into a store: `--store DIR`; nothing was changed",
                _ => "nothing was changed",
            },
            Self::Signing => "use RSA with 2048 to 4096 bits, ECDSA on P-256 or P-384, or Ed25519",
            Self::TooLarge { .. } => "leave the root and unrelated certificates out of `--chain`",
            Self::Write { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space; nothing was changed",
                io::ErrorKind::ReadOnlyFilesystem => "remount it writable, or put the signature into a store: `--store DIR`; nothing was changed",
                io::ErrorKind::PermissionDenied => "run it as the owner of the folder; nothing was changed",
                _ => "nothing was changed",
            },
            Self::Keep { .. } => "run it as root or as the owner, or use `--detach`; nothing was changed",
        };
        Some(text.to_owned())
    }

    /// Whether the machine failed (exit status 3), rather than the input being unfit (exit status 2).
    pub fn is_io(&self) -> bool {
        match self {
            Self::Name(_) | Self::Write { .. } | Self::Keep { .. } | Self::Attribute { .. } | Self::Interrupted => true,
            Self::File(problem) => problem.is_io(),
            Self::Ticket(problem) => problem.is_io(),
            Self::Stamp(StampError::Unreadable(problem)) => problem.is_io(),
            Self::Elf(problem) => problem.is_io(),
            Self::Append(problem) => problem.is_io(),
            Self::Comment(problem) => problem.is_io(),
            Self::Key { problem: KeyError::File(problem), .. } => problem.is_io(),
            Self::Certificate { problem, .. } => problem.is_io(),
            _ => false,
        }
    }
}

impl KeyError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::File(problem) => return Some(problem.hint()),
            Self::NoKey => "it must contain `-----BEGIN PRIVATE KEY-----`; convert it: `openssl pkey -in FILE -out FILE.pem`",
            Self::Encrypted => "decrypt it for the time of signing: `openssl pkey -in FILE -out /dev/shm/key.pem`, and remove it afterwards",
            Self::Unusable { .. } => "convert it: `openssl pkey -in FILE -out FILE.pem`; RSA with 2048 to 4096 bits, P-256, P-384 or Ed25519",
            Self::Mismatch => {
                "compare `openssl pkey -in KEY -pubout` with `openssl x509 -in CERTIFICATE -noout -pubkey`, and name the pair that belongs together"
            }
        };
        Some(text.to_owned())
    }
}

const SELF_SIGNED: &str = "ask the authority for a code-signing certificate; for a trial: `openssl req -x509 -newkey ec -pkeyopt \
ec_paramgen_curve:P-256 -noenc -keyout key.pem -out certificate.pem -subj /CN=trial -addext basicConstraints=critical,CA:FALSE -addext \
keyUsage=digitalSignature -addext extendedKeyUsage=codeSigning`";
