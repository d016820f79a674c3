//! Rollback (T1601.002): below the highest security version that was accepted of a program, nothing of it is let in any more.
//!
//! What was published is remembered by its line of releases, so that it can be taken away when a newer one arrives. The floors are on the disk before anything
//! that raises them is published.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use enforcer_common::Digest;

use crate::signature::Release;
use crate::trust::{RecordError, SecurityVersions};

/// The floors, and what stands on them.
pub(super) struct Floors {
    versions: Arc<SecurityVersions>,
    /// Where they are kept; `None` while what is kept there cannot be read.
    file: Option<PathBuf>,
    unsaved: bool,
    published: HashMap<Digest, Published>,
    /// The daemon's own program and libraries, which are not taken away under it.
    own: HashSet<Digest>,
}

/// What a published digest is.
struct Published {
    release: Release,
    generation: u32,
}

/// What is to be done about something that was verified.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Something newer of it was accepted since.
    RolledBack,
    /// It may be published, when these have been taken away.
    Admitted {
        /// Older releases of the same program.
        withdraw: Vec<Digest>,
    },
}

impl Floors {
    /// Reads what was accepted before.
    pub fn load(file: &Path) -> Result<Self, RecordError> {
        Ok(Self { versions: Arc::new(SecurityVersions::load(file)?), file: Some(file.to_owned()), ..Self::unknown() })
    }

    /// Where nobody can tell what was accepted before: nothing is, and what is kept is left for people to look at.
    pub fn unknown() -> Self {
        Self { versions: Arc::default(), file: None, unsaved: false, published: HashMap::new(), own: HashSet::new() }
    }

    /// The floors of this moment.
    pub fn versions(&self) -> Arc<SecurityVersions> {
        Arc::clone(&self.versions)
    }

    /// Holds a release against the floor of its line, and raises it to that.
    pub fn admit(&mut self, release: Option<&Release>) -> Admission {
        let Some(Release { line, version }) = release else { return Admission::Admitted { withdraw: Vec::new() } };
        let floor = self.versions.floor(line);
        if *version < floor {
            return Admission::RolledBack;
        }
        if *version == floor {
            return Admission::Admitted { withdraw: Vec::new() };
        }
        Arc::make_mut(&mut self.versions).raise(line, *version);
        tracing::info!(line, version, former = floor, "a newer security version was accepted; older ones are refused from now on");
        self.unsaved = true;
        self.save();
        let is_older = |Published { release, .. }: &Published| release.line == *line && release.version < *version;
        let older: Vec<Digest> = self.published.iter().filter(|(_, published)| is_older(published)).map(|(digest, _)| *digest).collect();
        let (own, withdraw): (Vec<Digest>, Vec<Digest>) = older.into_iter().partition(|digest| self.own.contains(digest));
        if !own.is_empty() {
            tracing::error!(
                line,
                "the daemon's own code has an older security version than what was accepted now: it stays until the service ends, and cannot start \
                again in enforce mode; install the newer one"
            );
        }
        for digest in &withdraw {
            self.published.remove(digest);
        }
        Admission::Admitted { withdraw }
    }

    /// Remembers what was published.
    pub fn note(&mut self, digest: Digest, release: Option<&Release>, generation: u32) {
        match release {
            Some(release) => drop(self.published.insert(digest, Published { release: release.clone(), generation })),
            None => drop(self.published.remove(&digest)),
        }
    }

    /// Whether the content was published in this generation as another release than this one.
    pub fn is_another(&self, digest: &Digest, release: Option<&Release>, generation: u32) -> bool {
        let published = self.published.get(digest).filter(|published| published.generation == generation);
        release.zip(published).is_some_and(|(release, published)| published.release != *release)
    }

    /// Forgets what other generations published: it has been taken away.
    pub fn forget_others(&mut self, generation: u32) {
        self.published.retain(|_, published| published.generation == generation);
    }

    /// Says what the daemon's own code is.
    pub fn set_own(&mut self, own: HashSet<Digest>) {
        self.own = own;
    }

    /// Whether this is the daemon's own code.
    pub fn is_own(&self, digest: &Digest) -> bool {
        self.own.contains(digest)
    }

    /// Keeps the floors, if they have changed since. What cannot be written now is written later: that a disk is full must not keep an update from
    /// starting.
    pub fn save(&mut self) {
        let Some(file) = self.file.as_ref().filter(|_| self.unsaved) else { return };
        match self.versions.save(file) {
            Ok(()) => self.unsaved = false,
            Err(error) => tracing::error!("the highest accepted security versions could not be kept, and would be forgotten by a restart: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(line: &str, version: u32) -> Release {
        Release { line: line.to_owned(), version }
    }

    fn digest(byte: u8) -> Digest {
        Digest::sha256([byte; 32])
    }

    fn admitted(withdraw: &[Digest]) -> Admission {
        Admission::Admitted { withdraw: withdraw.to_vec() }
    }

    #[test]
    fn older_releases_are_withdrawn_and_refused_and_others_are_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("security-versions.toml");
        let mut floors = Floors::load(&file).unwrap();
        for (number, identifier, version) in [(1, "tool", 1), (2, "other", 1), (3, "tool", 1)] {
            assert_eq!(floors.admit(Some(&release(identifier, version))), admitted(&[]));
            floors.note(digest(number), Some(&release(identifier, version)), 1);
        }
        floors.set_own([digest(3)].into());
        assert_eq!(floors.admit(Some(&release("tool", 2))), admitted(&[digest(1)]), "but not the daemon's own");
        assert_eq!(floors.admit(Some(&release("tool", 1))), Admission::RolledBack);
        assert_eq!(floors.admit(Some(&release("tool", 0))), Admission::RolledBack);
        assert_eq!(floors.admit(Some(&release("tool", 2))), admitted(&[]));
        assert_eq!(floors.admit(None), admitted(&[]));
        let read = Floors::load(&file).unwrap();
        assert_eq!((read.versions().floor("tool"), read.versions().floor("other")), (2, 1));
    }

    #[test]
    fn what_cannot_be_kept_counts_and_is_kept_later() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("state");
        let file = below.join("security-versions.toml");
        let mut floors = Floors::load(&file).unwrap();
        assert_eq!(floors.admit(Some(&release("tool", 2))), admitted(&[]));
        assert_eq!(floors.admit(Some(&release("tool", 1))), Admission::RolledBack);
        std::fs::create_dir(below).unwrap();
        floors.save();
        assert_eq!(SecurityVersions::load(&file).unwrap().floor("tool"), 2);
    }

    #[test]
    fn what_another_generation_published_is_forgotten() {
        let mut floors = Floors::unknown();
        floors.note(digest(1), Some(&release("tool", 1)), 1);
        floors.note(digest(2), Some(&release("tool", 1)), 2);
        floors.forget_others(2);
        assert_eq!(floors.admit(Some(&release("tool", 2))), admitted(&[digest(2)]));
    }
}
