//! Reading the event log, while it is written and rotated.
//!
//! A line that is no entry (torn by a crash, or from a newer version) is reported as unreadable and skipped. Lines have a bounded length.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Entry;
use super::log::rotated;
use crate::text::{hex, sha256};

/// What comes next in a log.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// An entry.
    Entry(Entry),
    /// A line that is none.
    Unreadable,
    /// Nothing for now. Whoever follows the log asks again.
    End,
}

/// The reading end: the older file first, then the current one, then whatever comes after it.
#[derive(Debug)]
pub struct EventReader {
    path: PathBuf,
    current: Part,
    later: VecDeque<Part>,
}

impl EventReader {
    /// Begins with the oldest entry.
    ///
    /// # Errors
    /// There is no log, or it may not be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut parts = parts(path, None)?;
        let current = parts.pop_front().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { path: path.into(), current, later: parts })
    }

    /// Goes on behind a place that an earlier reader had come to, and says whether it was found. Where it was not, because the log has been rotated twice
    /// since or was emptied, it begins with the oldest entry.
    ///
    /// # Errors
    /// There is no log, or it may not be read.
    pub fn open_behind(path: &Path, place: &Place) -> io::Result<(Self, bool)> {
        let mut parts = parts(path, None)?;
        let mut number = None;
        for (candidate, part) in parts.iter().enumerate() {
            if number.is_none() && part.has(place)? {
                number = Some(candidate);
            }
        }
        parts.drain(..number.unwrap_or(0));
        let mut current = parts.pop_front().ok_or(io::ErrorKind::NotFound)?;
        if number.is_some() {
            current.file.seek(SeekFrom::Start(place.offset))?;
            current.position = place.offset;
        }
        Ok((Self { path: path.into(), current, later: parts }, number.is_some()))
    }

    /// Where this reader is: behind the last entry that it gave.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn place(&self) -> io::Result<Place> {
        let offset = self.current.position - self.current.open_line.len() as u64;
        Ok(Place { offset, head_sha256: self.current.head_sha256(offset)? })
    }

    /// The next entry. After [`Next::End`], call again later to follow the log.
    ///
    /// # Errors
    /// The log cannot be read any further.
    pub fn read(&mut self) -> io::Result<Next> {
        loop {
            if let Some(line) = self.current.line()? {
                return Ok(parsed(&line));
            }
            if !self.turn_page()? {
                return Ok(Next::End);
            }
        }
    }

    /// Goes on to the next file, if there is one. The end of the present one is read first: it may have grown since it was looked at.
    fn turn_page(&mut self) -> io::Result<bool> {
        if self.later.is_empty() {
            if Identity::of_path(&self.path)?.is_none_or(|there| there == self.current.identity) {
                return self.current.was_cut();
            }
            self.later = parts(&self.path, Some(self.current.identity))?;
        }
        if self.current.has_more()? {
            return Ok(true);
        }
        match self.later.pop_front() {
            Some(next) => {
                self.current = next;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// A place between two lines of a log. The file is known by how it begins, whatever its name or its inode is by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Bytes before it, in its file.
    pub offset: u64,
    /// SHA-256 over the first of these bytes, 4096 at most, in hexadecimal.
    pub head_sha256: String,
}

/// One file of the log.
#[derive(Debug)]
struct Part {
    identity: Identity,
    file: BufReader<File>,
    /// Bytes read so far.
    position: u64,
    /// A line whose end has not been written yet.
    open_line: Vec<u8>,
    /// Whether that line is too long, and is being skipped.
    too_long: bool,
}

impl Part {
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let identity = Identity { device: metadata.dev(), inode: metadata.ino() };
        Ok(Some(Self { identity, file: BufReader::new(file), position: 0, open_line: Vec::new(), too_long: false }))
    }

    /// The next whole line, without its end.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let room = (LONGEST_LINE - self.open_line.len()) as u64;
            let length = self.file.by_ref().take(room).read_until(b'\n', &mut self.open_line)?;
            self.position += length as u64;
            if self.open_line.ends_with(b"\n") {
                let mut line = std::mem::take(&mut self.open_line);
                line.pop();
                if std::mem::take(&mut self.too_long) {
                    line.clear();
                }
                return Ok(Some(line));
            }
            if self.open_line.len() < LONGEST_LINE {
                return Ok(None);
            }
            self.open_line.clear();
            self.too_long = true;
        }
    }

    /// Whether this place is in this file.
    fn has(&self, place: &Place) -> io::Result<bool> {
        Ok(self.file.get_ref().metadata()?.len() >= place.offset && self.head_sha256(place.offset)? == place.head_sha256)
    }

    fn head_sha256(&self, offset: u64) -> io::Result<String> {
        let mut head = vec![0; offset.min(HEAD) as usize];
        self.file.get_ref().read_exact_at(&mut head, 0)?;
        Ok(hex(&sha256(&head)))
    }

    fn has_more(&mut self) -> io::Result<bool> {
        Ok(!self.file.fill_buf()?.is_empty())
    }

    /// Whether somebody emptied the file; begins again then.
    fn was_cut(&mut self) -> io::Result<bool> {
        if self.file.get_ref().metadata()?.len() >= self.position {
            return Ok(false);
        }
        self.file.rewind()?;
        self.position = 0;
        self.open_line.clear();
        self.too_long = false;
        Ok(true)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of_path(path: &Path) -> io::Result<Option<Self>> {
        match std::fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self { device: metadata.dev(), inode: metadata.ino() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The files of a log, the older first, without the one that was read already.
fn parts(path: &Path, read_already: Option<Identity>) -> io::Result<VecDeque<Part>> {
    // The newer is opened first: a rotation in between then shows it twice, and never skips it.
    let newer = Part::open(path)?;
    let older = Part::open(&rotated(path))?;
    let mut parts: VecDeque<Part> = VecDeque::new();
    for part in [older, newer].into_iter().flatten() {
        if Some(part.identity) != read_already && parts.iter().all(|other| other.identity != part.identity) {
            parts.push_back(part);
        }
    }
    Ok(parts)
}

fn parsed(line: &[u8]) -> Next {
    let Ok(mut entry) = serde_json::from_slice(line) else { return Next::Unreadable };
    if let Entry::Event(record) = &mut entry {
        record.identify();
    }
    Next::Entry(entry)
}

/// Bytes by which a file is known: its first entry, whose time no other has, and some more.
const HEAD: u64 = 4096;
/// Bytes of a line. The longest record is a small part of it.
const LONGEST_LINE: usize = 64 << 10;
