//! What rpm's database says of installed files: their packages, and their SHA-256 as their packages name it.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use enforcer_common::Digest;

use super::owners::{Listed, Manager, Owner};
use super::places::Places;
use crate::text::unhex;

/// The packages of these files.
///
/// # Errors
/// `NotFound` where there is no rpm.
pub(super) fn owners(wanted: &HashSet<PathBuf>) -> io::Result<HashMap<PathBuf, Owner>> {
    let names: HashSet<&OsStr> = wanted.iter().filter_map(|path| path.file_name()).collect();
    let mut found = HashMap::new();
    let mut places = Places::default();
    let mut rpm = Command::new("rpm")
        .args(["-qa", "--queryformat", FORMAT])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut lines = BufReader::new(rpm.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if length == 0 {
            break;
        }
        let mut fields = line.trim_ascii_end().splitn(4, |byte| *byte == b'\t');
        let (Some(package), Some(algorithm), Some(digest), Some(path)) = (fields.next(), fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let path = Path::new(OsStr::from_bytes(path));
        if !names.contains(path.file_name().unwrap_or_default()) {
            continue;
        }
        let path = places.real(path);
        if wanted.contains(&path) {
            let digest = std::str::from_utf8(digest).ok().filter(|_| algorithm == SHA256).and_then(unhex);
            let digest = digest.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            let listed = digest.map_or(Listed::Unlisted, |bytes| Listed::As(Digest::sha256(bytes)));
            found.insert(path, Owner { package: String::from_utf8_lossy(package).into_owned(), manager: Manager::Rpm, listed });
        }
    }
    let status = rpm.wait()?;
    if status.success() { Ok(found) } else { Err(io::Error::other(format!("it failed ({status})"))) }
}

/// A line for each file: package, algorithm, digest, path.
const FORMAT: &str = "[%{=NAME}\\t%{=FILEDIGESTALGO}\\t%{FILEDIGESTS}\\t%{FILENAMES}\\n]";
/// SHA-256, by its number in OpenPGP (RFC 9580 §9.5), as rpm writes it.
const SHA256: &[u8] = b"8";
/// A path, with three short fields before it.
const LONGEST_LINE: u64 = 16 << 10;
