//! RPM packages: a lead, two headers, and a compressed cpio archive of files.
//!
//! The digests inside the package, of its header and its payload, must hold; its OpenPGP signatures are not looked at, scriptlets are not read,
//! and nothing is installed.

mod header;

use std::collections::HashMap;
use std::io::{self, Read};

use ::rpm::{Error, IndexTag, PackageMetadata};

use super::stream::{Allowed, Hashing, Peeking, content, decompressed};
use super::tarball::{Entry, Kind, lossy, normal};
use super::tree::Tree;
use super::{ArchiveError, Bounds, Content, Contents};
use crate::text::{hex, printable};

/// Why an .rpm is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpmError {
    /// Truncated, or the disk failed.
    #[error("it cannot be read as an RPM package: {0}")]
    Read(#[source] io::Error),
    /// Something else.
    #[error("it is no RPM package")]
    NotOne,
    /// A header that would mislead its reader.
    #[error("its header is broken: {0}")]
    Header(&'static str),
    /// A header that the library does not take.
    #[error("its header is broken: {0}")]
    Library(String),
    /// Not the payload that the header was made for.
    #[error("the SHA-256 of its payload is {found}, and its header says {}", printable(.stated))]
    Payload {
        /// What it is.
        found: String,
        /// What the header says.
        stated: String,
    },
    /// Files larger than cpio can say.
    #[error("its files are packed without names, as rpm does when one has more than 4 GiB; that is not supported")]
    Stripped,
    /// The files are not as they should be.
    #[error("its files: {0}")]
    Files(#[from] ArchiveError),
}

impl RpmError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read(_) | Self::Header(_) | Self::Library(_) | Self::Payload { .. } => {
                "get the package again, and check it with `rpm --checksig FILE`"
            }
            Self::NotOne => "`file FILE` tells what it is",
            Self::Stripped => "install or unpack it, and list the folder: `enforcer manifest create DIR`",
            Self::Files(error) => error.hint(),
        }
    }

    /// Whether the machine failed (exit status 3), rather than the package being unfit (exit status 2).
    pub fn is_io(&self) -> bool {
        match self {
            Self::Read(error) => error.raw_os_error().is_some(),
            Self::Files(error) => error.is_io(),
            _ => false,
        }
    }
}

/// Reads a package to its end.
///
/// # Errors
/// [`RpmError`]: it is no package, is broken, has wrong digests, or passes a bound.
pub fn read(input: impl Read, bounds: &Bounds) -> Result<Contents, RpmError> {
    let mut package = Hashing::new(input);
    let front = header::read(&mut package)?;
    let library = |error: Error| RpmError::Library(error.to_string());
    let metadata = PackageMetadata::parse(&mut &front[..]).map_err(library)?;
    metadata.verify_digests().map_err(library)?;
    let mut payload = Hashing::new(&mut package);
    let files = files(decompressed(&mut payload, bounds)?, bounds)?;
    let found = hex(&payload.finish().map_err(RpmError::Read)?.bytes);
    match metadata.header.get_entry_data_as_string(IndexTag::RPMTAG_PAYLOADSHA256) {
        Ok(stated) if *stated == found => {}
        Ok(stated) => return Err(RpmError::Payload { found, stated: stated.to_owned() }),
        // Packages made before 2017 have none.
        Err(Error::TagNotFound(_)) => {}
        Err(error) => return Err(library(error)),
    }
    let digest = package.finish().map_err(RpmError::Read)?;
    Ok(Contents { digest, files, scripts: Vec::new() })
}

fn files(archive: impl Read, bounds: &Bounds) -> Result<Vec<super::PackedFile>, RpmError> {
    let mut tree = Tree::new(bounds);
    let mut links = HardLinks::default();
    // The library keeps a name in memory, however long it is.
    let (archive, allowance) = Allowed::new(archive);
    let mut archive = Peeking::new(archive);
    let mut left = bounds.unpacked;
    for count in 0.. {
        allowance.only(HEADER + bounds.path as u64);
        if archive.peek(STRIPPED.len()).map_err(ArchiveError::from)? == STRIPPED {
            return Err(RpmError::Stripped);
        }
        let mut entry = cpio::NewcReader::new(archive).map_err(ArchiveError::from)?;
        if entry.entry().is_trailer() {
            archive = entry.finish().map_err(ArchiveError::from)?;
            break;
        }
        if count >= bounds.entries {
            return Err(ArchiveError::TooManyEntries { limit: bounds.entries }.into());
        }
        allowance.lift();
        left = left.checked_sub(entry.entry().file_size().into()).ok_or(ArchiveError::TooLarge { limit: bounds.unpacked })?;
        if let Some(entry) = settle(&mut entry, &mut links, bounds)? {
            tree.add(entry)?;
        }
        archive = entry.finish().map_err(ArchiveError::from)?;
    }
    allowance.lift();
    io::copy(&mut archive, &mut io::sink()).map_err(ArchiveError::from)?;
    links.into_entries().try_for_each(|entry| tree.add(entry))?;
    Ok(tree.into_files())
}

fn settle(entry: &mut cpio::NewcReader<impl Read>, links: &mut HardLinks, bounds: &Bounds) -> Result<Option<Entry>, ArchiveError> {
    let about = entry.entry();
    let path = normal(about.name().as_bytes(), bounds)?;
    let (mode, size) = (about.mode(), u64::from(about.file_size()));
    let inode = (about.nlink() > 1).then_some((about.dev_major(), about.dev_minor(), about.ino()));
    let kind = match mode & FORMAT {
        REGULAR => {
            let content = content(&mut *entry, mode & 0o111 != 0)?;
            whole(content.size, size)?;
            if let Some(inode) = inode {
                links.add(inode, path, content, bounds)?;
                return Ok(None);
            }
            Kind::File(content)
        }
        SYMLINK => {
            let mut text = Vec::new();
            entry.take(bounds.path as u64 + 1).read_to_end(&mut text)?;
            if text.len() > bounds.path {
                return Err(ArchiveError::LongPath { length: text.len(), limit: bounds.path });
            }
            whole(text.len() as u64, size)?;
            Kind::Symlink(text)
        }
        DIRECTORY => Kind::Directory,
        CHARACTER | BLOCK | FIFO | SOCKET => Kind::Special,
        _ => return Err(ArchiveError::Unsupported { path: lossy(&path), kind: "an entry of an unknown kind" }),
    };
    Ok(Some(Entry { path, kind }))
}

fn whole(read: u64, stated: u64) -> Result<(), ArchiveError> {
    if read == stated { Ok(()) } else { Err(ArchiveError::Read(io::ErrorKind::UnexpectedEof.into())) }
}

/// Names of one file; the content comes with one of them, and the others are empty.
#[derive(Default)]
struct HardLinks {
    files: HashMap<Inode, Names>,
    names: usize,
}

/// Device, major and minor, and inode number.
type Inode = (u32, u32, u32);
type Names = (Vec<Vec<u8>>, Content);

impl HardLinks {
    fn add(&mut self, inode: Inode, path: Vec<u8>, content: Content, bounds: &Bounds) -> Result<(), ArchiveError> {
        self.names += path.len();
        if self.names > bounds.names {
            return Err(ArchiveError::TooManyNames { limit: bounds.names });
        }
        let (names, known) = self.files.entry(inode).or_insert_with(|| (Vec::new(), content));
        names.push(path);
        if content.size > 0 {
            *known = content;
        }
        Ok(())
    }

    fn into_entries(self) -> impl Iterator<Item = Entry> {
        let entries = |(names, content): Names| names.into_iter().map(move |path| Entry { path, kind: Kind::File(content) });
        self.files.into_values().flat_map(entries)
    }
}

/// Bytes of a cpio entry before its name, and of the padding.
const HEADER: u64 = 110 + 8;
const STRIPPED: &[u8] = b"07070X";
const FORMAT: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const DIRECTORY: u32 = 0o040_000;
const CHARACTER: u32 = 0o020_000;
const BLOCK: u32 = 0o060_000;
const FIFO: u32 = 0o010_000;
const SOCKET: u32 = 0o140_000;
