//! Bytes behind the end of a file, in its last page: they are mapped with the rest, and are no part of its hash.
//!
//! Only a shared writable mapping can put any there, and the kernel clears them whenever it writes the page to the disk. So content that was ever mapped in
//! that way is not let in as long as pages of it are to be written; in tmpfs, where nothing is ever written, not at all. A file that ends where a page does
//! has no such bytes.

use crate::{
    filesystem::TMPFS_MAGIC,
    inode_at,
    maps::{SHARED, SHARED_FULL},
};

/// The content of the inode at this address is about to be mapped shared, by somebody who may write to it.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn note_shared_mapping(inode: u64) -> u64 {
    if SHARED.get_ptr(inode).is_none() && SHARED.insert(inode, 1, 0).is_err() {
        // From here on it is believed of everything.
        if let Some(full) = SHARED_FULL.get_ptr_mut(0) {
            // SAFETY: a map value that was checked for null.
            unsafe { core::ptr::write_volatile(full, 1) };
        }
    }
    0
}

/// Whether something may stand behind the end of the content of the inode at this address, to which nobody can write any more.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn may_be_written(inode: u64) -> u64 {
    const PAGE: u64 = 4096;
    let size = inode_at::size(inode);
    if size.is_multiple_of(PAGE) {
        return 0;
    }
    // SAFETY: a copy of a number; and a map value that was checked for null.
    let was_shared = unsafe { SHARED.get(inode).is_some() || SHARED_FULL.get_ptr(0).is_none_or(|full| core::ptr::read_volatile(full) != 0) };
    u64::from(was_shared && (inode_at::magic(inode) == TMPFS_MAGIC || inode_at::has_unwritten_pages(inode)))
}

/// Forgets an inode that leaves the memory.
#[inline(always)]
pub(crate) fn forget(inode: u64) {
    if SHARED.get_ptr(inode).is_some() {
        _ = SHARED.remove(inode);
    }
}
