//! What the facts mean: can this machine enforce? Judges only; touches nothing.
//!
//! A new check is one more function in [`CHECKS`].

use serde::Serialize;

use super::facts::{FSVERITY_DIGEST, FSVERITY_KFUNC, Facts, IMA_HASH, PROTECTED_SLEEP, Seen};
use crate::kernel::ProbeOutcome;
use crate::text::clipped;

/// The answer of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    Yes,
    No,
    CouldNotTell,
}

impl Answer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::CouldNotTell => "could not tell",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Its name in JSON.
    pub(super) check: &'static str,
    /// The same in words.
    pub(super) title: &'static str,
    pub(super) answer: Answer,
    /// Whether there is no enforcement without it.
    pub(super) required: bool,
    /// What was seen.
    pub(super) found: String,
    /// What it is good for.
    pub(super) meaning: &'static str,
    /// How to mend it; nothing when the answer is yes.
    pub(super) remedy: Option<String>,
}

/// Every check's finding.
pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    CHECKS.iter().map(|check| check(facts)).collect()
}

/// Whether the machine can enforce: only when every required check says yes.
pub(super) fn conclude(findings: &[Finding]) -> Answer {
    let required = || findings.iter().filter(|finding| finding.required).map(|finding| finding.answer);
    if required().any(|answer| answer == Answer::No) {
        Answer::No
    } else if required().any(|answer| answer == Answer::CouldNotTell) {
        Answer::CouldNotTell
    } else {
        Answer::Yes
    }
}

const CHECKS: [fn(&Facts) -> Finding; 16] = [
    kernel_release,
    rights,
    types,
    securityfs,
    lsm_built,
    lsm_active,
    lsm_programs,
    trampolines,
    sleepable_programs,
    ima,
    ima_hash,
    lockdown,
    fs_verity,
    bpffs,
    cgroups,
    systemd,
];

fn kernel_release(facts: &Facts) -> Finding {
    let check = Check::required(
        "kernel-release",
        "Kernel 6.1 or newer",
        "Enforcer is tested on Debian's 6.1, 6.12 and 7 kernels; older ones lack what it needs.",
    );
    let remedy = "Boot a kernel of 6.1 or newer.";
    check.on(&facts.release, remedy, |release| (version(release).is_some_and(|version| version >= OLDEST), release.clone()))
}

fn rights(facts: &Facts) -> Finding {
    let check =
        Check::required("rights", "Right to load programs", "Loading eBPF programs takes root, or CAP_BPF with CAP_PERFMON and CAP_SYS_ADMIN.");
    check.on(&facts.capabilities, "Run this as root (`sudo enforcer doctor`).", |bits| {
        let missing: Vec<_> = CAPABILITIES.iter().filter(|(_, bit)| bits & (1 << bit) == 0).map(|(name, _)| *name).collect();
        (missing.is_empty(), if missing.is_empty() { "all there".to_owned() } else { format!("missing: {}", missing.join(", ")) })
    })
}

fn types(facts: &Facts) -> Finding {
    let check = Check::required("btf", "The kernel describes its types (BTF)", "The programs find the kernel's fields by it.");
    let found = if facts.has_btf { "/sys/kernel/btf/vmlinux is there" } else { "there is no /sys/kernel/btf/vmlinux" };
    check.is(facts.has_btf, found, "Use a kernel built with CONFIG_DEBUG_INFO_BTF=y, such as Debian's.")
}

fn securityfs(facts: &Facts) -> Finding {
    let check = Check::advised("securityfs", "securityfs is mounted", "The kernel lists its active LSMs there.");
    check.on(&facts.mounts, "Mount it: `mount -t securityfs securityfs /sys/kernel/security`.", |mounts| {
        mounted(mounts, "securityfs", "/sys/kernel/security")
    })
}

fn lsm_built(facts: &Facts) -> Finding {
    let check = Check::required("bpf-lsm-built", "The kernel has the BPF LSM", "It lets eBPF programs decide in the kernel's security hooks.");
    if facts.active_lsms.as_deref().is_ok_and(lists_bpf) {
        return check.is(true, "it is active", "");
    }
    check.on(&facts.config, "Use a kernel built with CONFIG_BPF_LSM=y, such as Debian's.", |config| option(config, "CONFIG_BPF_LSM"))
}

fn lsm_active(facts: &Facts) -> Finding {
    let check = Check::required(
        "bpf-lsm-active",
        "The BPF LSM is active on this boot",
        "Without it, programs load and attach, and are never called: nothing would be denied.",
    );
    match &facts.active_lsms {
        Ok(active) if lists_bpf(active) => check.is(true, active, ""),
        Ok(active) => {
            // `capability` is always on, and no word of that option.
            let others: Vec<_> = active.split(',').filter(|name| *name != "capability").collect();
            let remedy = format!(
                "Add `lsm={},bpf` to the kernel's command line (GRUB_CMDLINE_LINUX in /etc/default/grub, then `update-grub`) and reboot.",
                others.join(",")
            );
            check.is(false, &format!("`bpf` is not among {active}"), &remedy)
        }
        Err(reason) => check.could_not_tell(reason, MOUNT_SECURITYFS),
    }
}

fn lsm_programs(facts: &Facts) -> Finding {
    let check =
        Check::required("lsm-programs", "The kernel takes LSM programs", "Tried for real: one of Enforcer's programs was loaded, and not attached.");
    match &facts.takes_lsm_programs {
        ProbeOutcome::Yes => check.is(true, "a program was loaded", ""),
        ProbeOutcome::No(reason) if facts.active_lsms.as_deref().is_ok_and(|active| !lists_bpf(active)) => {
            check.is(false, refusal(reason), "Nothing of its own: activate the BPF LSM first.")
        }
        ProbeOutcome::No(reason) => check.is(
            false,
            refusal(reason),
            "Some sandboxes and hosted kernels refuse LSM programs whatever their configuration says: use a kernel of your own, \
             or a virtual machine.",
        ),
        ProbeOutcome::CouldNotTell(reason) => check.could_not_tell(reason, "Run this as root on the machine itself."),
    }
}

fn trampolines(facts: &Facts) -> Finding {
    let check =
        Check::required("ftrace", "Function tracing is switched on", "While kernel.ftrace_enabled is 0, some kernels call no LSM program at all.");
    check.on(&facts.ftrace_enabled, "Run `sysctl kernel.ftrace_enabled=1`, and find out who switched it off.", |enabled| {
        (*enabled, format!("kernel.ftrace_enabled is {}", u8::from(*enabled)))
    })
}

fn sleepable_programs(facts: &Facts) -> Finding {
    let check = Check::required(
        "sleepable-programs",
        "Overlapping programs all run",
        "Without it (older 6.1 kernels) a check may be skipped while another one sleeps on the same CPU, and code let in.",
    );
    check.on(&facts.symbols, "Update the kernel: Debian's current 6.1 has it.", |symbols| symbol(symbols.contains(PROTECTED_SLEEP), PROTECTED_SLEEP))
}

fn ima(facts: &Facts) -> Finding {
    let check = Check::required(
        "ima",
        "The kernel can measure files (IMA)",
        "Enforcer asks IMA for the hash of a file at the moment it is used. No IMA policy is needed.",
    );
    let remedy = "Use a kernel built with CONFIG_IMA=y, such as Debian's.";
    match (&facts.config, &facts.symbols) {
        (Err(_), Ok(symbols)) => {
            let (is_there, found) = symbol(symbols.contains(IMA_HASH), IMA_HASH);
            check.is(is_there, &found, remedy)
        }
        (config, _) => check.on(config, remedy, |config| option(config, "CONFIG_IMA")),
    }
}

fn ima_hash(facts: &Facts) -> Finding {
    let check = Check::required(
        "ima-hash",
        "IMA measures with SHA-256, as it is asked to",
        "Verdicts are about SHA-256 digests; a policy of IMA's own may answer with a hash that it took before.",
    );
    let remedy = "Take `ima_hash=` and `ima_policy=` off the kernel's command line, and reboot.";
    check.on(&facts.command_line, remedy, |line| {
        let unwanted = line
            .split_whitespace()
            .find(|word| word.strip_prefix("ima_hash=").is_some_and(|algorithm| algorithm != "sha256") || word.starts_with("ima_policy="));
        match unwanted {
            Some(word) => (false, format!("the kernel's command line says `{word}`")),
            None => (true, "nothing on the kernel's command line says otherwise".to_owned()),
        }
    })
}

fn lockdown(facts: &Facts) -> Finding {
    let check = Check::required(
        "lockdown",
        "Programs may read kernel memory",
        "In lockdown's confidentiality mode they may not, and cannot tell one file from another.",
    );
    match &facts.lockdown {
        Ok(level) => {
            let remedy = "Boot with `lockdown=integrity` instead of `lockdown=confidentiality`.";
            check.is(level != "confidentiality", &format!("lockdown: {level}"), remedy)
        }
        Err(reason) => check.could_not_tell(reason, MOUNT_SECURITYFS),
    }
}

fn fs_verity(facts: &Facts) -> Finding {
    let check =
        Check::advised("fs-verity", "fs-verity digests can be used", "Files sealed with fs-verity are measured in no time; others are hashed.");
    let remedy = "Nothing to do, unless files are sealed with fs-verity: then use Linux 6.8 or newer with CONFIG_FS_VERITY=y.";
    match &facts.symbols {
        Ok(symbols) => {
            let there = |name| symbols.contains(name);
            let found = match (there(FSVERITY_DIGEST), there(FSVERITY_KFUNC)) {
                (_, true) => "the kernel has it, also for eBPF programs",
                (true, false) => "the kernel has it, and not for eBPF programs",
                (false, false) => "the kernel was built without it",
            };
            check.is(there(FSVERITY_KFUNC), found, remedy)
        }
        Err(reason) => check.could_not_tell(reason, remedy),
    }
}

fn bpffs(facts: &Facts) -> Finding {
    let check = Check::advised("bpffs", "bpffs is mounted", "Enforcement is pinned there, so that it outlives the daemon.");
    check.on(&facts.mounts, "Nothing to do: `enforcer run` mounts it at /sys/fs/bpf.", |mounts| mounted(mounts, "bpf", "/sys/fs/bpf"))
}

fn cgroups(facts: &Facts) -> Finding {
    let check = Check::advised("cgroup-v2", "cgroup v2", "Events name the service or container they came from by it.");
    check.on(&facts.mounts, "Boot with `systemd.unified_cgroup_hierarchy=1`.", |mounts| mounted(mounts, "cgroup2", "/sys/fs/cgroup"))
}

fn systemd(facts: &Facts) -> Finding {
    let check = Check::advised("systemd", "systemd", "It starts the daemon early, watches it and starts it again.");
    let found = if facts.has_systemd { "systemd runs this machine" } else { "systemd does not run this machine" };
    check.is(facts.has_systemd, found, "Have your own service manager run `enforcer run` early, and start it again when it ends.")
}

/// A check on its way to its finding.
struct Check {
    name: &'static str,
    title: &'static str,
    meaning: &'static str,
    required: bool,
}

impl Check {
    /// There is no enforcement without it.
    fn required(name: &'static str, title: &'static str, meaning: &'static str) -> Self {
        Self { name, title, meaning, required: true }
    }

    /// Good to have.
    fn advised(name: &'static str, title: &'static str, meaning: &'static str) -> Self {
        Self { name, title, meaning, required: false }
    }

    fn on<T>(self, seen: &Seen<T>, remedy: &str, judge: impl FnOnce(&T) -> (bool, String)) -> Finding {
        match seen {
            Ok(fact) => {
                let (good, found) = judge(fact);
                self.is(good, &found, remedy)
            }
            Err(reason) => self.could_not_tell(reason, "Make it readable (most of it only root may read), and run this again."),
        }
    }

    fn is(self, good: bool, found: &str, remedy: &str) -> Finding {
        self.finding(if good { Answer::Yes } else { Answer::No }, found, remedy)
    }

    fn could_not_tell(self, reason: &str, remedy: &str) -> Finding {
        self.finding(Answer::CouldNotTell, reason, remedy)
    }

    fn finding(self, answer: Answer, found: &str, remedy: &str) -> Finding {
        let Self { name: check, title, meaning, required } = self;
        let remedy = (answer != Answer::Yes).then(|| remedy.to_owned());
        Finding { check, title, answer, required, found: found.to_owned(), meaning, remedy }
    }
}

/// By exact item: `landlock,lockdown,bpf` has it, `notbpf` has not.
fn lists_bpf(active: &str) -> bool {
    active.split(',').any(|name| name.trim() == "bpf")
}

fn option(config: &std::collections::BTreeMap<String, String>, name: &str) -> (bool, String) {
    match config.get(name) {
        Some(value) => (value == "y", format!("{name}={value}")),
        None => (false, format!("{name} is not set")),
    }
}

fn symbol(is_there: bool, name: &str) -> (bool, String) {
    (is_there, format!("the kernel has {}`{name}`", if is_there { "" } else { "no " }))
}

fn mounted(mounts: &[(String, String)], kind: &str, usual: &str) -> (bool, String) {
    let points: Vec<_> = mounts.iter().filter(|(_, mounted)| mounted == kind).map(|(point, _)| point.as_str()).collect();
    match points.as_slice() {
        [] => (false, format!("no {kind} file system is mounted")),
        points if points.contains(&usual) => (true, format!("mounted at {usual}")),
        [elsewhere, ..] => (false, format!("mounted at {elsewhere}, not at {usual}")),
    }
}

/// Major and minor number of a release such as `6.12.48+deb13-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// What the kernel said, without the announcement of a verifier's log that is empty: whoever refuses before the verifier writes none.
fn refusal(reason: &str) -> &str {
    let reason = reason.trim_end();
    let reason = reason.strip_suffix("Verifier output:").unwrap_or(reason);
    clipped(reason.trim_end().trim_end_matches('.'), LONGEST_REFUSAL)
}

const MOUNT_SECURITYFS: &str = "Mount securityfs (`mount -t securityfs securityfs /sys/kernel/security`), and run this again.";
/// Bytes of the kernel's refusal that are shown.
const LONGEST_REFUSAL: usize = 600;
const OLDEST: (u32, u32) = (6, 1);
/// Names and bits (`include/uapi/linux/capability.h`).
const CAPABILITIES: [(&str, u32); 3] = [("CAP_SYS_ADMIN", 21), ("CAP_PERFMON", 38), ("CAP_BPF", 39)];
