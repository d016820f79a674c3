//! Programs that compile while they run: Debian's own Node.js and Java.
//!
//! The guest's manifest lists them like everything else, and so they may start. A second manifest lists the same bytes, and asks for `jit`.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use enforcer_common::{Hook, Reason};

use super::Test;
use crate::child::{self, Ended};
use crate::events::Mark;
use crate::service;

pub const TESTS: &[Test] = &[
    Test::new("node_compiles_with_the_entitlement_and_not_without", "node -e, with and without a signature that asks for `jit`", |_| {
        with_and_without("node", &["-e", "let sum = 0; for (let i = 0; i < 100000; i++) sum += i; console.log('sum', sum)"], "sum 4999950000")
    }),
    Test::new("java_compiles_with_the_entitlement_and_not_without", "java -version, with and without a signature that asks for `jit`", |_| {
        with_and_without("java", &["-Xshare:auto", "-Xmx64m", "--version"], "OpenJDK 64-Bit Server VM")
    }),
];

fn with_and_without(program: &str, arguments: &[&str], words: &str) -> Result<String> {
    let run = || child::run_within(Command::new(program).args(arguments), LONG);
    let with = run()?;
    ensure!(with.ran(words), "with the entitlement, {program} {}", with.describe());
    let manifest = TakenAway::new()?;
    let without = run();
    manifest.put_back()?;
    is_denied(&without?, program, words)?;
    let again = run()?;
    ensure!(again.ran(words), "with the entitlement once more, {program} {}", again.describe());
    Ok(format!("{program} ran in {:?} with the entitlement, and could not without", with.took))
}

/// It started, could not make code, and that was recorded.
fn is_denied(ended: &Ended, program: &str, words: &str) -> Result<()> {
    ensure!(!ended.status.success() && !ended.said(words), "without the entitlement, {program} {}", ended.describe());
    let hooks = [Hook::MmapFile, Hook::FileMprotect].map(Hook::name);
    let reasons = [Reason::AnonymousMemory, Reason::MadeExecutable, Reason::WritableAndExecutable].map(Reason::name);
    let says = |event: &serde_json::Value, key: &str, one_of: &[&str]| event[key].as_str().is_some_and(|value| one_of.contains(&value));
    let is_it = |event: &serde_json::Value| event["pid"] == ended.pid && says(event, "hook", &hooks) && says(event, "reason", &reasons);
    let recorded = Mark::BEGINNING.wait_for("a denial of executable memory", is_it);
    recorded.map(drop).with_context(|| format!("{program} {}", ended.describe()))
}

/// The manifest, until it is put back.
struct TakenAway;

impl TakenAway {
    fn new() -> Result<Self> {
        // The signature last: a manifest without one would be complained about.
        move_files([MANIFEST, ELSEWHERE], ["", ".p7s"])?;
        let taken = Self;
        service::reload_without_what_was_left().map(|()| taken)
    }

    fn put_back(self) -> Result<()> {
        drop(self);
        service::reload_in_force()
    }
}

impl Drop for TakenAway {
    fn drop(&mut self) {
        if let Err(error) = move_files([ELSEWHERE, MANIFEST], [".p7s", ""]) {
            eprintln!("guest-tests: the manifest is not where it was: {error:#}");
        }
    }
}

fn move_files([from, to]: [&str; 2], suffixes: [&str; 2]) -> Result<()> {
    suffixes.iter().try_for_each(|suffix| fs::rename(format!("{from}{suffix}"), format!("{to}{suffix}")).with_context(|| format!("{from}{suffix}")))
}

const MANIFEST: &str = "/etc/enforcer/manifests/compilers.manifest";
const ELSEWHERE: &str = "/etc/enforcer/compilers.manifest";
/// Both take long to start on an emulated machine.
const LONG: Duration = Duration::from_secs(180);
