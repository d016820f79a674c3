//! When something happened: the kernel's boot clock, as a time of day in UTC.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment in UTC, exact to the microsecond; written as RFC 3339 (`2026-01-31T09:30:00.000125Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Since 1970-01-01T00:00:00Z.
    microseconds: u64,
}

impl Timestamp {
    /// This moment.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// The moment so much earlier.
    pub fn before(self, duration: Duration) -> Self {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self { microseconds: self.microseconds.saturating_sub(microseconds) }
    }

    /// The moment so much later.
    pub fn after(self, duration: Duration) -> Self {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self { microseconds: self.microseconds.saturating_add(microseconds).min(LATEST) }
    }

    /// How long after 1970-01-01T00:00:00Z.
    pub const fn since_epoch(self) -> Duration {
        Duration::from_micros(self.microseconds)
    }

    /// Reads RFC 3339, with any offset and any number of digits behind the second.
    pub fn parse(text: &str) -> Option<Self> {
        let nanoseconds = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
        Some(Self { microseconds: u64::try_from(nanoseconds / 1000).ok()? })
    }

    /// As people read it: `2026-01-31 09:30:00Z`.
    pub fn to_the_second(self) -> String {
        let text = self.to_string();
        format!("{} {}Z", &text[..10], &text[11..19])
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { microseconds: u64::try_from(since.as_micros()).unwrap_or(u64::MAX).min(LATEST) }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.microseconds.min(LATEST)) * 1000).map_err(|_| fmt::Error)?;
        let ((year, month, day), (hour, minute, second, microsecond)) = (moment.to_calendar_date(), moment.to_hms_micro());
        write!(out, "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{microsecond:06}Z", u8::from(month))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no RFC 3339 time")))
    }
}

/// How the boot clock (`CLOCK_BOOTTIME`) and the time of day are related at one moment.
#[derive(Clone, Copy, Debug)]
pub struct BootTime {
    now: Timestamp,
    boottime: u64,
}

impl BootTime {
    /// Reads both clocks.
    pub fn now() -> Self {
        let boottime = clock_gettime(ClockId::Boottime);
        let boottime = boottime.tv_sec.cast_unsigned() * 1_000_000_000 + boottime.tv_nsec.cast_unsigned();
        Self::at(Timestamp::now(), boottime)
    }

    /// Both clocks as they stood together.
    pub const fn at(now: Timestamp, boottime: u64) -> Self {
        Self { now, boottime }
    }

    /// What the boot clock shows at that moment, in nanoseconds.
    pub const fn boottime(self) -> u64 {
        self.boottime
    }

    /// The time of day at which the boot clock showed so many nanoseconds. A value from the future counts as now.
    pub fn time_of_day(&self, boottime: u64) -> Timestamp {
        self.now.before(Duration::from_nanos(self.boottime.saturating_sub(boottime)))
    }
}

/// The last microsecond of the year 9999, where RFC 3339 ends.
const LATEST: u64 = 253_402_300_799_999_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_rfc_3339_and_reads_back() {
        for text in ["2026-01-31T09:30:00.000125Z", "1970-01-01T00:00:00.000000Z", "2024-02-29T23:59:59.999999Z"] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Timestamp::parse("2026-01-31T10:30:00+01:00"), Timestamp::parse("2026-01-31T09:30:00Z"));
        assert_eq!(Timestamp::parse("1960-01-01T00:00:00Z"), None);
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn the_boot_clock_is_converted_and_cannot_lead_out_of_range() {
        let clock = BootTime::at(Timestamp::parse("2026-01-31T09:30:10Z").unwrap(), 50_000_000_000);
        assert_eq!(clock.time_of_day(40_000_000_000).to_string(), "2026-01-31T09:30:00.000000Z");
        assert_eq!(clock.time_of_day(u64::MAX), Timestamp::parse("2026-01-31T09:30:10Z").unwrap());
        let early = BootTime::at(Timestamp { microseconds: 5 }, u64::MAX);
        assert_eq!(early.time_of_day(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp { microseconds: u64::MAX }.to_string(), "9999-12-31T23:59:59.999999Z");
    }
}
