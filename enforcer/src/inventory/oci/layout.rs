//! An OCI image layout: a folder, or a tar archive of one, with blobs named by their digests.
//!
//! Names are never followed further than the layout: a blob is found by the digest in its descriptor, and its bytes must have that digest.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ring::digest;

use super::OciError;
use super::document::Descriptor;
use crate::inventory::stream::Hashing;
use crate::inventory::{ArchiveError, Bounds};
use crate::measure;
use crate::text::hex;

/// Where blobs are.
pub(super) enum Layout {
    Folder(PathBuf),
    /// Where each member of the archive begins, and its length.
    Archive {
        file: File,
        members: HashMap<Vec<u8>, (u64, u64)>,
    },
}

impl Layout {
    pub(super) fn open(path: &Path, bounds: &Bounds) -> Result<Self, OciError> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let file = measure::open(path)?;
        let members = members(&file, bounds).map_err(|error| OciError::Archive { path: path.to_owned(), error })?;
        Ok(Self::Archive { file, members })
    }

    /// A small file of the layout itself.
    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>, OciError> {
        let (reader, size) = self.reader(name)?;
        read_document(reader, size, name)
    }

    /// A small blob, which has the digest that its descriptor says.
    pub(super) fn blob_document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, OciError> {
        self.blob(descriptor, |reader| read_document(reader, descriptor.size, &descriptor.digest))
    }

    /// Hands the bytes of a blob to `read`, and then makes sure of its digest, whatever came of them.
    pub(super) fn blob<T>(&self, descriptor: &Descriptor, read: impl FnOnce(&mut dyn Read) -> Result<T, OciError>) -> Result<T, OciError> {
        let wrong = || OciError::DigestName(descriptor.digest.clone());
        let (algorithm, digits) = descriptor.digest.split_once(':').ok_or_else(wrong)?;
        let context: &'static digest::Algorithm = match algorithm {
            "sha256" => &digest::SHA256,
            "sha512" => &digest::SHA512,
            _ => return Err(wrong()),
        };
        if digits.len() != context.output_len() * 2 || !digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong());
        }
        let (reader, size) = self.reader(&format!("blobs/{algorithm}/{digits}"))?;
        if size != descriptor.size {
            return Err(OciError::Size { blob: descriptor.digest.clone(), found: size, stated: descriptor.size });
        }
        let mut reader = Hashing::with(BufReader::new(reader), context);
        let outcome = read(&mut reader);
        let unreadable = |source| OciError::Blob { name: descriptor.digest.clone(), source };
        let found = hex(reader.finish_bytes().map_err(unreadable)?.as_ref());
        // Told first: wrong bytes explain whatever else is wrong.
        if found != digits {
            return Err(OciError::Digest { blob: descriptor.digest.clone(), found });
        }
        outcome
    }

    fn reader(&self, name: &str) -> Result<(Box<dyn Read + '_>, u64), OciError> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                let file = measure::open(&path).map_err(|error| OciError::File { path: path.clone(), error })?;
                let size = file.metadata().map_err(|source| OciError::Blob { name: name.to_owned(), source })?.len();
                Ok((Box::new(file), size))
            }
            Self::Archive { file, members } => {
                let (offset, size) = *members.get(name.as_bytes()).ok_or_else(|| OciError::NoMember(name.to_owned()))?;
                Ok((Box::new(Section { file, offset, left: size }), size))
            }
        }
    }
}

fn read_document(reader: impl Read, size: u64, name: &str) -> Result<Vec<u8>, OciError> {
    if size > MAX_DOCUMENT {
        return Err(OciError::LargeDocument { name: name.to_owned(), size, limit: MAX_DOCUMENT });
    }
    let mut bytes = Vec::new();
    reader.take(MAX_DOCUMENT).read_to_end(&mut bytes).map_err(|source| OciError::Blob { name: name.to_owned(), source })?;
    Ok(bytes)
}

fn members(file: &File, bounds: &Bounds) -> Result<HashMap<Vec<u8>, (u64, u64)>, ArchiveError> {
    let mut file = file;
    file.rewind()?;
    let mut members = HashMap::new();
    let mut archive = tar::Archive::new(file);
    // Without its extended headers: no name in a layout is long, and none of them is kept.
    for entry in archive.entries_with_seek()?.raw(true) {
        let entry = entry?;
        if members.len() >= bounds.entries.min(MAX_MEMBERS) {
            return Err(ArchiveError::TooManyEntries { limit: bounds.entries.min(MAX_MEMBERS) });
        }
        if entry.header().entry_type().is_file() {
            let name = crate::inventory::tarball::normal(&entry.path_bytes(), bounds)?;
            members.insert(name, (entry.raw_file_position(), entry.size()));
        }
    }
    Ok(members)
}

/// A part of a file.
struct Section<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..room], self.offset)?;
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// What registries accept at most for a manifest.
const MAX_DOCUMENT: u64 = 4 << 20;
/// Blobs of one layout.
const MAX_MEMBERS: usize = 100_000;
