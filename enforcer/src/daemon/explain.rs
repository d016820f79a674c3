//! What the daemon knows about a digest when its event comes: why it was denied, or that it was the canary.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use enforcer_common::Digest;

use crate::signature::Rejected;

/// Why a file was denied, as the daemon found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The short name, where a signature was the reason ([`crate::signature::Rejected::code`]).
    pub rejection: Option<&'static str>,
    /// In words.
    pub text: String,
}

impl From<String> for Explanation {
    fn from(text: String) -> Self {
        Self { rejection: None, text }
    }
}

impl From<&Rejected> for Explanation {
    fn from(rejected: &Rejected) -> Self {
        Self { rejection: Some(rejected.code()), text: rejected.to_string() }
    }
}

/// The latest reasons, a bounded number of them.
#[derive(Default)]
pub struct Explanations {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    reasons: HashMap<Digest, Explanation>,
    order: VecDeque<Digest>,
    canaries: VecDeque<Digest>,
}

impl Explanations {
    /// Keeps a reason, forgetting the oldest when there are too many; whether one was forgotten.
    pub fn remember(&self, digest: Digest, reason: Explanation) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.reasons.insert(digest, reason).is_none() {
            inner.order.push_back(digest);
        }
        if inner.order.len() > MOST
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.reasons.remove(&oldest);
            return true;
        }
        false
    }

    /// Says that this digest is about to be tried as the canary.
    pub fn announce_canary(&self, digest: Digest) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.canaries.push_back(digest);
        if inner.canaries.len() > CANARIES {
            inner.canaries.pop_front();
        }
    }

    /// Whether this digest was the canary a moment ago: its denial is no news.
    pub fn is_canary(&self, digest: &Digest) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).canaries.contains(digest)
    }

    /// The reason why a digest was denied, if it is still known.
    pub fn of(&self, digest: &Digest) -> Option<Explanation> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).reasons.get(digest).cloned()
    }
}

const MOST: usize = 4096;
const CANARIES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_reason_is_forgotten_first() {
        let explanations = Explanations::default();
        let digest = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            Digest::sha256(bytes)
        };
        for number in 0..=MOST {
            assert_eq!(explanations.remember(digest(number), number.to_string().into()), number == MOST);
        }
        assert_eq!(explanations.of(&digest(0)), None);
        assert_eq!(explanations.of(&digest(1)), Some("1".to_owned().into()));
        assert_eq!(explanations.of(&digest(MOST)), Some(MOST.to_string().into()));
    }
}
