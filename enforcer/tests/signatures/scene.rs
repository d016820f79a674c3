//! A folder with files, a policy that trusts the test root, and the examiner's word on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use enforcer::measure;
use enforcer::policy::{Policy, Signer, Sources};
use enforcer::signature::{Attempt, Examination, Examiner, Facts};
use enforcer::trust::TrustStore;
use enforcer::worker::{Pool, Settings};
use rustls_pki_types::UnixTime;
use tempfile::TempDir;

use crate::pki::PKI;

pub struct Scene {
    pub folder: TempDir,
    pub signers: Vec<Signer>,
    pub sources: Sources,
    /// Everything else.
    pub rest: Policy,
    pub now: UnixTime,
}

impl Scene {
    /// One signer rule, `vendor`, which trusts the test root.
    pub fn new() -> Self {
        let signer = rule("vendor", &[&PKI.root.certificate], &[]);
        let folder = tempfile::tempdir().unwrap();
        let mut rest = Policy::parse("version = 1\nmode = \"audit\"\n", Path::new("policy.toml")).unwrap();
        // Nothing of the machine that runs the tests counts.
        rest.revocation.crls.clear();
        rest.revocation.file = folder.path().join("revoked.toml");
        let sources = Sources { manifests: Vec::new(), stores: Vec::new() };
        Self { folder, signers: vec![signer], sources, rest, now: later(UnixTime::now(), 1) }
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn examiner(&self) -> Examiner {
        let policy = self.policy();
        Examiner::new(&policy, TrustStore::load(&policy, self.now).unwrap(), &Facts::at(self.now))
    }

    pub fn policy(&self) -> Policy {
        Policy { signers: self.signers.clone(), sources: self.sources.clone(), ..self.rest.clone() }
    }

    pub fn examine(&self, path: &Path) -> Examination {
        self.examine_at(path, self.now)
    }

    pub fn examine_at(&self, path: &Path, now: UnixTime) -> Examination {
        let file = measure::open(path).unwrap();
        let (examiner, facts) = (self.examiner(), Facts::at(now));
        let here = examiner.examine(&file, Some(path), &facts).unwrap();
        // Whatever a test says about a file, a worker and the daemon come to the same.
        let there = examiner.examine_by(&*WORKERS, &file, Some(path), &facts).unwrap();
        assert_eq!(told(&here), told(&there));
        here
    }

    /// `carrier signer` when it would run, else the code of the reason.
    pub fn word(&self, path: &Path) -> String {
        word(&self.examine(path))
    }
}

/// Workers of the real program. On a machine whose user or kernel cannot confine them they work all the same, and say so.
pub static WORKERS: LazyLock<Pool> = LazyLock::new(|| {
    let program = env!("CARGO_BIN_EXE_enforcer").into();
    Pool::start(Settings { program, size: 2, nice: 0, unconfined_allowed: true }, Arc::default()).unwrap()
});

/// Everything that was found and decided, in words.
fn told(examination: &Examination) -> String {
    let attempt = |attempt: &Attempt| {
        let signers: Vec<String> = attempt.signers.iter().map(|signer| format!("{signer:?}")).collect();
        let outcome = match &attempt.result {
            Ok(verified) => format!("{verified:?}"),
            Err(rejected) => rejected.to_string(),
        };
        format!("{} {signers:?} {outcome}", attempt.carrier)
    };
    let attempts: Vec<String> = examination.attempts.iter().map(attempt).collect();
    format!("{:?} {:?} {attempts:#?}", examination.digest, examination.revoked.is_some())
}

pub fn word(examination: &Examination) -> String {
    match examination.outcome() {
        Ok(verified) => format!("{} {}", verified.carrier().name(), verified.signer_name()),
        Err(rejected) => rejected.code().to_owned(),
    }
}

pub fn rule(name: &str, anchors: &[&Path], pinned: &[&Path]) -> Signer {
    let owned = |paths: &[&Path]| paths.iter().map(|path| path.to_path_buf()).collect();
    Signer {
        name: name.to_owned(),
        anchors: owned(anchors),
        pinned: owned(pinned),
        intermediates: Vec::new(),
        uses: enforcer_common::USE_EXEC,
        entitlements: Vec::new(),
    }
}

pub fn later(time: UnixTime, days: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(time.as_secs() + days * 86_400))
}
