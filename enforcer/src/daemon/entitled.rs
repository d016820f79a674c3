//! Programs that run with rights of their own (`jit`, `debugger`) keep them when what is decided changes hands.
//!
//! What a process may do rests on two things in the kernel: what was measured of its program when it was started, and the verdict on that. The first is
//! empty in a new build of the programs, and is taken over from the former one. The second goes with the former policy; what it gave is left for a while
//! ([`Publisher::retire_others`](super::publish::Publisher::retire_others)), until what runs has been verified again: by the signature that gave it its rights, and on the new policy's word.
//! Nobody waits for that: a process can lie where reading takes for ever.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, TryLockError, mpsc};
use std::thread;
use std::time::Duration;

use enforcer_common::Mode;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::before::{pids, verify};
use super::publish::entitlements;
use super::{Ground, Shared};
use crate::kernel::{KernelError, Others, without_mark};
use crate::measure;
use crate::text::printable;
use crate::worker::{self, Pool};

/// Tells the programs with which rights programs run by the word of the former build. Both note what is started meanwhile.
pub(super) fn take_over(shared: &Arc<Shared>, others: &Arc<Others>) {
    if !others.are_there() {
        return;
    }
    let (done, outcome) = mpsc::channel();
    let (shared, others) = (Arc::clone(shared), Arc::clone(others));
    let work = move || {
        let taken_over =
            pids().map(|pids| pids.filter_map(|pid| take_over_process(&shared, &others, pid).transpose()).collect::<Result<Vec<()>, _>>());
        // Nobody listens any more when it took too long.
        drop(done.send(taken_over));
    };
    match thread::Builder::new().name("entitled".to_owned()).spawn(work).map(|_| outcome.recv_timeout(PATIENCE)) {
        Ok(Ok(Ok(Ok(programs)))) => tracing::debug!(processes = programs.len(), "entitlements were taken over"),
        Ok(Ok(Ok(Err(error)))) => tracing::error!("{LOST}: {error}"),
        Ok(Ok(Err(error))) | Err(error) => tracing::error!("{LOST}: {error}"),
        Ok(Err(_)) => tracing::error!("{LOST}: some process keeps its program from being looked at"),
    }
}

/// `None` when the process runs without rights of its own, or has gone.
fn take_over_process(shared: &Shared, others: &Others, pid: u32) -> Result<Option<()>, KernelError> {
    let maps = &shared.maps;
    let program = Path::new("/proc").join(pid.to_string()).join("exe");
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
        return Ok(None);
    };
    // Kernel threads have none.
    let Ok(id) = maps.executable_at(&program) else { return Ok(None) };
    let Some((digest, verdict)) = others.rights_of(&id) else { return Ok(None) };
    if !shared.publisher.leave_if_unknown(&digest, &verdict, shared.ground().generation)? && maps.verdict(&digest)?.is_none() {
        return Ok(None);
    }
    shared.are_rights_left.store(true, Ordering::Relaxed);
    maps.enrol_executable(&program, &id, &digest)?;
    // While it runs nobody can have changed it.
    let has_ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 })) != Ok(0);
    if has_ended || maps.executable_at(&program).ok() != Some(id) {
        maps.forget_executable(&id)?;
        return Ok(None);
    }
    Ok(Some(()))
}

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
        // Tried again by the watchdog.
        Err(TryLockError::WouldBlock) => return,
    };
    if !shared.are_rights_left.swap(false, Ordering::Relaxed) {
        return;
    }
    let ground = shared.ground();
    let outcome =
        renew_on(shared, &ground).and_then(|()| shared.publish_on(&ground, |publisher| publisher.withdraw_left()).map_err(|error| error.to_string()));
    if let Err(error) = outcome {
        tracing::error!("{LOST}: {error}");
    }
}

fn renew_on(shared: &Shared, ground: &Ground) -> Result<(), String> {
    let noted = shared.maps.executables().map_err(|error| error.to_string())?;
    let numbers: HashSet<u64> = noted.iter().map(|(id, _)| id.inode.number).collect();
    let settings = worker::Settings::of_this_program(1, 0, ground.policy.mode == Mode::Audit);
    let workers = Pool::start(settings, Arc::clone(&shared.tally.workers)).map_err(|unfit| unfit.to_string())?;
    let mut seen = HashSet::new();
    for pid in pids().map_err(|error| format!("`/proc`: {error}"))? {
        let folder = Path::new("/proc").join(pid.to_string());
        let handle = folder.join("exe");
        // Kernel threads run no file, and who has ended needs no rights.
        let Ok(metadata) = fs::metadata(&handle) else { continue };
        // On overlays, what user space is told need not be the inode's number.
        if !numbers.contains(&metadata.ino()) && !is_on_overlay(&handle) || seen.contains(&(metadata.dev(), metadata.ino())) {
            continue;
        }
        let (Ok(file), Ok(name)) = (measure::open(&handle), fs::read_link(&handle).map(without_mark)) else { continue };
        let Ok(opened) = file.metadata() else { continue };
        let as_it_sees_it = |name: &PathBuf| Some(folder.join("root").join(name.strip_prefix("/").ok()?));
        let verified = as_it_sees_it(&name)
            .and_then(|path| verify(shared, ground, &workers, &file, &path))
            .or_else(|| verify(shared, ground, &workers, &file, &name));
        let Some(verified) = verified else {
            tracing::warn!(
                "`{}` runs, and its entitlements are not renewed: no trusted signature covers it any more",
                printable(&name.to_string_lossy())
            );
            continue;
        };
        seen.insert((opened.dev(), opened.ino()));
        if entitlements(&verified) == 0 {
            continue;
        }
        let published = shared.publish_on(ground, |publisher| publisher.allow(&verified, ground.generation));
        if let Err(error) = published {
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
/// How long the attachment of the programs waits for what runs to be looked at.
const PATIENCE: Duration = Duration::from_secs(5);
