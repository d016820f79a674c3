//! Why an archive inside a package or an image is not read to its end.

use std::io;

use crate::text::printable;

/// What is wrong with a tar or cpio archive, or with its compression.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Broken, truncated, or the disk failed.
    #[error("the archive cannot be read: {0}")]
    Read(#[source] io::Error),
    /// More bytes than any package has.
    #[error("it unpacks to more than {limit} bytes")]
    TooLarge {
        /// The bound in bytes.
        limit: u64,
    },
    /// A decompression bomb.
    #[error("it unpacks to {unpacked} bytes from {packed}: a decompression bomb")]
    Bomb {
        /// Bytes read.
        packed: u64,
        /// Bytes that came of them.
        unpacked: u64,
    },
    /// More entries than any package has.
    #[error("it has more than {limit} entries")]
    TooManyEntries {
        /// The bound.
        limit: usize,
    },
    /// Names that would fill the memory.
    #[error("the names of its entries take more than {limit} bytes")]
    TooManyNames {
        /// The bound in bytes.
        limit: usize,
    },
    /// Headers that would fill the memory.
    #[error("the headers of an entry take more than {limit} bytes")]
    LongHeader {
        /// The bound in bytes.
        limit: u64,
    },
    /// A path that no file system takes.
    #[error("a path in it has {length} bytes, more than {limit}")]
    LongPath {
        /// Its length in bytes.
        length: usize,
        /// The bound in bytes.
        limit: usize,
    },
    /// A path with `..` or a NUL in it.
    #[error("the path `{}` in it leads out of the archive", printable(.0))]
    Path(String),
    /// An entry whose parent is not a folder.
    #[error("`{}` lies in it below something that is no folder", printable(.0))]
    Parent(String),
    /// Symbolic links that lead to themselves.
    #[error("the symbolic links on the way to `{}` in it lead in circles", printable(.0))]
    Loop(String),
    /// A hard link to nothing.
    #[error("`{}` in it is a hard link to `{}`, which is not in it", printable(.link), printable(.target))]
    HardLink {
        /// The link.
        link: String,
        /// What it names.
        target: String,
    },
    /// A kind of entry that would be misunderstood.
    #[error("`{}` in it is {kind}, which is not supported", printable(.path))]
    Unsupported {
        /// The entry.
        path: String,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// A compression that nobody here can undo.
    #[error("it is compressed with {0}, which is not supported")]
    Compression(&'static str),
}

impl ArchiveError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read(_) | Self::HardLink { .. } | Self::Parent(_) | Self::Loop(_) => {
                "get the file again, and compare its SHA-256 with the publisher's"
            }
            Self::Path(_) | Self::Bomb { .. } | Self::LongPath { .. } | Self::LongHeader { .. } => {
                "no honest package is like this: do not install it, and ask its publisher"
            }
            Self::TooLarge { .. } | Self::TooManyEntries { .. } | Self::TooManyNames { .. } => {
                "unpack it and list the folder: `enforcer manifest create DIR`"
            }
            Self::Unsupported { .. } | Self::Compression(_) => "install or unpack it, and list the folder: `enforcer manifest create DIR`",
        }
    }

    /// Whether the machine failed (exit status 3), rather than the archive being unfit (exit status 2).
    pub fn is_io(&self) -> bool {
        matches!(self, Self::Read(error) if error.raw_os_error().is_some())
    }
}

/// What a reader of ours refused comes back through the libraries as an `io::Error`.
impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(refused) => refused,
            Err(error) => Self::Read(error),
        }
    }
}

impl From<ArchiveError> for io::Error {
    fn from(error: ArchiveError) -> Self {
        Self::other(error)
    }
}
