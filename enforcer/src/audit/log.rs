//! The event log: JSON lines, appended, bounded, and never the reason for an outage.
//!
//! Each line is an [`Entry`]. The file is rotated once: `events.jsonl` and `events.jsonl.1`, each of a bounded size. What is lost (a full disk, the
//! oldest file, the kernel's ring buffer) is counted, and the count is written into the log as soon as it can be.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Record, Timestamp};

/// Where the daemon keeps its events.
pub const DEFAULT_PATH: &str = "/var/log/enforcer/events.jsonl";

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// Something was denied, or would have been.
    Event(Box<Record>),
    /// Events are missing here.
    Lost(Lost),
}

/// A gap in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// When it was noticed.
    pub time: Timestamp,
    /// How many events.
    pub count: u64,
    /// Where they were lost, in words.
    pub cause: String,
}

/// How large the log may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Bytes of each of the two files.
    pub max_bytes: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { max_bytes: 64 << 20 }
    }
}

/// What became of the events that were handed to a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogCounters {
    /// Events on disk.
    pub written: u64,
    /// Events that could not be written.
    pub unwritten: u64,
    /// Events that made room for newer ones.
    pub rotated_away: u64,
}

/// The writing end. There is one writer: the daemon.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    limits: LogLimits,
    file: Option<File>,
    counters: LogCounters,
    /// Gaps that are not yet noted in the log.
    gaps: Vec<Lost>,
}

impl EventLog {
    /// The log at its usual place.
    pub fn open_default() -> Self {
        Self::open(Path::new(DEFAULT_PATH), LogLimits::default())
    }

    /// The log in a file, which is made with its folder if it is not there. Where that fails, it is tried again with each event.
    pub fn open(path: &Path, limits: LogLimits) -> Self {
        let mut log = Self { path: path.into(), limits, file: None, counters: LogCounters::default(), gaps: Vec::new() };
        if let Err(error) = log.current_file() {
            tracing::error!("events cannot be written to `{}` for now: {error}", path.display());
        }
        log
    }

    /// Writes one event; what cannot be written is counted.
    pub fn append(&mut self, record: &Record) {
        match self.write_gaps().and_then(|()| self.write(&Entry::Event(Box::new(record.clone())))) {
            Ok(()) => self.counters.written += 1,
            Err(error) => {
                if self.counters.unwritten == 0 {
                    tracing::error!("events are being lost: cannot write `{}`: {error}", self.path.display());
                }
                self.counters.unwritten += 1;
                self.note_loss(1, &format!("the log could not be written: {error}"));
            }
        }
    }

    /// Notes that events were lost before they came here, such as in the kernel's ring buffer.
    pub fn note_loss(&mut self, count: u64, cause: &str) {
        let full = self.gaps.len() >= MOST_GAPS;
        match self.gaps.last_mut() {
            Some(gap) if full || gap.cause == cause => gap.count += count,
            _ => self.gaps.push(Lost { time: Timestamp::now(), count, cause: cause.to_owned() }),
        }
    }

    /// What became of the events so far.
    pub fn counters(&self) -> &LogCounters {
        &self.counters
    }

    fn write_gaps(&mut self) -> io::Result<()> {
        while let Some(gap) = self.gaps.first() {
            self.write(&Entry::Lost(gap.clone()))?;
            self.gaps.remove(0);
        }
        Ok(())
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let mut file = self.current_file()?;
        let size = file.metadata()?.len();
        if size > 0 && size + line.len() as u64 > self.limits.max_bytes {
            self.rotate()?;
            file = self.current_file()?;
        }
        let size = file.metadata()?.len();
        file.write_all(&line).inspect_err(|_| {
            // Half a line is of no use to anybody. Should this fail too, the next opening mends it.
            if file.set_len(size).is_err() {
                self.file = None;
            }
        })
    }

    /// The file of that name: opened again when somebody moved or removed it.
    fn current_file(&mut self) -> io::Result<File> {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        if let Some(file) = &self.file
            && let Ok(there) = fs::symlink_metadata(&self.path)
            && identity(there) == identity(file.metadata()?)
        {
            return file.try_clone();
        }
        let file = open_for_append(&self.path)?;
        self.file = Some(file.try_clone()?);
        Ok(file)
    }

    fn rotate(&mut self) -> io::Result<()> {
        let older = rotated(&self.path);
        let dropped = match File::open(&older) {
            Ok(file) => count_events(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        if let Some(file) = self.file.take() {
            file.sync_data()?;
        }
        fs::rename(&self.path, &older)?;
        if dropped > 0 {
            self.counters.rotated_away += dropped;
            self.note_loss(dropped, "older events made room for newer ones");
        }
        Ok(())
    }
}

/// Where the older half of a log is.
pub(super) fn rotated(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Opens or makes the file, for root alone, and ends a line that a crash left open.
fn open_for_append(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent()
        && !folder.exists()
    {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // Not blocking on a FIFO and not following a link that somebody put in the log's place.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    if metadata.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// Events in a file, in constant memory. Counts lines: a log holds few that are none.
fn count_events(mut file: File) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut count = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(count),
            length => count += buffer[..length].iter().filter(|byte| **byte == b'\n').count() as u64,
        }
    }
}

/// Different causes of loss that are kept apart while nothing can be written.
const MOST_GAPS: usize = 16;
