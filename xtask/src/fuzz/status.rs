//! What libFuzzer says of itself on stderr, read line by line.

use std::path::PathBuf;

/// The latest numbers, and what was found.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Status {
    pub(super) executions: u64,
    pub(super) executions_per_second: u64,
    pub(super) coverage: u64,
    pub(super) corpus: u64,
    /// The file that libFuzzer wrote for what it found.
    pub(super) artifact: Option<PathBuf>,
    /// What the target said before.
    pub(super) problem: Option<String>,
    told: bool,
}

impl Status {
    /// Reads a line; whether it has new numbers.
    pub(super) fn read(&mut self, line: &str) -> bool {
        if let Some(path) = line.split("Test unit written to ").nth(1) {
            self.artifact = Some(path.trim().into());
        } else if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            self.executions = count.trim().parse().unwrap_or(self.executions);
        } else if let Some(rate) = line.strip_prefix("stat::average_exec_per_sec:") {
            self.executions_per_second = rate.trim().parse().unwrap_or(self.executions_per_second);
        } else if line.contains(" panicked at ") {
            // What it says stands in the next line.
            self.problem = Some(line.to_owned());
            self.told = false;
        } else if let Some(problem) = self.problem.as_mut().filter(|_| !self.told) {
            problem.push_str("; ");
            problem.push_str(line);
            self.told = true;
        } else if line.contains("ERROR: libFuzzer:") && self.problem.is_none() {
            self.problem = Some(line.to_owned());
            self.told = true;
        } else if line.starts_with('#') {
            return self.numbers(line);
        }
        false
    }

    /// `#4096 pulse  cov: 12 ft: 34 corp: 5/67b lim: 8 exec/s: 9 rss: 10Mb`
    fn numbers(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut any = false;
        for pair in words.windows(2) {
            let number = pair[1].split('/').next().and_then(|number| number.parse().ok());
            let place = match pair[0] {
                "cov:" => &mut self.coverage,
                "corp:" => &mut self.corpus,
                "exec/s:" => &mut self.executions_per_second,
                _ => continue,
            };
            *place = number.unwrap_or(*place);
            any = true;
        }
        if let Some(executions) = words.first().and_then(|word| word.strip_prefix('#')?.parse().ok()) {
            self.executions = executions;
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn numbers_finds_and_what_was_said_are_read_from_real_lines() {
        let mut status = Status::default();
        assert!(!status.read("INFO: Running with entropic power schedule (0xFF, 100)."));
        assert!(status.read("#65536\tpulse  cov: 412 ft: 1019 corp: 96/14Kb lim: 652 exec/s: 21845 rss: 61Mb"));
        assert!(status.read("#70000\tNEW    cov: 413 ft: 1020 corp: 97/14Kb lim: 652 exec/s: 21845 rss: 61Mb L: 49/652 MS: 1 EraseBytes-"));
        assert_eq!((status.executions, status.executions_per_second, status.coverage, status.corpus), (70_000, 21_845, 413, 97));
        status.read("thread '<unnamed>' (7) panicked at fuzz/src/targets/mod.rs:48:13:");
        status.read("one allocation of 99999999 bytes; the limit is 67108864");
        status.read("note: run with `RUST_BACKTRACE=1`");
        status.read("==7== ERROR: libFuzzer: deadly signal");
        status.read("artifact_prefix='/tmp/found/'; Test unit written to /tmp/found/crash-da39a3ee");
        status.read("stat::number_of_executed_units: 70001");
        status.read("stat::average_exec_per_sec:     17");
        assert_eq!(status.artifact.as_deref(), Some("/tmp/found/crash-da39a3ee".as_ref()));
        assert!(status.problem.as_deref().unwrap().ends_with("mod.rs:48:13:; one allocation of 99999999 bytes; the limit is 67108864"));
        assert_eq!((status.executions, status.executions_per_second), (70_001, 17));
    }
}
