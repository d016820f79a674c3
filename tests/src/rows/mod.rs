//! The table: each attack, with what must stop it, beside its honest twin.

mod changed;
mod exec;
mod filesystem;
mod helpers;
mod honest;
mod kernel;
mod library;
mod loader;
mod memory;
mod mounts;
mod names;
mod plugins;
mod run;
mod tracing;

use std::process::Command;

use anyhow::Result;
use enforcer_common::{Hook, Reason};

use crate::mode::Mode;
use crate::scene::Scene;

pub use run::{run, run_all, with_twins};

/// One thing that somebody tries.
pub struct Row {
    /// Its name; the mode before it and the outcome behind it make it a sentence.
    pub name: &'static str,
    /// What is tried, in words.
    pub title: &'static str,
    /// What to start.
    pub command: fn(&Scene) -> Result<Command>,
    /// What the code in question writes when it runs, and nobody else does.
    pub proof: &'static str,
    /// What has to come of it.
    pub kind: Kind,
}

/// What has to come of it.
pub enum Kind {
    /// Stopped and recorded in enforce mode; let through and recorded in audit mode; working where nothing is enforced.
    Attack {
        /// The record.
        trace: Trace,
        /// What the refused process says about it.
        stopped: &'static str,
        /// The honest row that shows that the same thing works with what is trusted.
        twin: &'static str,
    },
    /// Ends with this error in every mode: the kernel itself has no such thing. The row is there because another kernel might.
    Absent {
        /// What the process says about it.
        error: &'static str,
    },
    /// Runs in every mode, and nothing is recorded.
    Honest,
}

/// What the event says.
pub struct Trace {
    /// The hook that asked.
    pub hook: Hook,
    /// Why.
    pub reason: Reason,
    /// The file.
    pub path: Shown,
    /// Whose act it was.
    pub by: Actor,
}

impl Trace {
    pub const fn new(hook: Hook, reason: Reason, path: Shown) -> Self {
        Self { hook, reason, path, by: Actor::Itself }
    }

    /// Of a process that the attack brings about, such as one that the kernel starts.
    pub const fn of_another(hook: Hook, reason: Reason, path: Shown) -> Self {
        Self { hook, reason, path, by: Actor::Another }
    }
}

/// The process that an event names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The one that the row starts.
    Itself,
    /// One that comes of it.
    Another,
}

/// The file that an event names.
pub enum Shown {
    /// None: the memory has no file behind it.
    Nothing,
    /// This is part of its path.
    Path(&'static str),
}

impl Row {
    const fn attack(
        name: &'static str,
        title: &'static str,
        command: fn(&Scene) -> Result<Command>,
        proof: &'static str,
        (trace, stopped, twin): (Trace, &'static str, &'static str),
    ) -> Self {
        Self { name, title, command, proof, kind: Kind::Attack { trace, stopped, twin } }
    }

    /// The same attack, with other words of the code in question.
    const fn with_proof(mut self, proof: &'static str) -> Self {
        self.proof = proof;
        self
    }

    /// Something that no kernel of ours has.
    const fn absent(
        name: &'static str,
        title: &'static str,
        command: fn(&Scene) -> Result<Command>,
        proof: &'static str,
        error: &'static str,
    ) -> Self {
        Self { name, title, command, proof, kind: Kind::Absent { error } }
    }

    const fn honest(name: &'static str, title: &'static str, command: fn(&Scene) -> Result<Command>, proof: &'static str) -> Self {
        Self { name, title, command, proof, kind: Kind::Honest }
    }

    /// The test's name in a mode.
    pub fn test_name(&self, mode: Mode) -> String {
        let outcome = match (&self.kind, mode) {
            (Kind::Honest, _) => "runs",
            (Kind::Absent { .. }, _) => "is_unknown_to_the_kernel",
            (Kind::Attack { .. }, Mode::Off) => "works",
            (Kind::Attack { .. }, Mode::Audit) => "is_reported",
            (Kind::Attack { .. }, Mode::Enforce) => "is_denied",
        };
        format!("{}::{}_{outcome}", mode.name(), self.name)
    }

    /// An attack's honest twin.
    pub fn twin(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Attack { twin, .. } => Some(twin),
            Kind::Absent { .. } | Kind::Honest => None,
        }
    }
}

/// All rows.
pub fn table() -> impl Iterator<Item = &'static Row> {
    let attacks =
        [exec::ROWS, loader::ROWS, library::ROWS, plugins::ROWS, memory::ROWS, changed::ROWS, filesystem::ROWS, mounts::ROWS, helpers::ROWS];
    attacks.into_iter().chain([names::ROWS, tracing::ROWS, kernel::ROWS, honest::ROWS]).flatten()
}

/// A shell's script.
fn bash(script: &str) -> Result<Command> {
    let mut command = Command::new("bash");
    command.args(["-c", script]);
    Ok(command)
}

/// A shell's script whose mounts are seen by nobody else, and end with it.
fn privately(script: &str) -> Result<Command> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "bash", "-c", script]);
    Ok(command)
}

/// The dynamic loader.
pub const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

// What refused processes say.
/// The kernel's error.
pub const EPERM: &str = "Operation not permitted";
/// The dynamic loader's, which does not tell the kernel's error when it cannot map a file.
pub const NOT_MAPPED: &str = "failed to map segment from shared object";
/// The same, for a library that it goes on without.
const NOT_PRELOADED: &str = "cannot be preloaded";

// What code says when it runs (tests/src/fixtures).
pub const UNSIGNED_RAN: &str = "unsigned code ran";
pub const SIGNED_RAN: &str = "signed code 1 ran";
const MODIFIED_RAN: &str = "signed code 2 ran";
const UNSIGNED_ANSWERED: &str = "the library answered 13";
const SIGNED_ANSWERED: &str = "the library answered 42";
const FOREIGN_RAN: &str = "foreign code ran";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_rows_have_the_same_name() {
        let mut names = HashSet::new();
        for row in table() {
            assert!(names.insert(row.name), "{}", row.name);
        }
    }

    #[test]
    fn every_attack_has_an_honest_twin() {
        for row in table() {
            if let Some(twin) = row.twin() {
                let found = table().find(|other| other.name == twin);
                assert!(found.is_some_and(|twin| matches!(twin.kind, Kind::Honest)), "{}: `{twin}`", row.name);
            }
        }
    }
}
