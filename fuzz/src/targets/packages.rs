//! Packages: what would be installed is read without installing it.

use std::collections::BTreeSet;
use std::path::Component;

use enforcer::inventory::oci::{Platform, Reference, Selector};
use enforcer::inventory::{Bounds, PackedFile, deb, oci, rpm};

use crate::scene;

/// The dictionary of `xz -9` takes 64 MiB, and the rest of the reader its own.
pub(super) const MEMORY: usize = 96 << 20;

/// So small that the time of an input is spent on parsing, not on unpacking what was packed well.
const BOUNDS: Bounds = Bounds { unpacked: 4 << 20, unpacked_freely: 1 << 20, ratio: 200, entries: 1000, names: 1 << 20, path: 4096 };

/// A Debian package.
pub(super) fn deb(input: &[u8]) {
    match deb::read(input, &BOUNDS) {
        Ok(contents) => consistent(&contents.files),
        Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
    }
}

/// An RPM package.
pub(super) fn rpm(input: &[u8]) {
    match rpm::read(input, &BOUNDS) {
        Ok(contents) => consistent(&contents.files),
        Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
    }
}

/// An image: a tar archive of a layout.
pub(super) fn oci(input: &[u8]) {
    let image = scene::with_path(input, |path| {
        let reference = Reference { layout: path.to_owned(), image: Selector::Only };
        oci::read(&reference, &Platform::default(), &BOUNDS, &|_| ())
    });
    match image {
        Ok(image) => consistent(&image.files),
        Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
    }
}

/// A layer of an image, without the digest that would keep it as it is.
pub(super) fn oci_layer(input: &[u8]) {
    match oci::read_layer(input, &BOUNDS) {
        Ok(files) => consistent(&files),
        Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
    }
}

fn consistent(files: &[PackedFile]) {
    assert!(files.len() <= BOUNDS.entries);
    for file in files {
        assert!(file.path.is_absolute() && file.content.size <= BOUNDS.unpacked, "{file:?}");
        assert!(!file.path.components().any(|part| part == Component::ParentDir), "{file:?}");
    }
    let different: BTreeSet<_> = files.iter().map(|file| &file.path).collect();
    assert_eq!(different.len(), files.len(), "a file is listed twice");
}
