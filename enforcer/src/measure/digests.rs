//! The digest algorithms that signatures may use, and their values.

use std::fmt;

use ring::digest;
use serde::{Deserialize, Serialize};

/// A digest algorithm of a signature. SHA-1 and MD5 are absent on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The name that people write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    pub(super) fn context(self) -> digest::Context {
        digest::Context::new(self.ring())
    }

    /// The digest of bytes in memory.
    pub fn digest(self, bytes: &[u8]) -> ContentDigest {
        ContentDigest { algorithm: self, value: digest::digest(self.ring(), bytes) }
    }

    fn ring(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// A digest of bytes, with its algorithm.
#[derive(Clone, Copy)]
pub struct ContentDigest {
    algorithm: Algorithm,
    value: digest::Digest,
}

impl ContentDigest {
    pub(super) fn finish(algorithm: Algorithm, context: digest::Context) -> Self {
        Self { algorithm, value: context.finish() }
    }

    /// The algorithm that made it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its bytes: 32, 48 or 64 of them.
    pub fn bytes(&self) -> &[u8] {
        self.value.as_ref()
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.value)
    }
}
