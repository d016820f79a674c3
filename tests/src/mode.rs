//! What is in force while a test runs.

use enforcer_common as common;

/// What is in force.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: no enforcer, or one that was taken off.
    Off,
    /// Everything is reported, nothing is denied.
    Audit,
    /// What is not trusted is denied.
    Enforce,
}

impl Mode {
    /// The name, as it begins the names of tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Audit => common::Mode::Audit.name(),
            Self::Enforce => common::Mode::Enforce.name(),
        }
    }
}
