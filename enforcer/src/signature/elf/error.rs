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
    /// Data behind the end of the ELF image, as self-extracting programs and AppImages have it.
    #[error("{count} bytes follow its ELF image, and the program may look for them at its end")]
    Appendix {
        /// How many.
        count: u64,
    },
    /// The headers speak of bytes that the file does not have.
    #[error("it is truncated: {what} ends at byte {end}")]
    Truncated {
        /// What is not there.
        what: &'static str,
        /// Where it would end.
        end: u64,
    },
    /// The verifier would not find the new section.
    #[error("its ELF headers leave no place for a signature section")]
    Unsuitable,
}

impl ElfError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read(_) => "check the disk",
            Self::ExtendedNumbering | Self::Appendix { .. } | Self::Unsuitable => "sign it detached: `enforcer sign --detach`",
            Self::Malformed(_) | Self::Class | Self::Overflow | Self::Names | Self::Truncated { .. } => {
                "install the file again; if it is meant to be so, sign it detached: `enforcer sign --detach`"
            }
            Self::SeveralSections { .. } | Self::Loaded | Self::SectionType => {
                "remove the section, `objcopy --remove-section .enforcer.signature FILE`, and sign again: `enforcer sign`"
            }
            _ => "install the file again, or sign it again: `enforcer sign`",
        }
    }

    /// Whether the machine failed, rather than the file being unfit.
    pub(in crate::signature) fn is_io(&self) -> bool {
        matches!(self, Self::Read(_))
    }

    /// Whether only the embedded form is impossible.
    pub(in crate::signature) fn detached_is_possible(&self) -> bool {
        use ElfError::{Appendix, Class, ExtendedNumbering, Malformed, Names, Overflow, Truncated, Unsuitable};
        matches!(self, ExtendedNumbering | Appendix { .. } | Unsuitable | Malformed(_) | Class | Overflow | Names | Truncated { .. })
    }
}

fn name() -> std::borrow::Cow<'static, str> {
    String::from_utf8_lossy(SECTION_NAME)
}
