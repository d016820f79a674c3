//! Our verdict beside another tool's, for groups of variants; what differs is in `differences.toml` with its reason, or the test fails.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::certificates::{Identity, NOW};
use crate::differences::{Differences, Outcome};
use crate::scene::{self, Shelf};

/// One signature, and everything that its verdict depends on.
pub struct Variant {
    /// Unique within its group; part of `differences.toml`.
    pub name: String,
    pub content: Vec<u8>,
    pub signature: Vec<u8>,
    pub trust: Trust,
    /// Seconds since 1970.
    pub at: u64,
    pub reference: Reference,
    /// The timestamp, by itself, and what it is about.
    pub timestamp: Option<Timestamp>,
    /// Our verdict as it ought to be, where that is known beforehand.
    pub ours: Option<Verdict>,
}

/// A timestamp token (RFC 3161), the bytes that it certifies, and the time that it says.
#[derive(Clone)]
pub struct Timestamp {
    pub token: Vec<u8>,
    pub value: Vec<u8>,
    pub time: u64,
}

/// Whom the verifier trusts.
#[derive(Clone, Default)]
pub struct Trust {
    pub anchors: Vec<Vec<u8>>,
    /// Signer certificates that are trusted by themselves.
    pub pinned: Vec<Vec<u8>>,
    /// Certificates that complete chains.
    pub intermediates: Vec<Vec<u8>>,
    /// Revocation lists; with any, every certificate of a chain needs one.
    pub revocations: Vec<Vec<u8>>,
    /// Authorities that certify times.
    pub timestamps: Vec<Vec<u8>>,
    /// More lines for the policy, which openssl has no equal for.
    pub policy: String,
    /// The same for its table `revocation`.
    pub revocation_policy: &'static str,
}

/// What ours is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// `openssl cms -verify`.
    Openssl,
    /// `openssl ts -verify`, and `openssl cms -verify` at the time that it certifies.
    OpensslTs,
    /// A published corpus.
    Published(Verdict),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    Refused,
}

pub use Verdict::{Accepted, Refused};

impl Verdict {
    pub fn word(self) -> &'static str {
        if self == Accepted { "accepted" } else { "refused" }
    }

    pub fn of(yes: bool) -> Self {
        if yes { Accepted } else { Refused }
    }
}

impl Trust {
    /// Trust in one authority.
    pub fn anchor(root: &Identity) -> Self {
        Self { anchors: vec![root.certificate.clone()], ..Self::default() }
    }

    /// And lists of what was revoked.
    pub fn revocations(mut self, lists: Vec<Vec<u8>>) -> Self {
        self.revocations = lists;
        self
    }

    pub fn intermediates(mut self, all: &[&Identity]) -> Self {
        self.intermediates = all.iter().map(|one| one.certificate.clone()).collect();
        self
    }
}

impl Variant {
    /// Compared with openssl at [`NOW`].
    pub fn new(name: impl Into<String>, content: &[u8], signature: Vec<u8>, trust: &Trust) -> Self {
        let (content, trust) = (content.to_vec(), trust.clone());
        Self { name: name.into(), content, signature, trust, at: NOW, reference: Reference::Openssl, timestamp: None, ours: None }
    }

    /// Says what our verdict has to be, whatever the other one is.
    pub fn ought(mut self, verdict: Verdict) -> Self {
        self.ours = Some(verdict);
        self
    }

    pub fn at(mut self, seconds: u64) -> Self {
        self.at = seconds;
        self
    }

    pub fn timestamped(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = Some(timestamp);
        self.reference = Reference::OpensslTs;
        self
    }

    pub fn against(mut self, published: Verdict) -> Self {
        self.reference = Reference::Published(published);
        self
    }
}

/// Judges every variant twice, and fails with everything that is not as it is written down.
pub fn group(name: &str, reference: &'static str, variants: &[Variant]) {
    let shelf = Shelf::new();
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::with_capacity(variants.len()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((number, variant)) = { Some(next.fetch_add(1, Ordering::Relaxed)) }.and_then(|at| Some((at, variants.get(at)?))) {
                    let outcome = scene::judge(&shelf, number, variant);
                    outcomes.lock().unwrap().push((number, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    assert_eq!(outcomes.len(), variants.len(), "{name}: a variant could not be judged");
    outcomes.sort_by_key(|(number, _)| *number);
    settle(name, reference, outcomes.into_iter().map(|(_, outcome)| outcome).collect());
}

/// Compares outcomes with what is written down, reports, and fails if they are not the same.
pub fn settle(name: &str, reference: &'static str, outcomes: Vec<Outcome>) {
    let differences = Differences::of_group(name);
    let complaints = differences.complaints(&outcomes);
    report(name, reference, &outcomes);
    assert!(complaints.is_empty(), "{name}: {} complaints\n{}", complaints.len(), complaints.join("\n"));
}

/// Leaves one line for `cargo xtask test signatures`, which makes a table of them.
fn report(name: &str, reference: &str, outcomes: &[Outcome]) {
    let different = outcomes.iter().filter(|outcome| outcome.ours != outcome.theirs).count();
    let accepted = outcomes.iter().filter(|outcome| outcome.ours == Accepted).count();
    let line = serde_json::json!({
        "group": name, "reference": reference, "variants": outcomes.len(), "accepted": accepted,
        "same": outcomes.len() - different, "different": different,
    });
    println!("{line}");
    if let Some(folder) = std::env::var_os("CONFORMANCE_REPORT") {
        fs::write(PathBuf::from(folder).join(format!("{name}.json")), line.to_string()).unwrap();
    }
}
