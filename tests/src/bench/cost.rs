//! One measured cost, and how a time is measured so that it can be believed.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

/// What one piece of work costs.
#[derive(Debug, Serialize)]
pub struct Cost {
    /// The work, in words; the same on each machine.
    pub work: String,
    /// How much, in [`Cost::unit`].
    pub value: u64,
    pub unit: Unit,
}

/// What [`Cost::value`] counts.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Of the guest's clock. Where the machine counts instructions, each of them is one.
    Nanoseconds,
    /// Bytes.
    #[expect(dead_code, reason = "for the groups about memory")]
    Bytes,
}

impl Unit {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Bytes => "bytes",
        }
    }
}

/// The median of some repetitions, after others that warm the caches. The warm-up takes longer than the clock ticks after which a measurement settles.
pub fn time(work: &str, repetitions: usize, mut operation: impl FnMut() -> Result<()>) -> Result<Cost> {
    let began = Instant::now();
    let mut warm = 0;
    while warm < WARM || began.elapsed().as_millis() < SETTLED {
        operation()?;
        warm += 1;
    }
    let mut times = Vec::with_capacity(repetitions);
    for _ in 0..repetitions {
        let began = Instant::now();
        operation()?;
        times.push(u64::try_from(began.elapsed().as_nanos())?);
    }
    times.sort_unstable();
    Ok(Cost { work: work.to_owned(), value: times[times.len() / 2], unit: Unit::Nanoseconds })
}

const WARM: usize = 4;
/// Milliseconds; three ticks of the slowest clock.
const SETTLED: u128 = 30;
