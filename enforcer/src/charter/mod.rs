//! The charter: by whose word alone the policy may be changed, and enforcement taken off.
//!
//! A policy with `policy-signers` makes one. It is kept in the kernel, in the map `CHARTER`, so that it outlives the daemon: whoever comes next is judged by the
//! charter in force and not by the one they bring along. Decides only: reads no clock, and of files only the signed list beside a policy, once.

mod error;
mod form;
mod list;
mod order;

use std::path::PathBuf;

pub use error::{CharterError, OrderError};
pub use list::{HEADER, beside, path_beside as list_beside, write};
pub use order::{order_text, verify_order};

use crate::policy::Policy;
use crate::signature::{Endorsement, Facts, Rejected, SignedText};
use crate::text::hex;
use crate::trust::{ChainError, ListMark, NamedCertificates, Revoked, TrustStore};

/// Who may change the policy, and what may not be forgotten meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charter {
    signers: Vec<NamedCertificates>,
    clocks: Vec<NamedCertificates>,
    edition: Option<Edition>,
    lists: Vec<ListMark>,
    kept: Option<[u8; 32]>,
}

/// How a policy calls itself, where its signature says so: no other may follow it, and no older one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edition {
    identifier: String,
    security_version: u32,
}

/// A policy that whoever had to stand behind it stands behind.
#[derive(Debug)]
pub struct Admitted {
    /// What is in force together with the policy; empty when anybody may change it.
    pub charter: Charter,
    /// What was signed, where it had to be.
    pub list: Option<SignedText>,
    /// Whose word it is, by the charter that the policy brings along.
    pub endorsement: Option<Endorsement>,
}

impl Charter {
    /// The charter that this policy makes. Nothing was signed yet.
    pub fn of(policy: &Policy, trust: &TrustStore) -> Self {
        let names = &policy.protection.policy_signers;
        if names.is_empty() {
            return Self::default();
        }
        Self { signers: trust.certificates_of(names), clocks: trust.certificates_of_clocks(), ..Self::default() }
    }

    /// Whether anybody may change the policy.
    pub fn is_empty(&self) -> bool {
        self.signers.is_empty()
    }

    /// The names of those who may.
    pub fn signers(&self) -> impl Iterator<Item = &str> {
        self.signers.iter().map(|signer| signer.name.as_str())
    }

    /// SHA-256 of the revocations that stay in force.
    pub fn kept(&self) -> Option<&[u8; 32]> {
        self.kept.as_ref()
    }

    /// The same, with what must not be forgotten.
    #[must_use]
    pub fn remembering(self, lists: Vec<ListMark>, kept: Option<[u8; 32]>) -> Self {
        Self { lists, kept, ..self }
    }

    /// Whether one of those who may change the policy stands behind this list, and it is no older than the one in force.
    ///
    /// # Errors
    /// Who or what is missing.
    pub fn endorsement(&self, list: &SignedText, trust: &TrustStore, facts: &Facts<'_>) -> Result<Endorsement, CharterError> {
        list::require_header(list)?;
        let path = || list.path().to_owned();
        let own = trust.of_named(&self.signers, &self.clocks)?;
        let endorsement = list.endorsement(own, facts).map_err(|problem| CharterError::Signature {
            path: path(),
            signers: self.signers().collect::<Vec<_>>().join("`, `"),
            problem: problem.into(),
        })?;
        let Some(in_force) = &self.edition else { return Ok(endorsement) };
        let version = endorsement.release().map_or(0, |release| release.version);
        if endorsement.identifier() != Some(in_force.identifier.as_str()) || version < in_force.security_version {
            let found = endorsement.identifier().map_or_else(|| "no identifier".to_owned(), |identifier| format!("`{identifier}` {version}"));
            return Err(CharterError::Older { path: path(), found, in_force: format!("`{}` {}", in_force.identifier, in_force.security_version) });
        }
        Ok(endorsement)
    }

    /// Judges a policy, with the certificates that were read for it, by this charter.
    ///
    /// # Errors
    /// Who or what is missing.
    pub fn judge(&self, policy: &Policy, trust: &TrustStore, list: &SignedText, facts: &Facts<'_>) -> Result<Endorsement, CharterError> {
        let endorsement = self.endorsement(list, trust, facts)?;
        let listed = list::digests(list)?;
        let certificates = trust.files().iter().map(|(path, sha256)| (path, sha256));
        match std::iter::once((&policy.path, &policy.sha256)).chain(certificates).find(|(_, sha256)| !listed.contains(*sha256)) {
            Some((path, _)) => Err(CharterError::NotListed { path: path.clone(), list: list.path().to_owned() }),
            None => Ok(endorsement),
        }
    }

    /// Whether this is said to be newer than what is in force, which no old list can say.
    fn is_followed_by(&self, endorsement: &Endorsement) -> bool {
        let version = endorsement.release().map_or(0, |release| release.version);
        self.edition.as_ref().is_some_and(|edition| version > edition.security_version)
    }

    /// The revocation lists of this charter must all be there, none older than it was.
    fn require_lists(&self, trust: &TrustStore) -> Result<(), CharterError> {
        let marks = trust.list_marks();
        let is_there = |known: &&ListMark| marks.iter().any(|mark| mark.of == known.of && mark.this_update >= known.this_update);
        match self.lists.iter().find(|known| !is_there(known)) {
            Some(missing) => Err(CharterError::ListGone { issuer: missing.issuer.clone() }),
            None => Ok(()),
        }
    }
}

/// A charter in force, with the revocations that it keeps.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The charter.
    pub charter: Charter,
    /// What was revoked under it.
    pub kept: Revoked,
}

/// Lets a policy in by every charter in force, and by its own. `trust` is what was read for it; afterwards it goes by everything that is revoked.
///
/// # Errors
/// Who or what is missing.
pub fn admit(policy: &Policy, trust: &mut TrustStore, in_force: &[InForce], facts: &Facts<'_>) -> Result<Admitted, CharterError> {
    let own = Charter::of(policy, trust);
    let judges: Vec<&InForce> = in_force.iter().filter(|one| !one.charter.is_empty()).collect();
    if own.is_empty() && judges.is_empty() {
        return Ok(Admitted { charter: own, list: None, endorsement: None });
    }
    let written = trust.revoked().clone();
    trust.set_revoked(judges.iter().fold(written.clone(), |revoked, one| revoked.and(&one.kept)));
    require_bounded(trust.revoked())?;
    let list = beside(&policy.path)?;
    // Whoever signs a newer list with the file of revocations in it stands behind that file: what was taken out of it is out.
    let mut frees = list::digests(&list)?.contains(&written.sha256().unwrap_or_default());
    for one in &judges {
        one.charter.require_lists(trust)?;
        frees &= one.charter.is_followed_by(&one.charter.judge(policy, trust, &list, facts)?);
    }
    if frees {
        trust.set_revoked(written);
    }
    if own.is_empty() {
        return Ok(Admitted { charter: own, list: None, endorsement: None });
    }
    // Whoever brings a charter along has to stand by it: else the next start would be refused.
    let endorsement = own.judge(policy, trust, &list, facts)?;
    let charter = Charter { edition: Edition::of(&endorsement), ..own };
    Ok(Admitted { charter, list: Some(list), endorsement: Some(endorsement) })
}

/// What is revoked is read anew under the policy in force, whose list this is: nothing that was revoked is let in again.
///
/// # Errors
/// A revocation list is gone, or the policy in force could not be put in force again.
pub fn renew(trust: &mut TrustStore, in_force: &InForce, list: &SignedText, facts: &Facts<'_>) -> Result<(), CharterError> {
    let charter = &in_force.charter;
    trust.set_revoked(trust.revoked().clone().and(&in_force.kept));
    require_bounded(trust.revoked())?;
    charter.require_lists(trust)?;
    match charter.endorsement(list, trust, facts) {
        Err(CharterError::Signature { problem, .. })
            if matches!(*problem, Rejected::Chain(ChainError::Revoked { .. } | ChainError::SignerRevoked { .. })) =>
        {
            Err(CharterError::LocksOut { problem })
        }
        // Time alone takes nothing off that is in force.
        _ => Ok(()),
    }
}

impl Edition {
    fn of(endorsement: &Endorsement) -> Option<Self> {
        let security_version = endorsement.release().map_or(0, |release| release.version);
        endorsement.identifier().map(|identifier| Self { identifier: identifier.to_owned(), security_version })
    }
}

/// The name of the file that keeps these revocations, in a folder that is the enforcer's alone.
pub fn kept_name(sha256: &[u8; 32]) -> PathBuf {
    format!("{KEPT_PREFIX}{}.toml", hex(sha256)).into()
}

fn require_bounded(revoked: &Revoked) -> Result<(), CharterError> {
    if revoked.entries().len() > MAX_KEPT { Err(CharterError::TooManyRevocations { limit: MAX_KEPT }) } else { Ok(()) }
}

/// What the names of such files begin with.
pub const KEPT_PREFIX: &str = "revoked-";
/// Revocations that are kept. Whoever takes them out of the file and puts others in makes them more and more.
const MAX_KEPT: usize = 100_000;
