//! How long each part of a start took: what a slow start is slow by.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

/// The parts of a start, in the order in which they ended.
pub(super) struct Phases {
    began: Instant,
    last: Instant,
    ended: Vec<(&'static str, Duration)>,
}

impl Phases {
    /// The start begins.
    pub fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, last: now, ended: Vec::new() }
    }

    /// What was done since the end of the last part was this.
    pub fn end(&mut self, name: &'static str) {
        let now = Instant::now();
        self.ended.push((name, now - self.last));
        self.last = now;
    }

    /// All of it, until the end of the last part.
    pub fn milliseconds(&self) -> f64 {
        milliseconds(self.last - self.began)
    }
}

impl Display for Phases {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (place, (name, duration)) in self.ended.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(formatter, "{comma}{name} {:.1}", milliseconds(*duration))?;
        }
        Ok(())
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_told_in_order_and_they_add_up() {
        let mut phases = Phases::begin();
        phases.end("policy");
        std::thread::sleep(Duration::from_millis(20));
        phases.end("programs");
        let told = phases.to_string();
        let numbers: Vec<f64> = told.split(", ").filter_map(|part| part.rsplit(' ').next()?.parse().ok()).collect();
        assert!(told.starts_with("policy ") && told.contains(", programs "), "{told}");
        assert!(numbers[1] >= 20.0 && (numbers.iter().sum::<f64>() - phases.milliseconds()).abs() < 0.2, "{told}");
    }
}
