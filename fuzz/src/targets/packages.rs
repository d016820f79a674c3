//! Packages: what would be installed is read without installing it.

use enforcer::inventory::{Bounds, Contents, deb};

/// The dictionary of `xz -9` takes 64 MiB, and the rest of the reader its own.
pub(super) const MEMORY: usize = 96 << 20;

/// So small that the time of an input is spent on parsing, not on unpacking what was packed well.
const BOUNDS: Bounds = Bounds { unpacked: 4 << 20, unpacked_freely: 1 << 20, ratio: 200, entries: 1000, names: 1 << 20, path: 4096 };

/// A Debian package.
pub(super) fn deb(input: &[u8]) {
    match deb::read(input, &BOUNDS) {
        Ok(contents) => consistent(&contents),
        Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
    }
}

fn consistent(contents: &Contents) {
    assert!(contents.files.len() <= BOUNDS.entries);
    for file in &contents.files {
        assert!(file.path.is_absolute() && file.content.size <= BOUNDS.unpacked, "{file:?}");
        assert!(!file.path.components().any(|part| part == std::path::Component::ParentDir), "{file:?}");
    }
    assert!(contents.files.is_sorted_by(|one, next| one.path < next.path), "twice the same name, or names in disorder");
}
