//! The charter in the daemon: what is found in force at the start, what is kept for the next one, and what a reload has to hold to.
//!
//! Revocations that were taken out of their file stay in force. They are kept in the state folder, by a name that is in the kernel: what somebody else puts
//! there, or mounts over it, is not taken for them.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use enforcer_common::CHARTER_SIZE;

use super::Shared;
use super::run::{DaemonError, STATE_FOLDER};
use crate::charter::{self, Admitted, Charter, CharterError, InForce, KEPT_PREFIX, kept_name};
use crate::kernel::{self, KernelError};
use crate::policy::Policy;
use crate::signature::{Endorsement, Facts, SignedText};
use crate::trust::{RecordError, Revoked, TrustStore};

/// The charter that is part of a ground.
#[derive(Clone, Default)]
pub(super) struct Chartered {
    pub(super) charter: Charter,
    /// As it stands in the kernel.
    pub(super) bytes: Vec<u8>,
    list: Option<Arc<SignedText>>,
    endorsement: Option<Endorsement>,
}

/// Every charter that the kernel holds, with what it keeps.
///
/// # Errors
/// What is kept is not what it was: nobody can say then what the policy has to hold to.
pub fn in_force() -> Result<Vec<InForce>, CharterError> {
    let damaged = |detail: String| CharterError::Damaged { detail };
    let found = kernel::charters().map_err(|error: KernelError| damaged(error.to_string()))?;
    found
        .iter()
        .map(|bytes| {
            let charter = Charter::from_bytes(bytes)?;
            let kept = charter.kept().map_or_else(|| Ok(Revoked::default()), load_kept)?;
            Ok(InForce { charter, kept })
        })
        .collect()
}

fn load_kept(sha256: &[u8; 32]) -> Result<Revoked, CharterError> {
    let path = Path::new(STATE_FOLDER).join(kept_name(sha256));
    let revoked = Revoked::load(&path).map_err(|error| CharterError::Damaged { detail: error.to_string() })?;
    match revoked.sha256() {
        Some(found) if found == *sha256 => Ok(revoked),
        _ => Err(CharterError::Damaged { detail: format!("`{}` is missing, or not what was kept", path.display()) }),
    }
}

impl Chartered {
    /// Lets a policy in by what is in force, and by what it demands itself.
    pub(super) fn admit(policy: &Policy, trust: &mut TrustStore, in_force: &[InForce], facts: &Facts<'_>) -> Result<Self, DaemonError> {
        let Admitted { charter, list, endorsement } = charter::admit(policy, trust, in_force, facts)?;
        Self { charter, bytes: Vec::new(), list: list.map(Arc::new), endorsement }.remembering(trust, None)
    }

    /// What is revoked is read anew, the policy stays.
    pub(super) fn renew(&self, trust: &mut TrustStore, kept: &Revoked, facts: &Facts<'_>) -> Result<Self, DaemonError> {
        let Some(list) = &self.list else { return Ok(Self::default()) };
        charter::renew(trust, &InForce { charter: self.charter.clone(), kept: kept.clone() }, list, facts)?;
        self.clone().remembering(trust, self.charter.kept())
    }

    /// Writes down what stays revoked. On a disk that is full it is only kept in memory, and in the file that it was read from: a revocation must not
    /// wait for that.
    fn remembering(self, trust: &TrustStore, before: Option<&[u8; 32]>) -> Result<Self, DaemonError> {
        if self.charter.is_empty() {
            return Ok(self);
        }
        let kept = if trust.revoked().entries().is_empty() {
            None
        } else {
            match keep(trust.revoked()) {
                Ok(sha256) => Some(sha256),
                Err(error) => {
                    tracing::error!(
                        "the revocations could not be kept, and those that are taken out of their file would be forgotten by a restart: {error}"
                    );
                    before.copied()
                }
            }
        };
        let charter = self.charter.remembering(trust.list_marks(), kept);
        let bytes = charter.to_bytes(CHARTER_SIZE)?;
        Ok(Self { charter, bytes, ..self })
    }
}

impl Shared {
    /// A charter is in force: its policy's version is the floor from now on, and what former ones kept can go.
    pub(super) fn settle_charter(&self) {
        let ground = self.ground();
        let Some(endorsement) = &ground.chartered.endorsement else { return };
        self.publisher.note_release(endorsement.release());
        let kept = ground.chartered.charter.kept().map(kept_name);
        if let Err(error) = forget_others(kept.as_deref()) {
            tracing::warn!("what former policies kept stays in `{STATE_FOLDER}`: {error}");
        }
        let signers: Vec<&str> = ground.chartered.charter.signers().collect();
        tracing::info!(signed_by = endorsement.signer(), "the policy may only be changed by what {} signed", signers.join(", "));
    }
}

/// Writes revocations under the name that says what is in them.
fn keep(revoked: &Revoked) -> Result<[u8; 32], RecordError> {
    let draft = Path::new(STATE_FOLDER).join(format!("{KEPT_PREFIX}new.toml"));
    revoked.save(&draft)?;
    let unwritable = |detail: String| RecordError::Form { path: draft.clone(), detail };
    let sha256 = Revoked::load(&draft)?.sha256().ok_or_else(|| unwritable("it is gone".to_owned()))?;
    fs::rename(&draft, Path::new(STATE_FOLDER).join(kept_name(&sha256))).map_err(|error| unwritable(error.to_string()))?;
    Ok(sha256)
}

fn forget_others(kept: Option<&Path>) -> io::Result<()> {
    for entry in fs::read_dir(STATE_FOLDER)? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with(KEPT_PREFIX) && kept != Some(Path::new(&name)) {
            fs::remove_file(Path::new(STATE_FOLDER).join(name))?;
        }
    }
    Ok(())
}
