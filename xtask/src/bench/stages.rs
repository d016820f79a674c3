//! What is measured beside the peers, in guest instructions: `hooks`, `cold` and `first-use`.
//!
//! One machine with one emulated CPU counts an instruction as a nanosecond, so what is measured does not depend on the host. All stages of a peer are
//! measured in one boot, and their baseline in the boot in which nobody enforces.

use std::collections::BTreeMap;

use anyhow::{Error, Result, bail, ensure};

use super::peers::{Boot, Peer};
use super::report::{self, Absent, Cost, Machine, Report, Row};
use crate::guest_tests::GuestTests;
use crate::setup::kernels::Kernel;

/// One group of measurements of `guest-tests bench`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Hooks,
    /// Which of our programs has which part in the first.
    Profile,
    Cold,
    FirstUse,
}

impl Stage {
    /// As it is called on the command line and in the reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hooks => "hooks",
            Self::Profile => "profile",
            Self::Cold => "cold",
            Self::FirstUse => "first-use",
        }
    }

    /// What `guest-tests bench` takes, to print it in a line.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::Hooks => "hooks --json",
            Self::Profile => "profile",
            Self::Cold => "cold --json",
            Self::FirstUse => "first-use --json",
        }
    }

    /// Whether this peer does anything that can be compared. Others ask nobody when they meet a file for the first time.
    fn concerns(self, peer: Peer) -> bool {
        match self {
            Self::Hooks | Self::Cold => true,
            Self::FirstUse => matches!(peer, Peer::None | Peer::Enforcer),
            Self::Profile => peer == Peer::Enforcer,
        }
    }
}

/// Measures the stages on each kernel beside each peer. What went wrong with one of them is told at the end, and does not take away the others' figures.
pub(super) fn run(stages: &[Stage], kernels: &[Kernel], peers: &[Peer]) -> Result<(Report, Vec<Error>)> {
    let tests = GuestTests::prepare_for_bench()?;
    let (mut report, mut failed) = (Report::default(), Vec::new());
    for kernel in kernels {
        let of = |peer: Peer| stages.iter().copied().filter(|stage| stage.concerns(peer)).collect::<Vec<_>>();
        let Boot::Measured(printed) = Peer::None.boot(&tests, kernel, &of(Peer::None))? else { bail!("nobody needs nothing to be in force") };
        let baseline: BTreeMap<Stage, Vec<Cost>> =
            of(Peer::None).into_iter().zip(printed).map(|(stage, line)| Ok((stage, report::read(&line)?))).collect::<Result<_>>()?;
        for peer in peers.iter().copied().filter(|peer| *peer != Peer::None && !of(*peer).is_empty()) {
            match peer.boot(&tests, kernel, &of(peer)) {
                Err(error) => failed.push(error.context(format!("{} on {}", peer.name(), kernel.name))),
                Ok(Boot::Absent(reason)) => report.absent.push(Absent { kernel: kernel.name.clone(), peer: peer.name().to_owned(), reason }),
                Ok(Boot::Measured(printed)) => {
                    for (stage, line) in of(peer).into_iter().zip(printed) {
                        if stage == Stage::Profile {
                            report.profile.insert(kernel.name.clone(), report::read(&line)?);
                        } else {
                            let rows = rows(kernel, peer, &baseline[&stage], &report::read(&line)?)?;
                            report.groups.entry(stage.name().to_owned()).or_default().extend(rows);
                        }
                    }
                }
            }
        }
        report.machines.insert(kernel.name.clone(), Machine::of(kernel)?);
    }
    Ok((report, failed))
}

fn rows(kernel: &Kernel, peer: Peer, baseline: &[Cost], enforced: &[Cost]) -> Result<Vec<Row>> {
    ensure!(baseline.len() == enforced.len(), "{} was not measured at the same work as nobody", peer.name());
    let both = baseline.iter().zip(enforced);
    both.map(|(baseline, enforced)| {
        ensure!(baseline.work == enforced.work, "`{}` was measured where `{}` was expected", enforced.work, baseline.work);
        ensure!(enforced.unit == "nanoseconds", "`{}` is measured in {}", enforced.work, enforced.unit);
        // In these machines they are the same.
        Row::new(&enforced.work, &kernel.name, peer.name(), (baseline.value as f64, enforced.value as f64), "instructions")
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_we_are_asked_about_what_nobody_has_seen() {
        assert!(Stage::FirstUse.concerns(Peer::Enforcer) && Stage::FirstUse.concerns(Peer::None));
        assert!(!Stage::FirstUse.concerns(Peer::Ima));
        assert!(Stage::Cold.concerns(Peer::Ima));
    }
}
