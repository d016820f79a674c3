//! What explanations rest on: the policy with its lines, what examines files by it, and the mode in force.

use std::fs::File;
use std::path::Path;

use enforcer_common::Mode;
use rustls_pki_types::UnixTime;

use super::super::{Failure, facts, give_up_rights};
use super::verdict::Verdict;
use crate::daemon;
use crate::judge::{Judge, Judgement, Use};
use crate::policy::{Lines, Policy};
use crate::signature::{Compared, Examiner, Facts};
use crate::trust::{SecurityVersions, TrustStore};

pub(super) struct Ground {
    pub(super) policy: Policy,
    lines: Lines,
    pub(super) examiner: Examiner,
    now: UnixTime,
    security_versions: SecurityVersions,
    /// As the kernel has it; none, where nothing is in force, or whoever asks may not know.
    in_force: Option<Mode>,
}

impl Ground {
    pub(super) fn load(policy: &Path) -> Result<Self, Failure> {
        let in_force = if rustix::process::geteuid().is_root() { daemon::mode_in_force().ok().flatten() } else { None };
        // Only the kernel is asked with the rights of the enforcer's program, and no stranger's file is looked into.
        give_up_rights()?;
        let policy = Policy::load(policy)?;
        let (now, security_versions) = facts();
        let trust = TrustStore::load(&policy, now)?;
        let examiner = Examiner::new(&policy, trust, &Facts { now, security_versions: &security_versions });
        Ok(Self { lines: Lines::of(&policy), policy, examiner, now, security_versions, in_force })
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        Facts { now: self.now, security_versions: &self.security_versions }
    }

    pub(super) const fn judge(&self) -> Judge<'_> {
        Judge::new(&self.policy)
    }

    pub(super) fn examine(&self, file: &File, place: &Path) -> Compared {
        self.examiner.examine(file, Some(place), &self.facts())
    }

    /// A judgement with everything that belongs to it; `paths` are the files that it is about.
    pub(super) fn verdict(&self, judgement: &Judgement, paths: &[&str], wanted: Option<Use>, digest: Option<&[u8; 32]>) -> Verdict {
        Verdict::new(judgement, self, &self.lines, paths, wanted, digest)
    }

    /// The mode by which it is decided, in words.
    pub(super) fn mode(&self) -> String {
        let written = self.policy.mode.name();
        match self.in_force {
            Some(in_force) if in_force != self.policy.mode => {
                format!("{written} in the policy; {} is in force, as it was not reloaded", in_force.name())
            }
            Some(_) => format!("{written}, and in force"),
            None => written.to_owned(),
        }
    }
}
