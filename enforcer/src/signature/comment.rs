//! A signature in comment lines at the end of a script.
//!
//! `content | MARKS base64 | … | MARKS -----END CMS-----`, where the content ends with the line `MARKS -----BEGIN CMS-----`. That line is signed,
//! because it says what makes a comment: whoever could choose other marks would make code of the lines behind it. These hold base64 and nothing
//! else, whatever a stranger puts into the unsigned parts of the signature.
//!
//! Reads the end of the file only, and remembers what it read, so that the pass over the content can prove that it is still there.

use std::fmt;
use std::io;
use std::str::FromStr;

use pem_rfc7468::LineEnding;

use super::cms::MAX_SIGNATURE_SIZE;
use super::elf::{self, ElfError};
use super::source::Source;
use crate::measure::Witness;

/// A signature in comment lines.
pub(super) struct Block {
    /// Where its first line begins, and the script ends.
    pub(super) start: u64,
    /// How many bytes of the file were signed: up to the end of that line.
    pub(super) content: u64,
    /// What makes its lines comments.
    pub(super) marks: Marks,
    /// The CMS.
    pub(super) signature: Vec<u8>,
    /// Everything that was read to find it.
    pub(super) witnesses: Vec<Witness>,
}

/// What makes a line a comment: `#`, `//`, `--`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks(String);

/// Why what a file ends in is no signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommentError {
    /// The file cannot be read.
    #[error("cannot read the end of the file: {0}")]
    Read(#[source] io::Error),
    /// The first bytes cannot be read.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// Marks that are none.
    #[error("comment marks are 1 to {MAX_MARKS} printable ASCII characters without a blank, and one blank follows them")]
    Marks,
    /// An end without a beginning.
    #[error("the signature in its comments does not begin in the last {WINDOW} bytes")]
    NoBegin,
    /// A beginning without an end.
    #[error("the signature in its comments has no end")]
    NoEnd,
    /// A second block, or parts of one.
    #[error("{count} lines near its end begin or end a signature in comments, and there may be one signature, at the very end")]
    Several {
        /// How many.
        count: usize,
    },
    /// Something follows.
    #[error("{count} bytes follow the signature in its comments")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// The last line has no end.
    #[error("the last line of the signature in its comments does not end in a line feed")]
    Unterminated,
    /// Lines that end as Windows has it.
    #[error("the lines of the signature in its comments end in a carriage return")]
    CarriageReturn,
    /// A line that may not be a comment.
    #[error("line {line} of the signature in its comments does not begin with the marks of its first line, `{marks}`")]
    OtherMarks {
        /// Which, counted from 1.
        line: usize,
        /// Those of the first line.
        marks: Marks,
    },
    /// No base64.
    #[error("the signature in its comments is not base64 in lines of 64 characters: {problem}")]
    Base64 {
        /// What the reader said.
        problem: pem_rfc7468::Error,
    },
    /// Another way to write the same.
    #[error("the signature in its comments is base64 in lines of 64 characters, and something besides")]
    Form,
    /// Too long.
    #[error("the signature in its comments has more than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
}

impl CommentError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read(_) => "check the disk",
            Self::Elf(problem) => problem.hint(),
            Self::Marks => "name those of the script's language: `enforcer sign --comment='#'`, `--comment='//'`, `--comment='--'`",
            Self::Several { .. } | Self::TrailingBytes { .. } | Self::NoBegin => {
                "take the old signature's lines out and sign again: `enforcer sign --comment`; or leave the file as it is: `enforcer sign --detach`"
            }
            _ => "take the signature's lines out and sign again: `enforcer sign --comment`",
        }
    }

    /// Whether the machine failed, rather than the file being unfit.
    pub(super) fn is_io(&self) -> bool {
        match self {
            Self::Read(_) => true,
            Self::Elf(problem) => problem.is_io(),
            _ => false,
        }
    }
}

impl Marks {
    /// What nobody objects to in scripts of any common language but a few.
    pub(super) fn usual() -> Self {
        Self("#".to_owned())
    }

    /// The line that begins a block.
    pub(super) fn first_line(&self) -> String {
        format!("{self} {BEGIN}\n")
    }

    /// The lines behind it, for this signature.
    pub(super) fn other_lines(&self, signature: &[u8]) -> Result<String, CommentError> {
        let armour = armour(signature)?;
        Ok(armour.lines().skip(1).map(|line| format!("{self} {line}\n")).collect())
    }

    /// Those before a boundary.
    fn of(prefix: &[u8]) -> Result<Self, CommentError> {
        let marks = prefix.strip_suffix(b" ").and_then(|marks| std::str::from_utf8(marks).ok());
        marks.ok_or(CommentError::Marks)?.parse()
    }
}

impl FromStr for Marks {
    type Err = CommentError;

    fn from_str(text: &str) -> Result<Self, CommentError> {
        let is_fit = (1..=MAX_MARKS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_fit { Ok(Self(text.to_owned())) } else { Err(CommentError::Marks) }
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Finds the signature; `None` for an ELF file, and for a file near whose end no line begins or ends one.
pub(super) fn locate<'a>(file: impl Into<Source<'a>>) -> Result<Option<Block>, CommentError> {
    let file = file.into();
    if elf::begins_like_elf(file)? {
        return Ok(None);
    }
    let size = file.size().map_err(CommentError::Read)?;
    let start = size.saturating_sub(WINDOW);
    // At most the window's size.
    let mut tail = vec![0; (size - start) as usize];
    match file.read_exact_at(&mut tail, start) {
        Ok(()) => {}
        // It has changed, and is not what it was.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(CommentError::Read(error)),
    }
    // What the window cuts off is no line.
    let skipped = if start == 0 { 0 } else { tail.iter().position(|byte| *byte == b'\n').map_or(tail.len(), |end| end + 1) };
    let Some(Place { start: from, first_line }) = block_in(&tail[skipped..])? else { return Ok(None) };
    let from = skipped + from;
    let (marks, signature) = read(&tail[from..], first_line)?;
    let mut witnesses = vec![Witness { offset: start, bytes: tail }];
    if start > 0 {
        // What tells that it is no ELF file.
        let mut magic = [0; 4];
        file.read_exact_at(&mut magic, 0).map_err(CommentError::Read)?;
        witnesses.push(Witness { offset: 0, bytes: magic.to_vec() });
    }
    let start = start + from as u64;
    Ok(Some(Block { start, content: start + first_line as u64, marks, signature, witnesses }))
}

/// Where a block lies in a text.
struct Place {
    start: usize,
    /// The length of its first line.
    first_line: usize,
}

/// The place of the only block in a text, which goes to the text's end.
fn block_in(text: &[u8]) -> Result<Option<Place>, CommentError> {
    let mut boundaries = Vec::new();
    let mut end = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let start = end;
        end += line.len();
        boundaries.extend(boundary(line).map(|which| (which, start, end)));
    }
    match boundaries[..] {
        [] => Ok(None),
        [(Boundary::Begin, start, line_end), (Boundary::End, _, end)] if end == text.len() => Ok(Some(Place { start, first_line: line_end - start })),
        [(Boundary::Begin, ..), (Boundary::End, _, end)] => Err(CommentError::TrailingBytes { count: text.len() - end }),
        [(Boundary::End, ..)] => Err(CommentError::NoBegin),
        [(Boundary::Begin, ..)] => Err(CommentError::NoEnd),
        _ => Err(CommentError::Several { count: boundaries.len() }),
    }
}

#[derive(Clone, Copy)]
enum Boundary {
    Begin,
    End,
}

/// Whether a line looks like the first or the last of a block, well-formed or not. Without anything before it, it belongs to a file of PEM.
fn boundary(line: &[u8]) -> Option<Boundary> {
    let line = line.trim_ascii_end();
    let ends_in = |boundary: &str| line.len() > boundary.len() && line.ends_with(boundary.as_bytes());
    if ends_in(BEGIN) { Some(Boundary::Begin) } else { ends_in(END).then_some(Boundary::End) }
}

/// The marks of a block, and the signature in it.
fn read(block: &[u8], first_line: usize) -> Result<(Marks, Vec<u8>), CommentError> {
    if !block.ends_with(b"\n") {
        return Err(CommentError::Unterminated);
    }
    if block.contains(&b'\r') {
        return Err(CommentError::CarriageReturn);
    }
    let prefix = block[..first_line].strip_suffix(b"\n").and_then(|line| line.strip_suffix(BEGIN.as_bytes())).ok_or(CommentError::Form)?;
    let marks = Marks::of(prefix)?;
    let mut bare = Vec::with_capacity(block.len());
    for (line, number) in block.split_inclusive(|byte| *byte == b'\n').zip(1..) {
        let rest = line.strip_prefix(prefix).ok_or_else(|| CommentError::OtherMarks { line: number, marks: marks.clone() })?;
        bare.extend_from_slice(rest);
    }
    let (_, signature) = pem_rfc7468::decode_vec(&bare).map_err(|problem| CommentError::Base64 { problem })?;
    if signature.len() > MAX_SIGNATURE_SIZE {
        return Err(CommentError::TooLarge { limit: MAX_SIGNATURE_SIZE });
    }
    // Readers of PEM take more than one way to write it, and each other way would be room for something else.
    if armour(&signature)?.as_bytes() != bare {
        return Err(CommentError::Form);
    }
    Ok((marks, signature))
}

/// RFC 7468 §3, strict: lines of 64 characters.
fn armour(signature: &[u8]) -> Result<String, CommentError> {
    pem_rfc7468::encode_string("CMS", LineEnding::LF, signature).map_err(|problem| CommentError::Base64 { problem })
}

const BEGIN: &str = "-----BEGIN CMS-----";
const END: &str = "-----END CMS-----";
const MAX_MARKS: usize = 8;
/// The largest block has 101,100 bytes.
const WINDOW: u64 = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn locate_in(text: &str) -> Result<Option<Block>, CommentError> {
        let witnesses = [Witness { offset: 0, bytes: text.as_bytes().to_vec() }];
        locate(Source::Seen { witnesses: &witnesses, size: text.len() as u64 })
    }

    #[test]
    fn a_signature_is_written_in_one_way_only() {
        let block = |base64: &str| format!("true\n# {BEGIN}\n# {base64}\n# {END}\n");
        let found = locate_in(&block("MA==")).unwrap().unwrap();
        assert_eq!((found.start, found.content, &found.signature[..]), (5, 27, &b"0"[..]));
        // Other bits that no byte has, other padding, blanks.
        for other in ["MB==", "MA=", "MA", "MA== ", " MA==", "MA==\n# ", "\n# MA==", "M\n# A==", "MA==MA==", ""] {
            assert!(locate_in(&block(other)).is_err(), "{other:?}");
        }
        assert_eq!(found.marks.first_line() + &found.marks.other_lines(b"0").unwrap(), block("MA==")["true\n".len()..]);
    }

    #[test]
    fn text_of_any_other_kind_has_no_block() {
        for text in ["", "\n", "# -----END PGP SIGNATURE-----\n", END, &format!("{BEGIN}\nMA==\n{END}\n"), &format!("# {END} was here\n")] {
            assert!(locate_in(text).unwrap().is_none(), "{text:?}");
        }
    }
}
