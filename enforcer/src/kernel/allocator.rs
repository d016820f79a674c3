//! The C library's allocator, which keeps what was freed for the next time.

/// Gives memory that was freed back to the system. Reading the kernel's types and large manifests takes tens of megabytes that nobody needs afterwards,
/// and whose pages the allocator keeps, because something small lies behind them.
pub fn give_back_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim(3)` touches nothing but free memory, and may be called by any thread at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}
