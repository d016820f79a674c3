//! File systems: how the content of their files can change, and which are a reason for a denial by themselves.

use enforcer_common::Reason;

use crate::{
    inode_at,
    kernel::{self, inode},
    rule,
};

/// How a file system's content can change, by its magic number (`include/uapi/linux/magic.h`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filesystem {
    /// The stamp moves with the content.
    Stamped,
    /// Local, hashed at every use.
    Local,
    /// Can change under a pinned page, with nothing to see it by.
    Volatile,
    /// Somebody else decides what is read.
    Foreign,
}

impl Filesystem {
    #[inline(always)]
    fn from_raw(raw: u64) -> Self {
        match raw {
            STAMPED => Self::Stamped,
            LOCAL => Self::Local,
            VOLATILE => Self::Volatile,
            _ => Self::Foreign,
        }
    }
}

const STAMPED: u64 = Filesystem::Stamped as u64;
const LOCAL: u64 = Filesystem::Local as u64;
const VOLATILE: u64 = Filesystem::Volatile as u64;

/// How the content of this inode can change; `real` as in [`stamp`](crate::stamp).
#[inline(always)]
pub(crate) fn filesystem(inode: *mut inode, real: u64) -> Filesystem {
    Filesystem::from_raw(filesystem_at(kernel::address(inode), real))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn filesystem_at(inode: u64, real: u64) -> u64 {
    if !rule::FILE_SYSTEMS {
        return Filesystem::Stamped as u64;
    }
    let own = kind_of(inode_at::magic(inode), inode_at::is_on_users_mount(inode));
    // Whoever may mount what they like may also mount an overlay over what would be refused by itself.
    if real == 0 || own == Filesystem::Foreign {
        return own as u64;
    }
    match inode_at::magic(real) {
        // A layer that is an overlay itself has its content somewhere else again.
        OVERLAYFS_SUPER_MAGIC => Filesystem::Foreign as u64,
        magic => kind_of(magic, inode_at::is_on_users_mount(real)) as u64,
    }
}

#[inline(always)]
fn kind_of(magic: u64, is_users_mount: bool) -> Filesystem {
    match magic {
        TMPFS_MAGIC | RAMFS_MAGIC | HUGETLBFS_MAGIC => Filesystem::Volatile,
        _ if is_users_mount => Filesystem::Foreign,
        EXT4_SUPER_MAGIC | XFS_SUPER_MAGIC | BTRFS_SUPER_MAGIC => Filesystem::Stamped,
        OVERLAYFS_SUPER_MAGIC if !rule::REAL_INODE => Filesystem::Stamped,
        OVERLAYFS_SUPER_MAGIC | SQUASHFS_MAGIC | EROFS_SUPER_MAGIC | F2FS_SUPER_MAGIC | ISOFS_SUPER_MAGIC | MSDOS_SUPER_MAGIC => Filesystem::Local,
        _ => Filesystem::Foreign,
    }
}

/// Whether a file without a size has no content, at this address of an inode: those of the kernel's own file systems have some all the same.
#[inline(always)]
pub(crate) fn keeps_sizes(inode: u64) -> bool {
    kind_of(inode_at::magic(inode), false) != Filesystem::Foreign
}

/// Whether the inode at this address is one of the kernel's own, of which nobody could sign the content.
#[inline(always)]
pub(crate) fn is_kernels_own(inode: u64) -> bool {
    matches!(
        inode_at::magic(inode),
        PROC_SUPER_MAGIC | SYSFS_MAGIC | CGROUP2_SUPER_MAGIC | SECURITYFS_MAGIC | TRACEFS_MAGIC | DEBUGFS_MAGIC | BPF_FS_MAGIC
    )
}

/// Whether the file's file system by itself is a reason for a denial, whatever the file's content is.
#[inline(always)]
pub(crate) fn unwelcome(inode: *mut inode, real: u64) -> Option<Reason> {
    match filesystem(inode, real) {
        Filesystem::Stamped | Filesystem::Local => None,
        Filesystem::Volatile if is_sealed(inode) => None,
        Filesystem::Volatile => Some(Reason::VolatileFilesystem),
        Filesystem::Foreign => Some(Reason::ForeignFilesystem),
    }
}

/// A memfd sealed against writing holds still like a file (`memfd_create(2)`, "File sealing").
#[inline(always)]
fn is_sealed(inode: *mut inode) -> bool {
    kernel::inode_filesystem(inode).1 == TMPFS_MAGIC && kernel::shmem_seals(inode) & F_SEAL_WRITE != 0
}

/// `include/uapi/linux/fcntl.h`.
const F_SEAL_WRITE: u32 = 0x0008;
const EXT4_SUPER_MAGIC: u64 = 0xEF53;
const XFS_SUPER_MAGIC: u64 = 0x5846_5342;
const BTRFS_SUPER_MAGIC: u64 = 0x9123_683E;
pub(crate) const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;
const SQUASHFS_MAGIC: u64 = 0x7371_7368;
const EROFS_SUPER_MAGIC: u64 = 0xE0F5_E1E2;
const F2FS_SUPER_MAGIC: u64 = 0xF2F5_2010;
const ISOFS_SUPER_MAGIC: u64 = 0x9660;
const MSDOS_SUPER_MAGIC: u64 = 0x4d44;
pub(crate) const TMPFS_MAGIC: u64 = 0x0102_1994;
const RAMFS_MAGIC: u64 = 0x8584_58f6;
const HUGETLBFS_MAGIC: u64 = 0x9584_58f6;
pub(crate) const PROC_SUPER_MAGIC: u64 = 0x9fa0;
const SYSFS_MAGIC: u64 = 0x6265_6572;
pub(crate) const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
pub(crate) const CGROUP_SUPER_MAGIC: u64 = 0x0027_e0eb;
const SECURITYFS_MAGIC: u64 = 0x7363_6673;
pub(crate) const TRACEFS_MAGIC: u64 = 0x7472_6163;
const DEBUGFS_MAGIC: u64 = 0x6462_6720;
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
