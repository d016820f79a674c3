//! Noticing that revocations have changed: the file that `enforcer revoke` writes, and revocation lists.
//!
//! Says that something happened, and not what: whoever is told reads everything anew. Folders are watched and not files, because files are replaced.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

use crate::policy::Policy;

/// A watch on everything that a policy names under `[revocation]`.
pub(super) struct Watch {
    shared: Arc<Shared>,
    changes: Receiver<()>,
}

/// What the watching thread sees too.
struct Shared {
    inotify: OwnedFd,
    names: Mutex<Names>,
    /// How often the kernel's queue was full.
    overflows: AtomicU64,
}

#[derive(Default)]
struct Names {
    /// By the number of the watch.
    folders: HashMap<i32, PathBuf>,
    wanted: Vec<PathBuf>,
}

impl Watch {
    /// Watches what the policy names.
    pub fn start(policy: &Policy) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let shared = Arc::new(Shared { inotify, names: Mutex::default(), overflows: AtomicU64::new(0) });
        // One is enough: whoever has not read it yet will read what is there then.
        let (sender, changes) = channel(1);
        let watch = Self { shared: Arc::clone(&shared), changes };
        watch.watch(policy)?;
        thread::Builder::new().name("watch".to_owned()).spawn(move || shared.tell(&sender))?;
        Ok(watch)
    }

    /// Watches what the policy names, from here on: whoever reads it afterwards misses nothing. Also when some of it was watched before.
    pub fn watch(&self, policy: &Policy) -> io::Result<()> {
        let mut names = self.shared.names();
        names.wanted.clear();
        for path in std::iter::once(&policy.revocation.file).chain(&policy.revocation.crls) {
            self.shared.want(&mut names, path)?;
            // Behind a symbolic link.
            if let Ok(real) = path.canonicalize()
                && real != *path
            {
                self.shared.want(&mut names, &real)?;
            }
        }
        Ok(())
    }

    /// How often the kernel had more to tell than its queue takes. Whoever is told then reads everything anew, so nothing is missed.
    pub fn overflows(&self) -> u64 {
        self.shared.overflows.load(Ordering::Relaxed)
    }

    /// Waits until something has changed, and then until it has been quiet for a moment. Nothing is lost when this is dropped meanwhile.
    pub async fn changed(&mut self) -> io::Result<()> {
        self.changes.recv().await.ok_or_else(|| io::Error::other("the watching thread has ended"))
    }
}

impl Shared {
    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn want(&self, names: &mut Names, path: &Path) -> io::Result<()> {
        names.wanted.push(path.to_owned());
        // What is not there yet shows in the nearest folder that is.
        let nearest = path.ancestors().skip(1).find(|folder| folder.is_dir());
        for folder in nearest.into_iter().chain(path.is_dir().then_some(path)) {
            let number = inotify::add_watch(&self.inotify, folder, CHANGES)?;
            names.folders.insert(number, folder.to_owned());
        }
        Ok(())
    }

    /// Says of each change that there was one, until nobody listens.
    fn tell(&self, changes: &Sender<()>) {
        while !changes.is_closed() {
            let told = self.read(IDLE).and_then(|matters| if matters { self.wait_for_quiet().map(|()| true) } else { Ok(false) });
            match told {
                Ok(false) => {}
                Ok(true) => match changes.try_send(()) {
                    Ok(()) | Err(TrySendError::Full(())) => {}
                    Err(TrySendError::Closed(())) => return,
                },
                // The end of this thread ends the daemon, which is started anew.
                Err(error) => return tracing::error!("cannot watch what is revoked: {error}"),
            }
        }
    }

    fn wait_for_quiet(&self) -> io::Result<()> {
        for _ in 0..MOST_QUIET_MOMENTS {
            if !self.is_waiting(QUIET)? {
                break;
            }
            self.read(Duration::ZERO)?;
        }
        Ok(())
    }

    /// Whether there are events, within this time.
    fn is_waiting(&self, limit: Duration) -> io::Result<bool> {
        let limit = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: i64::from(limit.subsec_nanos()) };
        match poll(&mut [PollFd::new(&self.inotify, PollFlags::IN)], Some(&limit)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the events that come within this time; whether one of them matters.
    fn read(&self, limit: Duration) -> io::Result<bool> {
        if !self.is_waiting(limit)? {
            return Ok(false);
        }
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut matters = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    let names = self.names();
                    matters |= match (event.file_name(), names.folders.get(&event.wd())) {
                        _ if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                            self.overflows.fetch_add(1, Ordering::Relaxed);
                            true
                        }
                        (Some(name), Some(folder)) => is_about(&names.wanted, &folder.join(OsStr::from_bytes(name.to_bytes()))),
                        // The folder itself has gone, or come to another place.
                        (None, Some(_)) => true,
                        (_, None) => false,
                    };
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(matters),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether a change of this path may be one of a wanted file, of a folder above it, or of something in a wanted folder.
fn is_about(wanted: &[PathBuf], changed: &Path) -> bool {
    wanted.iter().any(|path| path.starts_with(changed) || changed.starts_with(path))
}

const CHANGES: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);
/// How often the thread looks whether anybody listens.
const IDLE: Duration = Duration::from_secs(1);
/// What is written in a row is read once.
const QUIET: Duration = Duration::from_millis(30);
/// Somebody who never stops writing does not hold it up.
const MOST_QUIET_MOMENTS: usize = 10;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Whether a watch on a policy below this folder notices what is done.
    fn notices(folder: &Path, change: impl FnOnce()) -> bool {
        let path = |name: &str| folder.join(name).display().to_string();
        let text = format!(
            "version = 1\nmode = \"audit\"\n[revocation]\nfile = \"{}\"\ncrls = [\"{}\", \"{}\"]\n",
            path("revoked.toml"),
            path("crls"),
            path("later/one.crl")
        );
        let policy = Policy::parse(&text, Path::new("policy.toml")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut watch = Watch::start(&policy).unwrap();
            change();
            tokio::time::timeout(Duration::from_millis(500), watch.changed()).await.is_ok()
        })
    }

    #[test]
    fn every_way_in_which_a_revocation_can_change_is_noticed_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str| fs::write(at(name), "x").unwrap();
        fs::create_dir(at("crls")).unwrap();
        assert!(notices(folder.path(), || write("revoked.toml")), "written");
        write("draft");
        assert!(notices(folder.path(), || fs::rename(at("draft"), at("revoked.toml")).unwrap()), "renamed");
        assert!(notices(folder.path(), || fs::remove_file(at("revoked.toml")).unwrap()), "removed");
        assert!(notices(folder.path(), || write("crls/new.crl")), "in a folder");
        assert!(notices(folder.path(), || fs::remove_dir_all(at("crls")).unwrap()), "the folder itself");
        assert!(notices(folder.path(), || fs::create_dir(at("crls")).unwrap()), "a folder that was not there");
        assert!(notices(folder.path(), || fs::create_dir(at("later")).unwrap()), "a folder above a list that is not there");
        assert!(!notices(folder.path(), || write("policy.toml")), "something else");
    }
}
