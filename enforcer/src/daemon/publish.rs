//! From decisions to verdicts in the kernel. Only a [`Verified`] value can become an allow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use enforcer_common::{Digest, ENTITLEMENT_OWN, ENTITLEMENTS, USE_LIBRARY, Verdict};

use super::clock::Clock;
use super::floors::{Admission, Floors};
use super::interpreters::Table;
use crate::kernel::{KernelError, Maps, boottime};
use crate::policy::Policy;
use crate::signature::{Release, Verified};
use crate::trust::{Revoked, SecurityVersions};

/// Writes verdicts, each marked with the generation of the ground it was made on, so that a reload can remove what the older policy left behind.
pub struct Publisher {
    maps: Arc<Maps>,
    clock: Arc<Clock>,
    /// Held from the look at the floor until the verdict is in the kernel: nothing older can slip in behind something newer.
    floors: Mutex<Floors>,
    interpreters: Table,
}

impl Publisher {
    /// Publishes into these maps, what stands on these floors.
    pub(super) fn new(maps: Arc<Maps>, clock: Arc<Clock>, floors: Floors) -> Self {
        Self { maps, clock, floors: Mutex::new(floors), interpreters: Table::default() }
    }

    /// Holds interpreters to what a policy says of them, from the verdicts of this generation on.
    pub(super) fn bind_interpreters(&self, policy: &Policy, generation: u32) -> Result<(), KernelError> {
        self.interpreters.bind(&self.maps, policy, generation)
    }

    /// The highest security versions that were accepted until now.
    pub fn versions(&self) -> Arc<SecurityVersions> {
        self.floors().versions()
    }

    /// Allows a verified digest, until its signer's certificates run out. `false`, when something newer of the same program was accepted since it was
    /// verified.
    pub fn allow(&self, verified: &Verified, generation: u32) -> Result<bool, KernelError> {
        let (mut floors, mut lot) = (self.floors(), Lot::default());
        let is_admitted = self.admit(&mut floors, verified, generation, &mut lot)?;
        self.write(&lot)?;
        Ok(is_admitted)
    }

    /// Allows everything that manifests vouch for, many digests at a time. What something newer was accepted of is left out.
    pub fn allow_all(&self, all: impl Iterator<Item = Verified>, generation: u32) -> Result<(), KernelError> {
        let mut all = all.peekable();
        while all.peek().is_some() {
            // Whoever is verified meanwhile gets a turn between two lots.
            let mut floors = self.floors();
            let mut lot = Lot::default();
            for verified in all.by_ref().take(AT_ONCE) {
                self.admit(&mut floors, &verified, generation, &mut lot)?;
            }
            let is_written = self.maps.publish_all(&lot.verdicts.into_iter().collect::<Vec<_>>());
            if lot.takes_away {
                self.maps.end_grants()?;
            }
            is_written?;
        }
        Ok(())
    }

    /// Allows the daemon's own code, which nothing newer takes away while it runs.
    pub fn allow_own(&self, own: &[Verified], generation: u32) -> Result<(), KernelError> {
        let mut floors = self.floors();
        floors.set_own(own.iter().flat_map(digests).collect());
        for verified in own {
            if let Admission::Admitted { withdraw } = floors.admit(verified.release()) {
                withdraw.iter().try_for_each(|older| self.maps.withdraw(older))?;
            }
            let mut lot = Lot::default();
            self.decide(&mut floors, verified, ENTITLEMENT_OWN, generation, &mut lot)?;
            self.write(&lot)?;
        }
        Ok(())
    }

    /// Takes away what is revoked by its digest, but for the daemon's own code, before the rest is decided anew.
    pub fn withdraw_revoked(&self, revoked: &Revoked) -> Result<(), KernelError> {
        let floors = self.floors();
        revoked.digests().filter(|digest| !floors.is_own(digest)).try_for_each(|digest| self.maps.withdraw(digest))
    }

    /// Raises the floor of what is no code, once it is in force.
    pub fn note_release(&self, release: Option<&Release>) {
        self.floors().admit(release);
    }

    /// Removes every verdict of another generation, and then the names that they were held against. The rights that they gave to what runs are left, for
    /// nothing else, but for those of what is revoked. Whether there are any, of this generation's verdicts too.
    pub fn retire_others(&self, generation: u32, revoked: &Revoked) -> Result<bool, KernelError> {
        let mut floors = self.floors();
        let mut are_left = false;
        for (digest, verdict) in self.maps.select(|_, verdict| (verdict.generation != generation || verdict.left != 0).then_some(*verdict))? {
            let left = what_is_left(&verdict, generation);
            if verdict.generation == generation {
                are_left = true;
            } else if left.left != 0 && !revoked.has_digest(&digest) {
                self.maps.publish(&digest, &left)?;
                are_left = true;
            } else {
                self.maps.withdraw(&digest)?;
            }
        }
        floors.forget_others(generation);
        self.maps.retain_names(|of| of == generation)?;
        self.interpreters.forget_others(&self.maps, generation)?;
        self.maps.end_grants()?;
        Ok(are_left)
    }

    /// Whether anything runs by what was left to it.
    pub(super) fn are_rights_left(&self) -> Result<bool, KernelError> {
        Ok(!self.maps.select(|_, verdict| (verdict.left != 0).then_some(()))?.is_empty())
    }

    /// Takes back what was left to what runs, when all of that has been decided anew.
    pub(super) fn withdraw_left(&self) -> Result<(), KernelError> {
        let _floors = self.floors();
        let left = self.maps.select(|_, verdict| (verdict.left != 0).then_some(*verdict))?;
        left.iter().try_for_each(|(digest, verdict)| {
            if verdict.uses == 0 { self.maps.withdraw(digest) } else { self.maps.publish(digest, &Verdict { left: 0, ..*verdict }) }
        })?;
        self.maps.end_grants()
    }

    /// Writes what could not be written when it should have been.
    pub fn save(&self) {
        self.floors().save();
    }

    /// Writes verdicts one by one.
    fn write(&self, lot: &Lot) -> Result<(), KernelError> {
        lot.verdicts.iter().try_for_each(|(digest, verdict)| self.maps.publish(digest, verdict))?;
        if lot.takes_away { self.maps.end_grants() } else { Ok(()) }
    }

    /// Adds the verdicts on this content, unless something newer was accepted, and withdraws what it is newer than. Whether it was added.
    fn admit(&self, floors: &mut Floors, verified: &Verified, generation: u32, lot: &mut Lot) -> Result<bool, KernelError> {
        let Admission::Admitted { withdraw } = floors.admit(verified.release()) else { return Ok(false) };
        for older in &withdraw {
            lot.verdicts.remove(older);
            self.maps.withdraw(older)?;
        }
        let own = if floors.is_own(&verified.digest()) { ENTITLEMENT_OWN } else { 0 };
        self.decide(floors, verified, own, generation, lot).map(|()| true)
    }

    /// Adds to the verdicts that are about to be published those on this content.
    fn decide(&self, floors: &mut Floors, verified: &Verified, own: u32, generation: u32, lot: &mut Lot) -> Result<(), KernelError> {
        let expires_at = match verified.not_after().map(|end| self.clock.boottime_of(end)) {
            None => 0,
            Some(Some(end)) => end,
            Some(None) => return Ok(()),
        };
        let (uses, signer, component) = (verified.all_uses(), verified.signer(), verified.component());
        let entitlements = entitlements(verified) | own;
        let verdict = Verdict { expires_at, uses, entitlements, signer, generation, component, left: 0 };
        let all: Vec<Digest> = digests(verified).collect();
        let is_interpreter = self.interpreters.hold(&self.maps, verified, &all, generation)?;
        for digest in all {
            let before = match lot.verdicts.get(&digest) {
                Some(about_to_be) => Some(*about_to_be),
                None => self.maps.verdict(&digest)?,
            };
            let left = before.map_or(0, |before| left_beside(&verdict, &before));
            let standing = before.filter(|standing| standing.generation == generation && holds(standing));
            // Content that is two releases can be overtaken as either, and so only the latter counts.
            let standing = standing.filter(|_| !floors.is_another(&digest, verified.release(), generation));
            if verified.release().is_some() || standing.is_none() {
                floors.note(digest, verified.release(), generation);
            }
            let mut now = standing.map_or(verdict, |standing| together(&standing, &verdict));
            // Only a process of its own maps it; any other one would run it without being held to anything.
            if is_interpreter {
                now.uses &= !USE_LIBRARY;
            }
            let now = Verdict { left: left & !now.entitlements, ..now };
            lot.takes_away |= before.is_some_and(|before| is_less(&now, &before));
            lot.verdicts.insert(digest, now);
        }
        Ok(())
    }

    fn floors(&self) -> MutexGuard<'_, Floors> {
        self.floors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Verdicts that are about to be published.
#[derive(Default)]
struct Lot {
    verdicts: HashMap<Digest, Verdict>,
    /// Whether one of them allows less than the one that it replaces.
    takes_away: bool,
}

/// What the kernel may call the content.
fn digests(verified: &Verified) -> impl Iterator<Item = Digest> + use<> {
    std::iter::once(verified.digest()).chain(verified.fsverity())
}

/// The rights that the signature asks for and the policy grants, as far as the programs know them.
pub(super) fn entitlements(verified: &Verified) -> u32 {
    let granted = |name: &str| verified.entitlements().iter().any(|granted| granted == name);
    ENTITLEMENTS.iter().filter(|(name, _)| granted(name)).fold(0, |rights, (_, right)| rights | right)
}

/// What is left of a verdict for what runs, when the policy is gone that it was made on.
fn what_is_left(verdict: &Verdict, generation: u32) -> Verdict {
    Verdict { uses: 0, entitlements: 0, component: 0, expires_at: 0, generation, left: left_by(verdict), ..*verdict }
}

/// The rights that a verdict gives to what runs.
fn left_by(verdict: &Verdict) -> u32 {
    let entitlements = if verdict.expires_at == 0 || verdict.expires_at > boottime() { verdict.entitlements } else { 0 };
    (entitlements | verdict.left) & !ENTITLEMENT_OWN
}

/// The rights that are left beside a new verdict by the one that it replaces: those of a former policy, until all that the new one says is known.
fn left_beside(new: &Verdict, before: &Verdict) -> u32 {
    if before.generation == new.generation { before.left } else { left_by(before) }
}

/// Whether it decides about anything, and has not expired.
pub(super) fn holds(verdict: &Verdict) -> bool {
    (verdict.uses != 0 || verdict.left == 0) && (verdict.expires_at == 0 || verdict.expires_at > boottime())
}

/// Whether a verdict allows anything less, or for less long, than the one that it replaces, or is another one to whoever runs by it.
fn is_less(new: &Verdict, before: &Verdict) -> bool {
    let ends_earlier = new.expires_at != 0 && (before.expires_at == 0 || new.expires_at + CLOCK_TOLERANCE < before.expires_at);
    before.uses & !new.uses != 0 || (new.entitlements, new.left, new.signer) != (before.entitlements, before.left, before.signer) || ends_earlier
}

/// What two signatures allow that cover the same content. It may do what either lets it, as long as both hold: after that it is asked for anew.
fn together(standing: &Verdict, new: &Verdict) -> Verdict {
    let ends = [standing.expires_at, new.expires_at].into_iter().filter(|end| *end != 0);
    Verdict {
        expires_at: ends.min().unwrap_or(0),
        uses: standing.uses | new.uses,
        entitlements: standing.entitlements | new.entitlements,
        component: if new.component == 0 { standing.component } else { new.component },
        ..*new
    }
}

/// How far two ends of one certificate may lie apart, which are worked out from clocks that are not read at the same moment, in nanoseconds.
const CLOCK_TOLERANCE: u64 = 1_000_000_000;
/// How many contents of a manifest are decided about under one lock, and published in one system call.
const AT_ONCE: usize = 4096;

#[cfg(test)]
mod tests {
    use enforcer_common::{ENTITLEMENT_DEBUGGER, ENTITLEMENT_JIT, USE_EXEC, USE_SCRIPT};

    use super::*;

    const LISTED: Verdict = Verdict { expires_at: 0, uses: USE_LIBRARY, entitlements: 0, signer: 0, generation: 7, component: 3, left: 0 };

    #[test]
    fn what_is_left_of_a_verdict_gives_rights_to_what_runs_and_lets_nothing_start() {
        let entitled = Verdict { uses: USE_EXEC, entitlements: ENTITLEMENT_JIT, ..LISTED };
        let left = what_is_left(&entitled, 8);
        assert_eq!((left.left, left.uses, left.entitlements, left.component, left.generation), (ENTITLEMENT_JIT, 0, 0, 0, 8));
        assert!(!holds(&left) && holds(&entitled));
        assert_eq!(what_is_left(&left, 9).left, ENTITLEMENT_JIT, "left again");
        assert_eq!(what_is_left(&LISTED, 8).left, 0, "it gives no rights");
        assert_eq!(what_is_left(&Verdict { entitlements: ENTITLEMENT_OWN, ..LISTED }, 8).left, 0);
        assert_eq!(what_is_left(&Verdict { expires_at: 1, ..entitled }, 8).left, 0, "it has expired");
        let listed_anew = Verdict { generation: 8, ..LISTED };
        assert_eq!(left_beside(&listed_anew, &entitled), ENTITLEMENT_JIT, "until all that the new policy says is known");
        assert_eq!(left_beside(&listed_anew, &Verdict { generation: 8, ..entitled }), 0, "what this policy gives is not left but given");
        assert_eq!(left_beside(&listed_anew, &left), ENTITLEMENT_JIT);
    }

    #[test]
    fn two_signatures_allow_what_either_does_in_any_order() {
        let entitled = Verdict { expires_at: 500, uses: USE_EXEC, entitlements: ENTITLEMENT_JIT, signer: 1, component: 0, ..LISTED };
        let both = Verdict { expires_at: 500, uses: USE_EXEC | USE_LIBRARY, entitlements: ENTITLEMENT_JIT, ..LISTED };
        assert_eq!(together(&LISTED, &entitled), Verdict { signer: 1, ..both });
        assert_eq!(together(&entitled, &LISTED), both);
        assert_eq!(together(&both, &both), both);
    }

    #[test]
    fn what_allows_less_is_told_from_what_allows_more() {
        let before = Verdict { expires_at: 50_000_000_000, uses: USE_EXEC | USE_LIBRARY, ..LISTED };
        assert!(!is_less(&before, &before));
        assert!(!is_less(&Verdict { generation: 8, expires_at: 0, uses: before.uses | USE_SCRIPT, ..before }, &before));
        assert!(!is_less(&Verdict { expires_at: before.expires_at - 1000, ..before }, &before), "the same, by a clock that was read later");
        assert!(is_less(&Verdict { uses: USE_EXEC, ..before }, &before));
        assert!(is_less(&Verdict { expires_at: 40_000_000_000, ..before }, &before));
        assert!(is_less(&before, &Verdict { expires_at: 0, ..before }));
        assert!(is_less(&Verdict { entitlements: ENTITLEMENT_JIT, ..before }, &before), "it is no plain program any more");
    }

    #[test]
    fn what_two_signatures_allow_ends_with_the_first_of_them() {
        let [early, late] = [100, 200].map(|expires_at| Verdict { expires_at, entitlements: ENTITLEMENT_DEBUGGER, ..LISTED });
        assert_eq!(together(&early, &late).expires_at, 100);
        assert_eq!(together(&late, &early).expires_at, 100);
        assert_eq!(together(&late, &LISTED).expires_at, 200);
    }
}
