//! Where a signature was.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a signature was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// In the file itself, an ELF section.
    Embedded,
    /// Behind the file's own bytes, as the kernel's modules have it.
    Appended,
    /// In comment lines at the end of a script.
    Comment,
    /// In the file's extended attribute `user.enforcer.signature`.
    Xattr,
    /// In the file's extended attribute `security.ima`.
    Ima,
    /// In `FILE.p7s` beside the file.
    Detached(Arc<Path>),
    /// In a signature store.
    Store(Arc<Path>),
    /// In a signed manifest.
    Manifest(Arc<Path>),
}

impl Carrier {
    /// The name used in JSON and tables.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Appended => "appended",
            Self::Comment => "comment",
            Self::Xattr => "xattr",
            Self::Ima => "security.ima",
            Self::Detached(_) => "detached",
            Self::Store(_) => "store",
            Self::Manifest(_) => "manifest",
        }
    }

    /// The file that carries it, if it is not the signed file itself.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Embedded | Self::Appended | Self::Comment | Self::Xattr | Self::Ima => None,
            Self::Detached(path) | Self::Store(path) | Self::Manifest(path) => Some(path),
        }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            None => f.write_str(self.name()),
            Some(path) => write!(f, "{} {}", self.name(), path.display()),
        }
    }
}
