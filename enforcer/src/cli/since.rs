//! A moment in the past, as people write it: `--since` of several commands.

use crate::audit::Timestamp;
use crate::policy::parse_duration;

/// Reads a time (RFC 3339) or an age.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    let age = || parse_duration(text).map(|age| Timestamp::now().before(age));
    Timestamp::parse(text).or_else(age).ok_or_else(|| "write a time such as 2026-01-31T09:30:00Z, or an age such as 90s, 15m, 2h or 7d".to_owned())
}
