//! The targets, and what all of them are held to.

mod decision;
mod lists;
mod packages;
mod signatures;
mod texts;

use crate::limits::{self, CPU_TIME, MEMORY};

/// A parser of bytes that strangers write, or the whole decision.
pub struct Target {
    /// Its name: that of its folders.
    pub name: &'static str,
    /// Bytes that may be live at once.
    pub memory: usize,
    /// What is made once, so that the first input does not pay for it.
    prepare: fn(),
    check: fn(&[u8]),
}

impl Target {
    const fn new(name: &'static str, prepare: fn(), check: fn(&[u8])) -> Self {
        Self { name, memory: MEMORY, prepare, check }
    }

    /// Makes what all inputs share.
    pub fn prepare(&self) {
        (self.prepare)();
    }

    /// Runs it on one input.
    ///
    /// # Panics
    /// When the parser panics, what it says is wrong, or it costs more than an input may.
    pub fn run(&self, input: &[u8]) {
        let allowed = CPU_TIME * limits::slowness();
        // A page fault or a busy machine costs time too: what is slow is slow three times.
        let mut slowest = None;
        for _ in 0..3 {
            let cost = limits::measured(|| (self.check)(input));
            assert!(cost.largest <= MEMORY, "one allocation of {} bytes; the limit is {MEMORY}", cost.largest);
            assert!(cost.peak <= self.memory, "{} bytes live at once; the limit is {}", cost.peak, self.memory);
            if cost.cpu <= allowed {
                return;
            }
            slowest = Some(cost.cpu);
        }
        if let Some(cpu) = slowest {
            panic!("{cpu:?} of CPU time; the limit is {allowed:?}");
        }
    }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target::new("elf", decision::prepare, decision::elf),
    Target::new("trailer", decision::prepare, decision::trailer),
    Target::new("comment", decision::prepare, decision::comment),
    Target::new("decision", decision::prepare, decision::signature),
    Target::new("cms", nothing, signatures::cms),
    Target::new("claims", nothing, signatures::claims),
    Target::new("ima", nothing, signatures::ima),
    Target::new("certificate", signatures::prepare, signatures::certificate),
    Target::new("timestamp", signatures::prepare, signatures::timestamp),
    Target::new("crl", lists::prepare, lists::crl),
    Target::new("manifest", nothing, lists::manifest),
    Target::new("policy", nothing, texts::policy),
    Target::new("revoked", nothing, texts::revoked),
    Target::new("security-versions", nothing, texts::security_versions),
    Target::new("ticket", nothing, texts::ticket),
    Target { memory: packages::MEMORY, ..Target::new("deb", nothing, packages::deb) },
    Target { memory: packages::MEMORY, ..Target::new("rpm", nothing, packages::rpm) },
    Target { memory: packages::MEMORY, ..Target::new("oci", nothing, packages::oci) },
    Target { memory: packages::MEMORY, ..Target::new("oci-layer", nothing, packages::oci_layer) },
];

fn nothing() {}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::panic::catch_unwind;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::limits::{Meter, cpu_time, measured};

    #[global_allocator]
    static METER: Meter = Meter;

    /// One test, because what is allocated belongs to the whole process.
    #[test]
    fn what_is_spent_is_told_and_whoever_spends_too_much_does_not_pass() {
        let cost = measured(|| {
            let first = black_box(vec![1_u8; 5 << 20]);
            drop(black_box(vec![1_u8; 7 << 20]));
            drop(first);
            drop(black_box(vec![1_u8; 6 << 20]));
        });
        assert_eq!(cost.largest, 7 << 20);
        assert!((12 << 20..13 << 20).contains(&cost.peak), "{cost:?}");
        assert!(measured(|| thread::sleep(Duration::from_millis(30))).cpu < Duration::from_millis(20));

        let passes = |check| catch_unwind(|| Target::new("test", nothing, check).run(b"input")).is_ok();
        assert!(passes(|_| drop(black_box(vec![1_u8; MEMORY]))));
        assert!(!passes(|_| drop(black_box(vec![1_u8; MEMORY + 1]))));
        assert!(!passes(|_| drop(black_box([vec![1_u8; MEMORY / 2], vec![1; MEMORY / 2 + 1]]))));
        assert!(!passes(|input| assert!(input.is_empty())));
        assert!(!passes(|_| {
            // By the measure itself: on a busy machine another clock runs ahead of it.
            let started = cpu_time();
            while cpu_time() - started < CPU_TIME * limits::slowness() * 3 / 2 {}
        }));
    }
}
