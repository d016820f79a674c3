//! Text for people: what comes from outside is made safe to print, errors are told with their sources, bytes in hexadecimal.
//!
//! File names and command names are chosen by whoever starts a program: they may hold terminal escape sequences, line breaks or characters
//! that reverse the reading order. Nothing here decides anything, and JSON reports carry the original text (see [`json_safe`]).

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{Display, Write};

/// `text` with every character that could move the cursor, hide, reorder or break a line written as an escape (`\n`, `\u{1b}`).
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|character| is_hazardous(character) || character == '\\') {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\\' => safe.push_str("\\\\"),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            _ if is_hazardous(character) => _ = write!(safe, "{}", character.escape_unicode()),
            _ => safe.push(character),
        }
    }
    Cow::Owned(safe)
}

/// JSON text whose strings hold no hazardous character either: those that JSON itself lets through are written as `\uXXXX`.
///
/// It stays the same JSON value, because outside of strings JSON is plain ASCII.
pub fn json_safe(json: &str) -> Cow<'_, str> {
    let needs_escape = |character: char| is_hazardous(character) && !matches!(character, '\n' | '\t');
    if !json.chars().any(needs_escape) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if needs_escape(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// A path as an argument of a command that people may paste: as a shell takes it literally. `None` for one that acts on a terminal, is too long to be read, or has
/// a backslash in it, which would be shown as two.
pub fn argument(path: &str) -> Option<Cow<'_, str>> {
    let is_fit = path.starts_with('/') && path.len() <= LONGEST_ARGUMENT && !path.contains('\\');
    if is_fit { shell_word(path) } else { None }
}

/// A word as a POSIX shell takes it literally; `None` if it has anything in it that acts on a terminal when it is shown or pasted.
pub fn shell_word(text: &str) -> Option<Cow<'_, str>> {
    (!text.chars().any(is_hazardous)).then(|| shlex::try_quote(text).ok()).flatten()
}

/// So many of something, in words.
pub fn counted(count: impl Display, one: &str, many: &str) -> String {
    let count = count.to_string();
    let word = if count == "1" { one } else { many };
    format!("{count} {word}")
}

/// At most `limit` bytes of `text`, cut between characters.
pub fn clipped(text: &str, limit: usize) -> &str {
    &text[..character_boundary(text, limit)]
}

/// The last boundary between characters at or before `at`.
pub fn character_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// An error and its sources, joined by colons; a source that its error already quotes is not told twice.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let told = source.to_string();
        if !text.ends_with(&told) {
            text = format!("{text}: {told}");
        }
        next = source.source();
    }
    text
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that hexadecimal digits of either case stand for; `None` where they are no pairs of digits.
pub fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |letter: u8| char::from(letter).to_digit(16);
    let pairs = digits.as_bytes().chunks_exact(2);
    pairs.remainder().is_empty().then_some(())?;
    pairs.map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()).collect()
}

/// The SHA-256 of bytes in memory.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    sha256
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and the invisible ones that reorder or hide text (Unicode TR 36 §2.5).
fn is_hazardous(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

const LONGEST_ARGUMENT: usize = 256;

/// What a test has written.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct Written(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

#[cfg(test)]
impl Written {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[cfg(test)]
impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_line_breaks_and_reordering_characters_are_neutralised() {
        assert_eq!(printable("/tmp/\x1b[2Jclean"), "/tmp/\\u{1b}[2Jclean");
        assert_eq!(printable("a\nb\tc\r"), "a\\nb\\tc\\r");
        assert_eq!(printable("exe\u{202e}gpj"), "exe\\u{202e}gpj");
        assert_eq!(printable("\u{9b}31m"), "\\u{9b}31m");
    }

    #[test]
    fn an_escape_written_out_in_a_name_cannot_pass_for_one_of_ours() {
        assert_eq!(printable("a\\nb"), "a\\\\nb");
    }

    #[test]
    fn hexadecimal_reads_back_and_nothing_else_is_read() {
        assert_eq!(unhex(&hex(&[0, 0xab, 0xff])).unwrap(), [0, 0xab, 0xff]);
        assert_eq!(unhex("ABcd").unwrap(), [0xab, 0xcd]);
        for text in ["a", "0g", "é", "+1"] {
            assert_eq!(unhex(text), None, "{text}");
        }
    }

    #[test]
    fn ordinary_names_are_left_alone() {
        for name in ["/usr/bin/bash", "/home/søren/日本語"] {
            assert!(matches!(printable(name), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn json_keeps_its_value_when_it_is_made_safe() {
        let value = serde_json::json!({ "path": "a\u{9b}31m\u{202e}\u{e0041}\u{7f}\n" });
        let safe = json_safe(&value.to_string()).into_owned();
        assert!(safe.is_ascii());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }

    #[test]
    fn a_word_is_what_a_shell_takes_literally_or_none() {
        for text in ["/tmp/a b", "/tmp/it's", "/tmp/$(reboot)", "/tmp/`x`", "/tmp/a;b", "/tmp/a\\b", "/tmp/é", "/tmp/!x", "a*b", ""] {
            let word = shell_word(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(shlex::split(&word).unwrap(), [text], "{word}");
            let shell = std::process::Command::new("sh").args(["-c", &format!("printf %s {word}")]).output().unwrap();
            assert_eq!(String::from_utf8(shell.stdout).unwrap(), text);
        }
        for text in ["/tmp/a\nreboot", "/tmp/\x1b[2J", "/tmp/\u{202e}x", "/tmp/\0"] {
            assert_eq!(shell_word(text), None, "{text:?}");
        }
    }
}
