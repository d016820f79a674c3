//! What suspends enforcing: a fuse, when more is denied than anybody expected, and a code that somebody types at the boot loader.

use std::time::Duration;

use enforcer_common::Mode;

use super::Policy;
use crate::audit::Timestamp;

/// Denials in some time that nobody expected of a policy that is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fuse {
    /// So many denials …
    pub denials: u32,
    /// … within this time …
    pub within: Duration,
    /// … until then. An attacker who may cause denials can blow it: that is why it ends.
    pub until: Timestamp,
}

/// What lets a machine boot that its policy keeps from booting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BreakGlass {
    /// SHA-256 of each code, of which each works for one boot. A code has 128 random bits, so its hash tells nobody anything.
    pub codes: Vec<[u8; 32]>,
}

impl Policy {
    /// The same policy where nothing is denied: everything is decided and reported.
    #[must_use]
    pub fn suspended(mut self) -> Self {
        self.mode = Mode::Audit;
        for scope in &mut self.scopes {
            scope.mode = Mode::Audit;
        }
        self
    }
}
