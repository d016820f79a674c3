//! What a plain Debian system does, with scripts enforced and everything else as a distribution leaves it: nothing of it may be denied.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::child::{self, Ended};
use crate::events::{self, Mark};
use crate::fixtures::scripts::{CRON_JOB, INSTALLED, ROTATE_JOB};
use crate::report::Report;
use crate::rows::{SIGNED_RAN, UNSIGNED_RAN};
use crate::scene::Scene;
use crate::{service, suite};

/// The repository of the tests' packages, as a fixture.
pub const PACKAGES: &str = "packages";

/// Runs everything, and leaves no service behind that would start something by itself.
pub fn run_all(scene: &Scene, report: &mut Report) -> Result<()> {
    type Check = fn(&Scene) -> Result<String>;
    let checks: [(&str, &str, &str, Check); 6] = [
        ("debian::manifest_lists_all_that_is_code", "enforcer manifest create /, beside the list that is in force", "nothing is missing", lists),
        ("debian::package_is_installed_and_removed", "apt-get install, with maintainer scripts of a manifest", "its scripts run", installs),
        ("debian::package_with_unsigned_scripts_is_not_installed", "the same with scripts that nobody signed", "dpkg gives up", does_not_install),
        ("debian::cron_runs_its_jobs", "a signed script in /etc/cron.d", "it runs", cron),
        ("debian::logrotate_rotates", "logrotate.service, with a script after the rotation", "the log is rotated and the script runs", logrotate),
        ("debian::postgresql_answers", "pg_createcluster, and a query", "it answers", postgresql),
    ];
    for (name, title, expected, run) in checks {
        suite::check(report, name, title, expected, || run(scene))?;
    }
    service::succeed("systemctl", &["stop", "cron.service", "logrotate.timer"]).map(drop)
}

/// Everything below runs with a list of which code it needs that somebody else made; the enforcer's own has no less.
fn lists(_: &Scene) -> Result<String> {
    let mut create = Command::new("enforcer");
    create.args(["manifest", "create", "--output", LISTED]).args(FOLDERS);
    succeed(&mut create)?;
    let text = fs::read_to_string(LISTED)?;
    let listed: HashSet<&str> = text.lines().collect();
    let in_force = fs::read_to_string(IN_FORCE).context(IN_FORCE)?;
    let of_these = |line: &&str| FOLDERS.iter().any(|folder| line.starts_with(&format!("SHA256 ({folder}/")));
    let expected: Vec<&str> = in_force.lines().filter(of_these).collect();
    ensure!(expected.len() > 1000, "only {} lines are in force", expected.len());
    let missing: Vec<&&str> = expected.iter().filter(|line| !listed.contains(**line)).take(5).collect();
    ensure!(missing.is_empty(), "not listed: {missing:?}");
    Ok(format!("{} digests, of which {} are in force", listed.len(), expected.len()))
}

fn installs(scene: &Scene) -> Result<String> {
    let mark = Mark::now();
    forget(INSTALLED)?;
    ensure!(apt(scene, &["update"])?.status.success(), "the repository cannot be read");
    let ended = apt(scene, &["install", SIGNED])?;
    ensure!(ended.status.success(), "apt-get {}", ended.describe());
    let said = succeed(Command::new(SIGNED))?;
    ensure!(said.contains(SIGNED_RAN), "the installed program wrote {said:?}");
    let ended = apt(scene, &["purge", SIGNED])?;
    ensure!(ended.status.success(), "apt-get {}", ended.describe());
    let told = fs::read_to_string(INSTALLED).context(INSTALLED)?;
    for script in ["preinst", "postinst", "prerm", "postrm"] {
        ensure!(told.contains(&format!("{script}: {SIGNED_RAN}")), "{script} did not run: {told:?}");
    }
    nothing_was_recorded(mark, scene)?;
    Ok("installed, run and removed".to_owned())
}

fn does_not_install(scene: &Scene) -> Result<String> {
    let mark = Mark::now();
    forget(INSTALLED)?;
    let ended = apt(scene, &["install", UNSIGNED])?;
    ensure!(!ended.status.success(), "apt-get installed it");
    ensure!(!Path::new(INSTALLED).exists() && !ended.said(UNSIGNED_RAN), "a script of it ran");
    let event = mark.wait_for("of the package's first script", |event| {
        event["denied"] == true
            && event["reason"] == "untrusted"
            && event["path"].as_str().is_some_and(|path| path.rsplit('/').next() == Some("preinst"))
    })?;
    // What dpkg remembers of it would be in the way of the next installation.
    succeed(Command::new("dpkg").args(["--purge", "--force-all", UNSIGNED])).ok();
    Ok(events::summary(&event))
}

fn cron(scene: &Scene) -> Result<String> {
    let mark = Mark::now();
    forget(CRON_RAN)?;
    service::succeed("systemctl", &["start", "cron.service"])?;
    fs::write(CRON_TABLE, format!("* * * * * root {}\n", scene.fixture(CRON_JOB).display()))?;
    let outcome = service::wait_until("cron ran the job", || Ok(Path::new(CRON_RAN).exists()));
    fs::remove_file(CRON_TABLE)?;
    outcome?;
    nothing_was_recorded(mark, scene)?;
    Ok("it ran".to_owned())
}

fn logrotate(scene: &Scene) -> Result<String> {
    let mark = Mark::now();
    forget(ROTATED)?;
    fs::write(LOG, "a line\n".repeat(100))?;
    let job = scene.fixture(ROTATE_JOB);
    fs::write(ROTATION, format!("{LOG} {{\n  size 10\n  rotate 1\n  postrotate\n    {}\n  endscript\n}}\n", job.display()))?;
    let outcome = service::succeed("systemctl", &["start", "logrotate.service"]);
    fs::remove_file(ROTATION)?;
    outcome?;
    ensure!(Path::new(&format!("{LOG}.1")).exists(), "the log was not rotated");
    ensure!(Path::new(ROTATED).exists(), "the script after the rotation did not run");
    nothing_was_recorded(mark, scene)?;
    Ok("rotated".to_owned())
}

fn postgresql(scene: &Scene) -> Result<String> {
    let mark = Mark::now();
    let mut versions = fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
    let version = versions.next().context("no version of PostgreSQL")??.file_name();
    succeed(Command::new("pg_createcluster").arg(&version).args(["main", "--locale", "C.UTF-8", "--start"]))?;
    let mut query = Command::new("runuser");
    query.args(["-u", "postgres", "--", "psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", "select 40 + 2"]);
    let answer = succeed(query.current_dir("/"));
    succeed(Command::new("pg_dropcluster").arg("--stop").arg(&version).arg("main"))?;
    let answer = answer?;
    ensure!(answer.trim() == "42", "it answered {answer:?}");
    nothing_was_recorded(mark, scene)?;
    Ok("it answered 42".to_owned())
}

fn apt(scene: &Scene, arguments: &[&str]) -> Result<Ended> {
    let sources = format!("Dir::Etc::sourcelist={}", scene.fixture(PACKAGES).join("sources.list").display());
    let mut command = Command::new("apt-get");
    command.args(["--yes", "-o", &sources, "-o", "Dir::Etc::sourceparts=/dev/null"]).args(arguments);
    child::run_within(command.env("DEBIAN_FRONTEND", "noninteractive"), PATIENCE)
}

fn succeed(mut command: impl std::borrow::BorrowMut<Command>) -> Result<String> {
    let command = command.borrow_mut();
    let ended = child::run_within(command, PATIENCE)?;
    ensure!(ended.status.success(), "{command:?} {}", ended.describe());
    Ok(ended.stdout)
}

fn nothing_was_recorded(mark: Mark, scene: &Scene) -> Result<()> {
    let recorded: Vec<String> = mark.everything(scene)?.iter().map(events::summary).collect();
    ensure!(recorded.is_empty(), "{recorded:?}");
    Ok(())
}

fn forget(file: &str) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context(file.to_owned()),
        _ => Ok(()),
    }
}

/// Where a Debian system has its code.
const FOLDERS: [&str; 3] = ["/usr", "/etc", "/root"];
const LISTED: &str = "/run/enforcer-tests.manifest";
const IN_FORCE: &str = "/etc/enforcer/manifests/root.manifest";
const SIGNED: &str = "enforcer-test-signed";
const UNSIGNED: &str = "enforcer-test-unsigned";
const CRON_TABLE: &str = "/etc/cron.d/enforcer-tests";
const CRON_RAN: &str = "/run/enforcer-tests-cron";
const LOG: &str = "/var/log/enforcer-tests.log";
const ROTATION: &str = "/etc/logrotate.d/enforcer-tests";
const ROTATED: &str = "/run/enforcer-tests-rotated";
/// Making a cluster takes an emulated machine minutes.
const PATIENCE: Duration = Duration::from_secs(600);
