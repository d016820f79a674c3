//! Why a policy is not let in, or an order not followed.

use std::path::PathBuf;

use crate::signature::manifest::LineError;
use crate::signature::{ManifestProblem, Rejected};
use crate::trust::TrustError;

/// Why a policy is not let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CharterError {
    /// There is no signed list beside it.
    #[error("the policy `{}` has to be signed, and its list `{}` cannot be used: {problem}", policy.display(), path.display())]
    NoList {
        /// The policy.
        policy: PathBuf,
        /// The list.
        path: PathBuf,
        /// What is wrong with it.
        problem: Box<ManifestProblem>,
    },
    /// It is a list of something else.
    #[error("`{}` is no list of a policy: its first line is not `{}`", path.display(), super::HEADER)]
    NoHeader {
        /// The list.
        path: PathBuf,
    },
    /// One of its lines is none.
    #[error("`{}`: {problem}", path.display())]
    Line {
        /// The list.
        path: PathBuf,
        /// What is wrong.
        problem: LineError,
    },
    /// Nobody who may do so stands behind it.
    #[error("the signature of `{}` is not one of `{signers}`, who alone may change the policy in force: {problem}", path.display())]
    Signature {
        /// The list.
        path: PathBuf,
        /// Who may.
        signers: String,
        /// Why they did not.
        problem: Box<Rejected>,
    },
    /// It does not follow what is in force.
    #[error("`{}` says {found}, and {in_force} is in force: only the same identifier with at least that security version may follow", path.display())]
    Older {
        /// The list.
        path: PathBuf,
        /// What it calls itself.
        found: String,
        /// What is in force.
        in_force: String,
    },
    /// A file was changed, or not listed.
    #[error("`{}` as it is now is not listed in the signed `{}`", path.display(), list.display())]
    NotListed {
        /// The file.
        path: PathBuf,
        /// The list.
        list: PathBuf,
    },
    /// A revocation list is not there any more.
    #[error("the revocation list of `{issuer}` is gone, or older than the one in force")]
    ListGone {
        /// Whose list.
        issuer: String,
    },
    /// The policy in force could not be put in force again.
    #[error("under these revocations nobody could put the policy in force again, nor take it off: {problem}")]
    LocksOut {
        /// What would be said then.
        problem: Box<Rejected>,
    },
    /// More than anybody would keep.
    #[error("more than {limit} revocations, with those that were taken out of the file and stay in force")]
    TooManyRevocations {
        /// The bound.
        limit: usize,
    },
    /// The certificates do not fit into the kernel's map.
    #[error("the certificates of the policy's signers and timestamp authorities take {size} bytes, and {limit} are kept")]
    TooLarge {
        /// What they take.
        size: usize,
        /// The bound.
        limit: usize,
    },
    /// What is kept in the kernel, or beside it, is not what was put there.
    #[error("what is kept of the policy in force is damaged: {detail}")]
    Damaged {
        /// What is wrong.
        detail: String,
    },
    /// A certificate of the policy in force is unfit.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl CharterError {
    /// What a user can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NoList { .. } | Self::NoHeader { .. } | Self::Line { .. } => {
                "make it with `enforcer policy list`, and sign it where the key is: `enforcer manifest sign`".to_owned()
            }
            Self::Signature { problem, .. } => format!("let a policy signer sign the list; {}", problem.hint()),
            Self::Older { .. } => "sign the list with the identifier in force, and a security version that is no lower".to_owned(),
            Self::NotListed { .. } => {
                "restore the file; or, if the change is meant: `enforcer policy list`, and have the list signed anew".to_owned()
            }
            Self::ListGone { .. } => "put the list back, or a newer one in its place".to_owned(),
            Self::LocksOut { .. } => "put a policy in force first that other policy signers signed".to_owned(),
            Self::TooManyRevocations { .. } => "revoke a certificate or a signer rather than each digest".to_owned(),
            Self::TooLarge { .. } => "name policy signers with fewer certificates".to_owned(),
            Self::Damaged { .. } => "enforcement goes on as it is; a reboot begins anew with the policy on the disk".to_owned(),
            Self::Trust(error) => error.hint(),
        }
    }
}

/// Why an order is not followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// It is something else, or about another boot or machine.
    #[error("`{}` is not the order to release this machine in this boot", path.display())]
    Another {
        /// The file.
        path: PathBuf,
    },
    /// Nobody who may do so stands behind it.
    #[error("the order is not signed by `{signers}`: {problem}")]
    Signature {
        /// Who may.
        signers: String,
        /// Why they did not.
        problem: Box<Rejected>,
    },
    /// The ground for a decision is missing.
    #[error(transparent)]
    Charter(#[from] Box<CharterError>),
}
