//! The last part of a path in the kernel's memory: where it begins, what it ends in, and its hash.

use core::ptr::{addr_of, read_volatile};

use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_kernel};

/// The last part of a path, by offsets from the path's beginning.
#[repr(C)]
pub(crate) struct Part {
    /// Where it begins.
    pub(crate) begin: u64,
    /// Behind the last dot; not behind the beginning when the part has none.
    pub(crate) dot: u64,
    /// [`fnv`] of it.
    pub(crate) hash: u64,
    /// 1 when the end was seen.
    is_whole: u64,
}

impl Part {
    pub(crate) const NONE: Self = Self { begin: 0, dot: 0, hash: FNV_OFFSET, is_whole: 0 };
}

#[repr(C)]
struct Search {
    address: u64,
    part: *mut Part,
}

/// Finds the last part of the path at a kernel address. Whether it could be read.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn last_part(address: u64, part: *mut Part) -> u64 {
    if part.is_null() {
        return 0;
    }
    let mut search = Search { address, part };
    // SAFETY: the caller's, which the verifier checks; the callback takes what is passed here, and outlives the call.
    unsafe {
        *part = Part::NONE;
        bpf_loop(PATH_MAX, search_byte as *mut _, (&raw mut search).cast(), 0);
        read_volatile(addr_of!((*part).is_whole))
    }
}

/// One byte of the path. 1 ends the search. A loop of the kernel's own and not one over a buffer, in which the verifier would follow each slash apart.
extern "C" fn search_byte(index: u32, search: *mut Search) -> i64 {
    // SAFETY: `bpf_loop` hands on the pointer that `last_part` gave it.
    let (address, part) = unsafe { ((*search).address, &mut *(*search).part) };
    let mut byte = 0_u8;
    // SAFETY: the helper checks the address, and writes one byte.
    if unsafe { bpf_probe_read_kernel((&raw mut byte).cast(), 1, (address + u64::from(index)) as *const _) } != 0 {
        return 1;
    }
    let next = u64::from(index) + 1;
    // SAFETY: a local variable; volatile, because the helper wrote it.
    let byte = unsafe { read_volatile(&byte) };
    match byte {
        0 => {
            part.is_whole = 1;
            return 1;
        }
        b'/' => {
            part.begin = next;
            part.hash = FNV_OFFSET;
            return 0;
        }
        b'.' => part.dot = next,
        _ => {}
    }
    part.hash = fnv(part.hash, u64::from(byte));
    0
}

/// FNV-1a in 64 bits (RFC 9923), of no bytes. Whoever finds two names of one hash makes a script of what would be none.
pub(crate) const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// The hash with one more byte.
#[inline(always)]
pub(crate) fn fnv(hash: u64, byte: u64) -> u64 {
    (hash ^ byte).wrapping_mul(0x0000_0100_0000_01b3)
}

/// `include/uapi/linux/limits.h`; the end belongs to it.
pub(crate) const PATH_MAX: u32 = 4096;
