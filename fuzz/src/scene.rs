//! What the targets decide by: a policy that trusts the scene's root, at the time when its certificates were made; and files without names.
//!
//! Everything in `scene/` was made by `cargo xtask fuzz --make-seeds`, with keys that were thrown away.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use enforcer::policy::{Policy, Signer, TimestampAuthority};
use enforcer::signature::{Examiner, Facts};
use enforcer::trust::TrustStore;
use rustix::fs::MemfdFlags;
use rustls_pki_types::UnixTime;

use crate::corpus;

/// A file of the scene.
pub(crate) fn path(name: &str) -> PathBuf {
    corpus::root().join("scene").join(name)
}

/// Its bytes.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    let path = path(name);
    fs::read(&path).unwrap_or_else(|error| panic!("`{}`: {error}; `cargo xtask fuzz --make-seeds` makes it", path.display()))
}

/// When the scene's certificates were made, and a day more.
pub(crate) fn now() -> UnixTime {
    let text = String::from_utf8(bytes("made-at")).unwrap_or_default();
    let seconds: u64 = text.trim().parse().expect("`made-at` is a number of seconds");
    UnixTime::since_unix_epoch(Duration::from_secs(seconds + 86_400))
}

/// A policy that trusts nobody, and looks at nothing of the machine.
pub(crate) fn empty_policy() -> Policy {
    let mut policy = Policy::parse("version = 1\nmode = \"audit\"\n", Path::new("policy.toml")).expect("the smallest policy is valid");
    policy.revocation.crls.clear();
    policy.revocation.file = "/nonexistent".into();
    policy.sources.manifests.clear();
    policy.sources.stores.clear();
    policy
}

/// A policy that trusts the scene's root for code, and its authority for times.
pub(crate) fn policy() -> Policy {
    let signer = Signer {
        name: SIGNER.to_owned(),
        anchors: vec![path("root.pem")],
        pinned: Vec::new(),
        intermediates: vec![path("signers.pem")],
        uses: enforcer_common::USE_EXEC,
        entitlements: Vec::new(),
    };
    let authority = TimestampAuthority { name: "clock".to_owned(), anchors: vec![path("clock-root.pem")], intermediates: vec![path("clock.pem")] };
    Policy { signers: vec![signer], timestamp_authorities: vec![authority], ..empty_policy() }
}

/// The certificates of [`policy`].
pub(crate) fn trust(policy: &Policy) -> TrustStore {
    TrustStore::load(policy, now()).expect("the scene's certificates are fit")
}

/// An examiner by this policy.
pub(crate) fn examiner(policy: &Policy) -> Examiner {
    Examiner::new(policy, trust(policy), &Facts::at(now()))
}

/// A file that has no name and lies in memory.
pub(crate) fn memory_file(content: &[u8]) -> File {
    let mut file = File::from(rustix::fs::memfd_create("fuzz", MemfdFlags::CLOEXEC).expect("a memfd"));
    file.write_all(content).expect("memory");
    file
}

/// Calls `work` with a path at which this content can be read.
pub(crate) fn with_path<T>(content: &[u8], work: impl FnOnce(&Path) -> T) -> T {
    let file = memory_file(content);
    work(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())))
}

/// The only signer of [`policy`].
pub(crate) const SIGNER: &str = "vendor";
