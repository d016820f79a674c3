//! What is really enforced on a machine, as a report.
//!
//! Whoever fills it in observes the kernel: nothing here is taken from the policy file, which says what was asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use enforcer_common::Mode;
use serde::{Deserialize, Serialize};

use super::{Timestamp, Watched};
use crate::daemon::{Before, Refused, Suspension};
use crate::kernel::HookCost;
use crate::text::counted;

/// The state of enforcement. Its JSON form is an interface: fields are added, never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Whether unsigned code is denied right now: the mode is enforce and every hook is attached.
    pub enforcing: bool,
    /// `audit` or `enforce`, as the kernel has it; `None` when no programs are in force.
    pub mode: Option<String>,
    /// The control groups in which another mode holds, as the kernel has them.
    #[serde(default)]
    pub scopes: Vec<ScopeInForce>,
    /// The kernel's release.
    pub kernel: String,
    /// Whether `bpf` is among the LSMs of this boot, as far as that can be told; without it, attached programs are never called.
    pub bpf_lsm_active: bool,
    /// The hooks whose programs are attached.
    pub hooks: Vec<String>,
    /// The hooks that ought to be attached and are not.
    pub hooks_missing: Vec<String>,
    /// What the hooks' programs have cost, where the kernel counts it (`kernel.bpf_stats_enabled`); none that never ran while it did.
    #[serde(default)]
    pub hooks_cost: Vec<HookCost>,
    /// Since when the programs are in force, where that is known.
    pub since: Option<Timestamp>,
    /// The daemon.
    pub daemon: Daemon,
    /// Verdicts in the kernel.
    pub verdicts: u64,
    /// How many fit.
    pub max_verdicts: u64,
    /// Measurements that were used again.
    pub cache_hits: u64,
    /// Files that the kernel measured.
    pub measurements: u64,
    /// Uses that were allowed.
    pub allowed: u64,
    /// Uses that were stopped.
    pub denied: u64,
    /// Uses that were let through and reported.
    pub would_be_denied: u64,
    /// Events that did not reach the daemon.
    pub events_lost: u64,
    /// First uses that the daemon was asked about.
    pub requests: u64,
    /// Requests that did not reach the daemon.
    pub requests_lost: u64,
    /// First uses that were denied because no answer came in time.
    pub deadlines: u64,
    /// Things that must not happen, and did.
    pub faults: u64,
    /// Files for which a map of the programs had no room.
    pub code_full: u64,
    /// What the policy lets through though no signature covers it, as `key = "response"`.
    #[serde(default)]
    pub exceptions: Vec<String>,
    /// The time that decisions rest on, while a daemon runs.
    #[serde(default)]
    pub trusted_time: Option<Timestamp>,
    /// How far the machine's clock is ahead of it; negative when it is behind.
    #[serde(default)]
    pub clock_ahead_seconds: Option<i64>,
    /// The highest security version that was accepted of each identifier: nothing older of it runs.
    #[serde(default)]
    pub security_versions: BTreeMap<String, u32>,
    /// The signers by whose word alone the policy in force may be changed, and enforcement taken off; none is anybody who is root.
    #[serde(default)]
    pub policy_signers: Vec<String>,
    /// The last reload, if it was refused: what is on the disk is not what is in force.
    #[serde(default)]
    pub refused: Option<Refused>,
    /// What the daemon lost, dropped or gave up since it started, by the names of `docs/operations.md`; empty without a daemon.
    #[serde(default)]
    pub counters: BTreeMap<String, u64>,
    /// Whether the daemon's workers are kept from the file system by landlock too, beside their filter of system calls; `None` without a daemon.
    #[serde(default)]
    pub landlock: Option<bool>,
    /// Why nothing is denied though the policy says so, also when the daemon has gone since.
    #[serde(default)]
    pub suspension: Option<Suspension>,
    /// What ran before the programs were attached, once the daemon has looked at it.
    #[serde(default)]
    pub before: Option<Before>,
    /// What the daemon counts of its own work, and the dates to be kept in mind; `None` without a daemon.
    #[serde(default)]
    pub watched: Option<Watched>,
    /// The policy in force, where that is known.
    pub policy: Option<PathBuf>,
    /// The folder of the pins, where there are any.
    pub pins: Option<PathBuf>,
}

/// A control group in which another mode holds than on the rest of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeInForce {
    /// Its path below the root of the hierarchy, perhaps with a `*` at its end.
    pub cgroup: String,
    /// `audit` or `enforce`.
    pub mode: String,
}

/// What is done, in one line: with the mode of the machine, and the control groups in which another one holds.
pub fn state_in_words(mode: Mode, scopes: impl IntoIterator<Item = (String, Mode)>) -> String {
    let mut others: Vec<String> = scopes.into_iter().filter(|(_, other)| *other != mode).map(|(cgroup, _)| cgroup).collect();
    let more = others.len().saturating_sub(MOST_NAMED);
    others.truncate(MOST_NAMED);
    if more > 0 {
        others.push(format!("{more} more"));
    }
    match (mode, others.is_empty()) {
        (Mode::Audit, true) => "audit: nothing is denied, would-be denials are reported".to_owned(),
        (Mode::Enforce, true) => "enforcing: what no trusted signature covers is denied".to_owned(),
        (Mode::Audit, false) => format!("audit, and enforcing in {}", others.join(", ")),
        (Mode::Enforce, false) => format!("enforcing, but for {}: audit", others.join(", ")),
    }
}

/// Control groups that are named in one line.
const MOST_NAMED: usize = 3;

/// Whether there is a daemon to answer first uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Daemon {
    /// Whether its heartbeat is fresh.
    pub alive: bool,
    /// Its process id, while it is alive.
    pub pid: Option<u32>,
}

impl Status {
    /// A machine without any of Enforcer's programs in its kernel.
    pub fn nothing_in_force(kernel: String, hooks_missing: Vec<String>) -> Self {
        Self {
            enforcing: false,
            mode: None,
            scopes: Vec::new(),
            kernel,
            bpf_lsm_active: false,
            hooks: Vec::new(),
            hooks_missing,
            hooks_cost: Vec::new(),
            since: None,
            daemon: Daemon::default(),
            verdicts: 0,
            max_verdicts: 0,
            cache_hits: 0,
            measurements: 0,
            allowed: 0,
            denied: 0,
            would_be_denied: 0,
            events_lost: 0,
            requests: 0,
            requests_lost: 0,
            deadlines: 0,
            faults: 0,
            code_full: 0,
            exceptions: Vec::new(),
            trusted_time: None,
            clock_ahead_seconds: None,
            security_versions: BTreeMap::new(),
            policy_signers: Vec::new(),
            refused: None,
            counters: BTreeMap::new(),
            landlock: None,
            suspension: None,
            before: None,
            watched: None,
            policy: None,
            pins: None,
        }
    }

    /// Whether the programs are in force, complete, as the policy says, and the daemon answers, in either mode.
    pub fn is_healthy(&self) -> bool {
        self.suspension.is_none() && self.mode.is_some() && self.hooks_missing.is_empty() && self.bpf_lsm_active && self.daemon.alive
    }

    /// Whether the machine's clock and the trusted time differ by more than a minute.
    pub fn is_clock_off(&self) -> bool {
        self.clock_ahead_seconds.is_some_and(|seconds| seconds.unsigned_abs() > 60)
    }

    /// The counters of the daemon's losses that have counted something, as `name count`.
    pub fn losses(&self) -> Vec<String> {
        self.counters.iter().filter(|(_, count)| **count > 0).map(|(name, count)| format!("{name} {count}")).collect()
    }

    /// What deserves attention, in words; nothing when all is well.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |when: bool, text: String| {
            if when {
                warnings.push(text);
            }
        };
        if self.mode.is_none() {
            return vec!["Nothing is enforced or reported: no programs are attached. Start the daemon with `systemctl start enforcer`.".to_owned()];
        }
        warn(
            !self.bpf_lsm_active,
            "`bpf` is not among the LSMs of this boot: the attached programs are never called. `enforcer doctor` says how to mend it.".to_owned(),
        );
        let missing = self.hooks_missing.join(", ");
        warn(
            !missing.is_empty(),
            format!("Some hooks are not attached ({missing}): restart the daemon to attach them, and find out who detached them."),
        );
        warn(
            !self.daemon.alive,
            "The daemon is not running: known code goes on running, code at its first use is denied (in enforce mode). Start it with \
                `systemctl start enforcer`."
                .to_owned(),
        );
        if let Some(suspension) = &self.suspension {
            warn(true, format!("ENFORCEMENT IS SUSPENDED: {}.", suspension.in_words()));
        }
        if let Some(refused) = &self.refused {
            let (at, why) = (refused.at.to_the_second(), &refused.why);
            warn(
                true,
                format!(
                    "What is on the disk was refused at {at}, and what was in force before still is: {why}. Mend it; then `systemctl reload enforcer`."
                ),
            );
        }
        if let (Some(trusted), Some(ahead)) = (self.trusted_time, self.clock_ahead_seconds) {
            let (trusted, side) = (trusted.to_the_second(), if ahead > 0 { "ahead of" } else { "behind" });
            warn(
                self.is_clock_off(),
                format!(
                    "The machine's clock is {} seconds {side} the time that decisions rest on, {trusted}. If the clock is right, restart the daemon; \
                        `docs/operations.md` says more.",
                    ahead.unsigned_abs()
                ),
            );
        }
        let nearly_full = self.verdicts.saturating_mul(10) > self.max_verdicts.saturating_mul(9);
        warn(nearly_full, "The map of verdicts is nearly full: raise `max-verdicts` in the policy's [limits].".to_owned());
        warn(
            self.events_lost > 0,
            format!("{} lost: more was denied or reported than the log shows.", counted(self.events_lost, "event was", "events were")),
        );
        warn(
            self.requests_lost > 0,
            format!("{} lost: the daemon was too slow to take them.", counted(self.requests_lost, "request was", "requests were")),
        );
        warn(
            self.deadlines > 0,
            format!("{} denied because the daemon did not answer in time.", counted(self.deadlines, "first use was", "first uses were")),
        );
        warn(
            self.code_full > 0,
            format!(
                "{} denied because a map of the programs is full: `docs/operations.md` says what to do (`code-full`).",
                counted(self.code_full, "file was", "files were")
            ),
        );
        let losses = self.losses();
        warn(
            !losses.is_empty(),
            format!("The daemon counts losses ({}): `docs/operations.md` says of each what it means and what to do.", losses.join(", ")),
        );
        warn(
            self.faults > 0,
            format!("{} in the kernel program: this is a bug, report it with the kernel's release.", counted(self.faults, "fault", "faults")),
        );
        warnings
    }
}
