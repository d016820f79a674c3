//! What a program may do by its entitlements while it runs, and what it is decided by changes.

use std::fs;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::Test;
use crate::child;
use crate::rows::LOADER;
use crate::scene::Scene;
use crate::service::{self, Journal, Policy};

pub const TESTS: &[Test] = &[
    Test::new(
        "entitlement_is_kept_for_as_long_as_it_is_granted",
        "a program that makes executable memory all the time, through a reload, a restart, and a policy that does not grant it",
        kept,
    ),
    Test::new(
        "entitlement_does_not_pass_to_what_is_written_over_the_program",
        "an entitled program is started and overwritten in place by a plain one, which the dynamic loader maps before it is started",
        overwritten,
    ),
];

fn kept(scene: &Scene) -> Result<String> {
    let mut compiler = Compiler::start(scene)?;
    service::reload_in_force()?;
    compiler.goes_on("a reload")?;
    restart()?;
    compiler.goes_on("a restart of the daemon")?;
    // What is left of a former policy has an end, and what was renewed has none.
    thread::sleep(LONGER_THAN_ANYTHING_IS_LEFT);
    compiler.goes_on("what was left to it ended")?;
    let policy = Policy::open()?;
    let text = policy.original().replace(", \"jit\"", "");
    ensure!(text != policy.original(), "the policy grants no `jit`");
    policy.write(&text)?;
    service::reload_in_force()?;
    let error = compiler.is_refused()?;
    drop(policy);
    service::reload_in_force()?;
    Ok(format!("it went on until the policy did not grant it any longer: {error}"))
}

fn overwritten(scene: &Scene) -> Result<String> {
    let place = scene.copy("claims/entitled", "overwritten")?;
    let attack = || child::run(Command::new(&place).args(["attack", "anonymous-rwx"]));
    let before = attack()?;
    ensure!(before.status.success(), "the entitled program {}", before.describe());
    fs::write(&place, fs::read(scene.tool())?)?;
    // Until what is allowed of the new content is kept with the inode.
    for _ in 0..MAPPINGS {
        let mapped = child::run(Command::new(LOADER).arg(&place).arg("--help"))?;
        ensure!(mapped.status.success(), "the plain program, started through the loader, {}", mapped.describe());
        thread::sleep(A_WHILE);
    }
    let after = attack()?;
    ensure!(!after.status.success() && after.stderr.contains("not permitted"), "the plain program {}", after.describe());
    Ok(after.stderr.trim().to_owned())
}

fn restart() -> Result<()> {
    let journal = Journal::now()?;
    service::succeed("systemctl", &["restart", service::UNIT])?;
    journal.wait_for(&["in force"]).map(drop)
}

/// A program with the entitlement `jit`, which makes executable memory a hundred times a second and ends when it may not.
struct Compiler(Child);

impl Compiler {
    fn start(scene: &Scene) -> Result<Self> {
        let mut command = Command::new(scene.fixture("claims/entitled"));
        command.args(["attack", "anonymous-rwx-again-and-again"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut compiler = Self(command.spawn()?);
        compiler.goes_on("its start")?;
        Ok(compiler)
    }

    /// For long enough to be refused, were it to be.
    fn goes_on(&mut self, after: &str) -> Result<()> {
        thread::sleep(A_WHILE);
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("after {after} it ended: {status}: {}", self.error()?),
        }
    }

    fn is_refused(&mut self) -> Result<String> {
        service::wait_until("the program is refused executable memory", || Ok(self.0.try_wait()?.is_some()))?;
        self.error()
    }

    fn error(&mut self) -> Result<String> {
        let mut error = String::new();
        self.0.stderr.take().context("what it says was taken before")?.read_to_string(&mut error)?;
        ensure!(error.contains("Operation not permitted"), "it ended of something else: {error}");
        Ok(error.trim().to_owned())
    }
}

impl Drop for Compiler {
    fn drop(&mut self) {
        // Both fail only when it has ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

const A_WHILE: Duration = Duration::from_millis(500);
const MAPPINGS: usize = 5;
const LONGER_THAN_ANYTHING_IS_LEFT: Duration = Duration::from_secs(32);
