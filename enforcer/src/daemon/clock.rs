//! The time that decisions rest on. Setting the machine's clock does not change it.
//!
//! It begins with the machine's clock, or with the latest time that a former daemon knew, whichever is later, and goes on with the time since boot. So
//! what has expired stays expired when the clock is set back, and what runs goes on when it is set forward. Never sets any clock.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::UnixTime;
use serde::{Deserialize, Serialize};

use crate::audit::Timestamp;
use crate::kernel::boottime;
use crate::policy::Problem;
use crate::trust::RecordError;
use crate::trust::record;

/// The trusted time. Shared among threads.
pub struct Clock {
    /// What is added to the time since boot, in nanoseconds.
    offset: AtomicU64,
    /// Where the machine's clock is still followed to, once it is ahead.
    follows: Mutex<Option<Follows>>,
    file: PathBuf,
}

/// The machine's clock was wrong at start, and is believed when it has been set right.
#[derive(Clone, Copy, Debug)]
struct Follows {
    /// Never beyond this: nanoseconds since 1970.
    limit: u64,
}

/// What the start of a clock found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The machine's clock is taken.
    Believable,
    /// It is behind what a former daemon knew.
    Behind {
        /// What the machine's clock says.
        wall: Timestamp,
        /// What is taken instead.
        taken: Timestamp,
    },
    /// It is too far ahead of what a former daemon knew.
    FarAhead {
        /// What the machine's clock says.
        wall: Timestamp,
        /// What is taken instead.
        taken: Timestamp,
    },
}

impl Clock {
    /// Starts with the machine's clock and what is kept in the file.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub fn start(file: &Path) -> Result<(Self, Found), RecordError> {
        Ok(Self::begin(file, kept(file)?, wall(), boottime()))
    }

    /// Starts where nothing that was kept can be read: as if nothing had been.
    pub fn start_anew(file: &Path) -> Self {
        Self::begin(file, None, wall(), boottime()).0
    }

    fn begin(file: &Path, kept: Option<u64>, wall: u64, boottime: u64) -> (Self, Found) {
        let limit = kept.map(|kept| kept.saturating_add(nanoseconds(FARTHEST)));
        let (taken, found, follows) = match (kept, limit) {
            (Some(kept), Some(limit)) if wall > limit => {
                (kept, Found::FarAhead { wall: timestamp(wall), taken: timestamp(kept) }, Some(Follows { limit }))
            }
            (Some(kept), Some(limit)) if wall.saturating_add(nanoseconds(SLIGHTLY)) < kept => {
                (kept, Found::Behind { wall: timestamp(wall), taken: timestamp(kept) }, Some(Follows { limit }))
            }
            (Some(kept), _) => (kept.max(wall), Found::Believable, None),
            (None, _) => (wall, Found::Believable, None),
        };
        let offset = AtomicU64::new(taken.saturating_sub(boottime));
        (Self { offset, follows: Mutex::new(follows), file: file.to_owned() }, found)
    }

    /// The trusted time.
    pub fn now(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_nanos(self.at(boottime())))
    }

    /// What is added to the time since boot to make the trusted time, in nanoseconds.
    pub fn offset(&self) -> u64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// A trusted time as nanoseconds since boot; `None` when it has passed.
    pub fn boottime_of(&self, time: UnixTime) -> Option<u64> {
        let end = u64::try_from(Duration::from_secs(time.as_secs()).as_nanos()).unwrap_or(u64::MAX);
        let at = end.checked_sub(self.offset())?;
        (at > boottime()).then_some(at)
    }

    /// Takes the machine's clock over, once, if it was wrong at start and is believable now; whether it did. What was decided before rests on the
    /// earlier time.
    pub fn follow(&self) -> bool {
        self.follow_to(wall(), boottime())
    }

    fn follow_to(&self, wall: u64, boottime: u64) -> bool {
        let mut follows = self.follows.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Follows { limit }) = *follows else { return false };
        if wall <= self.at(boottime) || wall > limit {
            return false;
        }
        self.offset.store(wall.saturating_sub(boottime), Ordering::Relaxed);
        *follows = None;
        true
    }

    /// Keeps the time for the next start.
    ///
    /// # Errors
    /// What was kept before is as it was.
    pub fn keep(&self) -> Result<(), RecordError> {
        let trusted_time = timestamp(self.at(boottime())).to_string();
        record::write(&self.file, COMMENT, &Kept { trusted_time: toml::Spanned::new(0..0, trusted_time) }, MAX_SIZE)
    }

    fn at(&self, boottime: u64) -> u64 {
        self.offset().saturating_add(boottime)
    }
}

/// The trusted time of a daemon whose clock has this offset, and how far the machine's clock is from it, in seconds.
pub fn compare(offset: u64) -> (Timestamp, i64) {
    let trusted = offset.saturating_add(boottime());
    let difference = i128::from(wall()) - i128::from(trusted);
    (timestamp(trusted), i64::try_from(difference / 1_000_000_000).unwrap_or(i64::MAX))
}

/// What a former daemon knew, in nanoseconds since 1970.
fn kept(file: &Path) -> Result<Option<u64>, RecordError> {
    let Some(document) = record::read::<Kept>(file, MAX_SIZE)? else { return Ok(None) };
    document.settle(|kept, problems| {
        let time = Timestamp::parse(kept.trusted_time.get_ref()).and_then(|time| u64::try_from(time.since_epoch().as_nanos()).ok());
        if time.is_none() {
            problems.push(Problem::new(kept.trusted_time.span(), "this is no time").remedy("write it like \"2026-01-31T09:30:00Z\""));
        }
        time
    })
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Kept {
    trusted_time: toml::Spanned<String>,
}

fn wall() -> u64 {
    nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn timestamp(since_epoch: u64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_nanos(since_epoch))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How far ahead of what was known a clock is believed at start: a machine that was switched off for longer needs a word from its administrator.
const FARTHEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// How far behind a clock may be without being followed: real-time clocks drift.
const SLIGHTLY: Duration = Duration::from_secs(60 * 60);
const COMMENT: &str = "# The latest time that the daemon knew. It does not believe a clock that is behind it, or more than 400 days ahead.\n\n";
const MAX_SIZE: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;
    const TODAY: u64 = 20_000 * DAY;

    fn begin(kept: Option<u64>, wall: u64) -> (Clock, Found) {
        Clock::begin(Path::new("/nowhere"), kept, wall, 5 * DAY)
    }

    #[test]
    fn the_later_of_clock_and_file_is_taken() {
        for (kept, wall, taken) in [(None, TODAY, TODAY), (Some(TODAY), TODAY + DAY, TODAY + DAY), (Some(TODAY), TODAY - 1, TODAY)] {
            let (clock, found) = begin(kept, wall);
            assert_eq!((clock.at(5 * DAY), found), (taken, Found::Believable));
            assert_eq!(clock.at(6 * DAY), taken + DAY);
            assert!(!clock.follow_to(TODAY + 30 * DAY, 6 * DAY), "a clock that is set forward is not followed");
        }
    }

    #[test]
    fn a_clock_that_is_behind_is_followed_once_when_it_is_ahead() {
        let (clock, found) = begin(Some(TODAY), TODAY - 100 * DAY);
        assert!(matches!(found, Found::Behind { .. }));
        assert_eq!(clock.at(5 * DAY), TODAY);
        assert!(!clock.follow_to(TODAY - DAY, 5 * DAY));
        assert!(!clock.follow_to(TODAY + 401 * DAY, 5 * DAY), "beyond the limit");
        assert!(clock.follow_to(TODAY + 20 * DAY, 5 * DAY));
        assert_eq!(clock.at(5 * DAY), TODAY + 20 * DAY);
        assert!(!clock.follow_to(TODAY + 30 * DAY, 5 * DAY), "once");
    }

    #[test]
    fn a_clock_far_ahead_is_not_believed_until_it_is_set_right() {
        let (clock, found) = begin(Some(TODAY), TODAY + 401 * DAY);
        assert!(matches!(found, Found::FarAhead { .. }));
        assert_eq!(clock.at(5 * DAY), TODAY);
        assert!(clock.follow_to(TODAY + DAY, 5 * DAY));
    }

    #[test]
    fn what_is_kept_is_read_again_and_a_damaged_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock.toml");
        let (clock, found) = Clock::start(&file).unwrap();
        assert_eq!(found, Found::Believable);
        clock.keep().unwrap();
        let known = kept(&file).unwrap().unwrap();
        assert!(known.abs_diff(wall()) < DAY / 24);
        assert!(Clock::start(&file).is_ok());
        for text in ["", "trusted-time = \"yesterday\"", "trusted-time = 7", "trusted-time = \"2026-01-31T09:30:00Z\"\nmore = 1"] {
            std::fs::write(&file, text).unwrap();
            assert!(Clock::start(&file).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_that_has_passed_has_no_end_and_a_later_one_lies_ahead() {
        let clock = Clock::start_anew(Path::new("/nowhere"));
        let in_a_minute = UnixTime::since_unix_epoch(Duration::from_secs(clock.now().as_secs() + 60));
        let end = clock.boottime_of(in_a_minute).unwrap();
        assert!((58_000_000_000..=60_000_000_000).contains(&(end - boottime())));
        assert!(clock.boottime_of(UnixTime::since_unix_epoch(Duration::from_secs(clock.now().as_secs() - 2))).is_none());
    }
}
