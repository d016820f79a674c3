//! What explanations rest on: the policy with its lines, what examines files by it, and the mode in force.

use std::fs::File;
use std::path::Path;

use rustls_pki_types::UnixTime;

use super::super::{Failure, facts, give_up_rights};
use super::verdict::Verdict;
use crate::daemon;
use crate::judge::{Judge, Judgement, Use};
use crate::policy::{Lines, Mode, Policy, Scope};
use crate::signature::{Compared, Examiner, Facts};
use crate::trust::{SecurityVersions, TrustStore};

pub(super) struct Ground {
    pub(super) policy: Policy,
    lines: Lines,
    pub(super) examiner: Examiner,
    now: UnixTime,
    security_versions: SecurityVersions,
    /// Where what is explained happens, by its control group.
    scope: Option<Scope>,
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
        Ok(Self { lines: Lines::of(&policy), policy, examiner, now, security_versions, scope: None, in_force })
    }

    /// What is explained happens in this control group.
    #[must_use]
    pub(super) fn within(mut self, cgroup: Option<&str>) -> Self {
        self.scope = cgroup.and_then(|cgroup| self.policy.scope_of(Path::new(cgroup))).cloned();
        self
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        Facts { now: self.now, security_versions: &self.security_versions }
    }

    pub(super) const fn judge(&self) -> Judge<'_> {
        Judge::new(&self.policy).in_mode(self.mode())
    }

    pub(super) fn examine(&self, file: &File, place: &Path) -> Compared {
        self.examiner.examine(file, Some(place), &self.facts())
    }

    /// A judgement with everything that belongs to it; `paths` are the files that it is about.
    pub(super) fn verdict(&self, judgement: &Judgement, paths: &[&str], wanted: Option<Use>, digest: Option<&[u8; 32]>) -> Verdict {
        Verdict::new(judgement, self, &self.lines, paths, wanted, digest)
    }

    /// The mode by which it is decided.
    pub(super) const fn mode(&self) -> Mode {
        match &self.scope {
            Some(scope) => scope.mode,
            None => self.policy.mode,
        }
    }

    /// The same in words.
    pub(super) fn mode_in_words(&self) -> String {
        if let Some(scope) = &self.scope {
            return format!("{}, by the scope `{}`", scope.mode.name(), scope.name);
        }
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
