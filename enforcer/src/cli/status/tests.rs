//! Machines in every state, as they are told.

use std::collections::BTreeMap;

use super::*;
use crate::audit::{Daemon, ScopeInForce};
use crate::cli::output::hold;
use crate::daemon::{Before, Refused, Suspension};
use crate::kernel::{HOOKS, HookCost};

fn moment(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A machine that denies, with some of everything that is said of a healthy one.
fn enforcing() -> Status {
    let cost = |hook: &str, runs, nanoseconds| HookCost { hook: hook.to_owned(), runs, nanoseconds };
    Status {
        enforcing: true,
        mode: Some("enforce".to_owned()),
        bpf_lsm_active: true,
        hooks: HOOKS.map(str::to_owned).to_vec(),
        hooks_cost: vec![cost("bprm_check_security", 812, 812_000), cost("mmap_file", 40_960, 8_192_000), cost("brk", 0, 0)],
        since: Some(moment("2026-01-31T09:30:00Z")),
        daemon: Daemon { alive: true, pid: Some(812) },
        verdicts: 13_579,
        max_verdicts: 262_144,
        allowed: 1_234_567,
        denied: 3,
        measurements: 1024,
        cache_hits: 1_233_543,
        requests: 17,
        exceptions: vec!["anonymous = \"audit\"".to_owned(), "inline = \"allow\"".to_owned()],
        security_versions: (1..=11).map(|number| (format!("com.example.tool-{number}"), number)).collect(),
        policy_signers: vec!["board".to_owned()],
        before: Some(Before { processes: 41, modules: 62, ..Before::default() }),
        policy: Some("/etc/enforcer/policy.toml".into()),
        pins: Some("/sys/fs/bpf/enforcer/0123456789abcdef".into()),
        ..Status::nothing_in_force("6.12.48+deb13-amd64".to_owned(), Vec::new())
    }
}

fn hold_status(name: &str, status: &Status) {
    hold(name, |output| tell(status, output));
}

#[test]
fn a_machine_that_enforces_is_told_with_all_that_is_known() {
    hold_status("status/enforcing", &enforcing());
}

#[test]
fn a_machine_in_audit_mode_names_the_services_that_are_enforced() {
    let scope = |cgroup: &str| ScopeInForce { cgroup: cgroup.to_owned(), mode: "enforce".to_owned() };
    let scopes = vec![scope("/system.slice/nginx.service"), scope("/system.slice/docker-*")];
    let audit = Status { enforcing: false, mode: Some("audit".to_owned()), denied: 0, would_be_denied: 4711, scopes, ..enforcing() };
    hold_status("status/audit", &audit);
}

#[test]
fn everything_that_deserves_attention_is_told() {
    let why = "/etc/enforcer/policy.toml:4:1: unknown key `mod\u{1b}[2Je`".to_owned();
    let before =
        Before { processes: 41, uncovered_processes: 1, uncovered: vec!["/opt/agent/bin/agent".to_owned()], incomplete: true, ..Before::default() };
    let worst = Status {
        enforcing: false,
        bpf_lsm_active: false,
        hooks: HOOKS[2..].iter().map(|hook| (*hook).to_owned()).collect(),
        hooks_missing: HOOKS[..2].iter().map(|hook| (*hook).to_owned()).collect(),
        daemon: Daemon::default(),
        verdicts: 262_000,
        events_lost: 12,
        requests_lost: 3,
        deadlines: 2,
        faults: 1,
        code_full: 1,
        trusted_time: Some(moment("2026-01-31T09:30:00Z")),
        clock_ahead_seconds: Some(-7200),
        refused: Some(Refused { at: moment("2026-01-31T09:31:00Z"), why, policy: None }),
        suspension: Some(Suspension::Fuse { since: moment("2026-01-31T09:32:00Z"), denials: 51, within_seconds: 600 }),
        counters: BTreeMap::from([("workers-ended".to_owned(), 2), ("events-unwritten".to_owned(), 0)]),
        before: Some(before),
        ..enforcing()
    };
    hold_status("status/worst", &worst);
}

#[test]
fn a_machine_without_enforcement_says_so() {
    hold_status("status/nothing", &Status::nothing_in_force("6.12.48+deb13-amd64".to_owned(), HOOKS.map(str::to_owned).to_vec()));
}
