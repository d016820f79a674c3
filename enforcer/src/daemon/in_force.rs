//! What the programs go by: the one element of the map `SETTINGS`, which is made here alone.
//!
//! Several threads change what it is made of: a reload, a fuse that blows, a successor of this program. Each changes its own fact, under one lock, and the
//! element is made anew of all of them: nobody overwrites what another one has just said, and what is suspended is still known as it is written.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use enforcer_common::{Digest, Mode, Settings};

use super::identity::Identity;
use super::suspension::{self, Blown, Suspension};
use super::{Ground, names};
use crate::audit::Timestamp;
use crate::kernel::{KernelError, Maps, boottime};
use crate::policy::{Fuse, Policy};

/// The settings in force, and what they come of.
pub(super) struct InForce {
    maps: Arc<Maps>,
    identity: Identity,
    facts: Mutex<Facts>,
}

impl InForce {
    /// What a former daemon has left in force, or nothing yet. `blown` is the fuse that blew under it.
    pub(super) fn adopt(maps: Arc<Maps>, identity: Identity, blown: Option<Blown>) -> Result<Self, KernelError> {
        let facts = Mutex::new(Facts::new(maps.settings()?, blown));
        Ok(Self { maps, identity, facts })
    }

    /// Who the enforcer is.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Has the programs go by a ground, whose scopes begin at `scope_root`, as far as nothing suspends it.
    pub(super) fn put(&self, ground: &Ground, scope_root: u32) -> Result<(), KernelError> {
        let mut facts = self.facts();
        let written = Settings { left_until: facts.written.left_until, scope_root, ..settings(&ground.policy, ground.generation, &self.identity) };
        let before = facts.clone();
        facts.put(written, &ground.policy, ground.broken_glass.clone());
        if let Err(error) = self.write(&facts) {
            *facts = before;
            return Err(error);
        }
        facts.denials.begin(boottime());
        Ok(())
    }

    /// When the rights end that a former ground left to what runs, in nanoseconds since boot.
    pub(super) fn left_until(&self) -> u64 {
        self.facts().written.left_until
    }

    /// Has them end then.
    pub(super) fn leave_rights_until(&self, left_until: u64) -> Result<(), KernelError> {
        let mut facts = self.facts();
        facts.written.left_until = left_until;
        self.write(&facts)
    }

    /// Lets another build of the enforcer take over. `false`, when it is this very program, or named already.
    pub(super) fn name_successor(&self, digest: Digest, fsverity: Option<Digest>) -> Result<bool, KernelError> {
        let mut facts = self.facts();
        if !self.identity.name_successor(digest, fsverity) {
            return Ok(false);
        }
        facts.written.enforcers = self.identity.digests();
        self.write(&facts).map(|()| true)
    }

    /// Counts a denial by the moment at which it was, in nanoseconds since boot. When it is the one that blows the fuse of the policy in force, that is written
    /// down, nothing is denied from here on, and it is `true`.
    pub(super) fn note_denial(&self, at: u64, now: Timestamp) -> bool {
        let mut facts = self.facts();
        let Some(blown) = facts.count(at, now) else { return false };
        suspension::keep_blown(&blown);
        tracing::error!("ENFORCEMENT IS SUSPENDED: the fuse has blown, after {} denials; nothing is denied any more", blown.denials);
        facts.blown = Some(blown);
        if let Err(error) = self.write(&facts) {
            tracing::error!("the fuse has blown, and enforcement could not be suspended at once: {error}");
        }
        true
    }

    /// Puts the fuse in again, once the policy in force is one for which that was asked.
    pub(super) fn mend_fuse(&self) -> Result<(), KernelError> {
        let mut facts = self.facts();
        suspension::forget_blown();
        facts.mend();
        facts.denials.begin(boottime());
        self.write(&facts)
    }

    /// The fuse that has blown, of whichever policy.
    pub(super) fn blown(&self) -> Option<Blown> {
        self.facts().blown.clone()
    }

    /// Why nothing is denied though the policy in force says so, if that is so.
    pub(super) fn suspension(&self) -> Option<Suspension> {
        self.facts().suspension()
    }

    fn write(&self, facts: &Facts) -> Result<(), KernelError> {
        self.maps.set_settings(&facts.settings())
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the settings are made of.
#[derive(Clone)]
struct Facts {
    /// As the policy in force is written, suspended or not.
    written: Settings,
    /// SHA-256 of that policy; nobody's, before the first.
    policy: [u8; 32],
    fuse: Option<Fuse>,
    /// The code that suspends it at this boot.
    broken_glass: Option<Suspension>,
    /// The last fuse that blew. It suspends the policy that it belongs to.
    blown: Option<Blown>,
    denials: Denials,
}

impl Facts {
    fn new(written: Settings, blown: Option<Blown>) -> Self {
        Self { written, policy: [0; 32], fuse: None, broken_glass: None, blown, denials: Denials::default() }
    }

    fn put(&mut self, written: Settings, policy: &Policy, broken_glass: Option<Suspension>) {
        if self.policy != policy.sha256 {
            self.denials = Denials::default();
        }
        (self.written, self.policy, self.fuse, self.broken_glass) = (written, policy.sha256, policy.fuse, broken_glass);
    }

    /// The fuse that blows by a denial at that moment, if it does.
    fn count(&mut self, at: u64, now: Timestamp) -> Option<Blown> {
        let fuse = self.fuse.filter(|fuse| now < fuse.until && self.suspension().is_none())?;
        self.denials.count(at, &fuse).then(|| Blown::new(&self.policy, &fuse, now))
    }

    fn mend(&mut self) {
        self.blown = None;
        self.denials = Denials::default();
    }

    fn suspension(&self) -> Option<Suspension> {
        suspension::of(self.broken_glass.as_ref(), self.blown.as_ref(), &self.policy)
    }

    fn settings(&self) -> Settings {
        self.suspension().map_or(self.written, |cause| suspended(self.written, &cause))
    }
}

/// The same settings where nothing is denied. What guards the enforcer outlasts a fuse: no service needs to touch it, and whoever did would outlast the fuse.
/// A code is typed by whoever has to get into a machine that keeps them out.
fn suspended(settings: Settings, cause: &Suspension) -> Settings {
    let audit = Mode::Audit as u32;
    let guards = if matches!(cause, Suspension::BreakGlass { .. }) { audit } else { settings.guards };
    Settings { mode: audit, scope_root: 0, guards, ..settings }
}

/// The last denials under the policy in force, by when they were: how late they are read says nothing.
#[derive(Clone, Default)]
struct Denials {
    /// When that policy came into force, in nanoseconds since boot; `None` before. What is older was denied by another one.
    since: Option<u64>,
    /// The oldest first; never more than blow the fuse.
    recent: VecDeque<u64>,
}

impl Denials {
    /// From this moment on, unless they are counted already.
    fn begin(&mut self, now: u64) {
        self.since.get_or_insert(now);
    }

    /// Whether there are as many with this one as blow the fuse.
    fn count(&mut self, at: u64, fuse: &Fuse) -> bool {
        if self.since.is_none_or(|since| at < since) {
            return false;
        }
        // Processors report theirs nearly in order.
        let place = self.recent.partition_point(|other| *other <= at);
        self.recent.insert(place, at);
        let last = self.recent.back().copied().unwrap_or(at);
        while self.recent.front().is_some_and(|first| last - first > nanoseconds(fuse.within)) {
            self.recent.pop_front();
        }
        self.recent.len() >= fuse.denials as usize
    }
}

/// The policy as the kernel wants it.
fn settings(policy: &Policy, generation: u32, identity: &Identity) -> Settings {
    Settings {
        mode: policy.mode as u32,
        anonymous: policy.memory.anonymous as u32,
        writable_and_executable: policy.memory.writable_and_executable as u32,
        made_executable: policy.memory.made_executable as u32,
        volatile_filesystems: policy.filesystems.volatile as u32,
        foreign_filesystems: policy.filesystems.foreign as u32,
        tracing: policy.memory.tracing as u32,
        modules: policy.kernel.modules as u32,
        modules_from_memory: policy.kernel.modules_from_memory as u32,
        kexec: policy.kernel.kexec as u32,
        firmware: policy.kernel.firmware as u32,
        kernel_memory: policy.kernel.memory as u32,
        bpf_programs: policy.kernel.bpf_programs as u32,
        mount_namespace: identity.mount_namespace(),
        max_file_size: policy.limits.max_file_size,
        deadline: nanoseconds(policy.limits.first_use_deadline),
        deadline_per_mib: nanoseconds(policy.limits.first_use_deadline_per_mib),
        heartbeat_timeout: nanoseconds(HEARTBEAT_TIMEOUT),
        left_until: 0,
        max_waiting: policy.limits.max_waiting,
        generation,
        bound_names: names::count(policy),
        enforcers: identity.digests(),
        scope_root: 0,
        guards: policy.mode as u32,
        reserved: 0,
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A heartbeat older than this means that there is no daemon. Ten times its interval.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::LazyLock;

    use super::*;

    const ROOT: u32 = 7;

    fn policy(comment: &str) -> Policy {
        let fuse = "[fuse]\ndenials = 3\nwithin = \"10s\"\nuntil = 2026-12-24T18:00:00Z\n";
        let signer = "[[signer]]\nname = \"a\"\nanchors = [\"/a\"]\n";
        Policy::parse(&format!("# {comment}\nversion = 1\nmode = \"enforce\"\n{fuse}{signer}"), Path::new("policy.toml")).unwrap()
    }

    fn written(policy: &Policy) -> Settings {
        static IDENTITY: LazyLock<Identity> = LazyLock::new(|| Identity::of_this_process().unwrap());
        Settings { scope_root: ROOT, ..settings(policy, 1, &IDENTITY) }
    }

    fn in_force(policy: &Policy) -> Facts {
        let mut facts = Facts::new(written(policy), None);
        facts.put(written(policy), policy, None);
        facts.denials.begin(0);
        facts
    }

    fn blown(policy: &Policy) -> Blown {
        Blown::new(&policy.sha256, &policy.fuse.unwrap(), before_the_end())
    }

    fn before_the_end() -> Timestamp {
        Timestamp::parse("2026-12-24T17:59:59Z").unwrap()
    }

    fn mode_and_scopes(facts: &Facts) -> (u32, u32) {
        let settings = facts.settings();
        (settings.mode, settings.scope_root)
    }

    #[test]
    fn what_suspends_a_policy_outlives_whatever_else_changes_and_loses_nothing_of_it() {
        let policy = policy("first");
        let mut facts = in_force(&policy);
        assert_eq!(mode_and_scopes(&facts), (Mode::Enforce as u32, ROOT));
        // The fuse blows while a reload of the same policy is under way, which knew nothing of it.
        facts.blown = Some(blown(&policy));
        facts.put(Settings { generation: 2, ..written(&policy) }, &policy, None);
        facts.written.left_until = 5;
        assert_eq!(mode_and_scopes(&facts), (Mode::Audit as u32, 0));
        assert_eq!(facts.settings().guards, Mode::Enforce as u32, "what guards the enforcer stays");
        assert_eq!((facts.settings().generation, facts.settings().left_until), (2, 5));
        facts.mend();
        assert_eq!(mode_and_scopes(&facts), (Mode::Enforce as u32, ROOT), "as it is written");
    }

    #[test]
    fn a_fuse_suspends_its_own_policy_alone_and_a_code_whatever_it_was_given_for() {
        let [first, second] = ["first", "second"].map(policy);
        let mut facts = in_force(&first);
        facts.blown = Some(blown(&first));
        facts.put(written(&second), &second, None);
        assert_eq!(mode_and_scopes(&facts), (Mode::Enforce as u32, ROOT));
        let code = Suspension::BreakGlass { since: before_the_end() };
        facts.put(written(&second), &second, Some(code.clone()));
        assert_eq!((mode_and_scopes(&facts), facts.suspension()), ((Mode::Audit as u32, 0), Some(code)));
        assert_eq!(facts.settings().guards, Mode::Audit as u32);
        facts.put(written(&first), &first, None);
        assert!(matches!(facts.suspension(), Some(Suspension::Fuse { denials: 3, .. })), "its policy is back");
    }

    #[test]
    fn denials_count_by_when_they_were_and_only_those_of_the_policy_in_force() {
        const SECOND: u64 = 1_000_000_000;
        let policy = policy("first");
        let blows = |since: u64, denials: &[u64]| {
            let mut facts = Facts::new(written(&policy), None);
            facts.put(written(&policy), &policy, None);
            facts.denials.begin(since * SECOND);
            denials.iter().filter(|at| facts.count(**at * SECOND, before_the_end()).is_some()).count()
        };
        assert_eq!(blows(100, &[101, 105, 110]), 1);
        assert_eq!(blows(100, &[101, 112, 123, 134]), 0, "read at once, and hours apart");
        assert_eq!(blows(100, &[97, 98, 99, 99, 101, 105]), 0, "denied by a former policy");
        assert_eq!(blows(100, &[101, 106, 105]), 1, "in whatever order they are read");
        assert_eq!(blows(100, &[140, 101, 141, 142]), 1);
    }

    #[test]
    fn a_policy_that_is_read_again_keeps_its_denials_and_another_one_begins_anew() {
        let [first, second] = ["first", "second"].map(policy);
        let counts = |next: &Policy| {
            let mut facts = in_force(&first);
            assert!(facts.count(1, before_the_end()).is_none() && facts.count(2, before_the_end()).is_none());
            facts.put(written(next), next, None);
            facts.denials.begin(3);
            facts.count(4, before_the_end()).is_some()
        };
        assert!(counts(&first) && !counts(&second));
        let mut ended = in_force(&first);
        let until = first.fuse.unwrap().until;
        assert!((1..9).all(|at| ended.count(at, until).is_none()), "nothing blows after its end");
    }
}
