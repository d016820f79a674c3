//! What is in force, observed in the kernel: the policy file is not asked.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use enforcer_common::{Counter, Mode, Response, Settings};

use super::clock;
use super::notice::Notice;
use super::run::{LOCK_FILE, RUN_FOLDER, STATE_FOLDER};
use super::state::VERSIONS_FILE;
use super::suspension::{self, Blown, Suspension};
use crate::audit::{Daemon, ScopeInForce, Status, Timestamp};
use crate::charter::Charter;
use crate::kernel::{HOOKS, KernelError, Maps, Pins, charters, daemon_of, observed, require_bpf_lsm};
use crate::measure;
use crate::trust::{SecurityVersions, parse_sha256};

/// Whether the kernel runs the programs that are attached: `kernel.ftrace_enabled` ends them all (`Documentation/admin-guide/sysctl/kernel.rst`).
fn programs_run() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/ftrace_enabled").map_or(true, |text| text.trim() != "0")
}

/// Observes this machine. Needs root, as the pins do.
pub fn status() -> Result<Status, KernelError> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let bpf_lsm_active = require_bpf_lsm().is_ok();
    // More than one build is in force only during an upgrade; the first is the one that is complete.
    let Some(pins) = observed()?.into_iter().next() else {
        return Ok(Status { bpf_lsm_active, ..Status::nothing_in_force(release, HOOKS.map(str::to_owned).to_vec()) });
    };
    let hooks = pins.hooks();
    let missing: Vec<String> = HOOKS.iter().filter(|hook| !hooks.contains(hook)).map(|hook| (*hook).to_owned()).collect();
    let maps = Maps::open(pins.folder())?;
    let settings = maps.settings()?;
    let mode = Mode::from_raw(settings.mode);
    let count = |counter| maps.counter(counter);
    let pid = daemon_of(&maps)?;
    let left = Notice::read();
    let suspension = match pid {
        Some(_) => left.as_ref().and_then(|notice| notice.suspension.clone()),
        None => left.as_ref().filter(|_| denies_nothing(&settings)).and_then(|notice| suspension_left(notice, suspension::blown().as_ref())),
    };
    // Everything else that a daemon which has gone had to say is no news.
    let notice = left.filter(|_| pid.is_some());
    Ok(Status {
        enforcing: mode == Some(Mode::Enforce) && missing.is_empty() && bpf_lsm_active && programs_run(),
        bpf_lsm_active,
        scopes: super::scopes::in_force(&maps, settings.scope_root)?.into_iter().map(in_force).collect(),
        mode: mode.filter(|_| !hooks.is_empty()).map(|mode| mode.name().to_owned()),
        hooks: hooks.into_iter().map(str::to_owned).collect(),
        hooks_missing: missing,
        hooks_cost: pins.costs(),
        since: since(&pins),
        daemon: Daemon { alive: pid.is_some(), pid },
        verdicts: maps.verdict_count()? as u64,
        max_verdicts: u64::from(maps.max_verdicts()),
        cache_hits: count(Counter::CacheHits)? + count(Counter::Granted)?,
        measurements: count(Counter::Measurements)?,
        allowed: count(Counter::Allowed)? + count(Counter::Granted)?,
        denied: count(Counter::Denied)?,
        would_be_denied: count(Counter::WouldBeDenied)?,
        events_lost: count(Counter::EventsLost)?,
        requests: count(Counter::Requests)?,
        requests_lost: count(Counter::RequestsLost)?,
        deadlines: count(Counter::Deadlines)?,
        faults: count(Counter::Faults)?,
        code_full: count(Counter::CodeFull)?,
        exceptions: exceptions(&settings),
        trusted_time: notice.as_ref().map(|notice| clock::compare(notice.clock_offset).0),
        clock_ahead_seconds: notice.as_ref().map(|notice| clock::compare(notice.clock_offset).1),
        security_versions: SecurityVersions::load(&Path::new(STATE_FOLDER).join(VERSIONS_FILE))
            .map(|versions| versions.iter().map(|(identifier, version)| (identifier.to_owned(), version)).collect())
            .unwrap_or_default(),
        policy_signers: policy_signers()?,
        counters: notice.as_ref().map(|notice| notice.counters.clone()).unwrap_or_default(),
        landlock: notice.as_ref().and_then(|notice| notice.landlock),
        suspension,
        before: notice.as_ref().and_then(|notice| notice.before.clone()),
        watched: notice.as_ref().and_then(|notice| notice.watched.clone()),
        refused: notice.and_then(|notice| notice.refused),
        policy: policy_in_force(),
        pins: Some(pins.folder().to_owned()),
        kernel: release,
    })
}

/// Why settings that deny nothing do so, when the daemon is gone that made them: what it said last, or the fuse that it wrote down before it could say so.
/// Nobody has changed the settings since.
fn suspension_left(notice: &Notice, blown: Option<&Blown>) -> Option<Suspension> {
    let by_fuse = || suspension::of(None, blown, &parse_sha256(&notice.policy.as_ref()?.sha256)?);
    notice.suspension.clone().or_else(by_fuse)
}

/// No scope enforces that is not there.
fn denies_nothing(settings: &Settings) -> bool {
    Mode::from_raw(settings.mode) == Some(Mode::Audit) && settings.scope_root == 0
}

fn in_force((cgroup, mode): (String, Mode)) -> ScopeInForce {
    ScopeInForce { cgroup, mode: mode.name().to_owned() }
}

/// The mode in force, as the kernel has it; `None`, where no programs are. Needs root, as the pins do.
///
/// # Errors
/// The kernel cannot be asked.
pub fn mode_in_force() -> Result<Option<Mode>, KernelError> {
    let Some(pins) = observed()?.into_iter().next() else { return Ok(None) };
    if pins.hooks().is_empty() {
        return Ok(None);
    }
    Ok(Mode::from_raw(Maps::open(pins.folder())?.settings()?.mode))
}

/// The time that decisions rest on, as a daemon of this boot has told it; else what the machine's clock says.
pub fn trusted_time() -> Timestamp {
    Notice::read().map_or_else(Timestamp::now, |notice| clock::compare(notice.clock_offset).0)
}

/// The file of the policy in force, as the last daemon of this boot said. Needs root.
pub fn policy_in_force() -> Option<PathBuf> {
    let bytes = measure::read_bounded(&Path::new(RUN_FOLDER).join(LOCK_FILE), LONGEST_PATH).ok()?;
    (!bytes.is_empty()).then(|| PathBuf::from(OsString::from_vec(bytes)))
}

/// By whose word the policy in force may be changed, as the kernel has it.
fn policy_signers() -> Result<Vec<String>, KernelError> {
    let names = |bytes: &Vec<u8>| match Charter::from_bytes(bytes) {
        Ok(charter) => charter.signers().map(str::to_owned).collect(),
        Err(error) => vec![format!("nobody: {error}")],
    };
    let mut signers: Vec<String> = charters()?.iter().flat_map(names).collect();
    signers.sort();
    signers.dedup();
    Ok(signers)
}

/// What is let through by the policy's [memory], [filesystems] and [kernel], by the policy's own keys.
fn exceptions(settings: &Settings) -> Vec<String> {
    let responses = [
        ("anonymous", settings.anonymous),
        ("writable-and-executable", settings.writable_and_executable),
        ("made-executable", settings.made_executable),
        ("volatile", settings.volatile_filesystems),
        ("foreign", settings.foreign_filesystems),
        ("tracing", settings.tracing),
        ("modules", settings.modules),
        ("modules-from-memory", settings.modules_from_memory),
        ("kexec", settings.kexec),
        ("firmware", settings.firmware),
        ("memory", settings.kernel_memory),
        ("bpf-programs", settings.bpf_programs),
    ];
    let named = responses.into_iter().filter_map(|(key, raw)| Some((key, Response::from_raw(raw)?)));
    named.filter(|(_, response)| *response != Response::Deny).map(|(key, response)| format!("{key} = \"{}\"", response.name())).collect()
}

/// When the pins were made.
fn since(pins: &Pins) -> Option<Timestamp> {
    let made = fs::metadata(pins.folder()).ok()?.modified().ok()?;
    let age = SystemTime::now().duration_since(made.max(UNIX_EPOCH)).ok()?;
    Some(Timestamp::now().before(age))
}

/// `PATH_MAX` of `<linux/limits.h>`.
const LONGEST_PATH: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::super::notice::PolicyInForce;
    use super::*;
    use crate::policy::Fuse;
    use crate::text::hex;

    const POLICY: [u8; 32] = [7; 32];

    #[test]
    fn a_suspension_is_told_without_the_daemon_that_made_it() {
        let since = Timestamp::parse("2026-12-24T18:00:00Z").unwrap();
        let code = Suspension::BreakGlass { since };
        let policy = Some(PolicyInForce { sha256: hex(&POLICY), at: since });
        let told = Notice { policy: policy.clone(), suspension: Some(code.clone()), ..Notice::default() };
        let untold = Notice { policy, ..Notice::default() };
        let fuse = Fuse { denials: 3, within: std::time::Duration::from_secs(60), until: since };
        let [its, anothers] = [POLICY, [8; 32]].map(|policy| Blown::new(&policy, &fuse, since));

        assert_eq!(suspension_left(&told, None), Some(code));
        assert!(matches!(suspension_left(&untold, Some(&its)), Some(Suspension::Fuse { denials: 3, .. })), "it died before it said so");
        assert_eq!(suspension_left(&untold, Some(&anothers)), None);
        assert_eq!(suspension_left(&Notice::default(), Some(&its)), None);
    }
}
