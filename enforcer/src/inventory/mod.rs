//! What packages and images would put on a machine: the code files in them, with their digests.
//!
//! One file for each source: Debian packages ([`deb`]), what is installed of them ([`debian`]), RPM packages ([`rpm`]) and OCI images ([`oci`]);
//! [`Owners`] says to which installed packages files belong.
//! Whoever calls decides whether to trust a source: no package's own signature is looked at, nothing is unpacked to disk, and nothing that is
//! read here is run. Everything that an input says is bounded by [`Bounds`].

pub mod deb;
pub mod debian;
mod error;
pub mod oci;
mod owners;
mod places;
pub mod rpm;
mod rpm_database;
mod stream;
mod tarball;
mod tree;

use std::path::PathBuf;

use enforcer_common::Digest;

pub use error::ArchiveError;
pub use owners::{Listed, Manager, Owner, Owners};

use crate::code::{Beginning, may_be_code};
use crate::policy::known_script_names;

/// A package that was read to its end.
#[derive(Clone, Debug)]
pub struct Contents {
    /// SHA-256 of the package file itself.
    pub digest: Digest,
    /// Every regular file in it, in the order of their paths.
    pub files: Vec<PackedFile>,
    /// What is run when it is installed or removed: maintainer scripts, by their names (deb-preinst(5) and others). They are files of the package manager's, and
    /// not of the package.
    pub scripts: Vec<PackedFile>,
}

/// A regular file in a package or an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedFile {
    /// Where it is installed; absolute.
    pub path: PathBuf,
    /// Its content.
    pub content: Content,
}

/// What is known about the bytes of a file that was seen once, in passing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
    /// Whether it has an executable bit.
    pub executable: bool,
    /// How it begins.
    pub beginning: Beginning,
}

impl PackedFile {
    /// By the rule of [`crate::code`].
    pub fn may_be_code(&self) -> bool {
        may_be_code(&self.path, self.content.executable, self.content.beginning, known_script_names())
    }
}

/// How much of an input is read before it is refused.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes that one archive may unpack to.
    pub unpacked: u64,
    /// Bytes that it may unpack to however small it is; beyond them, [`Bounds::ratio`] holds.
    pub unpacked_freely: u64,
    /// How many times its own size it may unpack to.
    pub ratio: u64,
    /// Entries of one archive or one image.
    pub entries: usize,
    /// Bytes of all their names together.
    pub names: usize,
    /// Bytes of a path.
    pub path: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { unpacked: 64 << 30, unpacked_freely: 256 << 20, ratio: 200, entries: 1_000_000, names: 128 << 20, path: 4096 }
    }
}
