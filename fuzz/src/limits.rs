//! What one input may cost: CPU time, one allocation, and all that is allocated at once.
//!
//! [`Meter`] counts Rust's allocations. What C code allocates for itself (aws-lc, a few KiB for each key) is not counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time for one input.
pub const CPU_TIME: Duration = Duration::from_millis(100);
/// Bytes of one allocation, and of all that are live at once.
pub const MEMORY: usize = 64 << 20;

/// What an input cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// The CPU time of this thread.
    pub cpu: Duration,
    /// The largest allocation.
    pub largest: usize,
    /// The most that was live at once, beyond what was live before.
    pub peak: usize,
}

/// Runs something, and tells what it cost. Costs of memory are told only where [`Meter`] is the global allocator, and belong to the whole process.
pub fn measured(work: impl FnOnce()) -> Cost {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    LARGEST.store(0, Relaxed);
    let started = cpu_time();
    work();
    let cpu = cpu_time().saturating_sub(started);
    Cost { cpu, largest: LARGEST.load(Relaxed), peak: PEAK.load(Relaxed).saturating_sub(before) }
}

/// How much slower than the fuzzers this build is: they are optimised, and an ordinary `cargo test` is not.
pub const fn slowness() -> u32 {
    if cfg!(feature = "libfuzzer") { 1 } else { 10 }
}

/// The CPU time of this thread until now.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The system's allocator, counted.
pub struct Meter;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

impl Meter {
    fn grown(size: usize, by: usize) {
        LARGEST.fetch_max(size, Relaxed);
        PEAK.fetch_max(LIVE.fetch_add(by, Relaxed) + by, Relaxed);
        if size > CATASTROPHE {
            // The machine would not survive to the end of the input, when the cost is looked at.
            eprintln!("one allocation of {size} bytes");
            std::process::abort();
        }
    }
}

// SAFETY: every call goes to the system's allocator as it came, which upholds the contract; counting touches atomics only.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::grown(layout.size(), layout.size());
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::grown(layout.size(), layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size(), Relaxed);
        Self::grown(size, size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Beyond this the process ends at once.
const CATASTROPHE: usize = 1 << 30;
