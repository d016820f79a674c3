//! Debian packages: an `ar` archive with two tar archives in it, of maintainer scripts and of files (deb(5)).
//!
//! Nothing is installed. A .deb carries no signature of its own: apt's signed index
//! names its SHA-256, which [`super::debian`] compares.

use std::cell::RefCell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use super::stream::{Hashing, Peeking, decompressed};
use super::tree::Tree;
use super::{ArchiveError, Bounds, Contents, PackedFile, tarball};
use crate::text::printable;

/// Why a .deb is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DebError {
    /// The outer archive is broken, or the disk failed.
    #[error("it cannot be read as a Debian package: {0}")]
    Read(#[source] io::Error),
    /// Something else.
    #[error("it is no Debian package: it begins with `{}`, not with `debian-binary`", printable(.0))]
    NotOne(String),
    /// A format from the future.
    #[error("its format is `{}`; 2.0 is known", printable(.0))]
    Version(String),
    /// A member that dpkg would never write.
    #[error("it has a member `{}` where none is expected", printable(.0))]
    Member(String),
    /// No files.
    #[error("it ends before its files (`data.tar`)")]
    NoData,
    /// The files are not as they should be.
    #[error("its files or scripts: {0}")]
    Files(#[from] ArchiveError),
}

impl DebError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Read(_) | Self::NoData => "get the package again, and compare its SHA-256 with the publisher's",
            Self::NotOne(_) => "`dpkg-deb --info FILE` shows what dpkg thinks of it",
            Self::Version(_) => "rebuild it with the dpkg-deb of a current Debian",
            Self::Member(_) => "no package of dpkg-deb is like this: do not install it, and ask its publisher",
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
/// [`DebError`]: it is no package, is broken, or passes a bound.
pub fn read(input: impl Read, bounds: &Bounds) -> Result<Contents, DebError> {
    let outer = Outer(Rc::new(RefCell::new(Peeking::new(Hashing::new(input)))));
    let (scripts, files) = members(&outer, bounds)?;
    // What lies behind the last member counts for the digest too.
    let digest = outer.0.borrow_mut().inner_mut().finish().map_err(DebError::Read)?;
    Ok(Contents { digest, files, scripts })
}

/// The maintainer scripts, and the files.
fn members<R: Read>(outer: &Outer<R>, bounds: &Bounds) -> Result<(Vec<PackedFile>, Vec<PackedFile>), DebError> {
    let mut archive = ar::Archive::new(outer.clone());
    let (mut scripts, mut files) = (Vec::new(), None);
    let mut before_name = AR_MAGIC.len();
    for position in 0.. {
        // Looked at before the library does, which keeps long names in memory, however long they are; here no name is long.
        let Some(name) = outer.next_name(before_name)? else { break };
        let member = Member::expected(&name, position, files.is_some())?;
        let Some(entry) = archive.next_entry() else { break };
        let entry = entry.map_err(DebError::Read)?;
        let size = entry.header().size();
        before_name = usize::from(size % 2 == 1);
        let mut entry = Whole { inner: entry, left: size };
        match member {
            Member::Version => check_version(&mut entry)?,
            Member::Control => {
                scripts = unpacked(&mut entry, bounds)?;
                scripts.retain(|file| SCRIPTS.iter().any(|name| file.path == Path::new("/").join(name)));
            }
            Member::Data => files = Some(unpacked(&mut entry, bounds)?),
            Member::PassedOver => {}
        }
        io::copy(&mut entry, &mut io::sink()).map_err(DebError::Read)?;
    }
    Ok((scripts, files.ok_or(DebError::NoData)?))
}

fn unpacked(member: impl Read, bounds: &Bounds) -> Result<Vec<PackedFile>, DebError> {
    let mut tree = Tree::new(bounds);
    tarball::read(decompressed(member, bounds)?, bounds, |entry| tree.add(entry))?;
    Ok(tree.into_files())
}

/// What a member is there for, by its name.
enum Member {
    Version,
    /// What dpkg is told of the package, with the maintainer scripts.
    Control,
    Data,
    /// What dpkg passes over too: `debsigs` puts its signature into such members.
    PassedOver,
}

impl Member {
    fn expected(name: &str, position: usize, has_data: bool) -> Result<Self, DebError> {
        match name {
            "debian-binary" if position == 0 => Ok(Self::Version),
            _ if position == 0 => Err(DebError::NotOne(name.to_owned())),
            _ if position > MAX_MEMBERS => Err(DebError::Member(name.to_owned())),
            _ if name.starts_with("control.tar") && position == 1 => Ok(Self::Control),
            _ if name.starts_with("data.tar") && !has_data => Ok(Self::Data),
            _ if name.starts_with('_') => Ok(Self::PassedOver),
            _ => Err(DebError::Member(name.to_owned())),
        }
    }
}

fn check_version(member: impl Read) -> Result<(), DebError> {
    let mut text = Vec::new();
    member.take(16).read_to_end(&mut text).map_err(DebError::Read)?;
    if text.starts_with(b"2.") { Ok(()) } else { Err(DebError::Version(String::from_utf8_lossy(&text).trim_end().to_owned())) }
}

/// The package file: the archive's reader and we look at it in turns.
struct Outer<R>(Rc<RefCell<Peeking<Hashing<R>>>>);

impl<R: Read> Outer<R> {
    /// The name of the next member, which begins after `skipped` bytes; none at the end.
    fn next_name(&self, skipped: usize) -> Result<Option<String>, DebError> {
        let mut file = self.0.borrow_mut();
        let ahead = file.peek(skipped + NAME).map_err(DebError::Read)?;
        let Some((before, name)) = ahead.split_at_checked(skipped) else { return Ok(None) };
        if skipped == AR_MAGIC.len() && before != AR_MAGIC {
            return Err(DebError::NotOne(String::from_utf8_lossy(before).into_owned()));
        }
        let name = String::from_utf8_lossy(name);
        let name = name.trim_end_matches(' ').trim_end_matches('/');
        Ok((!name.is_empty()).then(|| name.to_owned()))
    }
}

impl<R> Clone for Outer<R> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<R: Read> Read for Outer<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

/// A reader that must give `left` bytes before it ends.
struct Whole<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if read == 0 && !buffer.is_empty() && self.left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

/// The maintainer scripts that dpkg and debconf run.
pub(super) const SCRIPTS: [&str; 5] = ["preinst", "postinst", "prerm", "postrm", "config"];
const AR_MAGIC: &[u8] = b"!<arch>\n";
/// Bytes of a member's name.
const NAME: usize = 16;
const MAX_MEMBERS: usize = 16;
