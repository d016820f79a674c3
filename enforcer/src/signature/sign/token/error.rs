//! Why a key in a token cannot be used.

use std::path::PathBuf;

/// Why a key in a token cannot be used. Never tells a PIN.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Not a URI of this kind.
    #[error("it is no PKCS #11 URI (RFC 7512)")]
    Uri,
    /// A URI of something else.
    #[error("the URI is of something else than a private key")]
    NotPrivate,
    /// A URI of a whole token.
    #[error("the URI names no key")]
    NoObject,
    /// The PIN is somewhere else than in a file.
    #[error("`pin-source` is no file")]
    PinScheme,
    /// The token's library is not named.
    #[error("the URI does not name the token's library")]
    NoLibrary,
    /// A library that the loader would look for.
    #[error("the library `{}` has no absolute path", .0.display())]
    RelativeLibrary(PathBuf),
    /// The library cannot be used.
    #[error("the library `{}`: {problem}", path.display())]
    Library {
        /// Its path.
        path: PathBuf,
        /// What the loader or the library said.
        problem: String,
    },
    /// No token like this.
    #[error("no token is like that; there are: {}", list(labels))]
    NoToken {
        /// The labels of all tokens.
        labels: Vec<String>,
    },
    /// More than one.
    #[error("several tokens are like that, of: {}", list(labels))]
    SeveralTokens {
        /// The labels of all tokens.
        labels: Vec<String>,
    },
    /// No key like this.
    #[error("the token has no private key like that")]
    NoKey,
    /// More than one.
    #[error("the token has {count} private keys like that")]
    SeveralKeys {
        /// How many.
        count: usize,
    },
    /// The PIN is not given.
    #[error("the token needs a PIN")]
    NoPin,
    /// The file with the PIN.
    #[error("the PIN's file `{}`: {problem}", path.display())]
    PinSource {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The token did not let us in.
    #[error("the token refused the PIN: {0}")]
    Login(#[source] cryptoki::error::Error),
    /// The token refused something else.
    #[error("the token could not {doing}: {problem}")]
    Call {
        /// What it should do.
        doing: &'static str,
        /// What it said.
        #[source]
        problem: cryptoki::error::Error,
    },
    /// What the token made is no signature of the certificate's key.
    #[error("the token's key is not that of the certificate")]
    Mismatch,
}

impl TokenError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Uri | Self::NotPrivate | Self::NoObject => {
                "write it like 'pkcs11:token=LABEL;object=KEY?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin'; in quotes, and \
                 with %20 for a space"
            }
            Self::PinScheme => "put the PIN into a file that only you can read, and name it: `pin-source=file:/run/pin`",
            Self::NoLibrary => "add `?module-path=/path/to/library.so` to the URI, or set ENFORCER_PKCS11_MODULE",
            Self::RelativeLibrary(_) => "name it with its whole path",
            Self::Library { .. } => {
                "name the library that came with the token, like /usr/lib/softhsm/libsofthsm2.so, and see that the token is there"
            }
            Self::NoToken { .. } | Self::SeveralTokens { .. } => "compare with `pkcs11-tool --list-token-slots`; `serial=` tells tokens apart",
            Self::NoKey | Self::SeveralKeys { .. } => "compare with `pkcs11-tool --login --list-objects --type privkey`; `id=%01` tells keys apart",
            Self::NoPin => "add `pin-source=file:/run/pin` to the URI, or set ENFORCER_PIN",
            Self::PinSource { .. } => "see that the file is there and holds the PIN alone",
            Self::Login(_) => "check the PIN; after too many wrong ones the token locks itself",
            Self::Call { .. } => "see whether the token knows this kind of key and digest: `pkcs11-tool --list-mechanisms`",
            Self::Mismatch => "name the certificate that was issued for this key",
        }
    }
}

fn list(labels: &[String]) -> String {
    if labels.is_empty() { "none".to_owned() } else { labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ") }
}
