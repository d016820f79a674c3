//! How long the service takes from its start until it says that it is ready, by systemd's own clock.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::machine;
use super::staged::{self, Staged};
use crate::service::{self, Journal};

/// One start.
#[derive(Serialize)]
struct Start {
    /// What was there before it.
    kind: Kind,
    /// Entries of the manifest.
    entries: u64,
    /// Verdicts in the kernel's map.
    verdicts: u64,
    /// From the start of the service's process to READY, in the guest's nanoseconds.
    nanoseconds: u64,
    /// What the daemon says that the time went to, in milliseconds.
    phases: String,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// Nothing was enforced, as at a boot: the programs are loaded and attached.
    First,
    /// A daemon had been there before: its programs and verdicts are in force.
    Restart,
}

/// One JSON line for each start.
pub fn run(staged: &Staged) -> Result<ExitCode> {
    for &entries in &staged.sizes {
        staged.install(entries)?;
        for kind in [Kind::First, Kind::Restart] {
            machine::wait_until_idle()?;
            let journal = Journal::now()?;
            match kind {
                Kind::First => staged::start_afresh()?,
                Kind::Restart => drop(service::succeed("systemctl", &["restart", service::UNIT])?),
            }
            let said = service::message(&journal.wait_for(&["ready after"])?);
            let phases = said.split_once(": ").context("the daemon did not say what its time went to")?.1.to_owned();
            let nanoseconds = (moment("ActiveEnterTimestampMonotonic")? - moment("InactiveExitTimestampMonotonic")?) * 1000;
            println!("{}", serde_json::to_string(&Start { kind, entries, verdicts: staged::verdicts(entries)?, nanoseconds, phases })?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A moment of the unit's life, in microseconds (`org.freedesktop.systemd1(5)`).
fn moment(property: &str) -> Result<u64> {
    let text = service::succeed("systemctl", &["show", "--value", &format!("--property={property}"), service::UNIT])?;
    text.trim().parse().with_context(|| format!("{property} is {text:?}"))
}
