//! The stamp of a file's content: what the kernel's bookkeeping says about when it last changed.
//!
//! The version counts only from the moment that somebody asked for it (IMA's hash does, where the file system has one and it is not behind an overlay on
//! 6.1), and the ctime moves by the tick and with the wall clock. So a hash after which the version does not count is taken twice ([`measure`](crate::measure)),
//! and setting the clock ends a measurement.
//!
//! `real` is everywhere the address of the inode that has the content, or 0 where that is the file's own.

use core::ptr::{addr_of, read_volatile, write_volatile};

use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_ktime_get_tai_ns};

use crate::{
    code, inode_at,
    kernel::{self, inode, layout},
    overlay, rule,
};

/// What changes when a file's content changes.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    /// The address of the inode that has the content, where that is not the file's own: a copy-up makes it another one.
    pub(crate) real: u64,
    version: u64,
    ctime: u64,
    size: u64,
    ctime_nanoseconds: u32,
    generation: u32,
    /// How far the wall clock, from which ctimes are taken, is ahead of the time since boot, in nanoseconds: moves when somebody sets the clock.
    clock: u64,
    /// Since when nobody opened it for writing ([`code`](crate::code)): not everything that a writer can do moves the rest (`EXT4_IOC_MOVE_EXT`).
    still: u64,
}

impl Stamp {
    pub(crate) const NONE: Self = Self { real: 0, version: 0, ctime: 0, size: 0, ctime_nanoseconds: 0, generation: 0, clock: 0, still: 0 };
}

/// A stamp in little room: its fields mixed into one number, and the clock. Good for the moments between a hash and its use, where there is no stack for the
/// whole; what is kept for longer is compared field by field.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Imprint {
    fields: u64,
    clock: u64,
}

impl Imprint {
    pub(crate) const NONE: Self = Self { fields: 0, clock: 0 };
    /// Of content that fs-verity seals, which needs no stamp.
    pub(crate) const SEAL: Self = Self { fields: u64::MAX, clock: u64::MAX };

    #[inline(always)]
    pub(crate) fn of(stamp: &Stamp) -> Self {
        let mut fields = mixed(0, stamp.real);
        fields = mixed(fields, stamp.version);
        fields = mixed(fields, stamp.ctime);
        fields = mixed(fields, u64::from(stamp.ctime_nanoseconds) << 32 | u64::from(stamp.generation));
        fields = mixed(fields, stamp.size);
        Self { fields: mixed(fields, stamp.still), clock: stamp.clock }
    }

    #[inline(always)]
    pub(crate) fn is_of(&self, stamp: &Stamp) -> bool {
        let other = Self::of(stamp);
        self.fields == other.fields && is_about(self.clock, other.clock)
    }

    #[inline(always)]
    pub(crate) fn is_seal(&self) -> bool {
        self.fields == u64::MAX && self.clock == u64::MAX
    }
}

impl Stamp {
    #[inline(always)]
    pub(crate) fn version(&self) -> u64 {
        // SAFETY: a borrowed value; volatile, because others may write it.
        unsafe { read_volatile(&self.version) }
    }
}

/// Whether a stamp that was kept has this ctime, in seconds and nanoseconds, and size.
///
/// # Safety
///
/// `kept` points into a map value.
#[inline(always)]
pub(crate) unsafe fn kept_ctime_and_size_are(kept: *const Stamp, ctime: (u64, u32), size: u64) -> bool {
    // SAFETY: the caller's. Volatile, because others write it at the same time.
    unsafe {
        (!rule::CTIME
            || read_volatile(addr_of!((*kept).ctime)) == ctime.0 && read_volatile(addr_of!((*kept).ctime_nanoseconds)) == ctime.1 & CTIME_NANOSECONDS)
            && (!rule::SIZE || read_volatile(addr_of!((*kept).size)) == size)
    }
}

/// Without the kernel's own flag, since 6.13 (`I_CTIME_QUERIED`).
const CTIME_NANOSECONDS: u32 = 0x7fff_ffff;

/// One round of mixing.
#[inline(always)]
fn mixed(so_far: u64, field: u64) -> u64 {
    let product = (so_far ^ field).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    product ^ (product >> 31)
}

/// The imprint of a stamp that others may write at the same time.
///
/// # Safety
///
/// `kept` points into a map value.
#[inline(always)]
pub(crate) unsafe fn imprint_of_kept(kept: *const Stamp) -> Imprint {
    // SAFETY: the caller's.
    Imprint::of(&unsafe { read_volatile(kept) })
}

/// The content's stamp now.
#[inline(always)]
pub(crate) fn read_stamp(inode: *mut inode, real: u64, stamp: &mut Stamp) {
    read_content(kernel::address(inode), real, stamp);
}

/// The same, of the inode at this address.
#[inline(always)]
pub(crate) fn read_content(inode: u64, real: u64, stamp: *mut Stamp) {
    let content = overlay::content(inode, real);
    read_stamp_at(content, real, stamp);
    // SAFETY: the caller's.
    if let Some(stamp) = unsafe { stamp.as_mut() } {
        stamp.clock = clock_ahead();
        stamp.still = if rule::OPENINGS { code::still_since(content) } else { 0 };
    }
}

/// What cannot be read stays zero, and is the same the next time. Field by field, because a copy would take too
/// much of the stack.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn read_stamp_at(content: u64, real: u64, stamp: *mut Stamp) -> u64 {
    // SAFETY: a local variable of the caller's, which the verifier checks.
    let Some(stamp) = (unsafe { stamp.as_mut() }) else { return 0 };
    // SAFETY: a borrowed value, whole. Volatile, because LLVM makes a call of anything else, and each call takes of the stack.
    unsafe {
        write_volatile(&mut stamp.version, 0);
        write_volatile(&mut stamp.ctime, 0);
        write_volatile(&mut stamp.size, 0);
        write_volatile(&mut stamp.ctime_nanoseconds, 0);
        write_volatile(&mut stamp.generation, 0);
        write_volatile(&mut stamp.still, 0);
        write_volatile(&mut stamp.clock, 0);
    }
    stamp.real = real;
    if rule::CTIME {
        kernel::read_word(content + u64::from(layout!(inode_ctime_sec)), &mut stamp.ctime);
        kernel::read_half_into(content + u64::from(layout!(inode_ctime_nsec)), &mut stamp.ctime_nanoseconds);
        stamp.ctime_nanoseconds &= CTIME_NANOSECONDS;
    }
    if rule::VERSION {
        kernel::read_word(content + u64::from(layout!(inode_i_version)), &mut stamp.version);
        // Without the flag `I_VERSION_QUERIED` (`include/linux/iversion.h`).
        stamp.version >>= 1;
    }
    if rule::SIZE {
        kernel::read_word(content + u64::from(layout!(inode_i_size)), &mut stamp.size);
    }
    kernel::read_half_into(content + u64::from(layout!(inode_i_generation)), &mut stamp.generation);
    0
}

/// Whether the stamp that was kept is this one: field by field, because there is no room for a copy.
///
/// # Safety
///
/// `kept` points into a map value.
#[inline(always)]
pub(crate) unsafe fn kept_is(kept: *const Stamp, stamp: &Stamp) -> bool {
    // SAFETY: the caller's. Volatile, because others write it at the same time.
    unsafe {
        read_volatile(addr_of!((*kept).real)) == stamp.real
            && read_volatile(addr_of!((*kept).version)) == stamp.version
            && read_volatile(addr_of!((*kept).ctime)) == stamp.ctime
            && read_volatile(addr_of!((*kept).ctime_nanoseconds)) == stamp.ctime_nanoseconds
            && read_volatile(addr_of!((*kept).size)) == stamp.size
            && read_volatile(addr_of!((*kept).generation)) == stamp.generation
            && is_about(read_volatile(addr_of!((*kept).clock)), stamp.clock)
            && read_volatile(addr_of!((*kept).still)) == stamp.still
    }
}

/// Reads the stamp, and makes the imprint one of it. Returns whether the content is [`WRITABLE`], and whether the imprint was of [`ANOTHER_STAMP`].
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn observe(inode: u64, real: u64, stamp: *mut Stamp, imprint: *mut Imprint) -> u64 {
    // Writers first: one who has come and gone by then has moved the stamp, which is read after it.
    let writable = if content_is_writable(inode, real) != 0 { WRITABLE } else { 0 };
    read_content(inode, real, stamp);
    // SAFETY: local variables of the caller's, which the verifier checks.
    let (Some(stamp), Some(imprint)) = (unsafe { (stamp.as_ref(), imprint.as_mut()) }) else { return ANOTHER_STAMP };
    let another = if imprint.is_of(stamp) { 0 } else { ANOTHER_STAMP };
    *imprint = Imprint::of(stamp);
    writable | another
}

pub(crate) const WRITABLE: u64 = 1;
pub(crate) const ANOTHER_STAMP: u64 = 2;

/// Whether two differences between clocks are one: the two clocks are not read at the same moment.
#[inline(always)]
fn is_about(one: u64, other: u64) -> bool {
    one.wrapping_sub(other).wrapping_add(TOLERANCE) <= 2 * TOLERANCE
}

/// Whether the next change moves the version, because somebody has asked for it.
#[inline(always)]
pub(crate) fn version_counts(inode: *mut inode, real: u64) -> bool {
    rule::VERSION && inode_at::version_counts(overlay::content(kernel::address(inode), real))
}

/// Whether somebody could write to the content right now, through the file's own inode or through the one that has it.
#[inline(always)]
pub(crate) fn is_writable_somewhere(inode: *mut inode, real: u64) -> bool {
    content_is_writable(kernel::address(inode), real) != 0
}

#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn content_is_writable(inode: u64, real: u64) -> u64 {
    u64::from(inode_at::is_writable_somewhere(inode) || (real != 0 && inode_at::is_writable_somewhere(real)))
}

/// How far the wall clock is ahead. `CLOCK_TAI` is the wall clock, but for leap seconds; the two are slowed and quickened together, so only setting one
/// moves them apart.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn clock_ahead() -> u64 {
    if !rule::CLOCK {
        return 0;
    }
    let mut ahead = 0;
    for _ in 0..TRIES {
        // SAFETY: no arguments.
        let (before, now, after) = unsafe { (bpf_ktime_get_boot_ns(), bpf_ktime_get_tai_ns(), bpf_ktime_get_boot_ns()) };
        ahead = now.wrapping_sub(before);
        // Else something else ran in between, on this processor or, in a virtual machine, instead of it.
        if after.wrapping_sub(before) < TOLERANCE / 2 {
            break;
        }
    }
    ahead
}

/// How far two readings of the clocks' distance may lie apart, in nanoseconds.
const TOLERANCE: u64 = 1_000_000;
/// How often the clocks are read until they are read at about one moment.
const TRIES: usize = 8;
