//! The event log, as every command that reads it opens it.

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure};
use crate::audit::{DEFAULT_PATH, EventReader, Next};
use crate::text::printable;

/// The option of every command that reads events.
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

    /// Why it cannot be read, and what to do.
    pub(super) fn unreadable(&self, error: &io::Error) -> Failure {
        let log = self.log.to_string_lossy();
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
}
