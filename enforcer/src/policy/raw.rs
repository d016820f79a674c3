//! policy.toml as it is written: one struct for each table, nothing checked but names and types.
//!
//! The comments here are what an administrator reads: `docs/policy.md`, `docs/policy.schema.json` and the commented `policy.toml` are made from them, and from what
//! stands beside each key about its values ([`super::schema`]). Every value keeps its place in the file, so that [`super::settle`] can point at it. Never
//! leaves this module tree: the rest of Enforcer sees a settled [`super::Policy`].

use enforcer_common::INTERPRETER_NAME_SIZE;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Value;
use toml::value::Datetime;

use super::at::At;
use super::schema::{
    choice, choices, default, digests, each_a_path, example, interpreters, moment, must, needs_restart, number, path, paths, response, size, span,
    strings, word,
};
use super::values::*;
use super::{Filesystems, Kernel, Limits, Memory, Metrics, VERSION};

/// The policy of Enforcer: whose code may run on a machine, and what happens to the rest.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawPolicy {
    /// The version of this file's format.
    #[schemars(transform = number(VERSION as u64..=VERSION as u64, None))]
    #[schemars(transform = must(VERSION))]
    pub(super) version: Option<At<i64>>,
    /// What happens to code that no trusted signature covers. It must be said, so that nobody denies or lets pass by accident.
    ///
    /// - `"audit"`: decides and reports, never denies
    /// - `"enforce"`: denies what no trusted signature covers; needs at least one signer
    #[schemars(transform = choice(&MODES))]
    #[schemars(transform = must("audit"))]
    pub(super) mode: Option<At<String>>,
    #[serde(default)]
    pub(super) scope: Vec<At<RawScope>>,
    pub(super) fuse: Option<At<RawFuse>>,
    #[serde(default)]
    pub(super) break_glass: RawBreakGlass,
    #[serde(default)]
    pub(super) signer: Vec<At<RawSigner>>,
    #[serde(default)]
    pub(super) component: Vec<At<RawComponent>>,
    #[serde(default)]
    pub(super) timestamp_authority: Vec<At<RawTimestampAuthority>>,
    #[serde(default)]
    pub(super) signatures: RawSignatures,
    #[serde(default)]
    pub(super) revocation: RawRevocation,
    #[serde(default)]
    pub(super) sources: RawSources,
    #[serde(default)]
    pub(super) scan: RawScan,
    #[serde(default)]
    pub(super) scripts: RawScripts,
    #[serde(default)]
    pub(super) interpreter: Vec<At<RawInterpreter>>,
    #[serde(default)]
    pub(super) memory: RawMemory,
    #[serde(default)]
    pub(super) kernel: RawKernel,
    #[serde(default)]
    pub(super) filesystems: RawFilesystems,
    #[serde(default)]
    pub(super) metrics: RawMetrics,
    #[serde(default)]
    pub(super) protection: RawProtection,
    #[serde(default)]
    pub(super) limits: RawLimits,
}

/// Services and containers in which another mode holds than on the rest of the machine, so that a rollout can go one by one.
/// `enforcer enforce --scope nginx.service` writes such a table.
///
/// A scope is a step of a rollout and no jail: whoever is root in a service can have something started outside of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawScope {
    /// For reports: letters, digits, `-`, `_`, `.`; no two alike.
    #[schemars(transform = word(MAX_NAME))]
    #[schemars(transform = must("web"))]
    pub(super) name: Option<At<String>>,
    /// The control groups, with everything below them, as `systemctl show -p ControlGroup UNIT` says. A path may end in `*`, as that of containers has to. The deepest
    /// that fits counts.
    #[schemars(transform = must(["/system.slice/nginx.service", "/system.slice/docker-*"]))]
    pub(super) cgroups: Option<Vec<At<String>>>,
    /// What holds there, as above.
    #[schemars(transform = choice(&MODES))]
    #[schemars(transform = must("enforce"))]
    pub(super) mode: Option<At<String>>,
}

/// When enforcing is suspended by itself: nothing is denied any more, everything is reported, and `enforcer status` and the journal say so loudly, until the
/// policy is changed or `enforcer enforce` is run again. For the days after a switch: whoever may cause denials can blow a fuse, so it has an end.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawFuse {
    /// How many denials blow it: so many are more than anybody expected.
    #[schemars(transform = number(DENIALS, None))]
    #[schemars(transform = must(50))]
    pub(super) denials: Option<At<i64>>,
    /// In which time.
    #[schemars(transform = span(WITHIN))]
    #[schemars(transform = must("10m"))]
    pub(super) within: Option<At<String>>,
    /// When the fuse is taken out, in UTC.
    #[schemars(with = "Option<String>")]
    #[schemars(transform = moment())]
    #[schemars(transform = must("2026-01-31T09:30:00Z"))]
    pub(super) until: Option<At<Datetime>>,
}

/// What lets a machine boot that its policy keeps from booting. `enforcer break-glass` makes a code, and says what to write here.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawBreakGlass {
    /// SHA-256 of each code, in hexadecimal. A code works once, for one boot, as `enforcer.break_glass=CODE` on the kernel's command line: that boot enforces nothing,
    /// reports everything, and is recorded.
    #[schemars(transform = digests(MOST_CODES))]
    pub(super) codes: Option<Vec<At<String>>>,
}

/// Who is trusted, and for what: one table for each group of people or machines that sign. Code runs when any of them signed it. There is no default: without a signer nothing
/// is trusted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawSigner {
    /// For events and tables: letters, digits, `-`, `_`, `.`; no two alike.
    #[schemars(transform = word(MAX_NAME))]
    #[schemars(transform = must("operations"))]
    pub(super) name: Option<At<String>>,
    /// PEM files of certificate authorities: whoever holds a code-signing certificate of theirs may sign. This or `certificates` is needed.
    #[schemars(transform = paths(&[]))]
    #[schemars(transform = example(["/etc/enforcer/trust/ca.pem"]))]
    pub(super) anchors: Option<Vec<At<String>>>,
    /// PEM files of signing certificates that are trusted by themselves, without an authority.
    #[schemars(transform = paths(&[]))]
    pub(super) certificates: Option<Vec<At<String>>>,
    /// PEM files of certificates that signatures leave out: intermediates, and signers' own. They add no trust, they only complete chains to `anchors`.
    #[schemars(transform = paths(&[]))]
    pub(super) intermediates: Option<Vec<At<String>>>,
    /// What they may sign. For one of the `policy-signers`, `[]` is no code at all.
    ///
    /// - `"exec"`: programs, scripts and interpreters
    /// - `"script"`: scripts alone
    /// - `"library"`: code that a program maps
    /// - `"module"`: what the kernel loads: modules, kexec images, firmware
    #[schemars(transform = choices(&USES, ["exec", "library"]))]
    pub(super) allow: Option<At<Vec<At<String>>>>,
    /// Which rights their signatures may give to a program.
    ///
    /// - `"jit"`: make executable memory that no file stands behind (Node.js, Java, browsers)
    /// - `"debugger"`: trace other processes and write to their memory (gdb, strace)
    /// - `"protected"`: load only libraries of the same signer, and start no interpreter: a right that is given up
    /// - `"inline-code"`: have interpreters run text that is denied otherwise (`[scripts]` below)
    /// - `"interpreter"`, `"interpreter-NAME"`: be held to what an interpreter may read, though no `[[interpreter]]` names its path
    /// - `"enforcer"`: take over from this daemon, where there are `policy-signers`: needed by its next releases
    #[schemars(transform = strings())]
    pub(super) entitlements: Option<Vec<At<String>>>,
}

/// Software that has to be what it says it is. A signature can carry an identifier (`enforcer sign --identifier`); a component binds it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawComponent {
    /// The identifier: letters, digits, `-`, `_`, `.`; one table for each.
    #[schemars(transform = word(MAX_IDENTIFIER))]
    #[schemars(transform = must("org.openssh.sshd"))]
    pub(super) identifier: Option<At<String>>,
    /// The names of the signers who may sign it; without it, any signer.
    #[schemars(transform = strings())]
    #[schemars(transform = example(["operations"]))]
    pub(super) signers: Option<Vec<At<String>>>,
    /// The lowest security version that may run. Without it too, a release with a lower security version than one that was accepted before is refused (`enforcer status`
    /// shows the versions).
    #[schemars(transform = number(SECURITY_VERSIONS, Some(0)))]
    pub(super) min_security_version: Option<At<i64>>,
    /// File names that nothing else may be started or mapped as code by, however well it is signed.
    #[schemars(transform = strings())]
    #[schemars(transform = example(["sshd"]))]
    pub(super) names: Option<Vec<At<String>>>,
    /// Whole paths, likewise.
    #[schemars(transform = paths(&[]))]
    #[schemars(transform = example(["/usr/sbin/sshd"]))]
    pub(super) paths: Option<Vec<At<String>>>,
}

/// Whose word counts for *when* something was signed (RFC 3161). A signature with such a timestamp outlives its certificate; a revocation ends it all the same.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawTimestampAuthority {
    /// For reports: letters, digits, `-`, `_`, `.`.
    #[schemars(transform = word(MAX_NAME))]
    #[schemars(transform = must("our-clock"))]
    pub(super) name: Option<At<String>>,
    /// PEM files of certificate authorities: whoever holds a time-stamping certificate of theirs may say when.
    #[schemars(transform = paths(&[]))]
    #[schemars(transform = must(["/etc/enforcer/trust/tsa.pem"]))]
    pub(super) anchors: Option<Vec<At<String>>>,
    /// PEM files of certificates that timestamps leave out.
    #[schemars(transform = paths(&[]))]
    pub(super) intermediates: Option<Vec<At<String>>>,
}

/// What a signature has to fulfil.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawSignatures {
    /// Of several signers in one signature: `"all"` must be accepted, or `"one"`.
    #[schemars(transform = choice(&SEVERAL_SIGNERS))]
    #[schemars(transform = default("all"))]
    pub(super) several_signers: Option<At<String>>,
}

/// Who and what is trusted no longer.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawRevocation {
    /// Certificate revocation lists, PEM or DER: files, or folders of `*.crl` and `*.pem`.
    #[schemars(transform = paths(DEFAULT_CRLS))]
    pub(super) crls: Option<Vec<At<String>>>,
    /// What a list means whose next update is overdue: `"hard-fail"` (nothing that its issuer certified is accepted) or `"warn"`.
    #[schemars(transform = choice(&STALE_CRL))]
    #[schemars(transform = default("hard-fail"))]
    pub(super) stale_crl: Option<At<String>>,
    /// Single digests, certificates and signers, as `enforcer revoke` writes them.
    #[schemars(transform = path(DEFAULT_REVOCATION_FILE))]
    pub(super) file: Option<At<String>>,
}

/// Where signatures are looked for, besides the file itself and a `FILE.p7s` beside it.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawSources {
    /// Signed lists of digests: files, or folders of `*.manifest`, each with its `*.manifest.p7s` beside it.
    #[schemars(transform = paths(DEFAULT_MANIFESTS))]
    pub(super) manifests: Option<Vec<At<String>>>,
    /// Folders of detached signatures named by the SHA-256 of the file they sign: `<hex>.p7s`.
    #[schemars(transform = paths(DEFAULT_STORES))]
    pub(super) stores: Option<Vec<At<String>>>,
}

/// What is verified when the daemon starts, and at each reload, so that it is known before it runs. Code elsewhere is verified at its first use, which takes some
/// milliseconds longer.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawScan {
    /// Folders, searched with everything below them on the same machine.
    #[schemars(transform = paths(DEFAULT_SCAN))]
    pub(super) paths: Option<Vec<At<String>>>,
}

/// Interpreters (shells, Python, Perl, Ruby, Node.js, PHP, Lua, awk, Tcl, Guile, PowerShell): what they run is code like any program. For each kind of it:
///
/// - `"deny"`: stop it (in enforce mode) and report it
/// - `"audit"`: let it through and report it
/// - `"allow"`: let it through without a word
///
/// `docs/scripts.md` tells for each interpreter what counts as a script, and what it can do all the same.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawScripts {
    /// A script that no trusted signature covers: by its name (*.py, .bashrc), or because the command line or a variable names it (bash FILE).
    #[schemars(transform = response(UNSIGNED))]
    pub(super) unsigned: Option<At<String>>,
    /// Any other file that an interpreter reads and that no trusted signature covers: data, as a rule, but also whatever a script runs by a name of its own choice.
    #[schemars(transform = response(OTHERS))]
    pub(super) others: Option<At<String>>,
    /// Text in the arguments (sh -c, python3 -c, perl -e), and in variables that lead to code (NODE_OPTIONS, PERL5OPT).
    #[schemars(transform = response(INLINE))]
    pub(super) inline: Option<At<String>>,
    /// A program that comes through standard input: a pipe, a socket, a file.
    #[schemars(transform = response(STDIN))]
    pub(super) stdin: Option<At<String>>,
    /// A program that is typed.
    #[schemars(transform = response(INTERACTIVE))]
    pub(super) interactive: Option<At<String>>,
    /// Who may hand text to interpreters where it is denied: `"entitled"` (programs whose signature has the entitlement `"inline-code"`), or `"programs"` (every signed
    /// program that is no interpreter itself; `env` and `xargs` are such programs, too).
    #[schemars(transform = choice(&CALLERS))]
    #[schemars(transform = default("entitled"))]
    pub(super) callers: Option<At<String>>,
}

/// One interpreter that is held to something else, or that is not known yet.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawInterpreter {
    /// Of a known one, or a new one: small letters, digits, `-`. `vim`, `emacs` and `gdb` are held to anything only when they are named here.
    #[schemars(transform = word(INTERPRETER_NAME_SIZE - 1))]
    #[schemars(transform = must("awk"))]
    pub(super) name: Option<At<String>>,
    /// The known one whose options it has.
    #[schemars(transform = interpreters())]
    pub(super) like: Option<At<String>>,
    /// The paths of its programs (patterns); whatever has the content of one of them is this interpreter, wherever it lies. A known one has its own.
    #[schemars(transform = each_a_path())]
    pub(super) programs: Option<Vec<At<String>>>,
    /// The names of its scripts: whole names, an ending (`"*.py"`), or a folder in which everything is one (`"completions/"`).
    pub(super) scripts: Option<Vec<At<String>>>,
    /// As above, for this one.
    #[schemars(transform = choice(&RESPONSES))]
    pub(super) unsigned: Option<At<String>>,
    /// As above, for this one.
    #[schemars(transform = choice(&RESPONSES))]
    pub(super) others: Option<At<String>>,
    /// As above, for this one.
    #[schemars(transform = choice(&RESPONSES))]
    #[schemars(transform = example("allow"))]
    pub(super) inline: Option<At<String>>,
    /// As above, for this one.
    #[schemars(transform = choice(&RESPONSES))]
    pub(super) stdin: Option<At<String>>,
    /// As above, for this one.
    #[schemars(transform = choice(&RESPONSES))]
    pub(super) interactive: Option<At<String>>,
    /// As above, for this one.
    #[schemars(transform = choice(&CALLERS))]
    pub(super) callers: Option<At<String>>,
    /// Its options that take text.
    pub(super) inline_options: Option<Vec<At<String>>>,
    /// Those that take an argument which is no code.
    pub(super) argument_options: Option<Vec<At<String>>>,
    /// Those that take the file of the program.
    pub(super) program_options: Option<Vec<At<String>>>,
    /// Those that take a file that is run besides.
    pub(super) script_options: Option<Vec<At<String>>>,
    /// Those that take a module's name.
    pub(super) module_options: Option<Vec<At<String>>>,
    /// Those that read the program from standard input.
    pub(super) stdin_options: Option<Vec<At<String>>>,
    /// Variables that name a file that is run.
    pub(super) variables: Option<Vec<At<String>>>,
    /// Variables that lead to text that is run.
    pub(super) inline_variables: Option<Vec<At<String>>>,
}

/// Executable memory that no signature can cover, because no file stands behind it. For each kind of it:
///
/// - `"deny"`: stop it (in enforce mode) and report it
/// - `"audit"`: let it through and report it
/// - `"allow"`: let it through without a word
///
/// Programs that compile code while they run (Java, Node.js, browsers) need `"audit"` or `"allow"`, or the entitlement `"jit"`; so does whoever attacks a running program.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawMemory {
    /// Memory that is executable from the start, and programs under `setarch -X`, whose heap is: one that grows ends the process.
    #[schemars(transform = response(Memory::default().anonymous))]
    pub(super) anonymous: Option<At<String>>,
    /// Memory that is writable and executable at once, with or without a file.
    #[schemars(transform = response(Memory::default().writable_and_executable))]
    pub(super) writable_and_executable: Option<At<String>>,
    /// Memory that was written first and is made executable later, rewritten pages of a program or library, and pages that a program supplies by itself (`userfaultfd`, as
    /// some emulators and tools that save processes use it).
    #[schemars(transform = response(Memory::default().made_executable))]
    pub(super) made_executable: Option<At<String>>,
    /// Tracing other processes, and writing to their memory or, past its protection, to one's own (ptrace, /proc/PID/mem, process_vm_writev, uprobes). Programs with the
    /// entitlement `"debugger"` may in any case.
    #[schemars(transform = response(Memory::default().tracing))]
    pub(super) tracing: Option<At<String>>,
}

/// What is brought into the kernel itself: `"deny"`, `"audit"` or `"allow"`, as above.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawKernel {
    /// Modules from files (finit_module) that no signer who may sign `"module"` has signed.
    #[schemars(transform = response(Kernel::default().modules))]
    pub(super) modules: Option<At<String>>,
    /// Modules that come as memory (init_module): nobody can say which file that is.
    #[schemars(transform = response(Kernel::default().modules_from_memory))]
    pub(super) modules_from_memory: Option<At<String>>,
    /// Other kernels (kexec): from files that nobody signed, and from memory.
    #[schemars(transform = response(Kernel::default().kexec))]
    pub(super) kexec: Option<At<String>>,
    /// Firmware that nobody signed. It runs on the device, not on the processor.
    #[schemars(transform = response(Kernel::default().firmware))]
    pub(super) firmware: Option<At<String>>,
    /// Ways into the kernel's memory and to the hardware: /dev/mem, iopl, model-specific registers, debugfs (what lockdown=integrity refuses).
    #[schemars(transform = response(Kernel::default().memory))]
    pub(super) memory: Option<At<String>>,
    /// BPF programs of others that can change what is decided: LSM programs, and programs that replace others. The service manager may.
    #[schemars(transform = response(Kernel::default().bpf_programs))]
    pub(super) bpf_programs: Option<At<String>>,
}

/// Code on file systems whose content can change after it was verified: `"deny"`, `"audit"` or `"allow"`, as above. With `"audit"` and `"allow"` the file itself is
/// still verified at every use; what may happen between that moment and its execution is the risk you take.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawFilesystems {
    /// tmpfs, /dev/shm, and memory files (memfd) that are not sealed against writing. Whoever wrote the file can still change it.
    #[schemars(transform = response(Filesystems::default().volatile))]
    pub(super) volatile: Option<At<String>>,
    /// FUSE and network file systems (NFS, CIFS, …). Whoever serves the files can give other bytes at every reading.
    #[schemars(transform = response(Filesystems::default().foreign))]
    pub(super) foreign: Option<At<String>>,
}

/// Where the numbers for a monitoring system go: `docs/monitoring.md` says what each means.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawMetrics {
    /// The file that node_exporter's textfile collector reads, a name that ends in `.prom`; `""` writes none. Its folder must be there.
    #[schemars(transform = path(""))]
    pub(super) textfile: Option<At<String>>,
    /// How often it is written, in seconds.
    #[schemars(transform = number(METRICS_INTERVAL_SECONDS, Some(Metrics::default().interval.as_secs())))]
    pub(super) interval_seconds: Option<At<i64>>,
}

/// How the enforcer is protected from those whom it protects from, root among them.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawProtection {
    /// The names of signers. With any, this policy and every certificate that it names may only be changed by what one of them signed: beside it lies
    /// `policy.toml.manifest`, as `enforcer policy list` writes it, with the signature `policy.toml.manifest.p7s`. A change is judged by the signers of the policy in force. They alone let
    /// enforcement be taken off, too: `enforcer stop --release` needs an order that they signed.
    #[schemars(transform = strings())]
    pub(super) policy_signers: Option<Vec<At<String>>>,
}

/// Bounds on work. What passes a bound is denied (in enforce mode) and counted; `enforcer status` shows the counts.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawLimits {
    /// The largest file that is verified: bytes, or a number with B, KiB, MiB, GiB.
    #[schemars(with = "Option<String>")]
    #[schemars(transform = size(MAX_FILE_SIZE, Limits::default().max_file_size))]
    pub(super) max_file_size: Option<At<Value>>,
    /// How many files' verdicts the kernel keeps; about 100 bytes of kernel memory each.
    #[schemars(transform = number(MAX_VERDICTS, Some(Limits::default().max_verdicts.into())))]
    #[schemars(transform = needs_restart())]
    pub(super) max_verdicts: Option<At<i64>>,
    /// How long the first use of an unknown file may wait for the daemon's answer, in milliseconds.
    #[schemars(transform = number(DEADLINE_MS, Some(Limits::default().first_use_deadline.as_millis() as u64)))]
    pub(super) first_use_deadline_ms: Option<At<i64>>,
    /// What is added to that for each MiB of the file, in milliseconds.
    #[schemars(transform = number(DEADLINE_PER_MIB_MS, Some(Limits::default().first_use_deadline_per_mib.as_millis() as u64)))]
    pub(super) first_use_deadline_per_mib_ms: Option<At<i64>>,
    /// How many programs may wait at once.
    #[schemars(transform = number(MAX_WAITING, Some(Limits::default().max_waiting.into())))]
    pub(super) max_waiting: Option<At<i64>>,
}
