//! What runs: the processes, and for each its program and whatever else it has mapped as code, as the kernel tells it (`proc(5)`).
//!
//! Opens and measures nothing, and decides nothing: it says by which names the very files can be had that run, also those that were replaced since.

mod parts;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use enforcer_common::{USE_EXEC, USE_LIBRARY};

use crate::kernel::unified_path;

pub use parts::{Part, Parts, RunningFile};

/// A process that runs a file; the kernel's own threads run none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its program's path, as the kernel spells it: ` (deleted)` stands behind what was replaced or removed since.
    pub program: PathBuf,
}

/// A part of a process's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// A file.
    File(CodeFile),
    /// Executable memory that no file stands behind, and whether it can be written to as well.
    Memory {
        /// Whether it can be written to as it is.
        is_writable: bool,
    },
}

/// A file that a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeFile {
    /// What to open to have this very file: a link of the kernel's.
    pub handle: PathBuf,
    /// Its path, as the process was told.
    pub path: PathBuf,
    /// What a signature has to allow: [`USE_EXEC`] or [`USE_LIBRARY`].
    pub wanted: u32,
}

impl Process {
    /// The process, if there is one that runs a file.
    ///
    /// # Errors
    /// Whoever asks may not know.
    pub fn of(pid: u32) -> io::Result<Option<Self>> {
        match fs::read_link(folder(pid).join("exe")) {
            Ok(program) => Ok(Some(Self { pid, program })),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Its program and everything that it has mapped as code; a file that is mapped in several places comes several times.
    ///
    /// # Errors
    /// The kernel's list cannot be read, or is longer than any that is looked at. A process that has ended since has no code.
    pub fn code(&self) -> io::Result<Vec<Code>> {
        let folder = folder(self.pid);
        let mut code = vec![Code::File(CodeFile { handle: folder.join("exe"), path: self.program.clone(), wanted: USE_EXEC })];
        let maps = match read_bounded(&folder.join("maps"), LONGEST_MAPS) {
            Ok(maps) => maps,
            Err(error) if is_gone(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let maps = String::from_utf8_lossy(&maps);
        for mapping in maps.lines().filter_map(Mapping::parse).filter(|mapping| mapping.is_code) {
            match mapping.path {
                // The kernel's own pages.
                Some(path) if path.starts_with('[') && path != "[heap]" && path != "[stack]" => {}
                Some(path) if path.starts_with('/') => {
                    code.push(Code::File(CodeFile { handle: folder.join("map_files").join(mapping.range), path: path.into(), wanted: USE_LIBRARY }))
                }
                _ => code.push(Code::Memory { is_writable: mapping.is_writable }),
            }
        }
        Ok(code)
    }

    /// The name that it goes by (`comm`), where it can be read.
    pub fn name(&self) -> Option<String> {
        let text = fs::read(folder(self.pid).join("comm")).ok()?;
        Some(String::from_utf8_lossy(&text).trim_end_matches('\n').to_owned())
    }

    /// The path of its control group, where it can be read.
    pub fn cgroup(&self) -> Option<String> {
        let text = fs::read_to_string(folder(self.pid).join("cgroup")).ok()?;
        unified_path(&text).map(str::to_owned)
    }

    /// The words that it was started with, as many as fit.
    pub fn words(&self) -> Vec<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = File::open(folder(self.pid).join("cmdline")).and_then(|file| file.take(LONGEST_WORDS).read_to_end(&mut bytes));
        if read.is_err() {
            return Vec::new();
        }
        bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
    }

    /// A path as the process means it, by its root and the folder that it works in.
    pub fn place(&self, word: &[u8]) -> PathBuf {
        let path = Path::new(std::ffi::OsStr::from_bytes(word));
        let folder = folder(self.pid);
        match path.strip_prefix("/") {
            Ok(below) => folder.join("root").join(below),
            Err(_) => folder.join("cwd").join(path),
        }
    }
}

/// The processes that are there.
///
/// # Errors
/// `/proc` cannot be read.
pub fn pids() -> io::Result<impl Iterator<Item = u32>> {
    Ok(fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

/// The process that started it, where that can be read.
pub fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(folder(pid).join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}

/// Whether this says that the process, or the mapping, is there no more.
pub fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// A line of `/proc/PID/maps` (`proc_pid_maps(5)`).
pub struct Mapping<'a> {
    /// As `/proc/PID/map_files` names it: without leading zeros.
    range: String,
    /// Whether it can be executed.
    pub is_code: bool,
    /// Whether it can be written to.
    pub is_writable: bool,
    /// The file, or the kernel's word for what it is.
    pub path: Option<&'a str>,
}

impl<'a> Mapping<'a> {
    /// Reads a line; `None` for what is none.
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let range = format!("{:x}-{:x}", number(start)?, number(end)?);
        let rights = words.next()?;
        let path = words.nth(3).map(str::trim).filter(|path| !path.is_empty());
        Some(Self { range, is_code: rights.contains('x'), is_writable: rights.contains('w'), path })
    }
}

fn folder(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(io::Error::new(ErrorKind::FileTooLarge, "too many mappings")) } else { Ok(bytes) }
}

/// Bytes of a list of mappings: the kernel's bound on their number (`vm.max_map_count`), at a long line each.
const LONGEST_MAPS: u64 = 64 << 20;
/// Bytes of a command line that are looked at.
const LONGEST_WORDS: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read_as_the_kernel_writes_them() {
        let code = Mapping::parse("00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/a b").unwrap();
        assert_eq!((code.range.as_str(), code.is_code, code.path), ("400000-452000", true, Some("/usr/bin/a b")));
        let memory = Mapping::parse("7f0c2c000000-7f0c2c021000 rwxp 00000000 00:00 0 ").unwrap();
        assert_eq!((memory.is_code, memory.is_writable, memory.path), (true, true, None));
        assert!(!Mapping::parse("7ffc1-7ffc2 rw-p 00000000 00:00 0    [stack]").unwrap().is_code);
    }

    #[test]
    fn this_process_runs_its_program_and_what_it_has_mapped() {
        let process = Process::of(std::process::id()).unwrap().unwrap();
        assert_eq!(process.program, std::env::current_exe().unwrap());
        let code = process.code().unwrap();
        let Code::File(program) = &code[0] else { panic!("{code:?}") };
        assert_eq!((program.path.as_path(), program.wanted), (process.program.as_path(), USE_EXEC));
        let is_libc = |code: &Code| matches!(code, Code::File(file) if file.path.to_string_lossy().contains("libc") && file.wanted == USE_LIBRARY);
        assert!(code.iter().any(is_libc), "{code:?}");
        assert!(process.words()[0].ends_with(process.program.file_name().unwrap().as_encoded_bytes()));
        assert_eq!(Process::of(u32::MAX).unwrap(), None);
    }
}
