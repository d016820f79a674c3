//! A new ground for decisions: the policy, or what it names, put in force as a whole or not at all.

use std::sync::{Arc, PoisonError};

use enforcer_common::Mode;

use super::charter::Chartered;
use super::notice::{Notice, PolicyInForce, Refused};
use super::protected::require_protected;
use super::run::{Daemon, DaemonError, notify, system, watching};
use super::watch::Watch;
use super::{Ground, entitled, facts, own_code, scan, scopes, suspension};
use crate::audit::Timestamp;
use crate::charter::InForce;
use crate::kernel;
use crate::policy::Policy;
use crate::signature::{Examiner, Facts, Verified};
use crate::text::hex;
use crate::trust::TrustStore;

/// What a reload reads anew.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// The policy, and everything that it names.
    Policy,
    /// What the policy in force names.
    Trust,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy is",
            Self::Trust => "ground of trust is",
        }
    }
}

impl Daemon {
    /// All or nothing: a policy that is broken in any way leaves the old one in force, and so does what it names.
    pub(super) fn reload(&self, watch: &mut Watch, what: What) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        notify(&[sd_notify::NotifyState::Reloading, sd_notify::NotifyState::MonotonicUsec(microseconds)]);
        let began = Timestamp::now();
        // Seen before the policy is read: who asks later has it read again.
        let is_fuse_mended = matches!(what, What::Policy) && suspension::is_fuse_asked_for();
        let ground = self.shared.ground();
        let policy = match what {
            What::Policy => Policy::load(&self.options.policy),
            // A policy that is being written must not hold up a revocation.
            What::Trust => Ok(ground.policy.clone()),
        };
        let sha256 = policy.as_ref().ok().filter(|_| matches!(what, What::Policy)).map(|policy| hex(&policy.sha256));
        let outcome = policy.map_err(DaemonError::from).and_then(|policy| self.try_reload(watch, what, &ground, policy, is_fuse_mended));
        if is_fuse_mended {
            suspension::forget_asking().unwrap_or_else(|error| tracing::error!("the next reload will put the fuse in again: {error}"));
        }
        entitled::start(&self.shared);
        self.shared.meters.reload(outcome.is_ok());
        // Before whoever waits for the answer reads it: a reload that has ended has ended for the service manager too.
        notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(&self.status_line())]);
        match outcome {
            Ok(()) => {
                let verdicts = self.shared.maps.verdict_count().map_or_else(|error| error.to_string(), |count| count.to_string());
                tracing::info!(verdicts, "the new {} in force", what.name());
                // Whoever waits for a policy waits for one that was read after it had been written.
                let read = matches!(what, What::Policy).then(|| self.policy_read_at(began));
                self.tell(read.or_else(|| self.told().policy), None);
            }
            Err(error) => {
                tracing::error!("the new {} refused, and the old one stays in force: {error}", what.name().replace(" is", " was"));
                self.tell(self.told().policy, Some(Refused { at: Timestamp::now(), why: error.to_string(), policy: sha256 }));
            }
        }
        kernel::give_back_freed_memory();
    }

    /// The fuse has blown, and the programs deny nothing any more: says so.
    pub(super) fn tell_fuse(&self) {
        let told = self.told();
        self.tell(told.policy, told.refused);
        notify(&[sd_notify::NotifyState::Status(&self.status_line())]);
    }

    fn try_reload(&self, watch: &mut Watch, what: What, ground: &Ground, policy: Policy, is_fuse_mended: bool) -> Result<(), DaemonError> {
        let broken_glass = match what {
            What::Policy => suspension::broken_glass(&policy),
            What::Trust => ground.broken_glass.clone(),
        };
        let blown = self.shared.in_force.blown().filter(|_| !is_fuse_mended);
        let mode = suspension::strictest_mode(&policy, broken_glass.as_ref(), blown.as_ref());
        watch.watch(&policy).map_err(watching)?;
        let mut trust = match what {
            What::Policy => TrustStore::load(&policy, self.shared.clock.now())?,
            What::Trust => ground.examiner.trust().renewed(&policy.revocation)?,
        };
        require_protected(&policy)?;
        scopes::require_hierarchy(&policy)?;
        if mode == Mode::Enforce {
            self.shared.workers.require_confined().map_err(|unfit| DaemonError::Workers(Arc::new(unfit)))?;
        }
        let (old, new) = (self.shared.maps.max_verdicts(), policy.limits.max_verdicts);
        if old != new {
            return Err(DaemonError::NeedsRestart { old, new });
        }
        let versions = self.shared.publisher.versions();
        let facts = facts(&self.shared.clock, &versions);
        let kept = ground.examiner.revoked().clone();
        let chartered = match what {
            What::Policy => Chartered::admit(&policy, &mut trust, &[InForce { charter: ground.chartered.charter.clone(), kept }], &facts)?,
            What::Trust => ground.chartered.renew(&mut trust, &kept, &facts)?,
        };
        // At once: the rest takes as long as it has to decide about.
        self.shared.publisher.withdraw_revoked(trust.revoked())?;
        let examiner = Arc::new(examiner(&policy, trust, &facts));
        let generation = ground.generation.wrapping_add(1);
        match what {
            What::Policy => {
                let own_code = trusted_own_code(mode, &examiner, &facts)?;
                self.shared.replace_ground(Arc::new(Ground { policy, broken_glass, chartered, examiner, own_code, generation }))?;
            }
            What::Trust => self.replace_trust(ground, mode, chartered, examiner, generation, &facts)?,
        }
        if is_fuse_mended {
            self.shared.in_force.mend_fuse()?;
        }
        self.shared.settle_charter();
        scan::start(&self.shared).map_err(|source| system("start a thread", source))
    }

    /// Denies what was revoked at once. Measuring the daemon's own code takes longer, so that comes afterwards; if it is not trusted any more, the old
    /// ground is put back.
    fn replace_trust(
        &self,
        old: &Ground,
        mode: Mode,
        chartered: Chartered,
        examiner: Arc<Examiner>,
        generation: u32,
        facts: &Facts<'_>,
    ) -> Result<(), DaemonError> {
        let ground = |chartered: &Chartered, examiner: &Arc<Examiner>, own_code: Vec<Verified>, generation| Ground {
            policy: old.policy.clone(),
            broken_glass: old.broken_glass.clone(),
            chartered: chartered.clone(),
            examiner: Arc::clone(examiner),
            own_code,
            generation,
        };
        self.shared.replace_ground(Arc::new(ground(&chartered, &examiner, old.own_code.clone(), generation)))?;
        match trusted_own_code(mode, &examiner, facts) {
            Ok(own_code) => Ok(self.shared.set_own_code(ground(&chartered, &examiner, own_code, generation))?),
            Err(error) => {
                self.shared.replace_ground(Arc::new(ground(&old.chartered, &old.examiner, old.own_code.clone(), generation.wrapping_add(1))))?;
                Err(error)
            }
        }
    }

    /// The policy in force, which was read at this moment or later.
    pub(super) fn policy_read_at(&self, at: Timestamp) -> PolicyInForce {
        PolicyInForce { sha256: hex(&self.shared.ground().policy.sha256), at }
    }

    /// Leaves what `enforcer status` cannot see in the kernel.
    pub(super) fn tell(&self, policy: Option<PolicyInForce>, refused: Option<Refused>) {
        let ground = self.shared.ground();
        let revoked = ground.examiner.revoked();
        let notice = Notice {
            policy,
            clock_offset: self.shared.clock.offset(),
            revocations: revoked.id(),
            revocations_read: revoked.sha256().map(|sha256| hex(&sha256)),
            refused,
            counters: self.shared.tally.by_name(),
            landlock: Some(self.shared.workers.has_landlock()),
            suspension: self.shared.in_force.suspension(),
            before: self.shared.before(),
            watched: Some(self.shared.meters.watched(&ground)),
        };
        if let Err(error) = notice.leave() {
            tracing::warn!("`enforcer status` will show less: {error}");
        }
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = notice;
    }

    /// What `enforcer status` was told last, copied: nobody holds the lock while looking at it.
    pub(super) fn told(&self) -> Notice {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What decides about files. Manifests that are not accepted are reported and vouch for nothing.
pub(super) fn examiner(policy: &Policy, trust: TrustStore, facts: &Facts<'_>) -> Examiner {
    for overdue in trust.overdue_crls(facts.now) {
        tracing::warn!("the next revocation list of `{}` is overdue: `{}`", overdue.issuer, overdue.path.display());
    }
    let examiner = Examiner::new(policy, trust, facts);
    for error in examiner.manifest_errors() {
        tracing::error!("a manifest is not in force: {error}");
    }
    examiner
}

/// The daemon's own code, which enforce mode has to let in.
pub(super) fn trusted_own_code(mode: Mode, examiner: &Examiner, facts: &Facts<'_>) -> Result<Vec<Verified>, DaemonError> {
    let mut own_code = Vec::new();
    for file in own_code::examine(examiner, facts).map_err(|source| system("find the daemon's own code", source))? {
        match file {
            Ok(verified) => own_code.push(verified),
            Err(refused) if mode == Mode::Enforce => {
                return Err(DaemonError::Untrusted { path: refused.path, detail: refused.detail });
            }
            Err(refused) => tracing::warn!("in enforce mode the daemon could not start again: `{}`: {}", refused.path.display(), refused.detail),
        }
    }
    Ok(own_code)
}
