//! overlayfs: whose content is it? An overlay's inode has none of its own. What is read and mapped is that of a *real* inode in one of its layers, and that
//! one's stamp, writers and mappings are the ones that count: a change made directly in a layer leaves the overlay's inode as it was.
//!
//! A file of an overlay has two real inodes that need not be the same: the one that was opened, which a mapping shows, and the one that reads go to, which
//! is the upper one as soon as the file has been copied up. Hashing the one and mapping the other would prove nothing, so they have to be the same.
//!
//! The structures are the overlay module's own. Their layout is in that module's BTF, which exists once it is loaded; the daemon reads it then. Until
//! then nothing on an overlay is code. All of it is read as plain addresses: the verifier knows none of these types.

use enforcer_common::{ABSENT, OverlayLayout, Reason};

use crate::{
    kernel::{self, layout},
    maps::OVERLAY,
};

/// The inode that has the content: the layer's, or, where there is none (0), the file's own.
#[inline(always)]
pub(crate) fn content(inode: u64, real: u64) -> u64 {
    if real == 0 { inode } else { real }
}

/// The address of the real inode of an overlay's file, where what is read and what is mapped are one and the same.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn real_inode_at(file: u64, inode: u64, real: *mut u64) -> i64 {
    // SAFETY: a local variable of the caller's, which the verifier checks.
    let Some(real) = (unsafe { real.as_mut() }) else { return AMBIGUOUS };
    let Some(layout) = known_layout() else { return UNKNOWN };
    let mut opened = 0;
    if !kernel::read_word(file + u64::from(layout!(file_private_data)), &mut opened) || opened == 0 {
        return AMBIGUOUS;
    }
    if layout.real_file != ABSENT && !kernel::read_word(opened + u64::from(layout.real_file), &mut opened) {
        return AMBIGUOUS;
    }
    let mut mapped = 0;
    if !kernel::read_word(opened + u64::from(layout!(file_f_inode)), &mut mapped) || mapped == 0 {
        return AMBIGUOUS;
    }
    if mapped != read_inode(inode, layout) {
        return AMBIGUOUS;
    }
    *real = mapped;
    0
}

/// The address of the real inode that a change by name reaches without being copied up first; 0 where there is none.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn upper_inode(inode: u64) -> u64 {
    match known_layout() {
        Some(layout) => upper(inode, layout),
        None => 0,
    }
}

/// The address of the real inode that reads of an overlay's inode go to; 0 when it cannot be told.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn inode_that_is_read(inode: u64) -> u64 {
    match known_layout() {
        Some(layout) => read_inode(inode, layout),
        None => 0,
    }
}

/// The reason for a denial, by what [`real_inode_at`] returned.
#[inline(always)]
pub(crate) fn reason(fault: i64) -> Reason {
    if fault == UNKNOWN { Reason::UnknownOverlay } else { Reason::DividedContent }
}

/// Whether the daemon has told how overlays are built.
#[inline(always)]
pub(crate) fn is_known() -> bool {
    known_layout().is_some()
}

#[inline(always)]
fn known_layout() -> Option<&'static OverlayLayout> {
    let layout = OVERLAY.get(0)?;
    if layout.is_known != 0 { Some(layout) } else { None }
}

/// The inode that reads go to: the upper one, if there is one.
#[inline(always)]
fn read_inode(inode: u64, layout: &OverlayLayout) -> u64 {
    let upper = upper(inode, layout);
    if upper != 0 {
        return upper;
    }
    let mut entry = at(inode, layout.lower);
    if layout.lower_is_apart != 0 && !kernel::read_word(entry, &mut entry) {
        return 0;
    }
    inode_of_dentry(entry + u64::from(layout.lower_dentry))
}

#[inline(always)]
fn upper(inode: u64, layout: &OverlayLayout) -> u64 {
    inode_of_dentry(at(inode, layout.upper_dentry))
}

/// The inode of the dentry to which the pointer at this address leads; 0 for none.
#[inline(always)]
fn inode_of_dentry(pointer: u64) -> u64 {
    kernel::dentry_inode(kernel::word_at(pointer))
}

/// An address relative to the overlay's inode, which stands in the midst of a larger structure.
#[inline(always)]
fn at(inode: u64, offset: i32) -> u64 {
    inode.wrapping_add(i64::from(offset) as u64)
}

/// The module's layout has not been told yet.
pub(crate) const UNKNOWN: i64 = 1;
/// What is read is not what was opened, or it cannot be told.
const AMBIGUOUS: i64 = 2;
