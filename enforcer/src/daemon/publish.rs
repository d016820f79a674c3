//! From decisions to verdicts in the kernel. Only a [`Verified`] value can become an allow.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use enforcer_common::{USE_EXEC, USE_LIBRARY, Verdict};

use crate::kernel::{KernelError, Maps, boottime};
use crate::signature::Verified;

/// Writes verdicts, each marked with the generation of the ground it was made on, so that a reload can remove what the older policy left behind.
pub struct Publisher {
    maps: Arc<Maps>,
}

impl Publisher {
    /// Publishes into these maps.
    pub fn new(maps: Arc<Maps>) -> Self {
        Self { maps }
    }

    /// Allows a verified digest, until its signer's certificates run out.
    pub fn allow(&self, verified: &Verified, generation: u32) -> Result<(), KernelError> {
        let expires_at = match verified.not_after().map(|end| boottime_of(end.as_secs())) {
            None => 0,
            Some(Some(end)) => end,
            Some(None) => return Ok(()),
        };
        let (uses, signer, component) = (with_own_mappings(verified.uses()), verified.signer(), verified.component());
        let verdict = Verdict { expires_at, uses, signer, generation, component };
        self.maps.publish(&verified.digest(), &verdict)?;
        verified.fsverity().map_or(Ok(()), |digest| self.maps.publish(&digest, &verdict))
    }

    /// Removes every verdict of another generation, and then the names that they were held against; how many verdicts there were.
    pub fn retire_others(&self, generation: u32) -> Result<usize, KernelError> {
        let retired = self.maps.retain(|_, verdict| verdict.generation == generation)?;
        self.maps.retain_names(|of| of == generation)?;
        Ok(retired)
    }
}

/// A program that may start is mapped as code when it does.
fn with_own_mappings(uses: u32) -> u32 {
    if uses & USE_EXEC != 0 { uses | USE_LIBRARY } else { uses }
}

/// A time of the calendar as nanoseconds of `CLOCK_BOOTTIME`; `None` when it has passed.
fn boottime_of(seconds_since_epoch: u64) -> Option<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_secs(seconds_since_epoch).checked_sub(now)?;
    Some(boottime().saturating_add(nanoseconds(left)))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
