//! A new policy: in force as a whole, or not at all.

use anyhow::{Result, ensure};

use super::uses::{program_runs, start, unsigned_is_denied};
use super::{Test, staged};
use crate::mode::Mode;
use crate::scene::Scene;
use crate::service::{self, Journal, Policy};

pub const TESTS: &[Test] = &[
    Test::new("good_policy_is_put_in_force_and_back", "reload with audit, then with enforce", good),
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
