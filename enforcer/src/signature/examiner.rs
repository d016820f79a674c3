//! Files in, examinations out: the one object that daemon and command line ask.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use enforcer_common::Digest;
use rustls_pki_types::UnixTime;

use super::carrier::Carrier;
use super::content::FileContent;
use super::find::{self, Found};
use super::manifest::MAX_MANIFEST_SIZE;
use super::rejected::{ManifestError, ManifestProblem, Rejected};
use super::verify::{ManifestFault, ManifestInForce, Verified, verify_file};
use crate::measure::{self, MeasureError, Witness};
use crate::policy::Sources;
use crate::trust::TrustStore;

/// Examines files by one policy. Shared among threads as it is; a reload makes a new one.
pub struct Examiner {
    trust: TrustStore,
    stores: Vec<PathBuf>,
    manifests: Vec<ManifestInForce>,
    manifest_errors: Vec<ManifestError>,
    max_size: u64,
}

/// What was found out about one file.
#[derive(Debug)]
pub struct Examination {
    /// SHA-256 over all its bytes.
    pub digest: Digest,
    /// Its fs-verity digest, where the kernel guarantees one.
    pub fsverity: Option<Digest>,
    /// Each signature that was found, in the order of the carriers. After an accepted one nothing more is looked for.
    pub attempts: Vec<Attempt>,
}

/// One signature, and what was decided about it.
#[derive(Debug)]
pub struct Attempt {
    /// Where it was.
    pub carrier: Carrier,
    /// What was decided.
    pub result: Result<Verified, Rejected>,
}

impl Examiner {
    /// Loads the manifests; those that are not accepted are reported by [`Examiner::manifest_errors`], and the others are in force.
    pub fn new(sources: &Sources, trust: TrustStore, max_size: u64, now: UnixTime) -> Self {
        let mut manifests = Vec::new();
        let mut manifest_errors = Vec::new();
        for source in &sources.manifests {
            match manifest_files(source) {
                Ok(paths) => {
                    for path in paths {
                        match load_manifest(&path, &trust, now) {
                            Ok(manifest) => manifests.push(manifest),
                            Err(problem) => manifest_errors.push(ManifestError::new(&path, problem)),
                        }
                    }
                }
                Err(problem) => manifest_errors.push(ManifestError::new(source, problem)),
            }
        }
        Self { trust, stores: sources.stores.clone(), manifests, manifest_errors, max_size }
    }

    /// Finds out whether a file is signed. `path` is where its `.p7s` would lie beside it, if it has a name at all.
    ///
    /// # Errors
    /// When the file itself cannot be measured: then there is no digest that anything could be said about.
    pub fn examine(&self, file: &File, path: Option<&Path>, now: UnixTime) -> Result<Examination, MeasureError> {
        let mut found: Vec<Found> = find::embedded(file).into_iter().chain(path.and_then(find::beside)).collect();
        let parts = found.iter().filter_map(Found::part).collect();
        let witnesses: Vec<Witness> = found.iter_mut().flat_map(|found| std::mem::take(&mut found.witnesses)).collect();
        let mut content = FileContent::measure(file, self.max_size, parts, &witnesses)?;
        let (digest, fsverity) = (content.digest(), content.fsverity());
        let in_stores = self.stores.iter().filter_map(|store| find::in_store(store, &digest));
        let mut attempts = Vec::new();
        let _ = self.try_signatures(found, &mut content, now, &mut attempts).is_some()
            || self.try_signatures(in_stores, &mut content, now, &mut attempts).is_some()
            || self.try_manifests(&content, now, &mut attempts).is_some();
        Ok(Examination { digest, fsverity, attempts })
    }

    /// Everything that the manifests vouch for, so that it can be published before anybody asks.
    pub fn manifest_entries(&self) -> impl Iterator<Item = Verified> {
        self.manifests.iter().flat_map(ManifestInForce::entries)
    }

    /// The manifests that are not in force, and why.
    pub fn manifest_errors(&self) -> &[ManifestError] {
        &self.manifest_errors
    }

    fn try_signatures(
        &self,
        all: impl IntoIterator<Item = Found>,
        content: &mut FileContent<'_>,
        now: UnixTime,
        attempts: &mut Vec<Attempt>,
    ) -> Option<Accepted> {
        all.into_iter().find_map(|found| {
            let result = found.signature.and_then(|signature| {
                content.set_zeroed(found.zeroed);
                verify_file(content, &signature, found.carrier.clone(), &self.trust, now)
            });
            record(attempts, found.carrier, result)
        })
    }

    fn try_manifests(&self, content: &FileContent<'_>, now: UnixTime, attempts: &mut Vec<Attempt>) -> Option<Accepted> {
        self.manifests.iter().find_map(|manifest| {
            let result = manifest.vouches_for(content, now)?;
            record(attempts, manifest.carrier().clone(), result)
        })
    }
}

/// The search is over.
struct Accepted;

fn record(attempts: &mut Vec<Attempt>, carrier: Carrier, result: Result<Verified, Rejected>) -> Option<Accepted> {
    let accepted = result.is_ok().then_some(Accepted);
    attempts.push(Attempt { carrier, result });
    accepted
}

impl Examination {
    /// The decision. Of several failures, the first one is the reason.
    pub fn outcome(&self) -> Result<&Verified, &Rejected> {
        let mut failure = &Rejected::Unsigned;
        for attempt in self.attempts.iter().rev() {
            match &attempt.result {
                Ok(verified) => return Ok(verified),
                Err(rejected) => failure = rejected,
            }
        }
        Err(failure)
    }

    /// Whether this is about the content that the kernel calls `digest`.
    pub fn covers(&self, digest: &Digest) -> bool {
        self.digest == *digest || self.fsverity == Some(*digest)
    }
}

fn load_manifest(path: &Path, trust: &TrustStore, now: UnixTime) -> Result<ManifestInForce, ManifestProblem> {
    let text = measure::read_bounded(path, MAX_MANIFEST_SIZE)?;
    let carrier = Carrier::Manifest(path.into());
    let Some(found) = find::beside(path) else {
        return Err(ManifestProblem::NoSignature(find::signature_path(path)));
    };
    ManifestInForce::verify(&text, &found.signature?, carrier, trust, now).map_err(|fault| match fault {
        ManifestFault::Signature(rejected) => rejected.into(),
        ManifestFault::Line(line) => line.into(),
    })
}

/// A file names itself; a folder stands for its `*.manifest`, in the order of their names. A folder that is not there is empty: the policy's
/// default names one before anybody has put a manifest there.
fn manifest_files(source: &Path) -> Result<Vec<PathBuf>, MeasureError> {
    let is_manifest = |path: &Path| path.extension().is_some_and(|extension| extension == "manifest");
    if !source.is_dir() {
        let absent = !is_manifest(source) && source.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        return Ok(if absent { Vec::new() } else { vec![source.to_owned()] });
    }
    let listing = fs::read_dir(source).and_then(|folder| folder.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>());
    let mut paths = listing.map_err(|source| MeasureError::Open { source })?;
    paths.retain(|path| is_manifest(path));
    paths.sort();
    Ok(paths)
}
