//! The two atomic operations that BPF has (`Documentation/bpf/standardization/instruction-set.rst`, "Atomic operations") and `core::sync::atomic` does
//! not offer for this target.

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_or, atomic_xadd};

/// Adds to a counter that other CPUs change at the same time, and returns what it was.
///
/// # Safety
///
/// `value` points to an aligned map value.
#[inline(always)]
pub(crate) unsafe fn fetch_add(value: *mut u64, amount: u64) -> u64 {
    // SAFETY: the caller's.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(value, amount) }
}

/// Sets bits.
///
/// # Safety
///
/// `value` points to an aligned map value.
#[inline(always)]
pub(crate) unsafe fn fetch_or(value: *mut u64, bits: u64) -> u64 {
    // SAFETY: the caller's.
    unsafe { atomic_or::<u64, u64, { AtomicOrdering::SeqCst }>(value, bits) }
}

/// Replaces `current` by `new`, and says whether it was still there to be replaced.
///
/// # Safety
///
/// `value` points to an aligned map value.
#[inline(always)]
pub(crate) unsafe fn compare_exchange(value: *mut u64, current: u64, new: u64) -> bool {
    // SAFETY: the caller's.
    unsafe { atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(value, current, new).0 == current }
}
