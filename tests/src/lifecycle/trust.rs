//! Trust that ends: revocations, older releases, and the time.
//!
//! The programs are those of `fixtures/others.rs`; each is copied, so that its digest is what is judged and not its place.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::uses::{SIGNED_RAN, program_is_denied, program_runs, second, start, unsigned_is_denied};
use super::{Test, staged};
use crate::child;
use crate::scene::Scene;
use crate::service::{self, Journal};

pub const TESTS: &[Test] = &[
    Test::new("revoked_digest_is_denied_within_a_second", "enforcer revoke digest --file, while the program is known", |scene| {
        let program = scene.copy("claims/other", "revoked")?;
        let digest = ["digest", "--file", &text(&program)];
        revoked(scene, &program, &scene.copy("claims/leaf", "another")?, &digest)
    }),
    Test::new("revoked_certificate_is_denied_within_a_second", "enforcer revoke certificate, while a program by it is known", |scene| {
        let certificate = ["certificate", &text(&scene.fixture("trust/leaf.pem"))];
        revoked(scene, &scene.copy("claims/leaf", "revoked")?, &scene.copy("claims/other", "another")?, &certificate)
    }),
    Test::new("revoked_signer_is_denied_within_a_second", "enforcer revoke signer, while a program by them is known", |scene| {
        revoked(scene, &scene.copy("claims/other", "revoked")?, &scene.copy("bin/program", "another")?, &["signer", "other"])
    }),
    Test::new("certificate_on_a_new_list_is_denied_within_a_second", "a revocation list appears, while a program is known", list),
    Test::new("revocation_that_would_lock_the_daemon_out_is_refused", "enforcer revoke signer, of the daemon's own", lockout),
    Test::new("broken_revocations_leave_the_old_ones_in_force", "garbage in the file of revocations", broken),
    Test::new("older_release_is_denied_once_a_newer_one_was_accepted", "start release 1, then 2, then 1; restart the daemon; start 1", rollback),
    Test::new("damaged_floors_keep_the_daemon_from_starting", "garbage in the file of accepted versions, then a restart", damaged),
    Test::new("clock_that_is_set_forward_stops_nothing", "date +300 days, then known and unknown programs", forward),
    Test::new("what_has_expired_stays_expired_when_the_clock_is_set_back", "a later boot, then the clock set back, then a restart", back),
];

/// A revocation of one program is in force soon, spares another, and can be undone.
fn revoked(scene: &Scene, program: &Path, another: &Path, what: &[&str]) -> Result<String> {
    program_runs(scene, program)?;
    program_runs(scene, another)?;
    let took = ends_within_a_second(scene, program, || revoke(what).map(drop))?;
    program_runs(scene, another)?;
    let listed = revoke(&["list", "--json"])?;
    ensure!(listed.contains("a test"), "the reason is not listed: {listed}");
    revoke(&[&["undo"], what].concat())?;
    service::wait_until("it runs again", || Ok(start(scene, program)?.ran(SIGNED_RAN)))?;
    let verdicts = service::status()?["verdicts"].as_u64().unwrap_or_default();
    Ok(format!("denied {took:?} after the command, among {verdicts} verdicts; it ran again when that was undone"))
}

fn list(scene: &Scene) -> Result<String> {
    let program = scene.copy("claims/listed", "listed")?;
    let another = scene.copy("claims/other", "another")?;
    program_runs(scene, &program)?;
    fs::create_dir_all(LISTS)?;
    let at = Path::new(LISTS).join("other.crl");
    let took = ends_within_a_second(scene, &program, || {
        fs::copy(scene.fixture("trust/other.crl"), at.with_extension("new"))?;
        Ok(fs::rename(at.with_extension("new"), &at)?)
    })?;
    program_runs(scene, &another)?;
    fs::remove_file(at)?;
    service::wait_until("it runs again", || Ok(start(scene, &program)?.ran(SIGNED_RAN)))?;
    Ok(format!("denied {took:?} after the list appeared"))
}

fn lockout(scene: &Scene) -> Result<String> {
    let ended = child::run(std::process::Command::new("enforcer").args(["revoke", "signer", "demo"]))?;
    ensure!(ended.status.code() == Some(4) && ended.stderr.contains("could not start again"), "it {}", ended.describe());
    ensure!(!revoke(&["list"])?.contains("demo"), "it was revoked all the same");
    program_runs(scene, &scene.fixture("bin/program"))?;
    Ok(ended.stderr.trim().to_owned())
}

fn broken(scene: &Scene) -> Result<String> {
    let program = scene.copy("claims/other", "revoked")?;
    revoke(&["digest", "--file", &text(&program), "--reason", "a test"])?;
    let good = fs::read(REVOKED)?;
    let journal = Journal::now()?;
    fs::write(REVOKED, "[[digest]\n")?;
    let message = journal.wait_for(&["refused", REVOKED])?;
    program_is_denied(scene, &program, SOON)?;
    program_runs(scene, &scene.copy("claims/leaf", "another")?)?;
    unsigned_is_denied(scene)?;
    let status = service::status()?;
    ensure!(status["refused"]["why"].as_str().is_some_and(|why| why.contains(REVOKED)), "{status}");
    fs::write(REVOKED, good)?;
    service::wait_until("the status is in order again", || Ok(service::status()?["refused"].is_null()))?;
    revoke(&["undo", "digest", "--file", &text(&program)])?;
    Ok(service::message(&message))
}

fn rollback(scene: &Scene) -> Result<String> {
    let release = |number: u32| scene.copy(&format!("claims/tool-{number}"), &format!("tool-{number}"));
    let (first, second) = (release(1)?, release(2)?);
    program_runs(scene, &first)?;
    program_runs(scene, &second)?;
    let refused = |program: &Path| program_is_denied(scene, program, SOON).map(drop);
    refused(&first).context("once the second was accepted")?;
    refused(&scene.copy("claims/tool-1-unseen", "unseen")?).context("a first release that nobody had seen")?;
    ensure!(service::status()?["security_versions"]["test.tool@demo"] == 2, "{}", service::status()?);
    service::succeed("systemctl", &["stop", service::UNIT])?;
    refused(&first).context("without a daemon")?;
    service::start()?;
    refused(&first).context("with another daemon")?;
    program_runs(scene, &second)?;
    Ok("release 1 was denied from the start of release 2 on, with and without the daemon, and after its restart".to_owned())
}

fn damaged(scene: &Scene) -> Result<String> {
    let versions = Path::new(STATE).join("security-versions.toml");
    let good = fs::read(&versions).ok();
    let journal = Journal::now()?;
    // As long as anything is in force, nobody but the enforcer writes there.
    ensure!(fs::write(&versions, "").is_err(), "the state could be written to");
    service::succeed("enforcer", &["stop", "--release"])?;
    fs::write(&versions, "[security-versions]\n\"a\" = \"b\"\n")?;
    let started = child::run(std::process::Command::new("systemctl").args(["start", service::UNIT]));
    let outcome = started.and_then(|started| {
        ensure!(!started.status.success(), "the daemon started");
        ensure!(service::mode_in_force()? == crate::mode::Mode::Off, "something is in force");
        journal.wait_for(&["security-versions.toml"])
    });
    match good {
        Some(good) => fs::write(&versions, good)?,
        None => fs::remove_file(&versions)?,
    }
    service::start()?;
    unsigned_is_denied(scene)?;
    Ok(service::message(&outcome?))
}

fn forward(scene: &Scene) -> Result<String> {
    let clock = Clock::open();
    let (known, unknown) = (scene.copy("claims/brief", "known")?, scene.copy("claims/brief-unseen", "unknown")?);
    program_runs(scene, &known)?;
    clock.move_by(300)?;
    program_runs(scene, &known).context("known before")?;
    program_runs(scene, &unknown).context("unknown before")?;
    program_runs(scene, &staged::program(scene)?)?;
    unsigned_is_denied(scene)?;
    service::reload()?;
    let ahead = || -> Result<Option<i64>> { Ok(service::status()?["clock_ahead_seconds"].as_i64()) };
    service::wait_until("the status tells of the clock", || Ok(ahead()?.is_some_and(|seconds| seconds > 250 * DAY)))?;
    program_runs(scene, &known).context("after a reload")?;
    drop(clock);
    ensure!(ahead()?.is_some_and(|seconds| seconds.abs() < 120), "the clock was not put back: {:?}", ahead()?);
    Ok("a program whose certificate holds for a day ran 300 days later, by a clock that was set".to_owned())
}

fn back(scene: &Scene) -> Result<String> {
    let program = scene.copy("claims/brief", "brief")?;
    program_runs(scene, &program)?;
    let clock = Clock::open();
    let outcome = (|| {
        service::succeed("systemctl", &["stop", service::UNIT])?;
        clock.move_by(10)?;
        service::start()?;
        program_is_denied(scene, &program, SOON).context("ten days later")?;
        program_runs(scene, &scene.fixture("bin/program"))?;
        clock.move_by(-10)?;
        program_is_denied(scene, &program, SOON).context("when the clock was set back")?;
        service::succeed("systemctl", &["stop", service::UNIT])?;
        service::start()?;
        program_is_denied(scene, &program, SOON).context("when the daemon was started with the clock set back")?;
        let status = service::status()?;
        ensure!(status["clock_ahead_seconds"].as_i64().is_some_and(|seconds| seconds < -9 * DAY), "{status}");
        Ok("it was denied ten days later, when the clock was set back, and by a daemon that was started then".to_owned())
    })();
    // What an administrator does whose clock was wrong.
    service::succeed("enforcer", &["stop", "--release"])?;
    drop(clock);
    fs::remove_file(Path::new(STATE).join("clock.toml"))?;
    service::start()?;
    program_runs(scene, &program).context("when the time that was kept had been removed")?;
    outcome
}

/// How long after an action the program is denied, which has to be within a second, as this machine counts at that time ([`second`]).
fn ends_within_a_second(scene: &Scene, program: &Path, action: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let before = second(scene)?;
    // By then, what is allowed of it is kept with its inode.
    for _ in 0..USES {
        ensure!(start(scene, program)?.ran(SIGNED_RAN), "it did not run before");
        thread::sleep(SETTLING);
    }
    action()?;
    let began = Instant::now();
    service::wait_until("it is denied", || Ok(!start(scene, program)?.ran(SIGNED_RAN)))?;
    let took = began.elapsed();
    program_is_denied(scene, program, SOON)?;
    // It may have become busier meanwhile, or less busy.
    let limit = before.max(second(scene)?).min(NEVER);
    ensure!(took < limit, "it took {took:?}, which is more than {limit:?}");
    Ok(took)
}

fn revoke(arguments: &[&str]) -> Result<String> {
    let is_change = !arguments.contains(&"list") && !arguments.contains(&"undo") && !arguments.contains(&"--reason");
    let reason: &[&str] = if is_change { &["--reason", "a test"] } else { &[] };
    service::succeed("enforcer", &[&["revoke"], arguments, reason].concat())
}

/// The machine's clock, put right again at the end.
struct Clock {
    wall: std::time::SystemTime,
    began: Instant,
}

impl Clock {
    fn open() -> Self {
        Self { wall: std::time::SystemTime::now(), began: Instant::now() }
    }

    fn move_by(&self, days: i64) -> Result<()> {
        service::succeed("date", &["--set", &format!("{days} days")]).map(drop)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let now = self.wall.duration_since(std::time::UNIX_EPOCH).unwrap_or_default() + self.began.elapsed();
        if let Err(error) = service::succeed("date", &["--set", &format!("@{}", now.as_secs())]) {
            eprintln!("guest-tests: the clock stays wrong: {error:#}");
        }
    }
}

fn text(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}

/// Starts of a program, and the time between them, after which a use of it costs one look-up.
const USES: usize = 5;
const SETTLING: Duration = Duration::from_millis(50);
const REVOKED: &str = "/etc/enforcer/revoked.toml";
const LISTS: &str = "/etc/enforcer/crls";
const STATE: &str = "/var/lib/enforcer";
const DAY: i64 = 24 * 60 * 60;
const SOON: Duration = Duration::from_secs(10);
/// No machine is as slow as that.
const NEVER: Duration = Duration::from_secs(30);
