//! Until when what the policy names counts: what somebody has to renew by then.

use serde::{Deserialize, Serialize};

/// Until when a certificate of the policy is valid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Expiry {
    /// The signer or timestamp authority of the policy.
    pub whose: String,
    /// What it is to them.
    pub role: CertificateRole,
    /// Its subject's name, fit for a terminal.
    pub subject: String,
    /// The last second in which it is valid, since 1970-01-01T00:00:00Z.
    pub not_after_seconds: u64,
}

/// What a certificate is to whoever the policy trusts through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateRole {
    /// A trust anchor.
    Anchor,
    /// A signer's certificate that is trusted by itself.
    Pinned,
    /// One that signatures may leave out.
    Intermediate,
}

impl CertificateRole {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anchor => "anchor",
            Self::Pinned => "pinned",
            Self::Intermediate => "intermediate",
        }
    }
}

/// When the next revocation list of an issuer is due (RFC 5280 §5.1.2.5).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NextUpdate {
    /// Whose list it is, fit for a terminal.
    pub issuer: String,
    /// When, since 1970-01-01T00:00:00Z.
    pub next_update_seconds: u64,
}
