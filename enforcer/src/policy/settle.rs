//! From what is written to what is meant: checks every value of a [`RawPolicy`] and fills in the defaults.
//!
//! Goes on after a problem, so that one run shows all of them. Touches no file: whether an anchor exists is [`crate::trust`]'s question.

mod relief;
mod scopes;
mod scripts;
mod trust;

use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use enforcer_common::{Mode, Response};
use toml::Value;

use super::at::At;
use super::error::{Problem, list};
use super::raw::{RawFilesystems, RawKernel, RawLimits, RawMemory, RawMetrics, RawPolicy, RawSources};
use super::values::*;
use super::{Filesystems, Kernel, Limits, Memory, Metrics, Policy, Protection, Sources, size};
use crate::text::printable;

/// The settled policy, or everything that is wrong with `raw`.
pub(super) fn settle(raw: RawPolicy, path: &Path) -> Result<Policy, Vec<Problem>> {
    let mut desk = Desk { problems: Vec::new() };
    desk.version(raw.version);
    let mode_place = raw.mode.as_ref().map_or(0..0, At::span);
    let mode = desk.mode(raw.mode);
    let fuse_place = raw.fuse.as_ref().map_or(0..0, At::span);
    let no_signer_written = raw.signer.is_empty();
    let policy_signers = raw.protection.policy_signers.unwrap_or_default();
    let signers = desk.signers(raw.signer, &policy_signers);
    let policy = Policy {
        path: path.into(),
        sha256: [0; 32],
        modified: None,
        mode,
        scopes: desk.scopes(raw.scope),
        fuse: desk.fuse(raw.fuse),
        break_glass: desk.break_glass(raw.break_glass),
        protection: Protection { policy_signers: desk.named_signers(policy_signers, &signers) },
        components: desk.components(raw.component, &signers),
        signers,
        timestamp_authorities: desk.timestamp_authorities(raw.timestamp_authority),
        signatures: desk.signatures(raw.signatures),
        revocation: desk.revocation(raw.revocation),
        sources: desk.sources(raw.sources),
        scan: desk.paths_or(raw.scan.paths, DEFAULT_SCAN),
        interpreters: desk.interpreters(raw.scripts, raw.interpreter),
        memory: desk.memory(raw.memory),
        filesystems: desk.filesystems(raw.filesystems),
        kernel: desk.kernel(raw.kernel),
        metrics: desk.metrics(raw.metrics),
        limits: desk.limits(raw.limits),
    };
    if policy.strictest_mode() == Mode::Enforce && no_signer_written {
        desk.refuse(
            Problem::new(mode_place, "`enforce` without any signer: nothing could ever run")
                .remedy("add a `[[signer]]` with `anchors` or `certificates`, or begin with mode = \"audit\""),
        );
    }
    if policy.fuse.is_some() && !policy.protection.policy_signers.is_empty() {
        desk.refuse(
            Problem::new(fuse_place, "a fuse in a policy that its signers alone may change: whoever is root can blow it")
                .remedy("leave [fuse] away, or `policy-signers`"),
        );
    }
    if desk.problems.is_empty() { Ok(policy) } else { Err(desk.problems) }
}

impl Default for Sources {
    fn default() -> Self {
        Self { manifests: paths(DEFAULT_MANIFESTS), stores: paths(DEFAULT_STORES) }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self { anonymous: Response::Deny, writable_and_executable: Response::Deny, made_executable: Response::Deny, tracing: Response::Deny }
    }
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            modules: Response::Deny,
            modules_from_memory: Response::Deny,
            kexec: Response::Deny,
            // It runs on the device, and most of it is in packages that nobody lists.
            firmware: Response::Allow,
            memory: Response::Deny,
            bpf_programs: Response::Deny,
        }
    }
}

impl Default for Filesystems {
    fn default() -> Self {
        Self { volatile: Response::Deny, foreign: Response::Deny }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { textfile: None, interval: Duration::from_secs(15) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_size: 1 << 30,
            max_verdicts: 262_144,
            first_use_deadline: Duration::from_millis(5000),
            first_use_deadline_per_mib: Duration::from_millis(100),
            max_waiting: 256,
        }
    }
}

/// Where values are checked; keeps what is wrong with them. A value that is refused is replaced by a default, which nobody sees.
struct Desk {
    problems: Vec<Problem>,
}

impl Desk {
    fn refuse(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    fn version(&mut self, version: Option<At<i64>>) {
        match version {
            Some(version) if *version.get_ref() == super::VERSION => {}
            Some(version) => self.refuse(
                Problem::new(version.span(), format!("this program does not know policies of version {}", version.get_ref()))
                    .remedy(format!("it knows version = {}; a newer policy needs a newer enforcer", super::VERSION)),
            ),
            None => self.refuse(Problem::new(0..0, "the policy does not say its version").remedy("add the line: version = 1")),
        }
    }

    fn mode(&mut self, mode: Option<At<String>>) -> Mode {
        match mode {
            Some(mode) => self.choice(&mode, "mode", &MODES).unwrap_or(Mode::Audit),
            None => {
                let remedy = "add the line: mode = \"audit\" (report only) or mode = \"enforce\" (deny what is not signed)";
                self.refuse(Problem::new(0..0, "the policy does not say its mode").remedy(remedy));
                Mode::Audit
            }
        }
    }

    fn sources(&mut self, raw: RawSources) -> Sources {
        Sources { manifests: self.paths_or(raw.manifests, DEFAULT_MANIFESTS), stores: self.paths_or(raw.stores, DEFAULT_STORES) }
    }

    fn memory(&mut self, raw: RawMemory) -> Memory {
        let default = Memory::default();
        Memory {
            anonymous: self.response(raw.anonymous, default.anonymous),
            writable_and_executable: self.response(raw.writable_and_executable, default.writable_and_executable),
            made_executable: self.response(raw.made_executable, default.made_executable),
            tracing: self.response(raw.tracing, default.tracing),
        }
    }

    fn kernel(&mut self, raw: RawKernel) -> Kernel {
        let default = Kernel::default();
        Kernel {
            modules: self.response(raw.modules, default.modules),
            modules_from_memory: self.response(raw.modules_from_memory, default.modules_from_memory),
            kexec: self.response(raw.kexec, default.kexec),
            firmware: self.response(raw.firmware, default.firmware),
            memory: self.response(raw.memory, default.memory),
            bpf_programs: self.response(raw.bpf_programs, default.bpf_programs),
        }
    }

    fn filesystems(&mut self, raw: RawFilesystems) -> Filesystems {
        let default = Filesystems::default();
        Filesystems { volatile: self.response(raw.volatile, default.volatile), foreign: self.response(raw.foreign, default.foreign) }
    }

    fn limits(&mut self, raw: RawLimits) -> Limits {
        let default = Limits::default();
        let milliseconds = |duration: Duration| duration.as_millis() as u64;
        Limits {
            max_file_size: self.size(raw.max_file_size, default.max_file_size, MAX_FILE_SIZE),
            max_verdicts: self.number(raw.max_verdicts, default.max_verdicts.into(), MAX_VERDICTS) as u32,
            first_use_deadline: Duration::from_millis(self.number(raw.first_use_deadline_ms, milliseconds(default.first_use_deadline), DEADLINE_MS)),
            first_use_deadline_per_mib: Duration::from_millis(self.number(
                raw.first_use_deadline_per_mib_ms,
                milliseconds(default.first_use_deadline_per_mib),
                DEADLINE_PER_MIB_MS,
            )),
            max_waiting: self.number(raw.max_waiting, default.max_waiting.into(), MAX_WAITING) as u32,
        }
    }

    fn metrics(&mut self, raw: RawMetrics) -> Metrics {
        let default = Metrics::default();
        let textfile = raw.textfile.filter(|written| !written.get_ref().is_empty()).map(|written| {
            let place = written.span();
            let path = self.path(written);
            // The collector reads no other, and no file of another kind is ever replaced by a mistake here.
            if path.extension().is_none_or(|extension| extension != "prom") {
                self.refuse(
                    Problem::new(place, "the collector reads only files whose names end in `.prom`")
                        .remedy("write a name such as \"/var/lib/prometheus/node-exporter/enforcer.prom\""),
                );
            }
            path
        });
        Metrics { textfile, interval: Duration::from_secs(self.number(raw.interval_seconds, default.interval.as_secs(), METRICS_INTERVAL_SECONDS)) }
    }

    fn word(&mut self, word: At<String>, what: &str, longest: usize, allowed: fn(char) -> bool) -> String {
        let (place, word) = (word.span(), word.into_inner());
        if word.is_empty() || word.len() > longest || !word.chars().all(allowed) {
            let characters: String = (' '..='~').filter(|c| allowed(*c) && !c.is_ascii_alphanumeric()).map(|c| format!(", `{c}`")).collect();
            let letters = if allowed('A') { "letters" } else { "small letters" };
            self.refuse(
                Problem::new(place, format!("`{}` is no {what}", printable(&word)))
                    .remedy(format!("use 1 to {longest} of these: {letters}, digits{characters}")),
            );
        }
        word
    }

    fn response(&mut self, word: Option<At<String>>, default: Response) -> Response {
        word.and_then(|word| self.choice(&word, "response", &RESPONSES)).unwrap_or(default)
    }

    fn choice<T: Copy>(&mut self, word: &At<String>, what: &str, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(name, _)| name == word.get_ref()).map(|(_, choice)| *choice);
        if found.is_none() {
            self.refuse(Problem::misspelt(word.span(), what, word.get_ref(), &words(choices)));
        }
        found
    }

    fn number(&mut self, number: Option<At<i64>>, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(number) = number else { return default };
        match u64::try_from(*number.get_ref()) {
            Ok(value) if range.contains(&value) => value,
            _ => {
                self.refuse(Problem::new(number.span(), format!("{} is out of range", number.get_ref())).remedy(format!(
                    "allowed here: {} to {}; the default is {default}",
                    range.start(),
                    range.end()
                )));
                default
            }
        }
    }

    fn size(&mut self, value: Option<At<Value>>, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = value else { return default };
        let bytes = match value.get_ref() {
            Value::Integer(bytes) => u64::try_from(*bytes).ok(),
            Value::String(text) => size::parse(text),
            _ => None,
        };
        match bytes {
            Some(bytes) if range.contains(&bytes) => bytes,
            Some(_) => {
                let (from, to) = (size::display(*range.start()), size::display(*range.end()));
                let problem = Problem::new(value.span(), "this size is out of range");
                self.refuse(problem.remedy(format!("allowed here: {from} to {to}; the default is {}", size::display(default))));
                default
            }
            None => {
                let units: Vec<_> = size::UNITS.iter().map(|(name, _)| *name).collect();
                self.refuse(
                    Problem::new(value.span(), "this is no size")
                        .remedy(format!("write whole bytes (1073741824) or a number with a unit (\"1 GiB\"); units: {}", list(&units))),
                );
                default
            }
        }
    }

    fn paths_or(&mut self, written: Option<Vec<At<String>>>, default: &[&str]) -> Vec<PathBuf> {
        written.map_or_else(|| paths(default), |written| self.paths(written))
    }

    fn paths(&mut self, written: Vec<At<String>>) -> Vec<PathBuf> {
        written.into_iter().map(|path| self.path(path)).collect()
    }

    /// Only absolute paths without `..`: the daemon and the command line must mean the same file, from whatever folder they run.
    fn path(&mut self, written: At<String>) -> PathBuf {
        let (place, text) = (written.span(), written.into_inner());
        let path = PathBuf::from(&text);
        if !path.is_absolute() {
            self.refuse(
                Problem::new(place, format!("`{}` is not an absolute path", printable(&text)))
                    .remedy("write it from the root, such as \"/etc/enforcer/trust/ca.pem\""),
            );
        } else if text.contains('\0') || path.components().any(|part| part == Component::ParentDir) {
            self.refuse(Problem::new(place, format!("`{}` is no plain path", printable(&text))).remedy("write it without `..` and without NUL"));
        }
        path
    }
}

fn words<'a, T>(choices: &[(&'a str, T)]) -> Vec<&'a str> {
    choices.iter().map(|(name, _)| *name).collect()
}

fn paths(texts: &[&str]) -> Vec<PathBuf> {
    texts.iter().map(PathBuf::from).collect()
}
