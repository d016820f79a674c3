//! Files that Enforcer keeps beside the policy, as TOML: what was revoked, which security versions were accepted, how late it is.
//!
//! A file that is not there is empty. One that is there and cannot be read, or is not what it should be, is an error that points at the place;
//! never is anything in it passed over.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::measure::{self, MeasureError};
use crate::policy::{Invalid, Problem, from_toml};
use crate::signature::sign::{SignError, rewrite as rewrite_whole, write_whole};
use crate::text::printable;

/// Why such a file cannot be used, or was not written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is there and cannot be read, or it is too large.
    #[error("`{}`: {source}", printable(&path.to_string_lossy()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: MeasureError,
    },
    /// It is not UTF-8.
    #[error("`{}` is not UTF-8 text (line {line})", printable(&path.to_string_lossy()))]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line of the first byte that is not.
        line: usize,
    },
    /// It was read, and says something that cannot be.
    #[error(transparent)]
    Invalid(#[from] Box<Invalid>),
    /// It cannot be written.
    #[error(transparent)]
    Unwritable(#[from] Box<SignError>),
    /// What was to be written has no form in TOML, or is larger than what would be read again.
    #[error("`{}` cannot be written: {detail}", printable(&path.to_string_lossy()))]
    Form {
        /// The file.
        path: PathBuf,
        /// Why not.
        detail: String,
    },
}

impl RecordError {
    /// Whether the machine failed, rather than what is written in the file.
    pub fn is_system(&self) -> bool {
        match self {
            Self::Unreadable { source, .. } => source.is_io(),
            Self::Unwritable(_) => true,
            _ => false,
        }
    }

    /// The whole report for people: every problem with its line and a caret.
    pub fn report(&self) -> String {
        match self {
            Self::Invalid(invalid) => invalid.report(),
            other => crate::text::chain(other),
        }
    }
}

/// Reads one; `None` when it is not there.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, limit: u64) -> Result<Option<Document<T>>, RecordError> {
    let bytes = match measure::read_bounded(path, limit) {
        Ok(bytes) => bytes,
        Err(MeasureError::Open { source }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(RecordError::Unreadable { path: path.into(), source }),
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        RecordError::NotText { path: path.into(), line: valid.iter().filter(|byte| **byte == b'\n').count() + 1 }
    })?;
    Document::parse(path, text).map(Some)
}

/// Writes one of the daemon's own whole or not at all, with words for whoever opens it.
pub(crate) fn write<T: Serialize>(path: &Path, comment: &str, value: &T, limit: u64) -> Result<(), RecordError> {
    Ok(write_whole(path, text(path, comment, value, limit)?.as_bytes()).map_err(Box::new)?)
}

/// The same with one that is an administrator's: its mode and owner stay, and links to it.
pub(crate) fn rewrite<T: Serialize>(path: &Path, comment: &str, value: &T, limit: u64) -> Result<(), RecordError> {
    Ok(rewrite_whole(path, text(path, comment, value, limit)?.as_bytes()).map_err(Box::new)?)
}

fn text<T: Serialize>(path: &Path, comment: &str, value: &T, limit: u64) -> Result<String, RecordError> {
    let form = |detail: String| RecordError::Form { path: path.into(), detail };
    let text = comment.to_owned() + &toml::to_string(value).map_err(|error| form(error.to_string()))?;
    if text.len() as u64 > limit {
        return Err(form(format!("it would have {} bytes, and at most {limit} are read", text.len())));
    }
    Ok(text)
}

/// What a file says, not checked yet, with its text to point into.
#[derive(Debug)]
pub(crate) struct Document<T> {
    pub(crate) content: T,
    path: PathBuf,
    text: String,
}

impl<T: DeserializeOwned> Document<T> {
    pub(crate) fn parse(path: &Path, text: String) -> Result<Self, RecordError> {
        match toml::from_str(&text) {
            Ok(content) => Ok(Self { content, path: path.into(), text }),
            Err(error) => Err(Box::new(Invalid::new(path, &text, vec![from_toml(&error)])).into()),
        }
    }

    /// SHA-256 of the file.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        crate::text::sha256(self.text.as_bytes())
    }

    /// What comes of the content, or everything that is wrong with it.
    pub(crate) fn settle<S>(self, settle: impl FnOnce(T, &mut Vec<Problem>) -> S) -> Result<S, RecordError> {
        let mut problems = Vec::new();
        let settled = settle(self.content, &mut problems);
        if problems.is_empty() { Ok(settled) } else { Err(Box::new(Invalid::new(&self.path, &self.text, problems)).into()) }
    }
}
