//! Why an ELF file cannot carry its signature.

use std::io;

use super::SECTION_NAME;

/// Why an ELF file cannot carry its signature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// Reading failed.
    #[error("cannot read its ELF headers: {0}")]
    Read(#[source] io::Error),
    /// The headers make no sense.
    #[error("its ELF headers are broken: {0}")]
    Malformed(#[from] object::read::Error),
    /// Neither 32 nor 64 bits.
    #[error("it is neither a 32-bit nor a 64-bit ELF file")]
    Class,
    /// Offset and size exceed 64 bits.
    #[error("its ELF headers are broken: a range exceeds 64 bits")]
    Overflow,
    /// More than 65,279 sections or 65,534 segments.
    #[error("its ELF headers use extended numbering (more than 65,279 sections), which is not supported")]
    ExtendedNumbering,
    /// The section name string table.
    #[error("its ELF headers are broken: the section names are not in the file")]
    Names,
    /// More than one signature section.
    #[error("it has {count} sections `{}`", name())]
    SeveralSections {
        /// How many.
        count: usize,
    },
    /// Not PROGBITS.
    #[error("its section `{}` is not of the type PROGBITS", name())]
    SectionType,
    /// With SHF_ALLOC.
    #[error("its section `{}` would be loaded into memory", name())]
    Loaded,
    /// Beyond the end of the file.
    #[error("its section `{}` is not inside the file: it is truncated", name())]
    OutsideFile,
    /// Larger than a signature may be.
    #[error("its section `{}` has more than {limit} bytes", name())]
    SectionTooLarge {
        /// The bound in bytes.
        limit: usize,
    },
    /// It shares bytes with something else.
    #[error("its section `{}` overlaps {what}", name())]
    Overlap {
        /// What else uses the bytes.
        what: &'static str,
    },
    /// Something other than zeros behind the signature.
    #[error("something other than zeros follows the signature in the section `{}`", name())]
    Padding,
}

impl ElfError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read(_) => "check the disk",
            Self::ExtendedNumbering => "sign it detached: `enforcer sign --detach`",
            _ => "install the file again, or sign it again: `enforcer sign`",
        }
    }
}

fn name() -> std::borrow::Cow<'static, str> {
    String::from_utf8_lossy(SECTION_NAME)
}
