//! Why a command could not do its work: a message, the way to mend it, and an exit status.

use std::error::Error;

use super::Exit;
use super::output::OutputError;
use crate::policy::PolicyError;
use crate::text::chain;
use crate::trust::TrustError;

/// A command that ended without its result.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    /// `None` ends in silence.
    message: Option<String>,
    hint: Option<String>,
}

impl Failure {
    /// A failure for a reason that only this place knows.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: Some(message.into()), hint: None }
    }

    /// A failure because of `error`, told with all that lies behind it.
    pub fn because(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        Self::new(exit, chain(error))
    }

    /// With a way to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Writes it to stderr.
    pub(super) fn tell(self) -> Exit {
        self.lines().iter().for_each(|line| to_stderr(line));
        self.exit
    }

    /// What a user is told.
    fn lines(&self) -> Vec<String> {
        let message = self.message.iter().map(|message| format!("error: {message}"));
        message.chain(self.hint.iter().map(|hint| format!("hint: {hint}"))).collect()
    }

    /// What a user is told, and the exit status, as transcripts have it.
    #[cfg(test)]
    pub(super) fn transcript(&self) -> String {
        format!("{}\n? {}\n", self.lines().join("\n"), self.exit as u8)
    }
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        let failure = match &error {
            PolicyError::Invalid(_) => Self::new(Exit::Usage, error.report()),
            _ => Self::because(if error.is_system() { Exit::System } else { Exit::Usage }, &error),
        };
        Self { hint: error.hint().map(str::to_owned), ..failure }
    }
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        Self::because(Exit::Usage, &error).hint(error.hint())
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        match error {
            // `enforcer events | head`: the reader has seen enough.
            OutputError::Closed => Self { exit: Exit::Yes, message: None, hint: None },
            OutputError::Unwritable(_) | OutputError::Json(_) => Self::because(Exit::System, &error),
        }
    }
}

/// Something to know beside a report.
pub(super) fn note(text: &str) {
    to_stderr(&format!("note: {text}"));
}

/// `eprintln!` panics when stderr is closed; there is nobody left to tell.
fn to_stderr(text: &str) {
    use std::io::Write;
    _ = writeln!(std::io::stderr(), "{text}");
}
