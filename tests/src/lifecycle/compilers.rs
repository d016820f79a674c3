//! Programs that compile while they run: Debian's own Node.js and Java.
//!
//! The guest's manifest lists them like everything else, and so they may start. A second manifest lists the same bytes, and asks for `jit`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use enforcer_common::{Hook, Reason};

use super::Test;
use crate::child::{self, Ended};
use crate::events::Mark;
use crate::scene::Scene;
use crate::service::{self, Journal};

pub const TESTS: &[Test] = &[
    Test::new("node_compiles_with_the_entitlement_and_not_without", "node -e, with and without a signature that asks for `jit`", |scene| {
        with_and_without(scene, "node", &["-e", "let sum = 0; for (let i = 0; i < 100000; i++) sum += i; console.log('sum', sum)"], "sum 4999950000")
    }),
    Test::new("java_compiles_with_the_entitlement_and_not_without", "java -version, with and without a signature that asks for `jit`", |scene| {
        with_and_without(scene, "java", &["-Xshare:auto", "-Xmx64m", "--version"], "OpenJDK 64-Bit Server VM")
    }),
];

fn with_and_without(scene: &Scene, program: &str, arguments: &[&str], words: &str) -> Result<String> {
    let run = || child::run_within(Command::new(program).args(arguments), LONG);
    is_denied(&run()?, program, words)?;
    let manifest = Listed::add(scene)?;
    let with = run()?;
    manifest.take_away()?;
    ensure!(with.ran(words), "with the entitlement, {program} {}", with.describe());
    is_denied(&run()?, program, words)?;
    Ok(format!("{program} ran in {:?} with the entitlement, and not before or after that", with.took))
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

/// The manifest among those in force, until it is taken away.
struct Listed;

impl Listed {
    fn add(scene: &Scene) -> Result<Self> {
        // The signature first: a manifest without one would be complained about.
        for suffix in [".p7s", ""] {
            fs::copy(scene.fixture(&format!("claims/compilers.manifest{suffix}")), format!("{MANIFEST}{suffix}")).context(MANIFEST)?;
        }
        reload().map(|()| Self)
    }

    fn take_away(self) -> Result<()> {
        drop(self);
        reload()
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        for suffix in ["", ".p7s"] {
            let path = format!("{MANIFEST}{suffix}");
            if Path::new(&path).exists()
                && let Err(error) = fs::remove_file(&path)
            {
                eprintln!("guest-tests: `{path}` stays: {error}");
            }
        }
    }
}

fn reload() -> Result<()> {
    let journal = Journal::now()?;
    service::reload()?;
    journal.wait_for(&["the new policy is in force"]).map(drop)
}

const MANIFEST: &str = "/etc/enforcer/manifests/compilers.manifest";
/// Both take long to start on an emulated machine.
const LONG: Duration = Duration::from_secs(180);
