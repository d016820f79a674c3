//! The control groups of this process in the unified hierarchy (`Documentation/admin-guide/cgroup-v2.rst`), and one below them for the canary of scopes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::fstatfs;

use super::place::own_text;

/// A process's control group in the unified hierarchy, as its `/proc/PID/cgroup` says (`cgroups(7)`).
pub fn unified_path(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The path of this process's control group below the root of the hierarchy, as the kernel shows it.
///
/// # Errors
/// `/proc` is not the proc file system, or this process is in no unified hierarchy.
pub fn own_cgroup() -> io::Result<PathBuf> {
    let text = own_text("cgroup")?;
    unified_path(&text).map(PathBuf::from).ok_or_else(|| io::Error::other("this process is in no control group of a unified hierarchy (cgroup v2)"))
}

/// Where the canary of scopes is started.
///
/// # Errors
/// As [`own_cgroup`].
pub fn canary_cgroup() -> io::Result<PathBuf> {
    Ok(own_cgroup()?.join(CANARY_CGROUP))
}

/// Whether this is the path of such a group.
pub fn is_canary_cgroup(path: &str) -> bool {
    Path::new(path).file_name().is_some_and(|name| name == CANARY_CGROUP)
}

/// What a process writes a zero to, to enter the canary's group, which is made when it is missing.
pub(super) fn open_canary_cgroup() -> io::Result<File> {
    let folder = below_root(&canary_cgroup()?);
    make(&folder)?;
    let entrance = OpenOptions::new().write(true).open(folder.join("cgroup.procs"))?;
    if fstatfs(&entrance)?.f_type != CGROUP2_SUPER_MAGIC {
        return Err(io::Error::other(format!("something else than the unified hierarchy is mounted at {ROOT}")));
    }
    Ok(entrance)
}

/// The folders of this process's control group, of those above it, but for the root, which can be neither frozen nor killed, and of the canary's. None where
/// there is no unified hierarchy.
pub(super) fn to_be_guarded() -> Vec<PathBuf> {
    let Ok(canary) = canary_cgroup() else { return Vec::new() };
    let canary = below_root(&canary);
    if let Err(error) = make(&canary) {
        tracing::debug!("`{}` cannot be made: {error}", canary.display());
    }
    canary.ancestors().take_while(|folder| *folder != Path::new(ROOT)).filter(|folder| folder.is_dir()).map(Path::to_owned).collect()
}

fn below_root(path: &Path) -> PathBuf {
    Path::new(ROOT).join(path.strip_prefix("/").unwrap_or(path))
}

fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Where the hierarchy is mounted (`cgroups(7)`).
const ROOT: &str = "/sys/fs/cgroup";
const CANARY_CGROUP: &str = "enforcer-canary";
/// `include/uapi/linux/magic.h`
const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;
