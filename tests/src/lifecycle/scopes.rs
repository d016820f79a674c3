//! Modes of services: what is denied in one unit while the rest of the machine is only watched, and the other way round.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Test;
use crate::events::Mark;
use crate::scene::Scene;
use crate::service::{self, Policy, succeed};

pub const TESTS: &[Test] = &[
    Test::new(
        "service_in_a_scope_is_denied_what_others_are_not",
        "an unsigned program in a unit that enforces, restarted, and outside of it",
        enforcing,
    ),
    Test::new("scope_within_a_scope_has_its_own_mode", "a slice that enforces, a slice in it that does not, and a unit in that which does", nested),
    Test::new(
        "scope_named_by_a_beginning_covers_new_units",
        "units named `docker-*`, which did not exist when the policy was put in force",
        beginnings,
    ),
    Test::new("service_in_an_audit_scope_runs_what_others_may_not", "an enforcing machine with one unit in audit mode", auditing),
    Test::new(
        "audit_scope_holds_neither_the_kernel_nor_the_enforcer_open",
        "in a unit in audit mode on an enforcing machine, a write to another process's memory and a signal to the daemon",
        guarding,
    ),
    Test::new("scopes_end_with_the_policy_that_names_them", "reload with other scopes, and with none", replaced),
];

fn enforcing(scene: &Scene) -> Result<String> {
    let machine = Machine::new("audit", &[("web", &["/system.slice/enforcer-test-web.service"], "enforce")])?;
    let status = service::status()?;
    ensure!(status["mode"] == "audit" && status["scopes"][0]["mode"] == "enforce", "{status}");
    let (web, other) = (Unit::new(scene, "enforcer-test-web", "")?, Unit::new(scene, "enforcer-test-webs", "")?);
    web.is_denied()?;
    // A new control group each time.
    web.is_denied()?;
    other.runs_and_is_reported()?;
    web.signed_runs(scene)?;
    drop(machine);
    Ok("denied in the unit, at each start; reported outside of it".to_owned())
}

fn nested(scene: &Scene) -> Result<String> {
    let outer = ["/enforcertest.slice"];
    let inner = ["/enforcertest.slice/enforcertest-inner.slice"];
    let innermost = ["/enforcertest.slice/enforcertest-inner.slice/enforcer-test-innermost.service"];
    let _machine = Machine::new("audit", &[("outer", &outer, "enforce"), ("inner", &inner, "audit"), ("innermost", &innermost, "enforce")])?;
    Unit::new(scene, "enforcer-test-outer", "Slice=enforcertest.slice")?.is_denied()?;
    Unit::new(scene, "enforcer-test-inner", "Slice=enforcertest-inner.slice")?.runs_and_is_reported()?;
    Unit::new(scene, "enforcer-test-innermost", "Slice=enforcertest-inner.slice")?.is_denied()?;
    Unit::new(scene, "enforcer-test-elsewhere", "")?.runs_and_is_reported()?;
    Ok("the deepest scope counted at each level".to_owned())
}

fn beginnings(scene: &Scene) -> Result<String> {
    let scopes: [(&str, &[&str], &str); 2] = [
        ("containers", &["/system.slice/docker-*"], "enforce"),
        ("trial", &["/system.slice/docker-trial*", "/system.slice/docker-a.service/x"], "audit"),
    ];
    let _machine = Machine::new("audit", &scopes)?;
    // As long as the names of containers are, which do not fit into a step by themselves.
    Unit::new(scene, &format!("docker-{}", "0123456789abcdef".repeat(4)), "")?.is_denied()?;
    Unit::new(scene, "docker-a", "")?.is_denied()?;
    Unit::new(scene, "docker-trial-1", "")?.runs_and_is_reported()?;
    Unit::new(scene, "docke", "")?.runs_and_is_reported()?;
    Ok("denied in units of that beginning, however long their names are".to_owned())
}

fn auditing(scene: &Scene) -> Result<String> {
    let _machine = Machine::new("enforce", &[("trial", &["/system.slice/enforcer-test-trial.service"], "audit")])?;
    Unit::new(scene, "enforcer-test-trial", "")?.runs_and_is_reported()?;
    Unit::new(scene, "enforcer-test-others", "")?.is_denied()?;
    Ok("reported in the unit, denied outside of it".to_owned())
}

fn guarding(_scene: &Scene) -> Result<String> {
    let name = "enforcer-test-trial.service";
    let attack = |reason: &str, program: &str| -> Result<(String, Value)> {
        let file = Path::new("/run/systemd/system").join(name);
        fs::write(&file, format!("[Service]\nType=oneshot\nExecStart={program}\n"))?;
        succeed("systemctl", &["daemon-reload"])?;
        let mark = Mark::now();
        crate::child::run(std::process::Command::new("systemctl").args(["start", name]))?;
        let result = succeed("systemctl", &["show", "--property=Result", "--value", name])?;
        let event = mark.wait_for(&format!("{reason} in {name}"), |event| {
            event["reason"] == reason && event["cgroup"].as_str().is_some_and(|cgroup| cgroup.ends_with(name))
        })?;
        crate::child::run(std::process::Command::new("systemctl").args(["reset-failed", name]))?;
        fs::remove_file(&file)?;
        Ok((result.trim().to_owned(), event))
    };
    let daemon = service::running_daemon()?;
    let attacks =
        [("tracing", "/usr/bin/dd if=/dev/null of=/proc/1/mem conv=notrunc".to_owned()), ("guarded", format!("/usr/bin/kill -WINCH {daemon}"))];
    let scopes: [Scope<'_>; 1] = [("trial", &["/system.slice/enforcer-test-trial.service"], "audit")];
    let machine = Machine::new("enforce", &scopes)?;
    for (reason, program) in &attacks {
        let (result, event) = attack(reason, program)?;
        ensure!(result == "exit-code" && event["denied"] == true && event["mode"] == "enforce", "{program}: {result}, {event}");
    }
    machine.put_in_force("audit", &scopes)?;
    for (reason, program) in &attacks {
        let (result, event) = attack(reason, program)?;
        ensure!(result == "success" && event["denied"] == false && event["mode"] == "audit", "{program}: {result}, {event}");
    }
    Ok("refused while the machine enforces, reported while it does not".to_owned())
}

fn replaced(scene: &Scene) -> Result<String> {
    let unit = Unit::new(scene, "enforcer-test-web", "")?;
    let mine = ["/system.slice/enforcer-test-web.service"];
    let machine = Machine::new("audit", &[("web", &mine, "enforce")])?;
    unit.is_denied()?;
    machine.put_in_force("audit", &[("others", &["/system.slice/enforcer-test-other*"], "enforce")])?;
    unit.runs_and_is_reported()?;
    machine.put_in_force("audit", &[])?;
    unit.runs_and_is_reported()?;
    ensure!(service::status()?["scopes"].as_array().is_some_and(Vec::is_empty), "{}", service::status()?);
    machine.put_in_force("audit", &[("web", &mine, "enforce")])?;
    unit.is_denied()?;
    Ok("each policy's scopes held, and no others".to_owned())
}

/// The suite's policy with other modes, put back as it was at the end.
struct Machine(Policy);

type Scope<'a> = (&'a str, &'a [&'a str], &'a str);

impl Machine {
    fn new(mode: &str, scopes: &[Scope<'_>]) -> Result<Self> {
        let machine = Self(Policy::open()?);
        machine.put_in_force(mode, scopes)?;
        Ok(machine)
    }

    fn put_in_force(&self, mode: &str, scopes: &[Scope<'_>]) -> Result<()> {
        let tables = scopes.iter().map(|(name, cgroups, mode)| format!("\n[[scope]]\nname = {name:?}\ncgroups = {cgroups:?}\nmode = {mode:?}\n"));
        let original = self.0.original();
        let text = original.replace("mode = \"enforce\"", &format!("mode = {mode:?}"));
        ensure!(original.matches("mode = \"enforce\"").count() == 1, "the suite's policy does not say `mode = \"enforce\"` once");
        self.0.write(&(text + &tables.collect::<String>()))?;
        service::reload_in_force()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Err(error) = self.0.write(self.0.original()).and_then(|()| service::reload_in_force()) {
            eprintln!("guest-tests: the policy stays changed: {error:#}");
        }
    }
}

/// A unit whose only program nobody signed.
struct Unit {
    name: String,
    file: PathBuf,
    program: PathBuf,
}

impl Unit {
    fn new(scene: &Scene, name: &str, more: &str) -> Result<Self> {
        let program = scene.copy("unsigned/program", name)?;
        let file = Path::new("/run/systemd/system").join(format!("{name}.service"));
        let unit = Self { name: format!("{name}.service"), file, program };
        unit.write(&unit.program, more)?;
        Ok(unit)
    }

    fn write(&self, program: &Path, more: &str) -> Result<()> {
        fs::write(&self.file, format!("[Service]\nType=oneshot\nExecStart={}\n{more}\n", program.display()))?;
        succeed("systemctl", &["daemon-reload"]).map(drop)
    }

    /// Starts it, and says what systemd says of it and what was reported.
    fn start(&self) -> Result<(String, Value)> {
        let mark = Mark::now();
        // Its exit status says less than the unit's state does.
        crate::child::run(std::process::Command::new("systemctl").args(["start", &self.name]))?;
        let result = succeed("systemctl", &["show", "--property=Result,ExecMainStatus", "--value", &self.name])?;
        let path = self.program.display().to_string();
        let event = mark.wait_for(&format!("{path} in {}", self.name), |event| event["path"] == path.as_str())?;
        Ok((result.split_whitespace().collect::<Vec<_>>().join(" "), event))
    }

    fn is_denied(&self) -> Result<()> {
        let (result, event) = self.start().context("a start that is denied")?;
        // systemd.exec(5): 203 is EXIT_EXEC.
        ensure!(result.contains("203"), "{}: {result}", self.name);
        ensure!(event["denied"] == true && event["mode"] == "enforce", "{}: {event}", self.name);
        ensure!(event["cgroup"].as_str().is_some_and(|cgroup| cgroup.ends_with(&self.name)), "{}: {event}", self.name);
        succeed("systemctl", &["reset-failed", &self.name]).map(drop)
    }

    fn runs_and_is_reported(&self) -> Result<()> {
        let (result, event) = self.start().context("a start that is reported")?;
        ensure!(result.contains("success"), "{}: {result}", self.name);
        ensure!(event["denied"] == false && event["mode"] == "audit", "{}: {event}", self.name);
        Ok(())
    }

    fn signed_runs(&self, scene: &Scene) -> Result<()> {
        self.write(&scene.fixture("bin/program"), "")?;
        succeed("systemctl", &["start", &self.name]).map(drop)
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let removed = fs::remove_file(&self.file).map_err(anyhow::Error::from);
        if let Err(error) = removed.and_then(|()| succeed("systemctl", &["daemon-reload"])) {
            eprintln!("guest-tests: `{}` stays: {error:#}", self.name);
        }
    }
}
