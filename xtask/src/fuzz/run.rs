//! One run of libFuzzer on one target.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::status::Status;
use super::{Find, Outcome};
use crate::ui::Step;

/// Which target the fuzzers' program runs.
pub(super) const TARGET: &str = "ENFORCER_FUZZ_TARGET";

/// What to run, where.
pub(super) struct Run<'a> {
    pub(super) fuzzer: &'a Path,
    pub(super) target: &'a str,
    pub(super) seconds: u64,
    /// A folder for the targets' own files, best in memory.
    pub(super) scratch: &'a Path,
    /// `fuzz/` of the clone.
    pub(super) home: &'a Path,
    pub(super) cache: &'a Path,
}

impl Run<'_> {
    /// Runs it to its end: until the time is over, or something was found.
    pub(super) fn finish(&self, step: &Step) -> Result<Outcome> {
        let found = self.folder(self.cache, "found")?;
        let mut child = self.command(&found)?.spawn().with_context(|| format!("cannot start `{}`", self.fuzzer.display()))?;
        let Some(stderr) = child.stderr.take() else { bail!("the fuzzer has no stderr") };
        let mut status = Status::default();
        let mut tail = VecDeque::new();
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if status.read(&line) {
                step.note(&format!(
                    "{}: {} executions, {}/s, {} edges",
                    self.target, status.executions, status.executions_per_second, status.coverage
                ));
            }
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(line);
        }
        let ended = child.wait().context("cannot wait for the fuzzer")?;
        let finds = status.artifact.take().map(|artifact| self.keep(&artifact, status.problem.take())).transpose()?;
        if !ended.success() && finds.is_none() {
            bail!("the target `{}` ended with {ended}:\n{}", self.target, Vec::from(tail).join("\n"));
        }
        Ok(Outcome {
            target: self.target.to_owned(),
            executions: status.executions,
            executions_per_second: status.executions_per_second,
            coverage: status.coverage,
            corpus: status.corpus,
            found: finds.into_iter().collect(),
        })
    }

    fn command(&self, found: &Path) -> Result<Command> {
        let mut command = Command::new(self.fuzzer);
        // Only the first folder is written to.
        command.arg(self.folder(self.cache, "corpus")?).arg(self.folder(self.home, "corpus")?);
        let regressions = self.home.join("regressions").join(self.target);
        if regressions.is_dir() {
            command.arg(regressions);
        }
        let dictionary = self.home.join("dictionaries").join(format!("{}.dict", self.target));
        if dictionary.is_file() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        command.args([format!("-max_total_time={}", self.seconds), format!("-artifact_prefix={}/", found.display())]);
        command.args(["-max_len=131072", "-timeout=10", "-rss_limit_mb=1024", "-reload=1", "-print_final_stats=1"]);
        command.env(TARGET, self.target).env("TMPDIR", self.scratch);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Ok(command)
    }

    /// The folder of this kind for this target, which exists.
    fn folder(&self, root: &Path, kind: &str) -> Result<PathBuf> {
        let folder = root.join(kind).join(self.target);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        Ok(folder)
    }

    /// Puts what was found where `cargo test` runs it from now on.
    fn keep(&self, artifact: &Path, problem: Option<String>) -> Result<Find> {
        let name = artifact.file_name().unwrap_or_default().to_string_lossy();
        // Its kind, and enough of its SHA-1.
        let short: String = name.chars().take(name.find('-').unwrap_or(0) + 13).collect();
        let path = self.folder(self.home, "regressions")?.join(short);
        fs::copy(artifact, &path).with_context(|| format!("cannot keep `{}`", artifact.display()))?;
        Ok(Find { path, problem: problem.unwrap_or_else(|| "it did not survive".to_owned()) })
    }
}

/// Lines that are worth repeating when the fuzzer itself fails.
const TAIL: usize = 25;
