//! Rejections of a moment ago, so that a file that is tried again and again is not verified again and again.
//!
//! A rejection is about a place and not about a content: the same bytes elsewhere may have a signature beside them. So a place is the digest, the path,
//! and the namespace and root in which the path means something.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use enforcer_common::{Digest, Reason, Request};

use super::locate;

/// Where a content was when it was asked about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    digest: Digest,
    path: PathBuf,
    mount_namespace: u64,
    root: (u64, u64),
}

impl Place {
    /// The place of a request; `None` when its file has no path, or its process is gone.
    pub fn of(request: &Request) -> Option<Self> {
        let process = Path::new("/proc").join(request.pid.to_string());
        let root = fs::metadata(process.join("root")).ok()?;
        Some(Self {
            digest: request.digest,
            path: locate::full_path(request)?,
            mount_namespace: fs::metadata(process.join("ns/mnt")).ok()?.ino(),
            root: (root.dev(), root.ino()),
        })
    }
}

/// A bounded number of places, each with the time, the generation and the reason of its rejection.
#[derive(Default)]
pub struct Rejections {
    places: Mutex<HashMap<Place, (Instant, u32, Reason)>>,
}

impl Rejections {
    /// Why the place was rejected a moment ago, on the same ground, if it was.
    pub fn recent(&self, place: &Place, generation: u32) -> Option<Reason> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(place).filter(|(when, of, _)| *of == generation && when.elapsed() < RECENT).map(|(_, _, reason)| *reason)
    }

    /// Keeps a rejection; `false` when there is no room for it.
    pub fn remember(&self, place: Place, generation: u32, reason: Reason) -> bool {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MOST {
            places.retain(|_, (when, ..)| when.elapsed() < RECENT);
        }
        // Still full of fresh ones: a flood, which costs the flooder as much as us.
        let has_room = places.len() < MOST;
        if has_room {
            places.insert(place, (Instant::now(), generation, reason));
        }
        has_room
    }
}

/// Short, so that a file that is signed after its first denial runs.
const RECENT: Duration = Duration::from_secs(2);
const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_is_about_its_place_and_its_ground() {
        let place = |path: &str| Place { digest: Digest::sha256([7; 32]), path: path.into(), mount_namespace: 1, root: (1, 2) };
        let rejections = Rejections::default();
        assert!(rejections.remember(place("/tmp/copy"), 3, Reason::Untrusted));
        assert_eq!(rejections.recent(&place("/tmp/copy"), 3), Some(Reason::Untrusted));
        assert_eq!(rejections.recent(&place("/opt/original"), 3), None);
        assert_eq!(rejections.recent(&place("/tmp/copy"), 4), None);
        for number in 1..MOST {
            assert!(rejections.remember(place(&format!("/tmp/{number}")), 3, Reason::Unreadable));
        }
        assert!(!rejections.remember(place("/tmp/one/too/many"), 3, Reason::Untrusted));
    }
}
