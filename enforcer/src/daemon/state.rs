//! What a daemon finds that others left for it: the highest accepted security versions, and the time.
//!
//! In enforce mode, what cannot be read keeps it from starting; in audit mode that is told loudly.

use std::path::Path;

use enforcer_common::Mode;
use rustls_pki_types::UnixTime;

use super::clock::{Clock, Found};
use super::floors::Floors;
use super::run::{DaemonError, STATE_FOLDER};
use crate::trust::{RecordError, SecurityVersions};

/// The trusted clock, with a word about a machine's clock that is not believed.
pub(super) fn start_clock(mode: Mode) -> Result<Clock, DaemonError> {
    let file = Path::new(STATE_FOLDER).join(CLOCK_FILE);
    match Clock::start(&file) {
        Ok((clock, found)) => {
            match found {
                Found::Believable => {}
                Found::Behind { wall, taken } => tracing::error!(
                    "the machine's clock ({}) is behind the latest time that was known here: {} is taken until it has been set right",
                    wall.to_the_second(),
                    taken.to_the_second()
                ),
                Found::FarAhead { wall, taken } => tracing::error!(
                    "the machine's clock ({}) is more than 400 days ahead of the latest time that was known here, and is not believed: {} is taken. If \
                    the clock is right (the machine was switched off so long): `enforcer stop --release && rm {} && systemctl start enforcer`",
                    wall.to_the_second(),
                    taken.to_the_second(),
                    file.display()
                ),
            }
            Ok(clock)
        }
        Err(error) if mode == Mode::Enforce => Err(DaemonError::State(error)),
        Err(error) => {
            tracing::error!("in enforce mode the daemon would not start: {error}");
            Ok(Clock::start_anew(&file))
        }
    }
}

/// The time and the floors that decisions of this moment rest on, for whoever decides without a daemon.
///
/// # Errors
/// What is kept cannot be read.
pub fn trusted_facts() -> Result<(UnixTime, SecurityVersions), RecordError> {
    let (clock, _) = Clock::start(&Path::new(STATE_FOLDER).join(CLOCK_FILE))?;
    Ok((clock.now(), SecurityVersions::load(&Path::new(STATE_FOLDER).join(VERSIONS_FILE))?))
}

/// The floors that former daemons left.
pub(super) fn load_floors(mode: Mode) -> Result<Floors, DaemonError> {
    match Floors::load(&Path::new(STATE_FOLDER).join(VERSIONS_FILE)) {
        Ok(floors) => Ok(floors),
        Err(error) if mode == Mode::Enforce => Err(DaemonError::State(error)),
        Err(error) => {
            tracing::error!("in enforce mode the daemon would not start, and until then no security version is kept: {error}");
            Ok(Floors::unknown())
        }
    }
}

pub(super) fn untold_time(error: &RecordError) -> String {
    format!("the time could not be kept; a clock that is set back would be believed at the next start: {error}")
}

/// In the state folder: the highest security versions that were accepted.
pub(super) const VERSIONS_FILE: &str = "security-versions.toml";
/// In the state folder: the latest time that a daemon knew.
const CLOCK_FILE: &str = "clock.toml";
