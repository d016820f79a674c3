//! Mounts that change what a file is or whose it is: FUSE, and mounts that map owners.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr,
    ReplyData, ReplyEntry, ReplyOpen, Request,
};

#[derive(clap::Subcommand)]
pub enum Mounts {
    /// Start a program of a FUSE file system that serves one file's bytes at first, and then another's.
    FuseExec { first: PathBuf, then: PathBuf, folder: PathBuf },
    /// Start a program through a mount that maps its owner to another one.
    IdmappedExec { folder: PathBuf, at: PathBuf, name: String },
}

/// Returns only with the refusal.
pub fn run(mounts: &Mounts) -> Result<()> {
    match mounts {
        Mounts::FuseExec { first, then, folder } => {
            serve(first, then, folder)?;
            let program = folder.join(NAME);
            ensure!(fs::read(&program)?.starts_with(&fs::read(first)?), "the first reading is not what it should be");
            Err(Command::new(program).exec()).context("execve")
        }
        Mounts::IdmappedExec { folder, at, name } => {
            idmapped(folder, at)?;
            Err(Command::new(at.join(name)).exec()).context("execve")
        }
    }
}

/// The server, in a child that ends with this process.
fn serve(first: &Path, then: &Path, folder: &Path) -> Result<()> {
    let contents = [fs::read(first)?, fs::read(then)?];
    let length = contents.iter().map(Vec::len).max().unwrap_or_default();
    let server = TwoFaced { contents, length, openings: AtomicUsize::new(0) };
    // SAFETY: this process has one thread, so the child is as whole as its parent; and it asks to be killed with it.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()).context("fork"),
        0 => {
            // SAFETY: a system call without pointers.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let mut config = Config::default();
            config.mount_options = vec![MountOption::FSName("two-faced".to_owned()), MountOption::Exec];
            let ended = fuser::mount(server, folder, &config);
            eprintln!("the server ended: {ended:?}");
            std::process::exit(1);
        }
        _ => {}
    }
    let deadline = Instant::now() + PATIENCE;
    while !folder.join(NAME).exists() {
        ensure!(Instant::now() < deadline, "the file system was not mounted");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// One file, whose bytes are others from the second opening on.
struct TwoFaced {
    contents: [Vec<u8>; 2],
    length: usize,
    openings: AtomicUsize,
}

impl TwoFaced {
    fn attributes(&self, number: INodeNo) -> FileAttr {
        let (kind, size) = if number == INodeNo::ROOT { (FileType::Directory, 0) } else { (FileType::RegularFile, self.length as u64) };
        FileAttr {
            ino: number,
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: 0o755,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for TwoFaced {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == NAME { reply.entry(&NO_TIME, &self.attributes(FILE), Generation(0)) } else { reply.error(Errno::ENOENT) }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&NO_TIME, &self.attributes(number));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let before = self.openings.fetch_add(1, Ordering::Relaxed);
        reply.opened(FileHandle((before > 0).into()), FopenFlags::empty());
    }

    fn read(&self, _: &Request, _: INodeNo, which: FileHandle, offset: u64, size: u32, _: OpenFlags, _: Option<LockOwner>, reply: ReplyData) {
        let mut content = self.contents[usize::from(which.0 != 0)].clone();
        content.resize(self.length, 0);
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let to = from.saturating_add(size as usize).min(content.len());
        reply.data(&content[from..to]);
    }
}

/// Mounts a folder elsewhere so that root's files belong to another user there.
fn idmapped(folder: &Path, at: &Path) -> Result<()> {
    const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
    let namespace = user_namespace()?;
    let (folder, at) = (text(folder)?, text(at)?);
    let attributes = libc::mount_attr { attr_set: MOUNT_ATTR_IDMAP, attr_clr: 0, propagation: 0, userns_fd: u64::try_from(namespace.as_raw_fd())? };
    // SAFETY: NUL-terminated paths, a structure of the size that is said, and descriptors that are open.
    unsafe {
        let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
        let tree = libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, folder.as_ptr(), flags);
        ensure!(tree >= 0, "open_tree: {}", io::Error::last_os_error());
        let tree = OwnedFd::from_raw_fd(i32::try_from(tree)?);
        let size = size_of::<libc::mount_attr>();
        let done = libc::syscall(libc::SYS_mount_setattr, tree.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, &raw const attributes, size);
        ensure!(done == 0, "mount_setattr: {}", io::Error::last_os_error());
        let done = libc::syscall(libc::SYS_move_mount, tree.as_raw_fd(), c"".as_ptr(), libc::AT_FDCWD, at.as_ptr(), MOVE_MOUNT_F_EMPTY_PATH);
        ensure!(done == 0, "move_mount: {}", io::Error::last_os_error());
    }
    Ok(())
}

/// A namespace in which root is somebody else outside.
fn user_namespace() -> Result<File> {
    let mut holder = Command::new("unshare").args(["--user", "sleep", "60"]).stdin(Stdio::null()).spawn()?;
    let process = PathBuf::from(format!("/proc/{}", holder.id()));
    let ours = fs::read_link("/proc/self/ns/user")?;
    let deadline = Instant::now() + PATIENCE;
    while fs::read_link(process.join("ns/user"))? == ours {
        if Instant::now() > deadline {
            bail!("there is no namespace");
        }
        thread::sleep(Duration::from_millis(20));
    }
    fs::write(process.join("uid_map"), "0 100000 65536")?;
    fs::write(process.join("gid_map"), "0 100000 65536")?;
    let namespace = File::open(process.join("ns/user"))?;
    holder.kill()?;
    holder.wait()?;
    Ok(namespace)
}

fn text(path: &Path) -> Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// The file that is served.
const NAME: &str = "program";
const FILE: INodeNo = INodeNo(2);
/// Nothing is kept by the kernel.
const NO_TIME: Duration = Duration::ZERO;
const PATIENCE: Duration = Duration::from_secs(10);
/// `include/uapi/linux/mount.h`
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;
