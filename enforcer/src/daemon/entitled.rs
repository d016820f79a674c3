//! Programs that run with rights of their own (`jit`, `debugger`) keep them when what is decided changes hands.
//!
//! What a process may do rests on two things in the kernel: what was measured of its program when it was started, and the verdict on that. The first is
//! empty in a new build of the programs, and the second goes with the former policy. So before either happens, what runs is verified again: by the
//! signature that gave it its rights, and on the new policy's word.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use enforcer_common::{ENTITLEMENT_OWN, Verdict};

use super::before::{pids, verify};
use super::publish::entitlements;
use super::{Ground, Shared};
use crate::kernel::KernelError;
use crate::measure;
use crate::signature::Verified;

/// Shows the programs what runs with rights that the policy grants, before they decide about anything.
pub(super) fn enrol(shared: &Shared) {
    let ground = shared.ground();
    if ground.policy.signers.iter().all(|signer| signer.entitlements.is_empty()) {
        return;
    }
    each_running(shared, &ground, |file, verified| shared.maps.enrol_executable(file, &verified.digest()));
}

/// Decides anew about what runs with rights, before the verdicts of a former ground are removed. What the new one grants nothing gets nothing.
pub(super) fn keep(shared: &Shared, ground: &Ground) {
    let is_left_behind = |verdict: &Verdict| verdict.generation != ground.generation && verdict.entitlements & !ENTITLEMENT_OWN != 0;
    let are_left_behind = shared.maps.noted_executables().and_then(|noted| {
        let verdicts = noted.iter().map(|digest| shared.maps.verdict(digest)).collect::<Result<Vec<_>, _>>()?;
        Ok(verdicts.iter().flatten().any(is_left_behind))
    });
    match are_left_behind {
        Ok(false) => {}
        Ok(true) => each_running(shared, ground, |_, _| Ok(())),
        Err(error) => tracing::error!("{LOST}: {error}"),
    }
}

/// Verifies the programs of all processes, and publishes those that a signature gives rights.
fn each_running(shared: &Shared, ground: &Ground, also: impl Fn(&File, &Verified) -> Result<(), KernelError>) {
    let pids = match pids() {
        Ok(pids) => pids,
        Err(error) => return tracing::error!("{LOST}: `/proc`: {error}"),
    };
    let mut seen = HashSet::new();
    for pid in pids {
        let handle = Path::new("/proc").join(pid.to_string()).join("exe");
        // Kernel threads run no file, and who has ended needs no rights.
        let (Ok(name), Ok(metadata)) = (fs::read_link(&handle), fs::metadata(&handle)) else { continue };
        if !seen.insert((metadata.dev(), metadata.ino())) {
            continue;
        }
        let Ok(file) = measure::open(&handle) else { continue };
        let Some(verified) = verify(shared, ground, &shared.workers, &file, &name).filter(|verified| entitlements(verified) != 0) else { continue };
        let outcome =
            shared.publisher.allow(&verified, ground.generation).and_then(|is_allowed| if is_allowed { also(&file, &verified) } else { Ok(()) });
        if let Err(error) = outcome {
            tracing::error!("{LOST}: `{}`: {error}", name.display());
        }
    }
}

const LOST: &str = "what runs may be without its entitlements until it is started anew";
