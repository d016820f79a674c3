//! What is loaded of an inode that the verifier knows. What it does not know is read by its address (`inode_at`).

use aya_ebpf::{bindings::inode, helpers::generated::bpf_probe_read_kernel};

use super::{field, layout};
use crate::{inode_at, rule};

pub(crate) fn inode_number(inode: *const inode) -> u64 {
    field!(inode, inode_i_ino as u64)
}

pub(crate) fn inode_size(inode: *const inode) -> u64 {
    field!(inode, inode_i_size as u64)
}

/// `i_version` as it stands there, with its flag.
#[inline(always)]
pub(crate) fn inode_version(inode: *const inode) -> u64 {
    field!(inode, inode_i_version as u64)
}

/// Whether the next change moves it.
#[inline(always)]
pub(crate) fn inode_version_counts(inode: *const inode) -> bool {
    let super_block = field!(inode, inode_i_sb as *const u8);
    inode_version(inode) & inode_at::I_VERSION_QUERIED != 0 && field!(super_block, super_block_s_flags as u64) & inode_at::SB_I_VERSION != 0
}

/// The ctime in seconds and nanoseconds, with the kernel's own flag.
#[inline(always)]
pub(crate) fn inode_ctime(inode: *const inode) -> (u64, u32) {
    (field!(inode, inode_ctime_sec as u64), field!(inode, inode_ctime_nsec as u32))
}

/// Whether somebody could write to the inode's own content right now: an open writer, or a shared writable mapping.
#[inline(always)]
pub(crate) fn inode_is_writable_somewhere(inode: *const inode) -> bool {
    let mapping = field!(inode, inode_i_mapping as *const u8);
    rule::WRITERS && field!(inode, inode_i_writecount as i32) > 0
        || rule::SHARED_MAPPINGS && field!(mapping, address_space_i_mmap_writable as i32) > 0
}

/// `S_ISREG` (`include/uapi/linux/stat.h`).
pub(crate) fn inode_is_regular(inode: *const inode) -> bool {
    field!(inode, inode_i_mode as u16) & 0o170_000 == 0o100_000
}

/// The device number (`s_dev`) and the magic number (`s_magic`) of the inode's file system.
pub(crate) fn inode_filesystem(inode: *const inode) -> (u32, u64) {
    let super_block = field!(inode, inode_i_sb as *const u8);
    (field!(super_block, super_block_s_dev as u32), field!(super_block, super_block_s_magic as u64))
}

/// The seals of a tmpfs inode (`F_SEAL_*`, `include/uapi/linux/fcntl.h`). Only for inodes of tmpfs, which lie inside of `shmem_inode_info`.
pub(crate) fn shmem_seals(inode: *const inode) -> u32 {
    let address = (inode as i64).wrapping_add(i64::from(layout!(shmem_seals_from_inode))) as *const u8;
    let mut seals = 0_u32;
    // SAFETY: the helper checks the address; on a fault it writes zeros, which is "not sealed".
    let failed = unsafe { bpf_probe_read_kernel((&raw mut seals).cast(), 4, address.cast()) };
    if failed == 0 { seals } else { 0 }
}
