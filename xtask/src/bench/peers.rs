//! Who enforces while something is measured: nobody, ourselves, and others that do a part of the same work. Each has a boot of its own of the same image, and
//! each has to deny something before and after it is measured.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use serde::Deserialize;

use super::report::Row;
use super::stages::Stage;
use crate::guest_tests::GuestTests;
use crate::setup::kernels::Kernel;
use crate::vm::{self, Accel, Mode, Output, Spec};
use crate::{ui, workspace};

/// Who enforces in a boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Peer {
    /// Nobody: the baseline.
    None,
    /// Ourselves.
    Enforcer,
    /// fapolicyd, which trusts a file's path and size.
    Fapolicyd,
    /// fapolicyd, which looks at a file's content too.
    FapolicydSha256,
    /// IMA's appraisal of signatures in extended attributes.
    Ima,
}

/// How a boot went.
pub(crate) enum Boot {
    /// What each stage printed, in the order in which they were asked for.
    Measured(Vec<String>),
    /// The peer could not be put in force; this is why.
    Absent(String),
}

/// What was tried to prove that somebody enforces, as `guest-tests bench proof` prints it.
#[derive(Deserialize)]
struct Proof {
    program_is_denied: bool,
    library_is_denied: bool,
}

impl Peer {
    /// As it is called on the command line and in the reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Enforcer => "enforcer",
            Self::Fapolicyd => "fapolicyd",
            Self::FapolicydSha256 => "fapolicyd-sha256",
            Self::Ima => "ima",
        }
    }

    /// The program that puts it in force, with its arguments.
    fn setup(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::None | Self::Enforcer => None,
            Self::Fapolicyd => Some(("fapolicyd.sh", "none")),
            Self::FapolicydSha256 => Some(("fapolicyd.sh", "sha256")),
            Self::Ima => Some(("ima.sh", "")),
        }
    }

    /// Measures the stages in one boot with this peer in force.
    pub(crate) fn boot(self, tests: &GuestTests, kernel: &Kernel, stages: &[Stage]) -> Result<Boot> {
        ui::remark(&format!("kernel {}, {}: one emulated CPU that counts instructions takes its time", kernel.name, self.name()));
        let outcome = vm::run(&self.machine(tests, kernel, stages))?;
        if outcome.status == ABSENT {
            let said = String::from_utf8_lossy(&outcome.stderr);
            return Ok(Boot::Absent(said.trim().lines().last().unwrap_or("it did not say why").to_owned()));
        }
        if outcome.status != 0 {
            bail!("measuring {} on {} ended with status {}:\n{}", self.name(), kernel.name, outcome.status, outcome.said());
        }
        self.read(&String::from_utf8_lossy(&outcome.stdout), stages.len())
    }

    fn machine(self, tests: &GuestTests, kernel: &Kernel, stages: &[Stage]) -> Spec {
        let mut lines = vec!["set -e".to_owned(), format!("find {SEALED} -type f -exec fsverity enable {{}} \\;")];
        lines.extend(self.setup().map(|(program, argument)| format!("bash {SCRIPTS}/{program} {argument} >&2 || exit {ABSENT}")));
        lines.push("guest-tests bench proof".to_owned());
        lines.extend(stages.iter().map(|stage| format!("guest-tests bench {}", stage.command())));
        lines.push("guest-tests bench proof".to_owned());
        let mut spec = tests.machine(&lines.join("\n"));
        kernel.name.clone_into(&mut spec.kernel);
        spec.mode = Some(if self == Self::Enforcer { Mode::Enforce } else { Mode::Off });
        spec.add.push((scripts(), SCRIPTS.to_owned()));
        spec.icount = true;
        // Whether there is a huge page left depends on what ran before, and clearing one takes longer than many a program runs.
        "transparent_hugepage=never".clone_into(&mut spec.append);
        spec.accel = Accel::Tcg;
        spec.timeout = PATIENCE;
        spec.output = Output::Captured;
        spec
    }

    /// The proof, a report for each stage, and the proof again.
    fn read(self, printed: &str, stages: usize) -> Result<Boot> {
        let lines: Vec<&str> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
        ensure!(lines.len() == stages + 2, "the guest printed {} lines, not {}: {printed}", lines.len(), stages + 2);
        for line in [lines[0], lines[stages + 1]] {
            let proof: Proof = serde_json::from_str(line).with_context(|| format!("the guest printed `{line}`, which proves nothing"))?;
            let denies = self != Self::None;
            let as_expected = proof.program_is_denied == denies && proof.library_is_denied == denies;
            ensure!(as_expected, "with {} in force, unsigned code should {}be denied, but: {line}", self.name(), if denies { "" } else { "not " });
        }
        Ok(Boot::Measured(lines[1..=stages].iter().map(|line| (*line).to_owned()).collect()))
    }
}

/// The names of the peers in `rows`: ours first, then the others as they are declared, then whoever else there is.
pub(crate) fn in_order(rows: &[Row]) -> Vec<&str> {
    let declared = Peer::value_variants().iter().map(|peer| peer.name());
    let mut names: Vec<&str> = declared.filter(|name| rows.iter().any(|row| row.peer == *name)).collect();
    for row in rows {
        if !names.contains(&row.peer.as_str()) {
            names.push(&row.peer);
        }
    }
    names
}

fn scripts() -> PathBuf {
    workspace::root().join("xtask/guest/peers")
}

/// The status of a boot in which a peer could not be put in force.
const ABSENT: i32 = 75;
/// Where the programs of `xtask/guest/peers` are in the guest.
const SCRIPTS: &str = "/usr/local/lib/enforcer-bench";
/// What is sealed with fs-verity before anybody is in force.
const SEALED: &str = "/opt/enforcer-tests/bench/sealed";
/// IMA takes long to hash what is cold.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    const DENIED: &str = r#"{"program_is_denied":true,"library_is_denied":true}"#;
    const ALLOWED: &str = r#"{"program_is_denied":false,"library_is_denied":false}"#;
    const COSTS: &str = r#"[{"work":"exec","value":1,"unit":"nanoseconds"}]"#;

    #[test]
    fn who_does_not_deny_before_and_after_is_not_measured() {
        let read = |peer: Peer, lines: &[&str]| peer.read(&lines.join("\n"), 1);
        assert!(read(Peer::Ima, &[DENIED, COSTS, DENIED]).is_ok());
        assert!(read(Peer::Ima, &[DENIED, COSTS, ALLOWED]).is_err());
        assert!(read(Peer::Ima, &[ALLOWED, COSTS, DENIED]).is_err());
        assert!(read(Peer::Ima, &[DENIED, COSTS]).is_err());
        assert!(read(Peer::None, &[ALLOWED, COSTS, ALLOWED]).is_ok());
        assert!(read(Peer::None, &[DENIED, COSTS, DENIED]).is_err());
    }
}
