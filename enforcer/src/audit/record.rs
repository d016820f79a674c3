//! One event, as it is kept and shown.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use enforcer_common::{ALGORITHM_FSVERITY_SHA256, ALGORITHM_SHA256, Digest, Event, Hook, Mode, PathKind, Reason};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{BootTime, Timestamp, reason};
use crate::text::{hex, sha256};
use crate::trust::parse_sha256;

/// A denial, or what would have been one. Its JSON form is an interface: fields are added, never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What the event is called by: 16 hexadecimal digits, of which a few tell it from the others. The same for the same event, whoever reads the log.
    #[serde(default)]
    pub id: String,
    /// When.
    pub time: Timestamp,
    /// Whether it was stopped.
    pub denied: bool,
    /// The mode at that time.
    pub mode: Code<Mode>,
    /// The hook that asked.
    pub hook: Code<Hook>,
    /// Why.
    pub reason: Code<Reason>,
    /// An errno or other number that belongs to the reason; 0 is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub detail: i32,
    /// What the daemon found out about the file, where it looked at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// The short name of that, where a signature was the reason (`reason.code` of `enforcer verify --json`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<String>,
    /// The file, as the process sees it; bytes that are no UTF-8 are replaced.
    #[serde(default)]
    pub path: Option<String>,
    /// The exact bytes of `path` in hexadecimal, where they are no UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// Whether `path` is a full path or a last component.
    pub path_kind: Code<PathKind>,
    /// The file's digest, as `algorithm:hex`.
    #[serde(default)]
    pub digest: Option<String>,
    /// The file's device, as `major:minor`.
    #[serde(default)]
    pub device: Option<String>,
    /// The file's inode number.
    #[serde(default)]
    pub inode: Option<u64>,
    /// The file's size in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// The process's command name.
    pub comm: String,
    /// Process id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// The parent's process id.
    pub parent_pid: u32,
    /// Real user id.
    pub uid: u32,
    /// The id of the process's cgroup.
    pub cgroup_id: u64,
    /// The path of the process's cgroup, where it could be found out.
    #[serde(default)]
    pub cgroup: Option<String>,
    /// How to mend it.
    pub remedy: String,
}

impl Record {
    /// The record of an event that the kernel has just reported. Reads the clock; everything else is in the event.
    pub fn from_event(event: &Event) -> Self {
        Self::at(event, BootTime::now())
    }

    /// The record of an event, by a given relation of the clocks.
    pub fn at(event: &Event, clock: BootTime) -> Self {
        let path_kind = Code::<PathKind>::from(event.path_kind);
        let path = (path_kind != Code::Known(PathKind::None)).then(|| until_nul(&event.path)).filter(|path| !path.is_empty());
        let has_file = event.inode != 0;
        let mut record = Self {
            id: String::new(),
            time: clock.time_of_day(event.time),
            denied: event.denied != 0,
            mode: event.mode.into(),
            hook: event.hook.into(),
            reason: event.reason.into(),
            detail: event.detail,
            explanation: None,
            rejection: None,
            path: path.map(|path| String::from_utf8_lossy(path).into_owned()),
            path_bytes: path.filter(|path| str::from_utf8(path).is_err()).map(hex),
            path_kind,
            digest: digest_text(&event.digest),
            device: has_file.then(|| format!("{}:{}", event.device >> MINOR_BITS, event.device & ((1 << MINOR_BITS) - 1))),
            inode: has_file.then_some(event.inode),
            size: has_file.then_some(event.size),
            comm: String::from_utf8_lossy(until_nul(&event.comm)).into_owned(),
            pid: event.pid,
            tid: event.tid,
            parent_pid: event.parent_pid,
            uid: event.uid,
            cgroup_id: event.cgroup,
            cgroup: None,
            remedy: String::new(),
        };
        record.remedy = reason::remedy(record.reason, record.path.as_deref());
        record.identify();
        record
    }

    /// The digest of the file, where the record has one that this version knows.
    pub fn content(&self) -> Option<Digest> {
        let (algorithm, digits) = self.digest.as_ref()?.split_once(':')?;
        let bytes = parse_sha256(digits)?;
        match algorithm {
            SHA256 => Some(Digest::sha256(bytes)),
            FSVERITY_SHA256 => Some(Digest::fsverity_sha256(bytes)),
            _ => None,
        }
    }

    /// The path as it is, also where its bytes are no UTF-8.
    pub fn path_as_it_is(&self) -> Option<PathBuf> {
        match &self.path_bytes {
            Some(digits) => Some(PathBuf::from(OsString::from_vec(unhex(digits)?))),
            None => self.path.as_ref().map(PathBuf::from),
        }
    }

    /// Names a record that has no name: it is new, or an older version wrote it. A thread does one thing at a time, so that time, thread, hook and subject tell
    /// an event from every other.
    pub(super) fn identify(&mut self) {
        if self.id.is_empty() {
            let (device, inode) = (self.device.as_deref().unwrap_or_default(), self.inode.unwrap_or_default());
            let (digest, path) = (self.digest.as_deref().unwrap_or_default(), self.path.as_deref().unwrap_or_default());
            let facts = format!("{} {} {} {} {device} {inode} {digest} {path}", self.time, self.tid, self.hook, self.reason);
            self.id = hex(&sha256(facts.as_bytes())[..ID_BYTES]);
        }
    }
}

/// A number of the kernel side: one of the values that this program knows, or any other, kept as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code<T> {
    /// A value with a name.
    Known(T),
    /// A number that this version has no name for. Written as `unknown(n)`.
    Unknown(u32),
}

/// The enums whose values cross the kernel boundary.
pub trait Named: Copy + 'static {
    /// All values.
    const VALUES: &'static [Self];
    /// The value's number.
    fn number(self) -> u32;
    /// The value's name.
    fn name(self) -> &'static str;
}

macro_rules! named {
    ($($name:ident),+) => { $(
        impl Named for $name {
            const VALUES: &'static [Self] = $name::ALL;
            fn number(self) -> u32 {
                self as u32
            }
            fn name(self) -> &'static str {
                $name::name(self)
            }
        }
    )+ };
}
named!(Hook, Reason, Mode, PathKind);

impl<T: Named> From<u32> for Code<T> {
    fn from(raw: u32) -> Self {
        T::VALUES.iter().find(|value| value.number() == raw).map_or(Self::Unknown(raw), |value| Self::Known(*value))
    }
}

impl<T: Named> fmt::Display for Code<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => out.pad(value.name()),
            Self::Unknown(raw) => out.pad(&format!("unknown({raw})")),
        }
    }
}

impl<T: Named> Serialize for Code<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, T: Named> Deserialize<'de> for Code<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = T::VALUES.iter().find(|value| value.name() == text).map(|value| Self::Known(*value));
        let unknown = || text.strip_prefix("unknown(")?.strip_suffix(')')?.parse().ok().map(Self::Unknown);
        known.or_else(unknown).ok_or_else(|| D::Error::custom(format!("`{text}` has no meaning here")))
    }
}

fn digest_text(digest: &Digest) -> Option<String> {
    let hex = hex(&digest.bytes);
    match digest.algorithm {
        0 => None,
        ALGORITHM_SHA256 => Some(format!("{SHA256}:{hex}")),
        ALGORITHM_FSVERITY_SHA256 => Some(format!("{FSVERITY_SHA256}:{hex}")),
        unknown => Some(format!("unknown({unknown}):{hex}")),
    }
}

/// What stands before the first NUL; everything, where there is none.
fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.iter().position(|byte| *byte == 0).map_or(bytes, |end| &bytes[..end])
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2)).collect()
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

const SHA256: &str = "sha256";
const FSVERITY_SHA256: &str = "fsverity-sha256";
/// Bytes of an event's name.
const ID_BYTES: usize = 8;
/// Bits of the minor number in the kernel's `dev_t` (`MINORBITS`, `include/linux/kdev_t.h`).
const MINOR_BITS: u32 = 20;
