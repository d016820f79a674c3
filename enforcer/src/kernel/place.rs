//! Where this process stands: in the machine's own view of its files, or in one that somebody made for it.
//!
//! The enforcer's own program may touch what is guarded. Started in another mount namespace or below another root, it would take files that somebody laid
//! there for the policy's state. Everything is asked of the proc file system itself: what is mounted over one of its files is not believed.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat2, readlinkat, stat, statat};

/// The id of this boot (`random(4)`).
///
/// # Errors
/// `/proc` is not the proc file system, or something is mounted over the file.
pub fn boot_id() -> io::Result<String> {
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let file = openat2(proc_root()?, "sys/kernel/random/boot_id", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    let mut text = String::new();
    File::from(file).take(64).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
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
    const PROC_SUPER_MAGIC: i64 = 0x9fa0;
    const PROC_ROOT_INODE: u64 = 1;
    let root = rustix::fs::open("/proc", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    if fstatfs(&root)?.f_type != PROC_SUPER_MAGIC || fstat(&root)?.st_ino != PROC_ROOT_INODE {
        return Err(io::Error::other("/proc is not the proc file system"));
    }
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_has_the_id_that_the_kernel_shows() {
        assert_eq!(boot_id().unwrap(), std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim());
    }

    #[test]
    fn another_mount_namespace_is_another_place() {
        assert!(require_own_place(1).unwrap_err().to_string().contains("namespace"));
    }
}
