//! The entries of a tar archive, one after the other: names made sure of, contents hashed as they pass by.
//!
//! Nothing is kept of a file but its digest, and nothing is written anywhere. What a tree of entries comes to is `tree`'s business.

use std::io::{self, Read};

use tar::EntryType;

use super::stream::{Allowed, content};
use super::{ArchiveError, Bounds, Content};

/// One entry, under its name from the root of the tree: no `/` at either end, no `.` or `..` in it; the root itself is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File(Content),
    /// The name of another entry.
    HardLink(Vec<u8>),
    /// The text of the link.
    Symlink(Vec<u8>),
    Directory,
    /// A device or a FIFO.
    Special,
}

/// Reads an archive to its end, and hands on each entry.
pub(super) fn read(input: impl Read, bounds: &Bounds, mut each: impl FnMut(Entry) -> Result<(), ArchiveError>) -> Result<(), ArchiveError> {
    // The library keeps long names and extended headers in memory, however long they are, and reads them in `next`; contents are read here.
    let (input, allowance) = Allowed::new(input);
    let mut archive = tar::Archive::new(input);
    let mut entries = archive.entries()?;
    let mut count = 0;
    let mut left = bounds.unpacked;
    loop {
        allowance.only(MAX_HEADERS);
        let Some(entry) = entries.next() else { break };
        let mut entry = match entry {
            Ok(entry) => entry,
            // Some builders of images leave out the padding behind the last file, and the end mark. Compression and digests tell a cut.
            Err(_) if allowance.was_at_the_end() => break,
            Err(error) => return Err(error.into()),
        };
        allowance.lift();
        count += 1;
        if count > bounds.entries {
            return Err(ArchiveError::TooManyEntries { limit: bounds.entries });
        }
        // The holes of sparse files cost nothing to pack.
        left = left.checked_sub(entry.size()).ok_or(ArchiveError::TooLarge { limit: bounds.unpacked })?;
        if let Some(entry) = settle(&mut entry, bounds)? {
            each(entry)?;
        }
        io::copy(&mut entry, &mut io::sink())?;
    }
    // To the end, so that the compression's own checksum is looked at.
    allowance.lift();
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(())
}

fn settle(entry: &mut tar::Entry<'_, impl Read>, bounds: &Bounds) -> Result<Option<Entry>, ArchiveError> {
    let raw = entry.path_bytes().into_owned();
    let path = normal(&raw, bounds)?;
    refuse_pax_sparse(entry, &path)?;
    let link = |entry: &tar::Entry<'_, _>| entry.link_name_bytes().unwrap_or_default().into_owned();
    let kind = match entry.header().entry_type() {
        // As archives older than POSIX write folders.
        EntryType::Regular if raw.ends_with(b"/") => Kind::Directory,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let executable = entry.header().mode()? & 0o111 != 0;
            let size = entry.size();
            let content = content(&mut *entry, executable)?;
            if content.size != size {
                return Err(ArchiveError::Read(io::ErrorKind::UnexpectedEof.into()));
            }
            Kind::File(content)
        }
        EntryType::Link => Kind::HardLink(normal(&link(entry), bounds)?),
        EntryType::Symlink => Kind::Symlink(checked_length(link(entry), bounds)?),
        EntryType::Directory => Kind::Directory,
        EntryType::Char | EntryType::Block | EntryType::Fifo => Kind::Special,
        // Defaults for all entries, such as `git archive`'s comment; it names no file.
        EntryType::XGlobalHeader => return Ok(None),
        _ => return Err(ArchiveError::Unsupported { path: lossy(&path), kind: "an entry of an unknown kind" }),
    };
    Ok(Some(Entry { path, kind }))
}

/// The library would take the map of such a file for its content.
fn refuse_pax_sparse(entry: &mut tar::Entry<'_, impl Read>, path: &[u8]) -> Result<(), ArchiveError> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(()) };
    for extension in extensions {
        if extension?.key_bytes().starts_with(b"GNU.sparse.") {
            return Err(ArchiveError::Unsupported { path: lossy(path), kind: "a sparse file in POSIX format" });
        }
    }
    Ok(())
}

/// A name from the root of the tree; archives write `./usr`, `/usr` and `usr/`.
pub(super) fn normal(path: &[u8], bounds: &Bounds) -> Result<Vec<u8>, ArchiveError> {
    if path.len() > bounds.path {
        return Err(ArchiveError::LongPath { length: path.len(), limit: bounds.path });
    }
    let parts = || path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    if path.contains(&0) || parts().any(|part| part == b"..") {
        return Err(ArchiveError::Path(lossy(path)));
    }
    Ok(parts().collect::<Vec<_>>().join(&b'/'))
}

fn checked_length(path: Vec<u8>, bounds: &Bounds) -> Result<Vec<u8>, ArchiveError> {
    if path.len() > bounds.path { Err(ArchiveError::LongPath { length: path.len(), limit: bounds.path }) } else { Ok(path) }
}

pub(super) fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// Long names, extended attributes and the map of a sparse file; the kernel's own bound on attributes is 64 KiB each.
const MAX_HEADERS: u64 = 4 << 20;
