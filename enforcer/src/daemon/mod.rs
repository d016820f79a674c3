//! The daemon: policy in, verdicts published, first use answered, events written.
//!
//! It fills the kernel's map and is not needed for what is in it: once the programs are attached, they decide alone. Nothing here decides about a
//! signature; [`crate::signature`] does.

mod before;
mod charter;
mod clock;
mod entitled;
mod events;
mod explain;
mod floors;
mod identity;
mod in_force;
mod interpreters;
mod journal;
mod locate;
mod meters;
mod names;
mod notice;
mod own_code;
mod phases;
mod protected;
mod publish;
mod rejections;
mod reload;
mod requests;
mod run;
mod scan;
mod scopes;
mod state;
mod status;
mod suspension;
mod tally;
mod textfile;
mod watch;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use enforcer_common::Mode;

pub use before::Before;
pub use charter::in_force as charters_in_force;
pub use notice::{Notice, PolicyInForce, Refused};
pub use own_code::{Refused as Untrusted, examine as examine_own_code};
pub use run::{DaemonError, RUN_FOLDER, STATE_FOLDER, run};
pub use state::trusted_facts;
pub use status::{mode_in_force, policy_in_force, status, trusted_time};
pub use suspension::{PARAMETER as BREAK_GLASS_PARAMETER, Suspension, ask_for_fuse, forget_asking, normal as normal_code};

use crate::audit::Timestamp;
use crate::kernel::{KernelError, Maps, boottime};
use crate::policy::Policy;
use crate::signature::{Examiner, Facts, Verified};
use crate::trust::SecurityVersions;
use crate::worker::Pool;
use charter::Chartered;
use clock::Clock;
use explain::Explanations;
use in_force::InForce;
use meters::Meters;
use publish::Publisher;
use tally::Tally;

/// What the daemon is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The policy file.
    pub policy: PathBuf,
    /// Whether to end as soon as the policy is in force.
    pub once: bool,
}

/// What decisions rest on. A reload replaces it as a whole.
#[derive(Clone)]
struct Ground {
    /// As it is written. What holds of it while it is suspended: [`Shared::strictest_mode`].
    policy: Policy,
    /// The break-glass code that suspends it at this boot.
    broken_glass: Option<Suspension>,
    /// By whose word it may be changed.
    chartered: Chartered,
    examiner: Arc<Examiner>,
    /// The daemon's program and libraries, allowed so that it can start again.
    own_code: Vec<Verified>,
    /// The verdicts that were made on it.
    generation: u32,
}

/// What the daemon's threads share.
struct Shared {
    maps: Arc<Maps>,
    publisher: Publisher,
    clock: Arc<Clock>,
    explanations: Explanations,
    in_force: InForce,
    ground: RwLock<Arc<Ground>>,
    /// Who looks into the files of those who wait for an answer.
    workers: Pool,
    tally: Arc<Tally>,
    /// Told when the fuse has blown.
    blew: tokio::sync::Notify,
    meters: Meters,
    /// What ran before, once it is known.
    before: RwLock<Option<Before>>,
    /// Whether verdicts of a former ground are left in the kernel.
    unretired: AtomicBool,
    /// Whether programs run by the rights that a former ground gave them.
    are_rights_left: AtomicBool,
    /// Held while they are decided anew.
    renewing: Mutex<()>,
    /// Held while a ground is replaced.
    replacing: Mutex<()>,
}

impl Shared {
    fn ground(&self) -> Arc<Ground> {
        Arc::clone(&self.ground.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn before(&self) -> Option<Before> {
        self.before.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_before(&self, before: Before) {
        *self.before.write().unwrap_or_else(PoisonError::into_inner) = Some(before);
    }

    /// The strictest mode that holds anywhere: the policy's, unless it is suspended.
    fn strictest_mode(&self) -> Mode {
        if self.in_force.suspension().is_some() { Mode::Audit } else { self.ground().policy.strictest_mode() }
    }

    /// Counts a denial, by when it was in nanoseconds since boot. When it is the one that blows the policy's fuse, nothing is denied from here on.
    fn note_denial(&self, at: u64) {
        let now = Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(self.clock.now().as_secs()));
        if self.in_force.note_denial(at, now) {
            self.blew.notify_one();
        }
    }

    /// Publishes something that was decided on `ground`, unless that is no longer the ground in force: then `None`, and nothing happens.
    fn publish_on<T>(&self, ground: &Ground, publish: impl FnOnce(&Publisher) -> Result<T, KernelError>) -> Result<Option<T>, KernelError> {
        // Held while publishing, so that a reload removes either what was published before it, or nothing can be published after it.
        let current = self.ground.read().unwrap_or_else(PoisonError::into_inner);
        if current.generation != ground.generation {
            return Ok(None);
        }
        publish(&self.publisher).map(Some)
    }

    /// Puts a ground into force: its verdicts, its settings, and then the removal of what others decided. A failure leaves the old one in force.
    ///
    /// New verdicts come first, then the settings: at no moment is anything decided by neither policy.
    fn replace_ground(&self, new: Arc<Ground>) -> Result<(), KernelError> {
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.ground();
        self.leave_rights()?;
        if let Err(error) = self.put_in_force(&new) {
            // The old manifests' verdicts may have been overwritten; what was answered at first use is asked for again.
            if old.generation != new.generation
                && let Err(worse) = self.put_in_force(&old).and_then(|()| self.retire_others(&old))
            {
                tracing::error!("the old policy could not be put back whole: {worse}; code that it allows may be denied until the next reload");
            }
            return Err(error);
        }
        *self.ground.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        self.retire(&new);
        Ok(())
    }

    /// Says until when what runs keeps the rights that the ground in force gives it, before anything takes them away. What is left already ends when it was to
    /// end.
    fn leave_rights(&self) -> Result<(), KernelError> {
        let now = boottime();
        if self.publisher.are_rights_left()? {
            if self.in_force.left_until() > now {
                return Ok(());
            }
            self.publisher.withdraw_left()?;
        }
        self.in_force.leave_rights_until(now + GRACE)
    }

    /// Removes what others than the ground in force decided. Failing that, it is tried again: the new ground is in force all the same.
    fn retire(&self, ground: &Ground) {
        let outcome = self.retire_others(ground);
        if let Err(error) = &outcome {
            tracing::error!("what the former policy allowed is still allowed, and is taken away as soon as it can be: {error}");
        }
        self.unretired.store(outcome.is_err(), Ordering::Relaxed);
    }

    fn retire_others(&self, ground: &Ground) -> Result<(), KernelError> {
        let are_left = self.publisher.retire_others(ground.generation, ground.examiner.revoked())?;
        self.are_rights_left.store(are_left, Ordering::Relaxed);
        Ok(())
    }

    /// The same once more, if it failed.
    fn retire_again(&self) {
        if self.unretired.load(Ordering::Relaxed) {
            self.retire(&self.ground());
        }
    }

    /// Completes the ground in force by the daemon's own code.
    fn set_own_code(&self, ground: Ground) -> Result<(), KernelError> {
        self.publisher.allow_own(&ground.own_code, ground.generation)?;
        *self.ground.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ground);
        Ok(())
    }

    /// Publishes everything that the manifests vouch for, and sets the settings.
    ///
    /// The names come before the verdicts that are held against them: each verdict meets the names of its own policy.
    fn put_in_force(&self, ground: &Ground) -> Result<(), KernelError> {
        self.maps.set_charter(&ground.chartered.bytes)?;
        names::bind(&self.maps, &ground.policy, ground.generation)?;
        self.publisher.bind_interpreters(&ground.policy, ground.generation)?;
        self.publisher.allow_own(&ground.own_code, ground.generation)?;
        self.publisher.allow_all(ground.examiner.manifest_entries(), ground.generation)?;
        let scopes = scopes::publish(&self.maps, &ground.policy)?;
        self.in_force.put(ground, scopes.start)?;
        scopes::forget_others(&self.maps, &scopes)
    }
}

/// What decisions rest on besides policy and content, at this moment.
fn facts<'a>(clock: &Clock, versions: &'a SecurityVersions) -> Facts<'a> {
    Facts { now: clock.now(), security_versions: versions }
}

/// For how long, in nanoseconds, what runs keeps the rights that a former ground gave it: as long as it takes to verify some hundred programs on a busy
/// machine.
const GRACE: u64 = 30_000_000_000;
