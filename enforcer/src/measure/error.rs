//! Why a file could not be measured.

use std::io;

/// Why a file could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// `open` failed.
    #[error("cannot open it: {source}")]
    Open {
        /// What the kernel said.
        source: io::Error,
    },
    /// Not a regular file.
    #[error("it is {kind}; only regular files are measured")]
    NotRegular {
        /// What it is, with its article.
        kind: &'static str,
    },
    /// Larger than the bound.
    #[error("it has {size} bytes, more than the {limit} that are measured")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The bound in bytes.
        limit: u64,
    },
    /// Reading failed.
    #[error("cannot read it: {source}")]
    Read {
        /// What the kernel said.
        source: io::Error,
    },
    /// The file changed between the first and the last byte.
    #[error("it changed while it was read")]
    Changed,
}

impl MeasureError {
    /// What a user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Open { source } | Self::Read { source } => match source.kind() {
                io::ErrorKind::PermissionDenied => Some("run it as root, or as a user who may read the file"),
                io::ErrorKind::NotFound => Some("check the name"),
                _ => None,
            },
            Self::NotRegular { .. } => Some("name a regular file"),
            Self::TooLarge { .. } => Some("raise `max-file-size` in the policy's `limits`, or keep the data out of the program file"),
            Self::Changed => Some("wait until whoever writes it has finished, and try again"),
        }
    }

    /// Whether it may go away by itself, so that a denial for this reason should not last.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Read { .. } | Self::Changed)
    }

    /// Whether the machine failed (exit status 3), rather than the file being unfit (exit status 2).
    pub fn is_io(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Read { .. } | Self::Changed)
    }
}
