//! A moment in the past, as people write it: `--since` of several commands.

use std::time::Duration;

use crate::audit::Timestamp;

/// Reads a time (RFC 3339) or an age.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    let age = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        Some(Timestamp::now().before(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?)))
    };
    Timestamp::parse(text).or_else(age).ok_or_else(|| "write a time such as 2026-01-31T09:30:00Z, or an age such as 90s, 15m, 2h or 7d".to_owned())
}

const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
