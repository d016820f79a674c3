//! Manifests: lists of digests, one a line, as `sha256sum --tag` writes them.
//!
//! Parsing only: a manifest counts when its signature is verified (`verify`). Paths are for people; trust belongs to the digests.

use std::borrow::Cow;

use enforcer_common::{DIGEST_SIZE, Digest};

/// One line of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What is signed.
    pub digest: Digest,
    /// Which file it was when the manifest was made.
    pub path: Cow<'a, [u8]>,
}

/// A line that is none of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: LineProblem,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// Another tool's list.
    #[error("it does not begin with `SHA256 (` or `FSVERITY-SHA256 (`")]
    Tag,
    /// No digest at the end.
    #[error("it does not end with `) = ` and 64 hexadecimal digits")]
    Digest,
    /// A backslash that begins no escape.
    #[error("its path has an unknown escape; `\\\\`, `\\n` and `\\r` are known")]
    Escape,
    /// No path.
    #[error("its path is empty")]
    Path,
    /// Too long.
    #[error("it is longer than {MAX_LINE} bytes")]
    TooLong,
    /// Too many lines.
    #[error("the manifest has more than {MAX_ENTRIES} entries")]
    TooMany,
}

/// The entries of a manifest, in order; the first bad line ends them.
pub fn entries(text: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, LineError>> {
    let mut failed = false;
    let mut count = 0;
    let lines = text.split(|byte| *byte == b'\n').zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with(b"#"));
    lines.map_while(move |(line, number)| {
        count += 1;
        let problem = if count > MAX_ENTRIES { Err(LineProblem::TooMany) } else { entry(line) };
        (!std::mem::replace(&mut failed, problem.is_err())).then(|| problem.map_err(|problem| LineError { line: number, problem }))
    })
}

/// Writes one entry as `sha256sum --tag` does, with its newline.
pub fn write_entry(entry: &Entry<'_>, output: &mut Vec<u8>) {
    let escaped = entry.path.iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r'));
    if escaped {
        output.push(b'\\');
    }
    let tag = if entry.digest.algorithm == enforcer_common::ALGORITHM_FSVERITY_SHA256 { FSVERITY } else { SHA256 };
    output.extend_from_slice(tag);
    for byte in entry.path.iter() {
        match byte {
            b'\\' => output.extend_from_slice(b"\\\\"),
            b'\n' => output.extend_from_slice(b"\\n"),
            b'\r' => output.extend_from_slice(b"\\r"),
            byte => output.push(*byte),
        }
    }
    output.extend_from_slice(SEPARATOR);
    for byte in entry.digest.bytes {
        output.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    output.push(b'\n');
}

fn entry(line: &[u8]) -> Result<Entry<'_>, LineProblem> {
    if line.len() > MAX_LINE {
        return Err(LineProblem::TooLong);
    }
    let (escaped, line) = match line.strip_prefix(b"\\") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (kind, rest): (fn([u8; DIGEST_SIZE]) -> Digest, _) = match (line.strip_prefix(SHA256), line.strip_prefix(FSVERITY)) {
        (Some(rest), _) => (Digest::sha256, rest),
        (_, Some(rest)) => (Digest::fsverity_sha256, rest),
        _ => return Err(LineProblem::Tag),
    };
    // The digest's length is fixed, so a path may contain anything, `) = ` too.
    let (rest, digits) = rest.split_last_chunk::<{ DIGEST_SIZE * 2 }>().ok_or(LineProblem::Digest)?;
    let path = rest.strip_suffix(SEPARATOR).ok_or(LineProblem::Digest)?;
    if path.is_empty() {
        return Err(LineProblem::Path);
    }
    let path = if escaped { Cow::Owned(unescape(path)?) } else { Cow::Borrowed(path) };
    Ok(Entry { digest: kind(bytes_of(digits).ok_or(LineProblem::Digest)?), path })
}

fn unescape(path: &[u8]) -> Result<Vec<u8>, LineProblem> {
    let mut plain = Vec::with_capacity(path.len());
    let mut bytes = path.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'\\') => b'\\',
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                _ => return Err(LineProblem::Escape),
            },
            byte => *byte,
        });
    }
    Ok(plain)
}

fn bytes_of(digits: &[u8; DIGEST_SIZE * 2]) -> Option<[u8; DIGEST_SIZE]> {
    let mut bytes = [0; DIGEST_SIZE];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(bytes)
}

/// Largest manifest in bytes.
pub const MAX_MANIFEST_SIZE: u64 = 256 << 20;
const MAX_ENTRIES: usize = 1_000_000;
const MAX_LINE: usize = 16 * 1024;
const SHA256: &[u8] = b"SHA256 (";
const FSVERITY: &[u8] = b"FSVERITY-SHA256 (";
const SEPARATOR: &[u8] = b") = ";
const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests;
