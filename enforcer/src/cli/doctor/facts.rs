//! What can be observed about a machine. Observes only; [`super::checks`] judges.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::kernel::ProbeOutcome;

/// Something observed, or why it could not be.
pub(super) type Seen<T> = Result<T, String>;

/// The facts of one machine.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The kernel's release, such as `6.12.48+deb13-amd64`.
    pub(super) release: Seen<String>,
    /// The capabilities in effect of this process, as bits.
    pub(super) capabilities: Seen<u64>,
    /// The list of active LSMs.
    pub(super) active_lsms: Seen<String>,
    /// The kernel's build configuration: `CONFIG_…` and value; absent is not set.
    pub(super) config: Seen<BTreeMap<String, String>>,
    /// The kernel's command line.
    pub(super) command_line: Seen<String>,
    /// Whether the kernel describes its own types.
    pub(super) has_btf: bool,
    /// Mount points and the type of their file system.
    pub(super) mounts: Seen<Vec<(String, String)>>,
    /// Those of [`SYMBOLS`] that the kernel has.
    pub(super) symbols: Seen<BTreeSet<&'static str>>,
    /// `kernel.ftrace_enabled`.
    pub(super) ftrace_enabled: Seen<bool>,
    /// The lockdown level in effect: `none`, `integrity` or `confidentiality`.
    pub(super) lockdown: Seen<String>,
    /// Whether systemd runs this machine.
    pub(super) has_systemd: bool,
    /// Whether the kernel takes an LSM program.
    pub(super) takes_lsm_programs: ProbeOutcome,
}

impl Facts {
    /// Observes the machine whose files are below `root`. Only the machine itself (`/`) can be asked to load a program.
    pub(super) fn observe(root: &Path, probe: impl FnOnce() -> ProbeOutcome) -> Self {
        let machine = Machine { root };
        let release = machine.text("/proc/sys/kernel/osrelease");
        Self {
            capabilities: machine.capabilities(),
            active_lsms: machine.text("/sys/kernel/security/lsm"),
            config: machine.config(release.as_deref().unwrap_or_default()),
            command_line: machine.text("/proc/cmdline"),
            has_btf: machine.path("/sys/kernel/btf/vmlinux").exists(),
            mounts: machine.mounts(),
            symbols: machine.symbols(),
            ftrace_enabled: machine.text("/proc/sys/kernel/ftrace_enabled").map(|text| text != "0"),
            lockdown: machine.lockdown(),
            has_systemd: machine.path("/run/systemd/system").is_dir(),
            takes_lsm_programs: probe(),
            release,
        }
    }
}

/// Kernel functions whose presence says what the kernel can do.
pub(super) const SYMBOLS: [&str; 4] = [PROTECTED_SLEEP, IMA_HASH, FSVERITY_DIGEST, FSVERITY_KFUNC];
/// Enters a sleepable program so that overlapping runs on one CPU are not skipped.
pub(super) const PROTECTED_SLEEP: &str = "__bpf_prog_enter_sleepable_recur";
/// Hashes a file's current content.
pub(super) const IMA_HASH: &str = "ima_file_hash";
/// Reads a file's fs-verity digest.
pub(super) const FSVERITY_DIGEST: &str = "fsverity_get_digest";
/// The same, for eBPF programs (from 6.8 on).
pub(super) const FSVERITY_KFUNC: &str = "bpf_get_fsverity_digest";

struct Machine<'a> {
    root: &'a Path,
}

impl Machine<'_> {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A small file's text without blanks around it.
    fn text(&self, path: &str) -> Seen<String> {
        let mut text = String::new();
        let file = File::open(self.path(path)).map_err(|error| format!("{path}: {error}"))?;
        file.take(MOST_TEXT).read_to_string(&mut text).map_err(|error| format!("{path}: {error}"))?;
        Ok(text.trim().to_owned())
    }

    fn capabilities(&self) -> Seen<u64> {
        let status = self.text("/proc/self/status")?;
        let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).ok_or_else(|| "/proc/self/status: no `CapEff`".to_owned())
    }

    fn config(&self, release: &str) -> Seen<BTreeMap<String, String>> {
        let plain = [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")];
        let text = match File::open(self.path("/proc/config.gz")) {
            Ok(file) => {
                let mut text = String::new();
                flate2::read::GzDecoder::new(file).take(MOST_TEXT).read_to_string(&mut text).map_err(|error| format!("/proc/config.gz: {error}"))?;
                text
            }
            Err(_) => plain
                .iter()
                .find_map(|path| self.text(path).ok())
                .ok_or_else(|| format!("neither /proc/config.gz nor {} can be read", plain.join(" nor ")))?,
        };
        let assignments = text.lines().filter_map(|line| line.strip_prefix("CONFIG_")?.split_once('='));
        Ok(assignments.map(|(name, value)| (format!("CONFIG_{name}"), value.trim_matches('"').to_owned())).collect())
    }

    fn mounts(&self) -> Seen<Vec<(String, String)>> {
        let text = self.text("/proc/self/mounts")?;
        let mount = |line: &str| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        };
        Ok(text.lines().filter_map(mount).collect())
    }

    fn symbols(&self) -> Seen<BTreeSet<&'static str>> {
        let file = File::open(self.path("/proc/kallsyms")).map_err(|error| format!("/proc/kallsyms: {error}"))?;
        let mut found = BTreeSet::new();
        let mut lines = 0_u64;
        for line in BufReader::new(file.take(MOST_SYMBOLS)).lines() {
            let line = line.map_err(|error| format!("/proc/kallsyms: {error}"))?;
            lines += 1;
            found.extend(line.split_whitespace().nth(2).and_then(|name| SYMBOLS.into_iter().find(|symbol| *symbol == name)));
        }
        if lines == 0 { Err("/proc/kallsyms: it is empty".to_owned()) } else { Ok(found) }
    }

    /// The word in brackets of `none [integrity] confidentiality`.
    fn lockdown(&self) -> Seen<String> {
        let path = "/sys/kernel/security/lockdown";
        if !self.path(path).exists() && self.path("/sys/kernel/security/lsm").exists() {
            return Ok("none".to_owned());
        }
        let text = self.text(path)?;
        let level = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        level.map(|(level, _)| level.to_owned()).ok_or_else(|| format!("{path}: `{text}` names no level"))
    }
}

/// Bytes read of any text; a kernel's configuration has some 300 KB.
const MOST_TEXT: u64 = 4 << 20;
/// Bytes read of the symbols; kernels have some 10 MB of them.
const MOST_SYMBOLS: u64 = 128 << 20;
