//! A new policy: in force as a whole, or not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};

use super::uses::{program_runs, start, unsigned_is_denied};
use super::{Test, staged};
use crate::mode::Mode;
use crate::scene::Scene;
use crate::service::{self, Journal, Policy};

pub const TESTS: &[Test] = &[
    Test::new("good_policy_is_put_in_force_and_back", "reload with audit, then with enforce", good),
    Test::new("scanned_program_is_known_before_its_first_start", "reload with a folder to scan, then start a program in it", scanned),
    Test::new("policy_that_would_lock_the_daemon_out_changes_nothing", "reload with a policy that does not trust the enforcer", lockout),
    Test::new("policy_that_others_may_write_to_changes_nothing", "reload with a policy of mode 0666", unprotected),
    Test::new("policy_with_a_misspelt_key_changes_nothing", "reload with `mdoe` in the policy", |scene| {
        broken(scene, "mdoe = \"audit\"\n", &["mdoe"])
    }),
    Test::new("policy_that_is_no_toml_changes_nothing", "reload with an open bracket", |scene| broken(scene, "[limits\n", &[])),
    Test::new("policy_with_a_missing_anchor_changes_nothing", "reload with a trust anchor that is not there", |scene| {
        broken(scene, "\n[[signer]]\nname = \"nobody\"\nanchors = [\"/etc/enforcer/trust/missing.pem\"]\n", &["missing.pem"])
    }),
];

fn good(scene: &Scene) -> Result<String> {
    let daemon = service::running_daemon()?;
    let policy = Policy::open()?;
    policy.set_mode(Mode::Audit)?;
    service::wait_until("audit mode is in force", || Ok(service::mode_in_force()? == Mode::Audit))?;
    let ended = start(scene, &scene.fixture("unsigned/program"))?;
    ensure!(ended.ran("unsigned code ran"), "in audit mode the unsigned program {}", ended.describe());
    policy.set_mode(Mode::Enforce)?;
    service::wait_until("enforce mode is in force", || Ok(service::mode_in_force()? == Mode::Enforce))?;
    unsigned_is_denied(scene)?;
    program_runs(scene, &scene.fixture("bin/program"))?;
    program_runs(scene, &staged::program(scene)?)?;
    ensure!(service::running_daemon()? == daemon, "the daemon was started anew");
    Ok("unsigned code ran in audit mode, and was denied afterwards".to_owned())
}

/// What the scan has reached is known to the kernel: nobody has to be asked at the first start.
fn scanned(scene: &Scene) -> Result<String> {
    let program = staged::program(scene)?;
    let folder = program.parent().context("a program lies in a folder")?;
    let policy = Policy::open()?;
    let text = policy.original().replace("paths = []", &format!("paths = [\"{}\"]", folder.display()));
    ensure!(text != policy.original(), "the policy does not say `paths = []`");
    let journal = Journal::now()?;
    policy.write(&text)?;
    service::reload()?;
    journal.wait_for(&["scanned"])?;
    let before = service::status()?["requests"].as_u64();
    program_runs(scene, &program)?;
    let after = service::status()?["requests"].as_u64();
    ensure!(before.is_some() && before == after, "the daemon was asked: {before:?} requests before, {after:?} after");
    drop(policy);
    let journal = Journal::now()?;
    service::reload()?;
    journal.wait_for(&["in force"])?;
    Ok("it ran, and the daemon was not asked".to_owned())
}

/// Enforcing it, the daemon could be neither started nor stopped again.
fn lockout(scene: &Scene) -> Result<String> {
    let policy = Policy::open()?;
    let text = policy.original().replace("manifests = [\"/etc/enforcer/manifests\"]", "manifests = []");
    ensure!(text != policy.original(), "the policy does not name the folder of manifests");
    policy.write(&text)?;
    refused(scene, &["could not start again"])
}

/// Whoever may write to the policy decides who is trusted.
fn unprotected(scene: &Scene) -> Result<String> {
    let policy = Policy::open()?;
    policy.write(policy.original())?;
    fs::set_permissions(service::POLICY, fs::Permissions::from_mode(0o666))?;
    let outcome = refused(scene, &["others may write"]);
    fs::set_permissions(service::POLICY, fs::Permissions::from_mode(0o644))?;
    outcome
}

/// Asks the daemon to read its policy, which it must refuse with these words and go on as before.
fn refused(scene: &Scene, words: &[&str]) -> Result<String> {
    let daemon = service::running_daemon()?;
    let journal = Journal::now()?;
    service::hang_up()?;
    let message = journal.wait_for(&[&["refused"], words].concat())?;
    unsigned_is_denied(scene)?;
    program_runs(scene, &scene.fixture("bin/program"))?;
    ensure!(service::running_daemon()? == daemon, "the daemon was started anew");
    Ok(format!("the old policy stayed in force; the journal: {}", service::message(&message)))
}

/// A policy whose beginning or end is broken: the old one stays in force, and the journal says why.
fn broken(scene: &Scene, addition: &str, words: &[&str]) -> Result<String> {
    let daemon = service::running_daemon()?;
    let policy = Policy::open()?;
    let journal = Journal::now()?;
    // Were any of it put in force, unsigned code would run.
    let audit = policy.original().replace("mode = \"enforce\"", "mode = \"audit\"");
    ensure!(audit != policy.original(), "the policy does not say `mode = \"enforce\"`");
    policy.write(&if addition.starts_with("\n[[") { audit + addition } else { addition.to_owned() + &audit })?;
    ensure!(service::reload().is_err(), "`systemctl reload` took the policy for a good one");
    service::hang_up()?;
    let message = journal.wait_for(&[&["refused"], words].concat())?;
    unsigned_is_denied(scene)?;
    program_runs(scene, &scene.fixture("bin/program"))?;
    program_runs(scene, &staged::program(scene)?)?;
    ensure!(service::mode_in_force()? == Mode::Enforce, "the mode has changed");
    ensure!(service::running_daemon()? == daemon, "the daemon was started anew");
    drop(policy);
    let journal = Journal::now()?;
    service::reload()?;
    journal.wait_for(&["in force"])?;
    Ok(format!("the old policy stayed in force; the journal: {}", service::message(&message)))
}
