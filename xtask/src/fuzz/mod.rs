//! `cargo xtask fuzz`: every parser of untrusted bytes, under coverage-guided fuzzing, for as long as wanted.
//!
//! libFuzzer by way of `fuzz/`, with the stable compiler. What the fuzzers learn stays in the cache; what they find goes to `fuzz/regressions`,
//! where `cargo test` runs it from then on.

mod run;
mod seeds;
mod status;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use crate::{build, cache, process, setup, ui, workspace};
use run::Run;

/// Fuzz the parsers of untrusted bytes, all of them or some; exit with 1 when something was found.
#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask fuzz --time 600
  cargo xtask fuzz cms crl --json
  cargo xtask fuzz cms --replay fuzz/regressions/cms/crash-0123456789ab")]
pub(crate) struct Arguments {
    /// Only these targets: names of folders in fuzz/corpus
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Seconds in total; all processors are used, and the targets share them
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    time: u64,
    /// Run the one target on this input, and nothing else
    #[arg(long, value_name = "FILE", requires = "targets", conflicts_with = "time")]
    replay: Option<PathBuf>,
    /// Make the scene and the seeds anew, with new keys
    #[arg(long, exclusive = true)]
    make_seeds: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// What one target came to.
#[derive(Default, Serialize)]
struct Outcome {
    target: String,
    executions: u64,
    executions_per_second: u64,
    /// Edges of the program's flow that some input took.
    coverage: u64,
    /// Inputs that reach something that no other does.
    corpus: u64,
    found: Vec<Find>,
}

/// An input that a target does not survive.
#[derive(Serialize)]
struct Find {
    path: PathBuf,
    /// What the target said.
    problem: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.make_seeds {
        seeds::make()?;
        return Ok(ExitCode::SUCCESS);
    }
    let targets = chosen(&arguments.targets)?;
    let fuzzer = fuzzer()?;
    if let Some(file) = &arguments.replay {
        let [target] = &targets[..] else { bail!("`--replay` takes one target") };
        let file = fs::canonicalize(file).with_context(|| format!("no input `{}`", file.display()))?;
        let survived = process::pass_through(Command::new(&fuzzer).arg(file).env(run::TARGET, target))?.success();
        return Ok(if survived { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let outcomes = all(&fuzzer, &targets, Duration::from_secs(arguments.time))?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&outcomes)?);
    } else {
        print!("{}", table(&outcomes));
    }
    let mut exit = ExitCode::SUCCESS;
    for (outcome, find) in outcomes.iter().flat_map(|outcome| outcome.found.iter().map(move |find| (outcome, find))) {
        exit = ExitCode::FAILURE;
        eprintln!("found in {}: {}", outcome.target, find.problem);
        eprintln!("  again: cargo xtask fuzz {} --replay {}", outcome.target, find.path.display());
    }
    Ok(exit)
}

/// The targets of these names, or all of them.
fn chosen(names: &[String]) -> Result<Vec<String>> {
    let folder = home().join("corpus");
    let entries = fs::read_dir(&folder).with_context(|| format!("no seeds in `{}`", folder.display()))?;
    let mut all: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    all.sort();
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        bail!("no target `{unknown}`; there are {}", all.join(", "));
    }
    Ok(if names.is_empty() { all } else { names.to_vec() })
}

/// Builds the fuzzers with the marks of coverage that libFuzzer reads.
fn fuzzer() -> Result<PathBuf> {
    setup::for_fuzzing()?;
    if std::env::var_os("ENFORCER_EBPF_OBJECT").is_none() {
        build::ebpf()?;
    }
    let version = process::output(Command::new("rustc").arg("-vV")).context("cannot ask rustc for its version")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?.to_owned();
    let folder = workspace::target_dir().join("fuzzing");
    let mut cargo = workspace::cargo();
    // A target that is named keeps these flags from what runs during the build.
    cargo.args(["build", "--package", "enforcer-fuzz", "--features", "libfuzzer", "--bin", "enforcer-fuzz", "--profile", "fuzz", "--target", &host]);
    cargo.arg("--target-dir").arg(&folder).env("RUSTFLAGS", COVERAGE);
    if !process::pass_through(&mut cargo)?.success() {
        bail!("the fuzzers were not built");
    }
    Ok(folder.join(host).join("fuzz/enforcer-fuzz"))
}

/// Runs the targets, one on each processor at a time.
fn all(fuzzer: &Path, targets: &[String], time: Duration) -> Result<Vec<Outcome>> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    // A single target is run on every processor; its runs learn from each other by way of the corpus.
    let copies = workers.div_ceil(targets.len());
    let runs = u32::try_from(copies * targets.len())?;
    let seconds = (time * u32::try_from(workers)? / runs).as_secs().max(1);
    let memory = Path::new("/dev/shm");
    let scratch = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.context("no temporary folder")?;
    let waiting: Vec<&String> = (0..copies).flat_map(|_| targets).collect();
    let step = ui::Step::start(format!("{} targets, {seconds} s each", targets.len()));
    let queue = std::sync::Mutex::new(waiting.into_iter());
    let next = || queue.lock().ok()?.next();
    let finished: Vec<Result<Vec<Outcome>>> = thread::scope(|scope| {
        let work = || {
            let mut outcomes = Vec::new();
            while let Some(target) = next() {
                let run = Run { fuzzer, target, seconds, scratch: scratch.path(), home: &home(), cache: &cache::dir()?.join("fuzz") };
                outcomes.push(run.finish(&step)?);
            }
            Ok(outcomes)
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked"))).collect()
    });
    let mut together: BTreeMap<String, Outcome> = BTreeMap::new();
    for outcome in finished.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        together.entry(outcome.target.clone()).or_default().add(outcome);
    }
    let executions: u64 = together.values().map(|outcome| outcome.executions).sum();
    step.done(&format!("{executions} executions"));
    Ok(together.into_values().collect())
}

impl Outcome {
    /// The same target, run beside this.
    fn add(&mut self, other: Self) {
        self.target = other.target;
        self.executions += other.executions;
        self.executions_per_second += other.executions_per_second;
        self.coverage = self.coverage.max(other.coverage);
        self.corpus = self.corpus.max(other.corpus);
        self.found.extend(other.found);
    }
}

fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!("{:<18} {:>12} {:>10} {:>9} {:>8} {:>6}\n", "TARGET", "EXECUTIONS", "EXEC/S", "COVERAGE", "CORPUS", "FOUND");
    for Outcome { target, executions, executions_per_second, coverage, corpus, found } in outcomes {
        text += &format!("{target:<18} {executions:>12} {executions_per_second:>10} {coverage:>9} {corpus:>8} {:>6}\n", found.len());
    }
    text
}

fn home() -> PathBuf {
    workspace::root().join("fuzz")
}

/// LLVM's marks (`-fsanitize-coverage`): counters of edges, a table of them, and what is compared with what.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_of_a_target_are_one_line_of_the_table() {
        let run = |executions, coverage| Outcome { target: "cms".to_owned(), executions, coverage, executions_per_second: 5, ..Outcome::default() };
        let mut outcome = run(10, 7);
        outcome.add(run(20, 6));
        let text = table(&[outcome]);
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["cms", "30", "10", "7", "0", "0"]);
    }
}
