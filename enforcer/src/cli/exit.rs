//! Exit statuses: an interface. Scripts and CI compare them, so a number never changes its meaning.

use std::fmt::Write;

/// How a command ended.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Exit {
    /// Done; or the answer is yes: would run, healthy, valid.
    Yes = 0,
    /// The command worked, and the answer is no.
    No = 1,
    /// Wrong arguments, a wrong policy, or input that is not what it should be.
    Usage = 2,
    /// The system failed: a file that cannot be read or written, a full disk, a missing permission.
    System = 3,
    /// Enforcement was asked for and cannot be had, so nothing was started; or it would be lost, and nobody who may do so asked for it.
    Refused = 4,
}

impl Exit {
    /// Every status, in the order of its number.
    pub const ALL: [Self; 5] = [Self::Yes, Self::No, Self::Usage, Self::System, Self::Refused];

    /// Its line in `--help`.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Yes => "done, or the answer is yes (would run, healthy, valid)",
            Self::No => "the answer is no (would not run, cannot or does not enforce)",
            Self::Usage => "wrong arguments, wrong policy or unusable input",
            Self::System => "the system failed: unreadable file, full disk, missing permission",
            Self::Refused => "refused: a start-up check failed, or the policy in force forbids it",
        }
    }
}

/// The table of statuses for `--help` and the manual page.
pub(super) fn help() -> String {
    Exit::ALL.iter().fold("Exit status:\n".to_owned(), |mut text, exit| {
        _ = writeln!(text, "  {}  {}", *exit as u8, exit.meaning());
        text
    })
}
