//! A policy that root cannot change: what its signers did not sign is refused by the daemon that runs, and by the one that starts; and only their order
//! takes enforcement off.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Test;
use super::board::{BOOT_ID, Board, CERTIFICATE, boot_id, edition, enforcer, with_board};
use super::uses::{SIGNED_RAN, program_is_denied, program_runs, start, unsigned_is_denied};
use crate::child;
use crate::mode::Mode;
use crate::scene::{Scene, install};
use crate::service::{self, Journal};

pub const TESTS: &[Test] = &[
    Test::new("charter_refuses_what_its_signer_did_not_sign", "reload with changed policies, certificates and signers", |scene| {
        with_board(scene, |board| changed(scene, board))
    }),
    Test::new(
        "charter_keeps_a_revocation_that_is_taken_out_of_its_file",
        "enforcer revoke, then an empty file, then a restart, then a signed list",
        |scene| with_board(scene, |board| revoked(scene, board)),
    ),
    Test::new("charter_stops_a_daemon_with_a_policy_that_was_replaced", "systemctl stop, another policy, systemctl start", |scene| {
        with_board(scene, |board| replaced(scene, board))
    }),
    Test::new(
        "charter_lets_only_an_entitled_program_follow_the_daemon",
        "other builds of the enforcer in its place, without and with the entitlement `enforcer`",
        followed,
    ),
    Test::new("charter_demands_an_order_for_the_release", "enforcer stop --release, with the orders that somebody could have", |scene| {
        with_board(scene, |board| released(scene, board))
    }),
];

fn changed(scene: &Scene, board: &Board) -> Result<String> {
    let daemon = service::running_daemon()?;
    let good = board.demanding()?;
    let audit = good.replace("mode = \"enforce\"", "mode = \"audit\"");
    ensure!(audit != good, "the policy does not say `mode = \"enforce\"`");
    board.write(&audit)?;
    ensure!(service::reload().is_err(), "`systemctl reload` took an unsigned policy for a good one");
    refused(scene, &["not listed", "policy.toml"])?;
    board.make("intruder")?;
    board.sign("intruder", &[])?;
    refused(scene, &["who alone may change the policy in force"])?;
    // A policy that is right by itself: the intruder's, whom it names.
    let theirs = audit.replace("\"board\"", "\"intruder\"").replace(CERTIFICATE, &board.file("intruder.pem").display().to_string());
    board.write(&theirs)?;
    board.sign("intruder", &[])?;
    refused(scene, &["who alone may change the policy in force"])?;
    // One that demands nothing.
    board.write(&undemanding(&audit))?;
    refused(scene, &["who alone may change the policy in force"])?;
    board.put_in_force(&good)?;
    let certificate = fs::read(CERTIFICATE)?;
    fs::write(CERTIFICATE, [certificate.as_slice(), &fs::read(board.file("intruder.pem"))?].concat())?;
    let outcome = refused(scene, &["not listed", CERTIFICATE]);
    fs::write(CERTIFICATE, certificate)?;
    outcome?;
    board.put_in_force(&audit)?;
    service::wait_until("audit mode is in force", || Ok(service::mode_in_force()? == Mode::Audit))?;
    board.put_in_force(&good)?;
    service::wait_until("enforce mode is in force", || Ok(service::mode_in_force()? == Mode::Enforce))?;
    ensure!(service::running_daemon()? == daemon, "the daemon was started anew");
    Ok("five changes were refused, and what the board had signed was put in force".to_owned())
}

/// The same policy, which anybody may change.
fn undemanding(policy: &str) -> String {
    policy.replace("policy-signers = [\"board\"]\n", "").replace("allow = []\n", "")
}

/// Asks the daemon itself to read what lies there.
fn refused(scene: &Scene, words: &[&str]) -> Result<()> {
    let journal = Journal::now()?;
    service::hang_up()?;
    journal.wait_for(&[&["refused", "the old one stays in force"], words].concat())?;
    ensure!(service::mode_in_force()? == Mode::Enforce, "the mode has changed");
    unsigned_is_denied(scene)
}

fn revoked(scene: &Scene, board: &Board) -> Result<String> {
    let program = scene.copy("claims/other", "revoked")?;
    program_runs(scene, &program)?;
    let good = board.demanding()?;
    board.write(&good)?;
    board.sign("board", &edition("1"))?;
    board.reload()?;
    service::succeed("enforcer", &["revoke", "signer", "other"])?;
    program_is_denied(scene, &program, SOON)?;
    let undone = enforcer(&["revoke", "undo", "signer", "other"])?;
    ensure!(undone.stderr.contains("only its signers can take a revocation back"), "undo {}", undone.describe());
    program_is_denied(scene, &program, SOON)?;
    service::succeed("systemctl", &["stop", service::UNIT])?;
    fs::write(REVOKED, "")?;
    service::start()?;
    program_is_denied(scene, &program, SOON)?;
    // The very same list once more frees nothing, a newer one does.
    board.reload()?;
    program_is_denied(scene, &program, SOON)?;
    board.sign("board", &edition("2"))?;
    board.reload()?;
    service::wait_until("it runs again", || Ok(start(scene, &program)?.ran(SIGNED_RAN)))?;
    Ok("it stayed denied, with an empty file and by another daemon, until the board signed a newer list".to_owned())
}

fn replaced(scene: &Scene, board: &Board) -> Result<String> {
    let (good, before) = (board.demanding()?, service::pins()?);
    let audit = good.replace("mode = \"enforce\"", "mode = \"audit\"");
    let audit = undemanding(&audit);
    service::succeed("systemctl", &["stop", service::UNIT])?;
    board.write(&audit)?;
    let journal = Journal::now()?;
    let started = child::run(Command::new("systemctl").args(["start", service::UNIT]));
    let outcome = started.and_then(|started| {
        ensure!(!started.status.success(), "the daemon started");
        journal.wait_for(&["not listed", "policy.toml"])?;
        // Where nobody sees the pins of what is in force.
        let elsewhere = "mount -t bpf bpf /sys/fs/bpf; exec enforcer run --log text";
        let run = child::run(Command::new("unshare").args(["--mount", "sh", "-c", elsewhere]))?;
        ensure!(!run.status.success(), "in another mount namespace it {}", run.describe());
        unsigned_is_denied(scene)?;
        program_runs(scene, &scene.fixture("bin/program"))?;
        ensure!(service::status()?["enforcing"] == true, "{}", service::status()?);
        Ok(())
    });
    board.write(&good)?;
    service::start()?;
    outcome?;
    ensure!(service::pins()? == before, "the pins were made anew");
    unsigned_is_denied(scene)?;
    Ok("enforcement went on without a daemon, and with the signed policy it started".to_owned())
}

fn followed(scene: &Scene) -> Result<String> {
    let aside = scene.disk("enforcer.aside");
    install(Path::new(ENFORCER), &aside)?;
    let outcome = with_board(scene, |_| {
        let refused = not_followed(scene);
        install(&aside, Path::new(ENFORCER))?;
        // Not merely started: systemd may be trying once more to start the one that was there before.
        restart()?;
        refused?;
        install(&scene.fixture("claims/enforcer-next"), Path::new(ENFORCER))?;
        restart().context("with the entitled program")?;
        let daemon = fs::read(format!("/proc/{}/exe", service::running_daemon()?))?;
        ensure!(daemon == fs::read(scene.fixture("claims/enforcer-next"))?, "the daemon is not the program in its place");
        unsigned_is_denied(scene)?;
        Ok("another program in its place could not start, and one that was entitled took over".to_owned())
    });
    // The demand is gone by now, and with it the need of an entitlement.
    install(&aside, Path::new(ENFORCER))?;
    let restarted = restart();
    let happened = outcome?;
    restarted.context("with the former program").map(|()| happened)
}

/// Restarts the service; when that fails, with what it said.
fn restart() -> Result<()> {
    let journal = Journal::now()?;
    let restarted = service::succeed("systemctl", &["restart", service::UNIT]);
    restarted.map(drop).or_else(|error| {
        let said: Vec<String> = journal.since()?.iter().map(service::message).collect();
        Err(error.context(said.join(" | ")))
    })
}

/// A trusted program, the enforcer's by its bytes, which does not say that it is one.
fn not_followed(scene: &Scene) -> Result<()> {
    let journal = Journal::now()?;
    install(&scene.fixture("claims/enforcer-other"), Path::new(ENFORCER))?;
    service::succeed("systemctl", &["stop", service::UNIT])?;
    journal.wait_for(&["is not let take over"])?;
    let started = child::run(Command::new("systemctl").args(["start", service::UNIT]))?;
    ensure!(!started.status.success(), "it started");
    unsigned_is_denied(scene)?;
    program_runs(scene, &scene.fixture("bin/program"))
}

fn released(scene: &Scene, board: &Board) -> Result<String> {
    let boot_id = boot_id()?;
    let order = |id: &str| format!("enforcer release\nboot-id {id}\n");
    let ended = enforcer(&["stop", "--release"])?;
    let told = ended.status.code() == Some(4) && ended.stderr.contains(&order(&boot_id)) && ended.stderr.contains("openssl cms -sign");
    ensure!(told, "without an order it {}", ended.describe());
    let stays = |order: std::path::PathBuf, words: &str| -> Result<()> {
        let ended = enforcer(&["stop", "--release", "--order", &order.display().to_string()])?;
        ensure!(ended.status.code() == Some(4) && ended.stderr.contains(words), "with {words:?} it {}", ended.describe());
        ensure!(service::status()?["enforcing"] == true && service::status()?["daemon"]["alive"] == true, "{}", service::status()?);
        unsigned_is_denied(scene)
    };
    stays(board.sign_order("board", &order(ANOTHER_BOOT))?, "not the order to release this machine in this boot")?;
    board.make("intruder")?;
    stays(board.sign_order("intruder", &order(&boot_id))?, "not signed by `board`")?;
    // Somebody with an order for another boot says that this is it.
    fs::write(scene.tmpfs("boot_id"), format!("{ANOTHER_BOOT}\n"))?;
    let mounted = child::run(Command::new("mount").arg("--bind").arg(scene.tmpfs("boot_id")).arg(BOOT_ID))?;
    let old =
        board.sign_order("board", &order(ANOTHER_BOOT)).and_then(|order| enforcer(&["stop", "--release", "--order", &order.display().to_string()]));
    if mounted.status.success() {
        service::succeed("umount", &[BOOT_ID])?;
    }
    let old = old?;
    ensure!(!old.status.success() && service::status()?["enforcing"] == true, "with another boot's id in place of this one's it {}", old.describe());

    let right = board.sign_order("board", &order(&boot_id))?;
    let journal = Journal::now()?;
    service::succeed("enforcer", &["stop", "--release", "--order", &right.display().to_string()])?;
    let ended = start(scene, &scene.fixture("unsigned/program"));
    let recorded = journal.wait_for(&["taken off"]);
    service::start()?;
    ensure!(ended?.ran("unsigned code ran"), "after the release the unsigned program did not run");
    recorded?;
    unsigned_is_denied(scene)?;
    ensure!(service::status()?["policy_signers"][0] == "board", "{}", service::status()?);
    Ok("three orders were refused and the right one was followed".to_owned())
}

const ENFORCER: &str = "/usr/sbin/enforcer";
const REVOKED: &str = "/etc/enforcer/revoked.toml";
const ANOTHER_BOOT: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
const SOON: Duration = Duration::from_secs(10);
