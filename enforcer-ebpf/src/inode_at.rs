//! What is read of an inode by its address: the verifier knows nothing of those that an overlay's files stand for, and a function that it looks at by itself
//! takes no pointer of the kernel's.

use enforcer_common::InodeId;

use crate::{
    kernel::{layout, read_half, read_word, word_at},
    rule,
};

/// Which inode stands at this address; `None` when it cannot be read, or there is none.
#[inline(never)]
pub(crate) fn id(inode: u64, id: &mut InodeId) -> bool {
    let (mut number, mut super_block) = (0, 0);
    inode != 0
        && read_word(inode + u64::from(layout!(inode_i_ino)), &mut number)
        && read_word(inode + u64::from(layout!(inode_i_sb)), &mut super_block)
        && {
            *id = InodeId {
                number,
                device: read_half(super_block + u64::from(layout!(super_block_s_dev))),
                generation: read_half(inode + u64::from(layout!(inode_i_generation))),
            };
            true
        }
}

/// What the inode at this address is (`S_IFMT`, `include/uapi/linux/stat.h`); 0 when it cannot be read.
#[inline(always)]
pub(crate) fn kind(inode: u64) -> u32 {
    read_half(inode + u64::from(layout!(inode_i_mode))) & 0o170_000
}

pub(crate) const REGULAR: u32 = 0o100_000;
pub(crate) const FOLDER: u32 = 0o040_000;
pub(crate) const CHARACTER_DEVICE: u32 = 0o020_000;

/// The magic number of the file system of the inode at this address; 0 when it cannot be read.
#[inline(always)]
pub(crate) fn magic(inode: u64) -> u64 {
    let (mut super_block, mut magic) = (0, 0);
    let is_read = read_word(inode + u64::from(layout!(inode_i_sb)), &mut super_block)
        && read_word(super_block + u64::from(layout!(super_block_s_magic)), &mut magic);
    if is_read { magic } else { 0 }
}

/// Whether somebody could write to the content of the inode at this address right now: an open writer, or a shared writable mapping. True when it cannot
/// be read.
#[inline(always)]
pub(crate) fn is_writable_somewhere(inode: u64) -> bool {
    let mut mapping = 0;
    if !read_word(inode + u64::from(layout!(inode_i_mapping)), &mut mapping) {
        return true;
    }
    if rule::WRITERS && read_half(inode + u64::from(layout!(inode_i_writecount))) as i32 > 0 {
        return true;
    }
    rule::SHARED_MAPPINGS && read_half(mapping + u64::from(layout!(address_space_i_mmap_writable))) as i32 > 0
}

/// The size of the inode at this address; 1 when it cannot be read.
#[inline(always)]
pub(crate) fn size(inode: u64) -> u64 {
    let mut size = 0;
    if read_word(inode + u64::from(layout!(inode_i_size)), &mut size) { size } else { 1 }
}

/// Whether any page of the inode at this address is to be written, or being written; true when it cannot be read. The marks of an xarray stand in the upper
/// bits of its flags, behind those of an allocation, of which page caches have none (`include/linux/xarray.h`, `XA_FLAGS_MARK`).
#[inline(always)]
pub(crate) fn has_unwritten_pages(inode: u64) -> bool {
    const ABOVE_FLAGS: u32 = 20;
    let mut mapping = 0;
    let mut flags = 0;
    !read_word(inode + u64::from(layout!(inode_i_mapping)), &mut mapping)
        || !read_word(mapping + u64::from(layout!(address_space_xa_flags)), &mut flags)
        || flags as u32 >> ABOVE_FLAGS != 0
}

/// Whether somebody has the content of the inode at this address open to read and not to write; true when it cannot be read.
#[inline(always)]
pub(crate) fn has_readers(inode: u64) -> bool {
    let mut readers = 0;
    !read_word(inode + u64::from(layout!(inode_i_readcount)), &mut readers) || readers as u32 as i32 > 0
}

/// Whether the file system of the inode at this address was mounted by somebody in a user namespace of their own. True when it cannot be read.
#[inline(always)]
pub(crate) fn is_on_users_mount(inode: u64) -> bool {
    let (mut super_block, mut namespace) = (0, 0);
    if !read_word(inode + u64::from(layout!(inode_i_sb)), &mut super_block)
        || !read_word(super_block + u64::from(layout!(super_block_s_user_ns)), &mut namespace)
    {
        return true;
    }
    read_half(namespace + u64::from(layout!(user_namespace_level))) != 0
}

/// Whether the inode at this address belongs to root, on a file system that no user of lower rank can make.
#[inline(always)]
pub(crate) fn is_roots(inode: u64) -> bool {
    read_half(inode + u64::from(layout!(inode_i_uid))) == 0 && !is_on_users_mount(inode) && magic(inode) != FUSE_SUPER_MAGIC
}

/// `include/uapi/linux/magic.h`
const FUSE_SUPER_MAGIC: u64 = 0x6573_5546;

/// Whether the next change of the inode at this address moves its version: somebody has asked for it, and the file system counts.
#[inline(always)]
pub(crate) fn version_counts(inode: u64) -> bool {
    let super_block = word_at(inode + u64::from(layout!(inode_i_sb)));
    word_at(inode + u64::from(layout!(inode_i_version))) & I_VERSION_QUERIED != 0
        && word_at(super_block + u64::from(layout!(super_block_s_flags))) & SB_I_VERSION != 0
}

/// `include/linux/iversion.h`
pub(crate) const I_VERSION_QUERIED: u64 = 1;
/// `include/linux/fs.h`. A new mount of an old file system loses it on some kernels (`mount -o remount`).
pub(crate) const SB_I_VERSION: u64 = 1 << 23;
