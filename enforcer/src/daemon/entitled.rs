//! Programs that run with rights of their own (`jit`, `debugger`) keep them when the policy is replaced that gave them.
//!
//! What a process may do rests on what was measured of its program when it was started, and on the verdict on that, which goes with its policy. The rights
//! that it gave are left to what runs for a while ([`enforcer_common::Verdict::left`]), until that has been verified again: by the signature that gave it its
//! rights, and on the new policy's word. Nobody waits for that: a process can lie where reading takes for ever.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, TryLockError};
use std::thread;

use enforcer_common::Mode;

use super::before::verify;
use super::publish::entitlements;
use super::{Ground, Shared};
use crate::kernel::{boottime, without_mark};
use crate::measure;
use crate::processes;
use crate::text::printable;
use crate::worker::{self, Pool};

/// Decides anew, on a thread of its own, about what runs by rights that are left of a former ground.
pub(super) fn start(shared: &Arc<Shared>) {
    if !shared.are_rights_left.load(Ordering::Relaxed) {
        return;
    }
    let renewing = Arc::clone(shared);
    if let Err(error) = thread::Builder::new().name("entitled".to_owned()).spawn(move || renew(&renewing)) {
        tracing::error!("{LOST}: {error}");
    }
}

/// Decides anew about it.
pub(super) fn renew(shared: &Shared) {
    let _renewing = match shared.renewing.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            if shared.in_force.left_until() <= boottime() {
                tracing::error!("{LOST}: verifying some program that runs has not come to an end");
            }
            return;
        }
    };
    // A reload meanwhile says so again, once its ground is in force.
    while shared.are_rights_left.swap(false, Ordering::Relaxed) {
        let ground = shared.ground();
        if let Err(error) = renew_on(shared, &ground) {
            // The watchdog tries again.
            shared.are_rights_left.store(true, Ordering::Relaxed);
            return tracing::error!("{LOST}: {error}");
        }
        let _replacing = shared.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.ground().generation == ground.generation {
            match shared.publisher.withdraw_left() {
                Ok(()) => tracing::info!("what runs has the rights that the policy in force gives it, and no others"),
                Err(error) => tracing::error!("what a former policy granted ends by itself only: {error}"),
            }
        }
    }
}

fn renew_on(shared: &Shared, ground: &Ground) -> Result<(), String> {
    let noted = shared.maps.executables().map_err(|error| error.to_string())?;
    let numbers: HashSet<u64> = noted.iter().map(|(id, _)| id.inode.number).collect();
    let settings = worker::Settings::of_this_program(1, 0, shared.strictest_mode() == Mode::Audit);
    let workers = Pool::start(settings, Arc::clone(&shared.tally.workers)).map_err(|unfit| unfit.to_string())?;
    let mut seen = HashSet::new();
    for pid in processes::pids().map_err(|error| format!("`/proc`: {error}"))? {
        if shared.ground().generation != ground.generation {
            break;
        }
        let folder = Path::new("/proc").join(pid.to_string());
        let handle = folder.join("exe");
        // Kernel threads run no file, and who has ended needs no rights.
        let Ok(metadata) = fs::metadata(&handle) else { continue };
        // On overlays, what user space is told need not be the inode's number.
        if seen.contains(&(metadata.dev(), metadata.ino())) || !numbers.contains(&metadata.ino()) && !is_on_overlay(&handle) {
            continue;
        }
        let (Ok(file), Ok(name)) = (measure::open(&handle), fs::read_link(&handle).map(without_mark)) else { continue };
        let Ok(opened) = file.metadata() else { continue };
        seen.insert((opened.dev(), opened.ino()));
        let as_it_sees_it = name.strip_prefix("/").map(|below| folder.join("root").join(below));
        let verified = as_it_sees_it.ok().and_then(|path| verify(shared, ground, &workers, &file, &path));
        let Some(verified) = verified.or_else(|| verify(shared, ground, &workers, &file, &name)) else { continue };
        if entitlements(&verified) == 0 {
            continue;
        }
        if let Err(error) = shared.publish_on(ground, |publisher| publisher.allow(&verified, ground.generation)) {
            tracing::error!("`{}` runs, and its entitlements are not renewed: {error}", printable(&name.to_string_lossy()));
        }
    }
    Ok(())
}

fn is_on_overlay(handle: &Path) -> bool {
    const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;
    #[allow(clippy::unnecessary_cast, reason = "the width of f_type differs between architectures")]
    rustix::fs::statfs(handle).is_ok_and(|statfs| statfs.f_type as u64 == OVERLAYFS_SUPER_MAGIC)
}

const LOST: &str = "what runs may be without its entitlements until it is started anew";
