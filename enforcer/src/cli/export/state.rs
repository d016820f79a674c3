//! What the collector has accepted, kept across restarts.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::audit::Place;
use crate::cli::{Exit, Failure};
use crate::measure::{MeasureError, read_bounded};
use crate::signature::sign::write_whole;
use crate::text::{chain, printable};

/// A file with a [`Place`].
pub(super) struct State {
    path: PathBuf,
    place: Option<Place>,
}

impl State {
    /// Reads it. One that is not there yet says that nothing was sent.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.to_string_lossy();
        let shown = printable(&shown);
        // Before anything is sent: what cannot be kept would be sent over and over.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|errno| {
            let failure = Failure::new(Exit::System, format!("what was sent could not be kept in `{shown}`: {}", io::Error::from(errno)));
            failure.hint("nothing was sent; the file's folder must be there, and belong to whoever runs this")
        })?;
        let place = match read_bounded(path, LARGEST) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| {
                Failure::new(Exit::Usage, format!("`{shown}` does not say what was sent: {error}"))
                    .hint("remove it, and all that the log holds is sent, once more where it was sent before")
            })?),
            Err(MeasureError::Open { source }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::new(Exit::System, format!("cannot read `{shown}`: {}", chain(&error)))),
        };
        Ok(Self { path: path.to_owned(), place })
    }

    /// Behind what was accepted last.
    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Everything before this place was accepted.
    pub(super) fn keep(&mut self, place: Place) -> Result<(), Failure> {
        let json = serde_json::to_vec(&place).map_err(|error| Failure::because(Exit::System, &error))?;
        write_whole(&self.path, &json).map_err(|error| {
            let failure = Failure::new(Exit::System, format!("what was sent could not be kept: {}", chain(&error)));
            failure.hint("the folder must be there, and belong to whoever runs this; what was sent last is sent once more")
        })?;
        self.place = Some(place);
        Ok(())
    }
}

const LARGEST: u64 = 4096;
