//! Sizes as people write them: `"1 GiB"`, `"512MiB"`, `4096`.

/// Units and their bytes. Only powers of 1024, whose names are not ambiguous.
pub(super) const UNITS: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Bytes in a text like `1 GiB`, or `None` when it is no whole number with one of [`UNITS`] (or none, for bytes), or does not fit.
pub(super) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim_start() {
        "" => 1,
        name => UNITS.iter().find(|(unit, _)| unit.eq_ignore_ascii_case(name))?.1,
    };
    number.checked_mul(unit)
}

/// `bytes` in the largest unit that divides them.
pub(crate) fn display(bytes: u64) -> String {
    let (name, unit) = UNITS.iter().rev().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit)).unwrap_or(&UNITS[0]);
    format!("{} {name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        for (text, bytes) in [("4096", 4096), ("1 GiB", 1 << 30), ("512mib", 512 << 20), (" 7  KiB ", 7 << 10), ("9 B", 9)] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn fractions_signs_unknown_units_and_overflow_are_refused() {
        for text in ["", "GiB", "1.5 GiB", "-1", "+1", "1 GB", "1 G", "99999999999 TiB", "18446744073709551616"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_displayed_reads_back() {
        for bytes in [1, 1023, 1024, 1536, 1 << 30, (1 << 30) + 1, 3 << 40] {
            assert_eq!(parse(&display(bytes)), Some(bytes));
        }
    }
}
