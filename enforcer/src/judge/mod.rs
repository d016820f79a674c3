//! What a policy says about a use of code, decided outside of the kernel: for whoever tries a policy before it is in force, or asks why something was denied.
//!
//! The same order as the programs': what a signature says of the content, what its signer may sign, which name it goes by, and then the setting that answers
//! where no signature does. Reads no file and no clock: callers bring what was examined. Where the facts do not tell, it says so and guesses nothing.

mod event;
mod file;
#[cfg(test)]
mod tests;
mod ways;

use std::fmt;

use enforcer_common::{Mode, Response, USE_EXEC, USE_LIBRARY, USE_MODULE, USE_SCRIPT};
use serde::{Serialize, Serializer};

use crate::policy::{Policy, Rule};

pub use event::{FileUse, Subject, recorded_file};
pub use ways::{Way, ways};

/// Judges uses by one policy.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The mode where the uses happen.
    mode: Mode,
    /// The policy under which the recorded uses happened, if it is another one.
    former: Option<&'a Policy>,
}

impl<'a> Judge<'a> {
    /// Judges by this policy what happens, or happened under itself.
    pub const fn new(policy: &'a Policy) -> Self {
        Self { policy, mode: policy.mode, former: None }
    }

    /// Judges by this policy what happened under another one.
    pub const fn after(policy: &'a Policy, former: &'a Policy) -> Self {
        Self { policy, mode: policy.mode, former: Some(former) }
    }

    /// The same where this mode holds: in some scope, perhaps.
    #[must_use]
    pub const fn in_mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Whether a program that lacked an entitlement under the former policy may have it under this one.
    fn newly_grants(&self, entitlement: &str) -> bool {
        let grants = |policy: &Policy| policy.signers.iter().any(|signer| signer.entitlements.iter().any(|granted| granted == entitlement));
        self.former.is_some_and(|former| grants(self.policy) && !grants(former))
    }

    fn ruled(&self, response: Response, rule: Rule, rationale: Rationale) -> Judgement {
        Judgement::Ruled(Ruling { outcome: Outcome::of(self.mode, response), rule, rationale })
    }
}

/// What comes of a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It happens, without a word.
    Allowed,
    /// It happens, and an event says that it would be denied.
    Reported,
    /// It is stopped.
    Denied,
}

impl Outcome {
    /// What comes of this response in this mode.
    pub const fn of(mode: Mode, response: Response) -> Self {
        match (response, mode) {
            (Response::Allow, _) => Self::Allowed,
            (Response::Deny, Mode::Enforce) => Self::Denied,
            _ => Self::Reported,
        }
    }

    /// In a few words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Reported => "let through and reported",
            Self::Denied => "denied",
        }
    }
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// This.
    Ruled(Ruling),
    /// The facts do not tell; why not.
    Unknown(String),
}

/// A decision: what comes of it, by which rule, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What comes of it.
    pub outcome: Outcome,
    /// The rule that decided.
    pub rule: Rule,
    /// Why.
    pub rationale: Rationale,
}

/// Why something is decided so: one decision's own words. What many findings of a log have in common is a [`crate::report::Cause`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Rationale {
    /// A short name, the same as in `enforcer verify --json` or an event's `reason`.
    pub code: &'static str,
    /// For people.
    pub text: String,
    /// What a user can do about it; none, where there is nothing to do.
    pub hint: Option<String>,
}

impl Rationale {
    fn new(code: &'static str, text: impl Into<String>, hint: Option<&str>) -> Self {
        Self { code, text: text.into(), hint: hint.map(str::to_owned) }
    }
}

/// What code is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Use(pub u32);

impl Use {
    /// The policy's word for it.
    pub const fn word(self) -> &'static str {
        match self.0 {
            USE_EXEC => "exec",
            USE_LIBRARY => "library",
            USE_SCRIPT => "script",
            USE_MODULE => "module",
            _ => "none",
        }
    }

    /// What is used so, for people.
    pub const fn noun(self) -> &'static str {
        match self.0 {
            USE_EXEC => "program",
            USE_LIBRARY => "library",
            USE_SCRIPT => "script",
            USE_MODULE => "kernel module",
            _ => "file",
        }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.word())
    }
}

impl Serialize for Use {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
