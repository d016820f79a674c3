//! Scripts by their names: a whole name, what stands behind its last dot, or a folder on the way to it.
#![allow(clippy::needless_borrows_for_generic_args, reason = "by value, a key is copied to the stack, which has 512 bytes")]

use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_kernel, bpf_probe_read_kernel_str};
use enforcer_common::{SCRIPT_FOLDER_DEPTH, WORD_SIZE, Word, WordKind};

use crate::{
    kernel,
    last_part::{PATH_MAX, Part},
    maps::WORDS,
};

/// Whether the name is that of a script, or ends like one.
#[inline(always)]
pub(super) fn is_script_name(name: u64, part: &Part, number: u32) -> bool {
    is_word(name + part.begin, number, WordKind::Name as u32) != 0
        || part.dot > part.begin && is_word(name + part.dot, number, WordKind::Suffix as u32) != 0
}

/// Whether the name is that of a folder in which everything is a script.
#[inline(always)]
pub(super) fn is_folder_name(name: u64, number: u32) -> bool {
    is_word(name, number, WordKind::Folder as u32) != 0
}

/// Whether the text at a kernel address is one of the interpreter's words; so is what cannot be read.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_word(address: u64, number: u32, kind: u32) -> u64 {
    let mut word = Word { interpreter: number, kind, bytes: [0; WORD_SIZE] };
    // SAFETY: the helper checks the address, and writes no more than the buffer's size.
    let length = unsafe { bpf_probe_read_kernel_str(addr_of_mut!(word.bytes).cast(), WORD_SIZE as u32, address as *const _) };
    if length < 0 {
        return 1;
    }
    if length == WORD_SIZE as i64 {
        let mut end = 0_u8;
        // SAFETY: as above, one byte; a local variable, which the helper wrote.
        unsafe {
            bpf_probe_read_kernel((&raw mut end).cast(), 1, (address + WORD_SIZE as u64 - 1) as *const _);
            if read_volatile(&end) != 0 {
                // Longer than any word.
                return 0;
            }
        }
    }
    // SAFETY: initialised above; user space replaces a value as a whole.
    u64::from(unsafe { WORDS.get(&word) }.is_some())
}

/// Whether one of the nearest folders that a file lies in is one in which everything is a script.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn lies_in_script_folder(dentry: u64, number: u32) -> u64 {
    let mut folder = dentry;
    for _ in 0..SCRIPT_FOLDER_DEPTH {
        let parent = kernel::dentry_parent(folder);
        if parent == folder {
            break;
        }
        if parent == 0 || is_folder_name(kernel::dentry_name(parent), number) {
            return 1;
        }
        folder = parent;
    }
    0
}

/// A path as it is read.
#[repr(C)]
struct Path {
    address: u64,
    /// Where the part begins that is being read.
    begin: u64,
    number: u64,
    outcome: u64,
}

/// Whether the path at a kernel address names such a folder, which a link may hide from the file.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn leads_through_script_folder(address: u64, number: u32) -> u64 {
    let mut path = Path { address, begin: 0, number: u64::from(number), outcome: UNREADABLE };
    // SAFETY: the callback takes what is passed here, and outlives the call; a local variable, which it wrote.
    unsafe {
        bpf_loop(PATH_MAX, path_byte as *mut _, (&raw mut path).cast(), 0);
        read_volatile(addr_of!(path.outcome))
    }
}

const UNREADABLE: u64 = 1;
const FOUND: u64 = 2;

/// One byte of the path. 1 ends the reading.
extern "C" fn path_byte(index: u32, path: *mut Path) -> i64 {
    // SAFETY: `bpf_loop` hands on the pointer that `leads_through_script_folder` gave it.
    unsafe {
        let (address, begin, number) =
            (read_volatile(addr_of!((*path).address)), read_volatile(addr_of!((*path).begin)), read_volatile(addr_of!((*path).number)));
        let mut byte = 0_u8;
        // The helper checks the address, and writes one byte.
        if bpf_probe_read_kernel((&raw mut byte).cast(), 1, (address + u64::from(index)) as *const _) != 0 {
            return 1;
        }
        match read_volatile(&byte) {
            0 => {
                write_volatile(addr_of_mut!((*path).outcome), 0);
                1
            }
            b'/' => {
                write_volatile(addr_of_mut!((*path).begin), u64::from(index) + 1);
                if is_folder(address + begin, u64::from(index).wrapping_sub(begin), number as u32) == 0 {
                    return 0;
                }
                write_volatile(addr_of_mut!((*path).outcome), FOUND);
                1
            }
            _ => 0,
        }
    }
}

/// Whether so many bytes at a kernel address are the name of a folder in which everything is a script.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_folder(address: u64, length: u64, number: u32) -> u64 {
    if length == 0 || length >= WORD_SIZE as u64 {
        return 0;
    }
    let mut word = Word { interpreter: number, kind: WordKind::Folder as u32, bytes: [0; WORD_SIZE] };
    // SAFETY: the helper checks the address, and writes no more than the buffer's size.
    if unsafe { bpf_probe_read_kernel(addr_of_mut!(word.bytes).cast(), (length & (WORD_SIZE as u64 - 1)) as u32, address as *const _) } != 0 {
        return 1;
    }
    // SAFETY: initialised above; user space replaces a value as a whole.
    u64::from(unsafe { WORDS.get(&word) }.is_some())
}
