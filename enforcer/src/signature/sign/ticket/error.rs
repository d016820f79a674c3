//! Why signing in two steps did not go on.

use std::io;
use std::path::PathBuf;

use crate::measure::MeasureError;

/// Why signing in two steps did not go on. No file was touched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// The folder cannot be made or read.
    #[error("the folder `{}`: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Something is in the folder already.
    #[error("the folder `{}` is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// A path that JSON cannot hold.
    #[error("the name `{}` is not UTF-8 text, which the ticket needs", .0.display())]
    NotText(PathBuf),
    /// `ticket.json` cannot be read.
    #[error("`ticket.json`: {0}")]
    Unreadable(#[source] MeasureError),
    /// `ticket.json` is not what was written.
    #[error("`ticket.json` is not what `--prepare` wrote: {0}")]
    Json(#[source] serde_json::Error),
    /// Made by another version.
    #[error("`ticket.json` has the format {0}, and this program knows format 1")]
    Format(u32),
    /// A name that leads out of the folder.
    #[error("`ticket.json` is not what `--prepare` wrote: `{0}` is no file name")]
    Name(String),
    /// A signature store without its folder.
    #[error("`ticket.json` is not what `--prepare` wrote: a signature for a store, and no store")]
    NoStore,
    /// No value.
    #[error("the value `{}`: {source}", path.display())]
    Value {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        source: MeasureError,
    },
    /// Not a signature of this key over these bytes.
    #[error("the value `{}` is not a signature of the certificate's key over what was prepared", .0.display())]
    WrongValue(PathBuf),
    /// The file is another one now.
    #[error("it has changed since it was prepared")]
    Changed,
}

impl TicketError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "check the name, and who may write there",
            Self::NotEmpty(_) => "name a new folder: two sets of files to be signed would be mixed up",
            Self::NotText(_) => "rename the file, or sign it in one step",
            Self::Unreadable(_) => "name the folder that was given to `--prepare`",
            Self::Json(_) | Self::Format(_) | Self::Name(_) | Self::NoStore => "prepare the files again: `enforcer sign --prepare`",
            Self::Value { .. } => "sign each NAME.tbs into NAME.sig beside it; `enforcer sign --prepare` shows the command",
            Self::WrongValue(_) => {
                "sign NAME.tbs itself, not its digest in text; with the key of the certificate, its algorithm and its padding: \
                 `enforcer sign --prepare` shows the command"
            }
            Self::Changed => "prepare the files again: `enforcer sign --prepare`",
        }
    }

    /// Whether the machine failed (exit status 3), rather than the input being unfit (exit status 2).
    pub(in crate::signature::sign) fn is_io(&self) -> bool {
        match self {
            Self::Folder { .. } => true,
            Self::Unreadable(problem) | Self::Value { source: problem, .. } => problem.is_io(),
            _ => false,
        }
    }
}
