//! From one mode to the other by command, and out of it: the fuse.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::Test;
use super::uses::{program_runs, start, unsigned_is_denied};
use crate::child::{self, Ended};
use crate::scene::Scene;
use crate::service::{self, Policy, succeed};

pub const TESTS: &[Test] = &[
    Test::new("audit_and_enforce_switch_without_a_restart", "`enforcer audit`, `enforcer enforce --yes`, and the policy's text afterwards", switched),
    Test::new("enforce_asks_before_it_switches", "`enforcer enforce` without `--yes`, and nobody to be asked", unasked),
    Test::new(
        "enforce_for_one_service_leaves_the_machine_in_audit",
        "`enforcer enforce --scope` with a unit, and `enforcer audit --scope`",
        one_service,
    ),
    Test::new("refused_switch_leaves_the_policy_as_it_was", "`enforcer enforce` with a policy under which the daemon could not start again", refused),
    Test::new("switch_of_another_policy_than_the_daemons_is_told_at_once", "`enforcer audit --policy` with a copy of the policy", another),
    Test::new("refused_policy_fails_the_reload", "`systemctl reload` with a policy that takes a restart", refused_reload),
    Test::new("fuse_suspends_enforcing_once", "as many denials as blow the fuse, a restart of the daemon, and `enforcer enforce` again", fuse),
    Test::new("fuse_that_has_ended_does_not_blow", "as many denials after the fuse's end", ended_fuse),
];

fn switched(scene: &Scene) -> Result<String> {
    let (daemon, policy) = (service::running_daemon()?, Policy::open()?);
    std::fs::set_permissions(service::POLICY, Permissions::from_mode(0o640))?;
    enforcer(&["audit"])?;
    let mode = std::fs::metadata(service::POLICY)?.permissions().mode() & 0o7777;
    std::fs::set_permissions(service::POLICY, Permissions::from_mode(0o644))?;
    ensure!(mode == 0o640, "the policy's mode is {mode:o} now");
    runs(scene)?;
    let changed = std::fs::read_to_string(service::POLICY)?;
    ensure!(
        changed == policy.original().replacen("mode = \"enforce\"", "mode = \"audit\"", 1),
        "the policy is not what it was but for its mode:\n{changed}"
    );
    let told: Value = serde_json::from_str(&enforcer(&["enforce", "--yes", "--json"])?)?;
    ensure!(told["mode"] == "enforce" && told["changed"] == true, "{told}");
    // It is in force when the command ends: nothing is waited for here.
    unsigned_is_denied(scene)?;
    ensure!(std::fs::read_to_string(service::POLICY)? == policy.original(), "the policy is not what it was");
    ensure!(service::running_daemon()? == daemon, "the daemon was started anew");
    let again: Value = serde_json::from_str(&enforcer(&["enforce", "--yes", "--json"])?)?;
    ensure!(again["changed"] == false, "{again}");
    Ok("each was in force when its command ended, and the policy's text was what it had been".to_owned())
}

fn unasked(scene: &Scene) -> Result<String> {
    enforcer(&["audit"])?;
    let ended = try_enforcer(&["enforce"])?;
    let outcome = runs(scene);
    enforcer(&["enforce", "--yes", "--no-simulation"])?;
    outcome?;
    ensure!(ended.status.code() == Some(2) && ended.stderr.contains("--yes"), "it {}", ended.describe());
    Ok(ended.stderr.trim().to_owned())
}

fn one_service(scene: &Scene) -> Result<String> {
    let _policy = Policy::open()?;
    let unit = "enforcer-test-switch.service";
    let file = Path::new("/run/systemd/system").join(unit);
    std::fs::write(&file, format!("[Service]\nType=oneshot\nExecStart={}\n", scene.fixture("unsigned/program").display()))?;
    succeed("systemctl", &["daemon-reload"])?;
    enforcer(&["audit"])?;
    enforcer(&["enforce", "--yes", "--no-simulation", "--scope", unit])?;
    let status = service::status()?;
    runs(scene)?;
    let result = || -> Result<String> {
        child::run(Command::new("systemctl").args(["start", unit]))?;
        succeed("systemctl", &["show", "--property=ExecMainStatus", "--value", unit])
    };
    let enforced = result()?;
    enforcer(&["audit", "--scope", unit])?;
    let audited = result()?;
    enforcer(&["enforce", "--yes", "--no-simulation"])?;
    std::fs::remove_file(&file)?;
    succeed("systemctl", &["daemon-reload"])?;
    ensure!(status["mode"] == "audit" && status["scopes"][0]["cgroup"] == format!("/system.slice/{unit}"), "{status}");
    ensure!(enforced.trim() == "203" && audited.trim() == "0", "it ended with {enforced:?}, and in audit with {audited:?}");
    ensure!(service::status()?["scopes"].as_array().is_some_and(Vec::is_empty), "the scope is still there");
    Ok("the unit was denied, the machine was not, and back".to_owned())
}

fn refused(scene: &Scene) -> Result<String> {
    let policy = Policy::open()?;
    let text =
        policy.original().replace("mode = \"enforce\"", "mode = \"audit\"").replace("manifests = [\"/etc/enforcer/manifests\"]", "manifests = []");
    policy.write(&text)?;
    service::reload_in_force()?;
    let ended = try_enforcer(&["enforce", "--yes", "--no-simulation"])?;
    let (after, told) = (std::fs::read_to_string(service::POLICY)?, service::status()?);
    let outcome = runs(scene);
    drop(policy);
    service::reload_in_force()?;
    outcome?;
    ensure!(ended.status.code() == Some(4) && ended.stderr.contains("could not start again"), "it {}", ended.describe());
    ensure!(after == text, "the policy was changed: {after}");
    ensure!(told["refused"].is_null(), "what was put back was not read again: {told}");
    Ok(ended.stderr.trim().to_owned())
}

fn fuse(scene: &Scene) -> Result<String> {
    let policy = Policy::open()?;
    enforcer(&["enforce", "--yes", "--no-simulation", "--fuse", "5/10m", "--fuse-for", "1h"])?;
    for _ in 0..4 {
        unsigned_is_denied(scene)?;
    }
    ensure!(service::status()?["enforcing"] == true, "it blew too early: {}", service::status()?);
    start(scene, &scene.fixture("unsigned/program"))?;
    service::wait_until("the fuse has blown", || Ok(service::status()?["suspension"]["cause"] == "fuse"))?;
    runs(scene)?;
    program_runs(scene, &scene.fixture("bin/program"))?;
    let told = child::run(Command::new("enforcer").arg("status"))?;
    ensure!(told.status.code() == Some(1) && told.stdout.contains("SUSPENDED"), "`enforcer status` {}", told.describe());
    let line = succeed("systemctl", &["show", "--property=StatusText", "--value", service::UNIT])?;
    ensure!(line.contains("SUSPENDED"), "systemd has {line:?}");
    // What guards the enforcer stays: it has nothing to do with what a policy forgot.
    let daemon = service::running_daemon()?.to_string();
    let signalled = child::run(Command::new("kill").args(["-WINCH", &daemon]))?;
    ensure!(!signalled.status.success() && signalled.stderr.contains("not permitted"), "a signal to the daemon {}", signalled.describe());
    // It stays blown, until somebody says otherwise, and is told without a daemon.
    succeed("systemctl", &["stop", service::UNIT])?;
    service::wait_until("the daemon is gone", || Ok(service::status()?["daemon"]["alive"] == false))?;
    let alone = service::status()?;
    succeed("systemctl", &["start", service::UNIT])?;
    ensure!(alone["suspension"]["cause"] == "fuse", "without a daemon: {alone}");
    service::wait_until("the daemon answers", || Ok(service::status()?["daemon"]["alive"] == true))?;
    runs(scene)?;
    service::reload_in_force()?;
    runs(scene)?;
    enforcer(&["enforce", "--yes", "--no-simulation"])?;
    ensure!(service::status()?["suspension"].is_null(), "{}", service::status()?);
    unsigned_is_denied(scene)?;
    drop(policy);
    service::reload_in_force()?;
    Ok(line.trim().to_owned())
}

fn ended_fuse(scene: &Scene) -> Result<String> {
    let policy = Policy::open()?;
    enforcer(&["enforce", "--yes", "--no-simulation", "--fuse", "3/10m", "--fuse-for", "0s"])?;
    for _ in 0..8 {
        unsigned_is_denied(scene)?;
    }
    drop(policy);
    service::reload_in_force()?;
    unsigned_is_denied(scene)?;
    Ok("8 denials of 3 that would have blown it".to_owned())
}

fn another(scene: &Scene) -> Result<String> {
    let policy = Policy::open()?;
    let copy = "/root/another-policy.toml";
    std::fs::write(copy, policy.original())?;
    let began = Instant::now();
    let ended = try_enforcer(&["audit", "--policy", copy])?;
    let (took, after) = (began.elapsed(), std::fs::read_to_string(copy)?);
    std::fs::remove_file(copy)?;
    ensure!(ended.status.code() == Some(2) && ended.stderr.contains(service::POLICY), "it {}", ended.describe());
    ensure!(took < Duration::from_secs(60) && after == policy.original(), "it took {took:?}, and left: {after}");
    unsigned_is_denied(scene)?;
    Ok(ended.stderr.trim().to_owned())
}

fn refused_reload(scene: &Scene) -> Result<String> {
    let policy = Policy::open()?;
    let text = policy.original().replace("[limits]", "[limits]\nmax-verdicts = 70000");
    ensure!(text != policy.original(), "the policy has no `[limits]`, or another number of verdicts");
    policy.write(&text)?;
    let ended = try_enforcer(&["reload"])?;
    let by_systemd = service::reload();
    unsigned_is_denied(scene)?;
    drop(policy);
    service::reload()?;
    ensure!(ended.status.code() == Some(4) && ended.stderr.contains("takes a restart"), "it {}", ended.describe());
    ensure!(by_systemd.is_err(), "`systemctl reload` took the policy for a good one");
    ensure!(service::status()?["refused"].is_null(), "the next one is still told as refused: {}", service::status()?);
    Ok(ended.stderr.trim().to_owned())
}

/// In audit mode, the unsigned program runs.
fn runs(scene: &Scene) -> Result<()> {
    let ended = start(scene, &scene.fixture("unsigned/program"))?;
    ensure!(ended.ran("unsigned code ran"), "the unsigned program {}", ended.describe());
    Ok(())
}

fn enforcer(arguments: &[&str]) -> Result<String> {
    succeed("enforcer", arguments)
}

fn try_enforcer(arguments: &[&str]) -> Result<Ended> {
    child::run(Command::new("enforcer").args(arguments).stdin(std::process::Stdio::null()))
}
