//! Files in, examinations out: the one object that daemon and command line ask.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use enforcer_common::Digest;

use super::carrier::Carrier;
use super::content::{Content, FileContent};
use super::find::{self, Found};
use super::manifest::MAX_MANIFEST_SIZE;
use super::parse::{InThisProcess, Parser};
use super::rejected::{ManifestError, ManifestProblem, Rejected};
use super::verify::{Facts, ManifestFault, ManifestInForce, Rules, SignerReport, Verified, verify_file};
use crate::measure::{self, MeasureError, Part, Witness};
use crate::policy::{Evidence, Policy};
use crate::trust::{Revoked, TrustStore};

/// Examines files by one policy. Shared among threads as it is; a reload makes a new one.
pub struct Examiner {
    rules: Rules,
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
    /// Whether this very content was revoked: then no signature counts, and none was looked for.
    pub revoked: Option<Rejected>,
}

/// What one of two policies says of a file; it may be too large for one of them only.
pub type Compared = Result<Examination, MeasureError>;

/// One signature, and what was decided about it.
#[derive(Debug)]
pub struct Attempt {
    /// Where it was.
    pub carrier: Carrier,
    /// Its signers, as far as they were looked at; none for an entry of a manifest.
    pub signers: Vec<SignerReport>,
    /// What was decided.
    pub result: Result<Verified, Rejected>,
}

impl Examiner {
    /// Loads the manifests; those that are not accepted are reported by [`Examiner::manifest_errors`], and the others are in force.
    pub fn new(policy: &Policy, trust: TrustStore, facts: &Facts<'_>) -> Self {
        let rules = Rules {
            trust,
            components: policy.components.clone(),
            several_signers: policy.signatures.several_signers,
            interpreters: policy.interpreters.clone(),
        };
        let mut manifests = Vec::new();
        let mut manifest_errors = Vec::new();
        for source in &policy.sources.manifests {
            match manifest_files(source) {
                Ok(paths) => {
                    for path in paths {
                        match load_manifest(&path, &rules, facts) {
                            Ok(manifest) => manifests.push(manifest),
                            Err(problem) => manifest_errors.push(ManifestError::new(&path, problem)),
                        }
                    }
                }
                Err(problem) => manifest_errors.push(ManifestError::new(source, problem)),
            }
        }
        Self { rules, stores: policy.sources.stores.clone(), manifests, manifest_errors, max_size: policy.limits.max_file_size }
    }

    /// Finds out whether a file is signed. `path` is where its `.p7s` would lie beside it, if it has a name at all.
    ///
    /// # Errors
    /// When the file itself cannot be measured: then there is no digest that anything could be said about.
    pub fn examine(&self, file: &File, path: Option<&Path>, facts: &Facts<'_>) -> Result<Examination, MeasureError> {
        self.examine_by(&InThisProcess, file, path, facts).map_err(|error| match error {
            ExamineError::Measure(error) => error,
            ExamineError::Parser(never) => match never {},
        })
    }

    /// The same, with whatever strangers wrote looked into by this parser.
    ///
    /// # Errors
    /// When the file cannot be measured, or the parser has no answer.
    pub fn examine_by<P: Parser>(
        &self,
        parser: &P,
        file: &File,
        path: Option<&Path>,
        facts: &Facts<'_>,
    ) -> Result<Examination, ExamineError<P::Fault>> {
        let (found, witnesses) = find::at_file(parser, file, path).map_err(ExamineError::Parser)?;
        let (mut content, contents) = measured(file, self.max_size, &found, &witnesses)?;
        self.decide(parser, found, &mut content, &contents, path, facts).map_err(ExamineError::Parser)
    }

    /// What two policies say of one file, which is read once: this one's word, and then the other one's.
    ///
    /// # Errors
    /// When the file cannot be measured, by either.
    pub fn compare(&self, other: &Self, file: &File, path: Option<&Path>, facts: &Facts<'_>) -> Result<[Compared; 2], MeasureError> {
        let parser = &InThisProcess;
        let Ok((found, witnesses)) = find::at_file(parser, file, path);
        let (mut content, contents) = measured(file, self.max_size.max(other.max_size), &found, &witnesses)?;
        let size = content.file_size();
        let mut by = |examiner: &Self, found: Vec<Found>| {
            if size > examiner.max_size {
                return Err(MeasureError::TooLarge { size, limit: examiner.max_size });
            }
            let Ok(examination) = examiner.decide(parser, found, &mut content, &contents, path, facts);
            Ok(examination)
        };
        let mine = by(self, found);
        let Ok((again, _)) = find::at_file(parser, file, path);
        Ok([mine, by(other, again)])
    }

    /// Decides about a content that was measured, by the signatures that were found at its file and those that are found by its digest.
    fn decide<P: Parser>(
        &self,
        parser: &P,
        found: Vec<Found>,
        content: &mut FileContent<'_>,
        contents: &[Part],
        path: Option<&Path>,
        facts: &Facts<'_>,
    ) -> Result<Examination, P::Fault> {
        let (digest, fsverity) = (content.digest(), content.fsverity());
        let mut attempts = Vec::new();
        let contents: Vec<Digest> = contents.iter().filter_map(|part| content.known_sha256(part)).collect();
        let is_revoked = [Some(digest), fsverity]
            .into_iter()
            .flatten()
            .chain(contents.iter().copied())
            .any(|digest| self.rules.trust.revoked().has_digest(&digest));
        if is_revoked {
            return Ok(Examination { digest, fsverity, attempts, revoked: Some(Rejected::Revoked) });
        }
        let mut accepted = self.try_signatures(found, content, facts, &mut attempts);
        if accepted.is_none() {
            let in_stores = find::in_stores(parser, &self.stores, &digest)?;
            accepted = self.try_signatures(in_stores, content, facts, &mut attempts);
        }
        if accepted.is_none() {
            self.try_manifests(content, facts, &mut attempts);
        }
        let here = path.and_then(|path| where_root_put_it(content.file(), path));
        let evidence = here.as_deref().map_or(Evidence::Signature, Evidence::Lies);
        for attempt in &mut attempts {
            if let Ok(verified) = &attempt.result {
                attempt.result = Ok(verified.clone().seen(evidence, contents.clone(), &self.rules));
            }
        }
        Ok(Examination { digest, fsverity, attempts, revoked: None })
    }

    /// What is decided about a content of which nothing is known but its digest: whether it is revoked, and what the manifests say of it. `None`, where only a
    /// signature of its own could tell.
    pub fn examine_digest(&self, digest: Digest, facts: &Facts<'_>) -> Option<Result<Verified, Rejected>> {
        if self.rules.trust.revoked().has_digest(&digest) {
            return Some(Err(Rejected::Revoked));
        }
        self.manifests.iter().filter_map(|manifest| manifest.vouches_for(digest, None, facts)).max_by_key(Result::is_ok)
    }

    /// The certificates, revocations and lists that it decides by.
    pub fn trust(&self) -> &TrustStore {
        &self.rules.trust
    }

    /// Single digests, certificates and signers that are revoked.
    pub fn revoked(&self) -> &Revoked {
        self.rules.trust.revoked()
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
        facts: &Facts<'_>,
        attempts: &mut Vec<Attempt>,
    ) -> Option<Accepted> {
        all.into_iter().find_map(|found| {
            let (signers, result) = match found.signature {
                Err(problem) => (Vec::new(), Err(problem)),
                Ok(signature) => {
                    content.set_region(found.region);
                    let (signers, result) = verify_file(content, &signature, found.carrier.clone(), &self.rules, facts);
                    (signers, result.and_then(|verified| content.lies_there(found.place).then_some(verified).ok_or(Rejected::Misplaced)))
                }
            };
            record(attempts, Attempt { carrier: found.carrier, signers, result })
        })
    }

    fn try_manifests(&self, content: &FileContent<'_>, facts: &Facts<'_>, attempts: &mut Vec<Attempt>) -> Option<Accepted> {
        self.manifests.iter().find_map(|manifest| {
            let result = manifest.vouches_for(content.digest(), content.fsverity(), facts)?;
            record(attempts, Attempt { carrier: manifest.carrier().clone(), signers: Vec::new(), result })
        })
    }
}

/// Measures a file, with all digests that the signatures found at it will need, and says which parts of it are signed by themselves.
fn measured<'a>(file: &'a File, max_size: u64, found: &[Found], witnesses: &'a [Witness]) -> Result<(FileContent<'a>, Vec<Part>), MeasureError> {
    let mut parts: Vec<Part> = Vec::new();
    for part in found.iter().flat_map(Found::parts) {
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    // Whoever has a signed file can change the unsigned parts of the signature in it, or put one into it: the digest of the whole is another one
    // then, and that of the signed content is not.
    let contents: Vec<Part> = find::contents(found);
    for part in &contents {
        if !parts.contains(part) {
            parts.push(part.clone());
        }
    }
    Ok((FileContent::measure(file, max_size, parts, witnesses)?, contents))
}

/// The path of a file as everybody sees it, if nobody but root can put one there: whoever has a root folder or mounts of their own calls a file what they like.
/// What lies below `/proc/PID/root` is what a process sees below its root.
fn where_root_put_it(file: &File, path: &Path) -> Option<PathBuf> {
    if file.metadata().ok()?.uid() != 0 {
        return None;
    }
    let Ok(below) = path.strip_prefix("/proc") else { return Some(path.to_owned()) };
    let mut parts = below.components();
    let process = Path::new("/proc").join(parts.next()?);
    if parts.next()?.as_os_str() != "root" {
        return None;
    }
    let id = |folder: &Path| fs::metadata(folder).map(|found| (found.dev(), found.ino())).ok();
    let mounts = |process: &Path| fs::read_link(process.join("ns/mnt")).ok();
    let is_everybodys = id(&process.join("root"))? == id(Path::new("/"))? && mounts(&process)? == mounts(Path::new("/proc/self"))?;
    is_everybodys.then(|| Path::new("/").join(parts.as_path()))
}

/// The search is over.
struct Accepted;

/// Why nothing can be said about a file.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError<F: std::error::Error> {
    /// It cannot be measured.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// Nobody could look into it.
    #[error("{0}")]
    Parser(F),
}

fn record(attempts: &mut Vec<Attempt>, attempt: Attempt) -> Option<Accepted> {
    let accepted = attempt.result.is_ok().then_some(Accepted);
    attempts.push(attempt);
    accepted
}

impl Examination {
    /// The decision. Of several failures, the first one is the reason.
    pub fn outcome(&self) -> Result<&Verified, &Rejected> {
        if let Some(revoked) = &self.revoked {
            return Err(revoked);
        }
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

fn load_manifest(path: &Path, rules: &Rules, facts: &Facts<'_>) -> Result<ManifestInForce, ManifestProblem> {
    let text = measure::read_bounded(path, MAX_MANIFEST_SIZE)?;
    let carrier = Carrier::Manifest(path.into());
    let Some(signature) = find::beside_text(path) else {
        return Err(ManifestProblem::NoSignature(find::signature_path(path)));
    };
    ManifestInForce::verify(&text, &signature?, carrier, rules, facts).map_err(|fault| match fault {
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
