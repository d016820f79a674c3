//! Everything in one boot: enforce mode with the daemon's life, audit mode, and, as the proof that every attack is one, no enforcement at all.

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::events::{self, Mark};
use crate::mode::Mode;
use crate::report::{Line, Report, Selection};
use crate::scene::Scene;
use crate::{lifecycle, rows, service, stress};

/// `guest-tests suite`.
pub fn run(scene: &Scene, selection: Selection, is_demo: bool) -> Result<ExitCode> {
    let mut report = Report::new(rows::with_twins(selection));
    check_boot(scene, &mut report)?;
    check(&mut report, "enforce::status_says_what_is_in_force", "`enforcer status`", "it says enforce", || in_force(Mode::Enforce))?;
    check(&mut report, "enforce::status_says_what_hooks_cost", "`enforcer status` while the kernel counts", "it says what they cost", costs)?;
    rows::run_all(scene, Mode::Enforce, &mut report)?;
    if !is_demo {
        stress::run_all(scene, &mut report)?;
        lifecycle::run_all(scene, &mut report)?;
    }

    let policy = service::Policy::open()?;
    policy.set_mode(Mode::Audit)?;
    service::wait_until("audit mode is in force", || Ok(service::mode_in_force()? == Mode::Audit))?;
    check(&mut report, "audit::status_says_what_is_in_force", "`enforcer status`", "it says audit", || in_force(Mode::Audit))?;
    rows::run_all(scene, Mode::Audit, &mut report)?;
    if is_demo {
        return report.close();
    }

    service::succeed("enforcer", &["stop", "--release"])?;
    check(&mut report, "off::status_says_what_is_in_force", "`enforcer status`", "it says that nothing is", || in_force(Mode::Off))?;
    rows::run_all(scene, Mode::Off, &mut report)?;
    report.close()
}

/// Whether the machine came up as if nothing were enforced.
pub fn check_boot(scene: &Scene, report: &mut Report) -> Result<()> {
    check(report, "enforce::boot_had_no_denial", "the machine's boot", "nothing was denied", || boot(scene))
}

/// Runs one check that is no row.
pub fn check(report: &mut Report, name: &str, title: &str, expected: &str, check: impl FnOnce() -> Result<String>) -> Result<()> {
    if !report.wants(name, name) {
        return Ok(());
    }
    let outcome = check();
    let pass = outcome.is_ok();
    let happened = outcome.unwrap_or_else(|error| format!("{error:#}"));
    let (test, title, expected) = (name.to_owned(), title.to_owned(), expected.to_owned());
    report.add(&Line { name: test.clone(), test, kind: "honest", title, twin: None, expected, happened, event: None, pass, detail: String::new() })
}

/// A whole system came up, and none of it was denied.
fn boot(scene: &Scene) -> Result<String> {
    let failed = service::succeed("systemctl", &["--failed", "--no-legend", "--plain"])?;
    ensure!(failed.trim().is_empty(), "these units failed: {}", failed.trim());
    service::succeed("systemctl", &["is-active", "multi-user.target"])?;
    let denials: Vec<String> = Mark::BEGINNING.everything(scene)?.iter().map(events::summary).collect();
    ensure!(denials.is_empty(), "{denials:?}");
    let status = service::status()?;
    let allowed = status["allowed"].as_u64().context("the status does not say how much was allowed")?;
    ensure!(allowed > 30, "only {allowed} uses were judged, so most of the boot was not seen");
    Ok(format!("{allowed} uses were allowed, none was denied"))
}

/// What the status says, in every field that a person would look at.
fn in_force(mode: Mode) -> Result<String> {
    let status = service::status()?;
    ensure!(service::mode_in_force()? == mode, "{status}");
    ensure!(status["enforcing"] == (mode == Mode::Enforce), "{status}");
    let none = |key: &str| status[key].as_array().map(Vec::is_empty).context("the status names no hooks");
    ensure!(none("hooks")? == (mode == Mode::Off) && none("hooks_missing")? == (mode != Mode::Off), "{status}");
    ensure!(status["daemon"]["alive"] == (mode != Mode::Off), "{status}");
    ensure!(status["faults"] == 0, "{status}");
    // Later on, tests have lost some on purpose.
    ensure!(mode != Mode::Enforce || (status["events_lost"] == 0 && status["requests_lost"] == 0), "{status}");
    Ok(format!("it says {}", mode.name()))
}

/// What the status says of the hooks' cost: nothing until the kernel counts it.
fn costs() -> Result<String> {
    let costs = || -> Result<Vec<Value>> { service::status()?["hooks_cost"].as_array().cloned().context("the status has no `hooks_cost`") };
    let before = costs()?;
    ensure!(before.is_empty(), "the kernel does not count yet, and the status says {before:?}");
    service::succeed("sysctl", &["--write", "kernel.bpf_stats_enabled=1"])?;
    let ran = service::succeed("true", &[]).and_then(|_| service::succeed("enforcer", &["status"]));
    service::succeed("sysctl", &["--write", "kernel.bpf_stats_enabled=0"])?;
    let told = ran?.lines().find(|line| line.starts_with("cost ")).context("`enforcer status` has no line `cost`")?.to_owned();
    let costs = costs()?;
    for hook in ["bprm_check_security", "mmap_file"] {
        let cost = costs.iter().find(|cost| cost["hook"] == hook).with_context(|| format!("`{hook}` is not in {costs:?}"))?;
        ensure!(cost["runs"].as_u64() > Some(0) && cost["nanoseconds"].as_u64() > Some(0) && told.contains(hook), "{cost}; {told}");
    }
    Ok(told)
}
