//! What is used as code, by the address of the inode that has the content.
//!
//! Inodes are known by their addresses: they are those of an overlay's layers too, with which the verifier lets nothing be kept. They leave with the
//! inode (`inode_free_security`). When there is no room, nothing new is let in.
//!
//! What was let in is *in use* as long as somebody has it open to read: the kernel counts those (`i_readcount`, from the opening on), and whatever is
//! mapped or runs is open. So it is in use before its hook is asked, and without a gap until the last mapping of it is gone. Whether it is mapped at this
//! moment says less: the kernel makes a mapping after its hook, and takes it out of the inode's tree for a moment when it moves its end.
//!
//! One of the two sees the other: who lets content in says so and then looks for writers, a writer is counted by the kernel and then looks here.

use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;

use crate::{atomic, inode_at, maps::CODE};

/// An inode whose content was measured, and so was to be code.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Code {
    /// When it was first measured, or opened for writing last.
    still: u64,
    /// 0 until it was let in.
    let_in: u64,
}

/// Remembers that the content of the inode at this address is about to be measured. Whether there was room.
#[inline(always)]
pub(crate) fn note(inode: u64) -> bool {
    if CODE.get_ptr_mut(inode).is_some() {
        return true;
    }
    // SAFETY: no arguments.
    let still = unsafe { bpf_ktime_get_ns() };
    // Somebody else may have been quicker.
    _ = CODE.insert(inode, Code { still, let_in: 0 }, BPF_NOEXIST);
    CODE.get_ptr_mut(inode).is_some()
}

/// Remembers that it is let in. Whoever looks for writers afterwards finds those who have not seen this. Whether the inode was noted before.
#[inline(always)]
pub(crate) fn let_in(inode: u64) -> bool {
    let Some(code) = CODE.get_ptr_mut(inode) else { return false };
    // SAFETY: a map value that was checked for null; aligned u64s. An addition whose result is used is a barrier, a store is none.
    unsafe {
        let let_in = addr_of_mut!((*code).let_in);
        read_volatile(let_in) != 0 || atomic::fetch_add(let_in, 1) != u64::MAX
    }
}

/// Somebody may write to the content of the inode at this address from now on, and not everything that they can do moves its stamp
/// (`EXT4_IOC_MOVE_EXT`). Whether it is known as code.
#[inline(always)]
pub(crate) fn note_writer(inode: u64) -> bool {
    let Some(code) = CODE.get_ptr_mut(inode) else { return false };
    // SAFETY: a map value that was checked for null; an aligned u64. No arguments.
    unsafe { write_volatile(addr_of_mut!((*code).still), bpf_ktime_get_ns()) };
    true
}

/// Since when nobody opened the content of the inode at this address for writing, as far as it is known as code; 0 when it is not.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn still_since(inode: u64) -> u64 {
    match CODE.get_ptr_mut(inode) {
        // SAFETY: a map value that was checked for null; volatile, because others change it.
        Some(code) => unsafe { read_volatile(addr_of!((*code).still)) },
        None => 0,
    }
}

/// Whether the content of the inode at this address was let in while it was in memory, and somebody has it open to read, or to run.
#[inline(always)]
pub(crate) fn is_in_use(inode: u64) -> bool {
    let Some(code) = CODE.get_ptr_mut(inode) else { return false };
    // SAFETY: a map value that was checked for null; volatile, because others change it.
    unsafe { read_volatile(addr_of!((*code).let_in)) != 0 && inode_at::has_readers(inode) }
}

/// Forgets an inode that leaves the memory.
#[inline(always)]
pub(crate) fn forget(inode: u64) {
    if CODE.get_ptr_mut(inode).is_some() {
        _ = CODE.remove(inode);
    }
}

/// `include/uapi/linux/bpf.h`
const BPF_NOEXIST: u64 = 1;
