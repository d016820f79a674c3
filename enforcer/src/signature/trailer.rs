//! A signature appended to a file, as the kernel's `scripts/sign-file` appends it to modules (`include/linux/module_signature.h`).
//!
//! `content | CMS | struct module_signature, 12 bytes | "~Module signature appended~\n"`. The content is what lies before the CMS. Reads the
//! end of the file only, and remembers what it read, so that the pass over the content can prove that it is still there.
//!
//! Whoever has a signature can put bytes of their own into its unsigned parts. A shell reads on behind a script's last line, and Python runs an
//! archive that it finds at the end of a file; so only ELF files may bear one, which end where their image does.

use std::io;

use super::cms::MAX_SIGNATURE_SIZE;
use super::elf::{self, ElfError, Ending};
use super::source::Source;
use crate::measure::Witness;

/// An appended signature.
pub(super) struct Trailer {
    /// How many bytes of the file were signed.
    pub(super) content: u64,
    /// The CMS.
    pub(super) signature: Vec<u8>,
    /// Everything that was read to find it, and to know that it may be there.
    pub(super) witnesses: Vec<Witness>,
}

/// Why what a file ends in is no signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrailerError {
    /// The file cannot be read.
    #[error("cannot read the end of the file: {0}")]
    Read(#[source] io::Error),
    /// Not PKCS #7: keys by name and number, which kernels before 4.3 wrote.
    #[error("the appended signature is of type {found}, not PKCS #7 (2)")]
    Type {
        /// The type.
        found: u8,
    },
    /// Fields that must be zero.
    #[error("the appended signature has fields that must be zero and are not")]
    Reserved,
    /// A length that does not fit.
    #[error("the appended signature says that it has {size} bytes, which the file does not have")]
    OutsideFile {
        /// The length.
        size: u32,
    },
    /// Too long.
    #[error("the appended signature has more than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// A script, an archive, data.
    #[error("only ELF files may bear an appended signature: whoever reads another file may go on reading behind its content")]
    NotElf,
    /// The ELF file cannot be read.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// Data behind the end of the ELF image, as self-extracting programs and AppImages have it.
    #[error("{count} bytes follow its ELF image, and a program that looks for them at its end may take an appended signature for them")]
    Appendix {
        /// How many.
        count: u64,
    },
    /// The image does not end before the signature.
    #[error("the appended signature would lie in its ELF image: {what} goes on behind the content")]
    InImage {
        /// Which part of it.
        what: &'static str,
    },
}

impl TrailerError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read(_) => "check the disk",
            Self::Elf(problem) => problem.hint(),
            Self::NotElf => "sign it detached: `enforcer sign --detach`; or a script in its comments: `enforcer sign --comment`",
            Self::Appendix { .. } | Self::InImage { .. } => "sign it detached: `enforcer sign --detach`",
            _ => "sign again: `enforcer sign --append`, or the kernel's `sign-file`",
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

/// Finds the appended signature; `None` for a file that does not end in the marker.
pub(super) fn locate<'a>(file: impl Into<Source<'a>>) -> Result<Option<Trailer>, TrailerError> {
    let file = file.into();
    let size = file.size().map_err(TrailerError::Read)?;
    let Some(end) = size.checked_sub(MARKER.len() as u64) else { return Ok(None) };
    let mut marker = [0; MARKER.len()];
    if read(file, &mut marker, end)?.is_none() || marker != *MARKER {
        return Ok(None);
    }
    let mut fixed = [0; FIXED];
    let Some(start) = end.checked_sub(FIXED as u64) else { return Err(TrailerError::OutsideFile { size: 0 }) };
    read(file, &mut fixed, start)?.ok_or(TrailerError::OutsideFile { size: 0 })?;
    let [algorithm, hash, kind, signer_length, key_id_length, pad @ .., a, b, c, d] = fixed;
    let length = u32::from_be_bytes([a, b, c, d]);
    if kind != PKEY_ID_PKCS7 {
        return Err(TrailerError::Type { found: kind });
    }
    if [algorithm, hash, signer_length, key_id_length] != [0; 4] || pad != [0; 3] {
        return Err(TrailerError::Reserved);
    }
    if length as usize > MAX_SIGNATURE_SIZE {
        return Err(TrailerError::TooLarge { limit: MAX_SIGNATURE_SIZE });
    }
    let content = start.checked_sub(length.into()).ok_or(TrailerError::OutsideFile { size: length })?;
    let mut signature = vec![0; length as usize];
    read(file, &mut signature, content)?.ok_or(TrailerError::OutsideFile { size: length })?;
    let mut witnesses = may_follow(file, content)?;
    witnesses.push(Witness { offset: content, bytes: [&signature[..], &fixed, &marker].concat() });
    Ok(Some(Trailer { content, signature, witnesses }))
}

/// Whether a signature may lie behind the first `content` bytes; what was read to find out.
pub(super) fn may_follow<'a>(file: impl Into<Source<'a>>, content: u64) -> Result<Vec<Witness>, TrailerError> {
    let file = file.into();
    if !elf::begins_like_elf(file)? {
        return Err(TrailerError::NotElf);
    }
    elf::ends_at(file, content).map_err(|ending| match ending {
        Ending::Elf(problem) => problem.into(),
        Ending::Follows(count) => TrailerError::Appendix { count },
        Ending::ReachesInto(what) => TrailerError::InImage { what },
    })
}

/// `None` when the file ends before: then it has changed, and is not what it was.
fn read(file: Source<'_>, buffer: &mut [u8], offset: u64) -> Result<Option<()>, TrailerError> {
    match file.read_exact_at(buffer, offset) {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(TrailerError::Read(error)),
    }
}

/// `MODULE_SIG_STRING`.
const MARKER: &[u8; 28] = b"~Module signature appended~\n";
/// `sizeof(struct module_signature)`.
const FIXED: usize = 12;
/// `enum pkey_id_type`.
const PKEY_ID_PKCS7: u8 = 2;
