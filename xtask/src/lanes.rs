//! Machines side by side: an emulated one keeps one processor busy, seldom two.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

use clap::Args;

/// How many machines run at a time.
#[derive(Args)]
pub(crate) struct Lanes {
    /// How many machines run side by side; without it, one for each processor of this machine
    #[arg(long, value_name = "NUMBER")]
    lanes: Option<NonZero<usize>>,
}

/// Something that a machine is booted for.
pub(crate) type Job<'a, T> = Box<dyn FnOnce() -> T + Send + 'a>;

impl Lanes {
    /// Does all jobs, those in front first. What came of them, in their order.
    pub(crate) fn run<T: Send>(&self, jobs: Vec<Job<'_, T>>) -> Vec<T> {
        let wanted = self.lanes.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
        let count = wanted.min(jobs.len());
        let waiting = Mutex::new(jobs.into_iter().enumerate());
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
        let lane = || {
            let mut done = Vec::new();
            while let Some((place, job)) = next() {
                done.push((place, job()));
            }
            done
        };
        let mut done: Vec<(usize, T)> = thread::scope(|scope| {
            let lanes: Vec<_> = (0..count).map(|_| scope.spawn(lane)).collect();
            lanes.into_iter().flat_map(|lane| lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        done.sort_by_key(|(place, _)| *place);
        done.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_and_results_keep_their_order() {
        for lanes in [1, 3, 9] {
            let lanes = Lanes { lanes: NonZero::new(lanes) };
            let jobs = (0_u64..7).map(|number| -> Job<'_, u64> {
                Box::new(move || {
                    thread::sleep(std::time::Duration::from_millis(7 - number));
                    number
                })
            });
            assert_eq!(lanes.run(jobs.collect()), [0, 1, 2, 3, 4, 5, 6]);
        }
        assert!(Lanes { lanes: None }.run(Vec::<Job<'_, u64>>::new()).is_empty());
    }
}
