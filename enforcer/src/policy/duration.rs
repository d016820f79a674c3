//! Spans of time in words: `90s`, `15m`, `2h`, `7d`.

use std::time::Duration;

/// Reads a whole number with a unit. `None` for anything else.
pub fn parse(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?)))?
}

/// The same span in the largest unit that says it exactly; what is below a second is left out.
pub fn display(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (unit, length) = UNITS.iter().rev().find(|(_, length)| seconds != 0 && seconds.is_multiple_of(*length)).unwrap_or(&UNITS[0]);
    format!("{}{unit}", seconds / length)
}

const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_read() {
        for (text, seconds) in [("0s", 0), ("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604_800), ("25h", 90_000)] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
            assert_eq!(display(Duration::from_secs(seconds)), text);
        }
        for text in ["", "s", "5", "5 m", "-5m", "+5m", "5.5m", "5M", "5w", "99999999999999999999s", "99999999999999999d", "5ä"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
