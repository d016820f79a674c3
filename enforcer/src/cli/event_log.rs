//! What the commands that read the event log have in common: where it is, from when on, and why it cannot be read.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::note;
use super::{Exit, Failure};
use crate::audit::{DEFAULT_PATH, EventReader, Next};
use crate::text::printable;

/// The option of every command that reads the event log.
#[derive(Args, Clone, Debug)]
pub(super) struct LogOption {
    /// The event log.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub(super) log: PathBuf,
}

impl LogOption {
    /// Begins with the oldest entry.
    pub(super) fn open(&self) -> Result<EventReader, Failure> {
        EventReader::open(&self.log).map_err(|error| self.unreadable(&error))
    }

    /// The next entry of this log.
    pub(super) fn read(&self, reader: &mut EventReader) -> Result<Next, Failure> {
        reader.read().map_err(|error| self.unreadable(&error))
    }

    /// Why it cannot be read.
    pub(super) fn unreadable(&self, error: &io::Error) -> Failure {
        unreadable(&self.log, error)
    }
}

/// Why an event log cannot be read.
pub(super) fn unreadable(log: &Path, error: &io::Error) -> Failure {
    let log = log.to_string_lossy();
    let log = printable(&log);
    match error.kind() {
        io::ErrorKind::NotFound => Failure::new(Exit::System, format!("there is no event log `{log}`"))
            .hint("the daemon makes it when it starts: is it running (`enforcer status`)?"),
        io::ErrorKind::PermissionDenied => {
            Failure::new(Exit::System, format!("the event log `{log}` may not be read")).hint("only root may read it: use `sudo`")
        }
        _ => Failure::new(Exit::System, format!("cannot read the event log `{log}`: {error}")),
    }
}

/// Says that lines of the log are no entries, if any are.
pub(super) fn tell_skipped(lines: u64) {
    match lines {
        0 => {}
        1 => note("1 line of the log could not be read and was skipped"),
        _ => note(&format!("{lines} lines of the log could not be read and were skipped")),
    }
}
