//! Where this process stands: in the machine's own view of its files, or in one that somebody made for it.
//!
//! The enforcer's own program may touch what is guarded. Started in another mount namespace or below another root, it would take files that somebody laid
//! there for the policy's state. Everything is asked of the kernel's own file systems (`/proc`, `/sys`) themselves: what is mounted over one of their files is
//! not believed. Otherwise the next daemon would take a forged layout of the kernel's structures for the true one, or another program for itself.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat, openat2, readlinkat, stat, statat};

/// The id of this boot (`random(4)`).
///
/// # Errors
/// `/proc` is not the proc file system, or something is mounted over the file.
pub fn boot_id() -> io::Result<String> {
    let mut text = String::new();
    open_below(&proc_root()?, "sys/kernel/random/boot_id", OFlags::RDONLY)?.take(64).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// What the kernel was told when it was booted (`Documentation/admin-guide/kernel-parameters.rst`).
///
/// # Errors
/// `/proc` is not the proc file system, or something is mounted over the file.
pub fn kernel_command_line() -> io::Result<String> {
    let mut bytes = Vec::new();
    open_below(&proc_root()?, "cmdline", OFlags::RDONLY)?.take(LONGEST_COMMAND_LINE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A file of the sys file system, by its path below `/sys`.
///
/// # Errors
/// `/sys` is not the sys file system, there is no such file, or something is mounted over it or on the way to it (`EXDEV`).
pub(super) fn open_sys(path: &str) -> io::Result<File> {
    open_below(&root("/sys", SYSFS_MAGIC)?, path, OFlags::RDONLY)
}

/// The file of the program that this process runs, whatever stands in its place by now.
///
/// # Errors
/// `/proc` is not the proc file system, or something is mounted there.
pub fn open_own_program() -> io::Result<File> {
    // The last step leads out of the proc file system; nothing can be mounted over it.
    Ok(openat(own_folder()?, "exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
}

/// By what name this process's program was started; ` (deleted)` stands behind it when it is there no more.
///
/// # Errors
/// As [`open_own_program`].
pub fn own_program() -> io::Result<PathBuf> {
    Ok(OsString::from_vec(readlinkat(own_folder()?, "exe", Vec::new())?.into_bytes()).into())
}

/// The path of a file that runs, as the kernel shows it, without what it appends when the file has been removed or replaced since (`proc_pid_exe(5)`).
pub fn without_mark(path: PathBuf) -> PathBuf {
    path.as_os_str().as_bytes().strip_suffix(b" (deleted)").map(OsStr::from_bytes).map(PathBuf::from).unwrap_or(path)
}

/// The number of this process's mount namespace.
///
/// # Errors
/// As [`open_own_program`].
pub fn own_mount_namespace() -> io::Result<u64> {
    Ok(statat(own_folder()?, "ns/mnt", AtFlags::empty())?.st_ino)
}

/// A text that the kernel shows about this process, by its name below `/proc/self`.
///
/// # Errors
/// As [`open_own_program`].
pub fn own_text(name: &str) -> io::Result<String> {
    let mut text = String::new();
    File::from(openat(own_folder()?, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?).read_to_string(&mut text)?;
    Ok(text)
}

/// `/proc/PID` of this process.
fn own_folder() -> io::Result<File> {
    open_below(&proc_root()?, &std::process::id().to_string(), OFlags::RDONLY | OFlags::DIRECTORY)
}

fn open_below(root: &OwnedFd, path: &str, flags: OFlags) -> io::Result<File> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?.into())
}

/// Makes sure that this process sees the files that the daemon in force sees, which lives in the mount namespace with this number.
///
/// # Errors
/// In words, where it stands instead.
pub fn require_own_place(mount_namespace: u32) -> io::Result<()> {
    let proc = proc_root()?;
    let elsewhere = |what: &str| Err(io::Error::other(format!("this process stands in another {what} than the one in force")));
    let namespace = |name: &str| Ok::<_, io::Error>(readlinkat(&proc, format!("self/ns/{name}"), Vec::new())?.to_string_lossy().into_owned());
    // Process 1 is the machine's first one only there (`include/linux/proc_ns.h`, `PROC_PID_INIT_INO`).
    if namespace("pid")? != "pid:[4026531836]" {
        return elsewhere("pid namespace");
    }
    if namespace("mnt")? != format!("mnt:[{mount_namespace}]") {
        return elsewhere("mount namespace");
    }
    let (own, first) = (stat("/")?, statat(&proc, "1/root", AtFlags::empty())?);
    if (own.st_dev, own.st_ino) != (first.st_dev, first.st_ino) {
        return elsewhere("root folder");
    }
    Ok(())
}

fn proc_root() -> io::Result<OwnedFd> {
    root("/proc", PROC_SUPER_MAGIC)
}

/// The root of one of the kernel's own file systems.
fn root(path: &str, magic: i64) -> io::Result<OwnedFd> {
    const ROOT_INODE: u64 = 1;
    let root = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    if fstatfs(&root)?.f_type != magic || fstat(&root)?.st_ino != ROOT_INODE {
        return Err(io::Error::other(format!("something else than the kernel's own file system is mounted at {path}")));
    }
    Ok(root)
}

// `include/uapi/linux/magic.h`
/// More than `COMMAND_LINE_SIZE` of any architecture.
const LONGEST_COMMAND_LINE: u64 = 1 << 16;
const PROC_SUPER_MAGIC: i64 = 0x9fa0;
const SYSFS_MAGIC: i64 = 0x6265_6572;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_has_the_id_that_the_kernel_shows() {
        assert_eq!(boot_id().unwrap(), std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim());
    }

    #[test]
    fn what_is_told_of_this_process_is_what_proc_shows() {
        assert_eq!(own_program().unwrap(), std::env::current_exe().unwrap());
        assert!(own_text("maps").unwrap().contains("r-xp"));
        assert_eq!(open_own_program().unwrap().metadata().unwrap().len(), std::fs::metadata("/proc/self/exe").unwrap().len());
        assert!(own_mount_namespace().unwrap() > 0);
    }

    #[test]
    fn files_of_sysfs_are_found_through_its_own_links_and_nothing_else_is() {
        assert!(open_sys("kernel/btf/vmlinux").is_ok());
        assert!(open_sys("bus/event_source/devices/software/type").is_ok(), "by way of a symbolic link");
        assert!(open_sys("../proc/version").is_err());
        // Another file system, which is mounted there.
        assert_eq!(open_sys("kernel/debug/tracing").unwrap_err().kind(), open_sys("kernel/no-such").unwrap_err().kind());
    }

    #[test]
    fn another_mount_namespace_is_another_place() {
        assert!(require_own_place(1).unwrap_err().to_string().contains("namespace"));
    }
}
