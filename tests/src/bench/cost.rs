//! One measured cost, and how a time is measured so that it can be believed.

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use serde::Serialize;

use super::machine;

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

/// The median time of an operation with everything in the caches, once it no longer changes: on an idle machine two rounds of repetitions must agree.
pub fn warm(work: &str, repetitions: usize, mut operation: impl FnMut() -> Result<()>) -> Result<Cost> {
    machine::wait_until_idle()?;
    // Longer than the clock ticks after which a measurement settles.
    let began = Instant::now();
    let mut done = 0;
    while done < WARM || began.elapsed().as_millis() < SETTLED {
        operation()?;
        done += 1;
    }
    let mut round = || -> Result<u64> {
        let mut times = Vec::with_capacity(repetitions);
        for _ in 0..repetitions {
            let began = Instant::now();
            operation()?;
            times.push(u64::try_from(began.elapsed().as_nanos())?);
        }
        median(times)
    };
    let mut last = round()?;
    for _ in 0..ROUNDS {
        let next = round()?;
        if next.abs_diff(last) * 1000 <= last * STABLE {
            return Ok(Cost { work: work.to_owned(), value: next, unit: Unit::Nanoseconds });
        }
        last = next;
    }
    bail!(
        "`{work}` is not stable: after {ROUNDS} rounds of {repetitions} repetitions two medians in a row still differ by more than {STABLE} in 1000"
    )
}

/// The median of what an operation has the whole machine do, everybody's work included, each time after a preparation that is not counted.
pub fn prepared<P>(
    work: &str,
    repetitions: usize,
    mut prepare: impl FnMut() -> Result<P>,
    mut operation: impl FnMut(P) -> Result<()>,
) -> Result<Cost> {
    let mut times = Vec::with_capacity(repetitions);
    for _ in 0..repetitions {
        let prepared = prepare()?;
        machine::wait_until_idle()?;
        let before = machine::busy()?;
        operation(prepared)?;
        times.push(machine::busy()? - before);
    }
    Ok(Cost { work: work.to_owned(), value: median(times)?, unit: Unit::Nanoseconds })
}

fn median(mut times: Vec<u64>) -> Result<u64> {
    ensure!(!times.is_empty(), "no repetitions, no median");
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

const WARM: usize = 4;
/// Milliseconds; three ticks of the slowest clock.
const SETTLED: u128 = 30;
/// In a thousand: how much the medians of two rounds may differ.
const STABLE: u64 = 5;
const ROUNDS: usize = 8;
