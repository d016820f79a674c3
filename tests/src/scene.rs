//! Where a test plays: the prepared files, fresh folders, and this program as the one who attacks.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

/// The files and folders of a run.
#[derive(Debug)]
pub struct Scene {
    fixtures: PathBuf,
    work: PathBuf,
    volatile: PathBuf,
    program: PathBuf,
}

impl Scene {
    /// A scene with empty folders.
    pub fn new(fixtures: &Path, work: &Path) -> Result<Self> {
        let scene = Self {
            fixtures: fixtures.to_owned(),
            work: work.to_owned(),
            volatile: PathBuf::from(VOLATILE),
            program: std::env::current_exe().context("cannot find this program's own file")?,
        };
        scene.clear()?;
        Ok(scene)
    }

    /// Empties the folders that tests write to.
    pub fn clear(&self) -> Result<()> {
        for folder in [&self.work, &self.volatile] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot empty `{}`", folder.display()));
                }
                _ => fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?,
            }
        }
        Ok(())
    }

    /// A prepared file.
    pub fn fixture(&self, name: &str) -> PathBuf {
        self.fixtures.join(name)
    }

    /// A path on a disk file system.
    pub fn disk(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    /// A path on tmpfs.
    pub fn tmpfs(&self, name: &str) -> PathBuf {
        self.volatile.join(name)
    }

    /// A fresh copy of a prepared file on a disk file system.
    pub fn copy(&self, fixture: &str, name: &str) -> Result<PathBuf> {
        install(&self.fixture(fixture), &self.disk(name))
    }

    /// This program.
    pub fn tool(&self) -> &Path {
        &self.program
    }

    /// A command that lets this program do one forbidden thing in a process of its own.
    pub fn attack<'a>(&self, arguments: impl IntoIterator<Item = &'a OsStr>) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("attack").args(arguments);
        command
    }
}

/// Copies a file as a package manager does: written under another name, then renamed.
pub fn install(from: &Path, to: &Path) -> Result<PathBuf> {
    let copy = || -> io::Result<()> {
        let mut name = to.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        fs::copy(from, &new)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
        fs::rename(&new, to)
    };
    copy().with_context(|| format!("cannot copy `{}` to `{}`", from.display(), to.display()))?;
    Ok(to.to_owned())
}

const VOLATILE: &str = "/dev/shm/enforcer-tests";

/// Where the version stands in the text that signed programs and libraries say, if they say it once.
pub fn version_at(bytes: &[u8]) -> Option<usize> {
    const BEFORE: &[u8] = b"signed code ";
    const AFTER: &[u8] = b" ran";
    let length = BEFORE.len() + 1 + AFTER.len();
    let is_text = |window: &&[u8]| window.starts_with(BEFORE) && window.ends_with(AFTER);
    let mut found = bytes.windows(length).enumerate().filter(|(_, window)| is_text(window)).map(|(position, _)| position + BEFORE.len());
    found.next().filter(|_| found.next().is_none())
}

/// What is signed speaks of this version.
pub const FIRST_VERSION: u8 = b'1';
/// What was changed after signing speaks of this one.
pub const SECOND_VERSION: u8 = b'2';
/// Signed programs that are known to nobody until a test installs them.
pub const STAGED_PROGRAMS: usize = 120;
/// The same for libraries.
pub const STAGED_LIBRARIES: usize = 10;
