//! What the commands that read the event log have in common: where it is, from when on, and why it cannot be read.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::failure::note;
use super::{Exit, Failure};
use crate::audit::{DEFAULT_PATH, EventReader, Timestamp};
use crate::text::printable;

/// The option of every command that reads the event log.
#[derive(Args, Clone, Debug)]
pub(super) struct LogOption {
    /// The event log.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    log: PathBuf,
}

impl LogOption {
    pub(super) fn open(&self) -> Result<EventReader, Failure> {
        EventReader::open(&self.log).map_err(|error| self.unreadable(&error))
    }

    /// Why it cannot be read.
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

/// A time, or how long ago it was.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    let age = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        Some(Timestamp::now().before(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?)))
    };
    Timestamp::parse(text).or_else(age).ok_or_else(|| "write a time such as 2026-01-31T09:30:00Z, or an age such as 90s, 15m, 2h or 7d".to_owned())
}

/// Says that lines of the log are no entries, if any are.
pub(super) fn tell_skipped(lines: u64) {
    match lines {
        0 => {}
        1 => note("1 line of the log could not be read and was skipped"),
        _ => note(&format!("{lines} lines of the log could not be read and were skipped")),
    }
}

const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
