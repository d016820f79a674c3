//! Why a signature was not timestamped.

use crate::measure::MeasureError;

/// Why a signature was not timestamped. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StampError {
    /// The reply cannot be read.
    #[error("the reply: {0}")]
    Unreadable(#[source] MeasureError),
    /// Neither a reply nor a token.
    #[error("the reply is no TimeStampResp and no timestamp token (RFC 3161)")]
    NoReply,
    /// The authority said no.
    #[error("the timestamp authority refused: status {status}")]
    Refused {
        /// PKIStatus (RFC 3161 §2.4.2).
        status: u32,
    },
    /// A digest that is not used here.
    #[error("the timestamp is over another digest than SHA-256, SHA-384 or SHA-512")]
    Digest,
    /// About something else.
    #[error("the timestamp is not about this signature")]
    Imprint,
    /// Nothing to stamp.
    #[error("it is not signed, and no signature lies beside it")]
    NoSignature,
    /// A signature that is not as `enforcer sign` and openssl write it.
    #[error("its signature is no CMS signature in DER")]
    NotOurs,
    /// Which one?
    #[error("its signature has {count} signers, and only one can be timestamped")]
    SeveralSigners {
        /// How many.
        count: usize,
    },
    /// The section is too small.
    #[error("there is no room in the file: {missing} bytes are missing")]
    NoRoom {
        /// How many bytes.
        missing: usize,
    },
}

impl StampError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) | Self::NoReply => "name what the timestamp authority answered; an error page is not it: look into the file",
            Self::Refused { .. } => "ask what the authority needs: `openssl ts -reply -in REPLY -text`",
            Self::Digest => "ask with `enforcer timestamp query`, which uses SHA-256",
            Self::Imprint => "attach it to the file that was asked about; a file that was signed again needs a new timestamp",
            Self::NoSignature => "sign it first: `enforcer sign`; of a signature in a store, name the .p7s file",
            Self::NotOurs | Self::SeveralSigners { .. } => "sign the file with `enforcer sign`, and ask again",
            Self::NoRoom { .. } => "sign it again with room: `enforcer sign --reserve 8192`",
        }
    }
}
