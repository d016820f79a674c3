//! Which files may be code, by what is seen of them in passing: their first bytes, their mode, and their name.
//!
//! One rule for all that looks through folders, packages and images: ELF files, files with an executable bit, files that name their interpreter in their first
//! line, kernel modules, and files that an interpreter takes for scripts by their name. It decides about no file: whatever is missed by it is verified when it is used.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use enforcer_common::{USE_EXEC, USE_LIBRARY, USE_MODULE, USE_SCRIPT};
use rustix::fs::{Mode, OFlags};
use walkdir::{DirEntry, WalkDir};

use crate::measure::{MeasureError, in_parallel};
use crate::policy::ScriptNames;

/// How a file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// As ELF files do.
    Elf,
    /// With the two bytes that an interpreter's name follows.
    Interpreter,
    /// In another way.
    Other,
}

impl Beginning {
    /// How many bytes tell.
    pub const SIZE: usize = ELF.len();

    /// By a file's first [`Beginning::SIZE`] bytes, or all that it has.
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(ELF) {
            Self::Elf
        } else if bytes.starts_with(b"#!") {
            Self::Interpreter
        } else {
            Self::Other
        }
    }

    /// By a file that is open; one that cannot be read begins in another way.
    pub fn of_file(file: &File) -> Self {
        let mut bytes = [0; Self::SIZE];
        file.read_at(&mut bytes, 0).map_or(Self::Other, |read| Self::of(&bytes[..read]))
    }
}

/// The rule, of a file that is at `path` where it is used. A signature beside a file is none, whatever folder the file is in.
pub fn may_be_code(path: &Path, is_executable: bool, beginning: Beginning, names: &ScriptNames) -> bool {
    let is_signature = || path.extension().is_some_and(|ending| ending == SIGNATURE);
    is_executable || beginning != Beginning::Other || is_packed_module(path) || names.fit(path) && !is_signature()
}

/// What a file would be used for, by its looks: one of the uses of a signer's `allow`.
pub fn likely_use(path: &Path, is_executable: bool, beginning: Beginning) -> u32 {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_module = is_packed_module(path) || beginning == Beginning::Elf && name.ends_with(".ko");
    let is_library = name.ends_with(".so") || name.contains(".so.");
    match beginning {
        _ if is_module => USE_MODULE,
        Beginning::Elf if is_executable && !is_library => USE_EXEC,
        Beginning::Elf => USE_LIBRARY,
        Beginning::Other if is_executable && !name.contains('.') => USE_EXEC,
        // Started by its first line, a script is judged as what it is.
        Beginning::Interpreter | Beginning::Other => USE_SCRIPT,
    }
}

/// A kernel module that was compressed, as the kernel reads it (`kernel/module/decompress.c`), is no ELF file by its first bytes.
fn is_packed_module(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    [&b".ko.xz"[..], b".ko.zst", b".ko.gz"].iter().any(|ending| name.ends_with(ending))
}

/// The files below `root` that may be code, where scripts go by these names. Symbolic links are not followed. A root that is a file is itself the answer,
/// whatever it is.
pub fn code_files<'a>(root: &Path, names: &'a ScriptNames) -> impl Iterator<Item = (PathBuf, Result<(), MeasureError>)> + use<'a> {
    // Where it really lies, the folders above it count.
    let named = Root { written: root.to_owned(), real: root.canonicalize().unwrap_or_else(|_| root.to_owned()) };
    let mut walk = WalkDir::new(root).sort_by_file_name().into_iter();
    let batches = std::iter::from_fn(move || {
        let batch: Vec<_> = walk.by_ref().filter(is_candidate).take(BATCH).collect();
        (!batch.is_empty()).then_some(batch)
    });
    // Most files of a system are no code; looking into all of them is work for all processors.
    batches.flat_map(move |batch| in_parallel(batch.into_iter(), |entry| code(entry, &named, names)).into_iter().flatten())
}

/// What may be code by what the folder says of it: no folder, no link, no device.
fn is_candidate(entry: &walkdir::Result<DirEntry>) -> bool {
    entry.as_ref().map_or(true, |entry| entry.file_type().is_file() || entry.depth() == 0 && !entry.path().is_dir())
}

/// A folder that is searched.
struct Root {
    written: PathBuf,
    real: PathBuf,
}

impl Root {
    fn real_path(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.written).map_or_else(|_| path.to_owned(), |below| self.real.join(below))
    }
}

fn code(entry: walkdir::Result<DirEntry>, root: &Root, names: &ScriptNames) -> Option<(PathBuf, Result<(), MeasureError>)> {
    match entry {
        Ok(entry) if entry.depth() == 0 || is_code(entry.path(), root, names) => Some((entry.into_path(), Ok(()))),
        Ok(_) => None,
        Err(error) => {
            let path = error.path().unwrap_or(&root.written).to_owned();
            let looping = || io::Error::other("a folder contains itself");
            Some((path, Err(MeasureError::Open { source: error.into_io_error().unwrap_or_else(looping) })))
        }
    }
}

/// A file that cannot be opened may be anything: the error belongs to whoever examines it.
fn is_code(path: &Path, root: &Root, names: &ScriptNames) -> bool {
    // The folder has said that it is a regular file: nothing has to be looked at before it is opened.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(File::from) else { return true };
    let Ok(metadata) = file.metadata() else { return true };
    let beginning = Beginning::of_file(&file);
    may_be_code(&root.real_path(path), metadata.permissions().mode() & 0o111 != 0, beginning, names)
}

const ELF: &[u8] = b"\x7fELF";
/// What a detached signature's name ends with.
const SIGNATURE: &str = "p7s";
/// Files that are looked into at a time.
const BATCH: usize = 1024;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::policy::known_script_names;

    #[test]
    fn what_a_file_is_used_for_shows_in_its_looks() {
        let likely = |path: &str, is_executable, beginning| likely_use(Path::new(path), is_executable, beginning);
        assert_eq!(likely("/usr/bin/true", true, Beginning::Elf), USE_EXEC);
        assert_eq!(likely("/usr/lib/libc.so.6", true, Beginning::Elf), USE_LIBRARY);
        assert_eq!(likely("/usr/lib/plugin", false, Beginning::Elf), USE_LIBRARY);
        assert_eq!(likely("/lib/modules/x.ko.xz", false, Beginning::Other), USE_MODULE);
        assert_eq!(likely("/lib/modules/x.ko", false, Beginning::Elf), USE_MODULE);
        assert_eq!(likely("/usr/bin/apt-key", true, Beginning::Interpreter), USE_SCRIPT);
        assert_eq!(likely("/usr/lib/python3/x.py", false, Beginning::Other), USE_SCRIPT);
    }

    #[test]
    fn code_is_what_is_executable_begins_as_code_does_or_is_called_like_a_script() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8], mode| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        };
        file("empty", b"", 0o644);
        file("executable-empty", b"", 0o755);
        file("library", b"\x7fELF\x02", 0o644);
        file("magic-alone", b"\x7fELF", 0o600);
        file("module.py", b"", 0o644);
        file("names-interpreter", b"#!", 0o600);
        file("module.ko.xz", b"packed", 0o644);
        file("nearly", b"\x7fEL", 0o644);
        file("nearly-script", b"#", 0o644);
        file("others-only", b"text", 0o641);
        file("text", b"text", 0o644);
        file("zsh/functions/_ls", b"text", 0o644);
        file("zsh/functions/_ls.p7s", b"text", 0o644);
        symlink("library", folder.path().join("link")).unwrap();
        let names = known_script_names();
        let found: Vec<_> = code_files(folder.path(), names).map(|(path, _)| path.strip_prefix(folder.path()).unwrap().to_owned()).collect();
        let expected =
            ["executable-empty", "library", "magic-alone", "module.ko.xz", "module.py", "names-interpreter", "others-only", "zsh/functions/_ls"];
        assert_eq!(found, expected.map(PathBuf::from));
        symlink("zsh/functions", folder.path().join("by-a-link")).unwrap();
        let by_link = folder.path().join("by-a-link");
        let found: Vec<_> = code_files(&by_link, names).map(|(path, _)| path).collect();
        assert_eq!(found, [by_link.join("_ls")], "a folder is what it is, however it is called");
    }
}
