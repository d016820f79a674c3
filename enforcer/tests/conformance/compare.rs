//! Our verdict beside another tool's, for groups of variants; what differs is in `differences.toml` with its reason, or the test fails.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use enforcer::measure;
use enforcer::policy::Policy;
use enforcer::signature::{Examiner, Facts};
use enforcer::trust::TrustStore;
use rustls_pki_types::UnixTime;

use crate::certificates::{Identity, NOW};
use crate::differences::{Differences, Outcome};

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

    fn of(yes: bool) -> Self {
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
    let folder = tempfile::tempdir().unwrap();
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::with_capacity(variants.len()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((number, variant)) = { Some(next.fetch_add(1, Ordering::Relaxed)) }.and_then(|at| Some((at, variants.get(at)?))) {
                    let scene = Scene::new(&folder.path().join(number.to_string()), variant);
                    let outcome = scene.judge(variant);
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

/// The files of one variant.
struct Scene {
    folder: PathBuf,
    file: PathBuf,
    signature: PathBuf,
    is_pem: bool,
}

impl Scene {
    fn new(folder: &Path, variant: &Variant) -> Self {
        fs::create_dir(folder).unwrap();
        let trust = &variant.trust;
        let (file, signature) = (folder.join("file"), folder.join("file.p7s"));
        fs::write(&file, &variant.content).unwrap();
        fs::write(&signature, &variant.signature).unwrap();
        for (name, all) in [
            ("anchors.pem", &trust.anchors),
            ("pinned.pem", &trust.pinned),
            ("intermediates.pem", &trust.intermediates),
            ("tsa.pem", &trust.timestamps),
        ] {
            if !all.is_empty() {
                fs::write(folder.join(name), all.iter().map(|der| pem("CERTIFICATE", der)).collect::<String>()).unwrap();
            }
        }
        if !trust.revocations.is_empty() {
            fs::write(folder.join("crls.pem"), trust.revocations.iter().map(|der| pem("X509 CRL", der)).collect::<String>()).unwrap();
        }
        let trusted = trust.anchors.iter().chain(&trust.pinned).map(|der| pem("CERTIFICATE", der));
        let trusted: String = trusted.chain(trust.revocations.iter().map(|der| pem("X509 CRL", der))).collect();
        fs::write(folder.join("openssl.pem"), trusted).unwrap();
        let others = trust.intermediates.iter().chain(&trust.pinned).map(|der| pem("CERTIFICATE", der));
        fs::write(folder.join("others.pem"), others.collect::<String>()).unwrap();
        Self { folder: folder.to_owned(), file, signature, is_pem: variant.signature.starts_with(b"-----") }
    }

    fn judge(&self, variant: &Variant) -> Outcome {
        let (ours, our_reason) = examine(&self.policy(variant), &self.file, variant.at);
        let (theirs, their_reason) = match variant.reference {
            Reference::Openssl => self.openssl(variant, variant.at),
            Reference::OpensslTs => self.openssl_ts(variant),
            Reference::Published(verdict) => (verdict, "as published".to_owned()),
        };
        Outcome { variant: variant.name.clone(), ought: variant.ours, ours, our_reason, theirs, their_reason }
    }

    /// The policy that says the same as openssl's options.
    fn policy(&self, variant: &Variant) -> String {
        let trust = &variant.trust;
        let mut text = "version = 1\nmode = \"enforce\"\n".to_owned();
        text += "[sources]\nmanifests = []\nstores = []\n";
        let folder = self.folder.display();
        let crls = if trust.revocations.is_empty() { String::new() } else { format!("\"{folder}/crls.pem\"") };
        let _ = writeln!(text, "[revocation]\ncrls = [{crls}]\nfile = \"{folder}/revoked.toml\"\n{}", trust.revocation_policy);
        if !trust.timestamps.is_empty() {
            let _ = writeln!(text, "[[timestamp-authority]]\nname = \"times\"\nanchors = [\"{folder}/tsa.pem\"]");
        }
        text += "[[signer]]\nname = \"signer\"\n";
        let lists = [
            ("anchors", "anchors", &trust.anchors),
            ("certificates", "pinned", &trust.pinned),
            ("intermediates", "intermediates", &trust.intermediates),
        ];
        for (key, file, all) in lists {
            if !all.is_empty() {
                let _ = writeln!(text, "{key} = [\"{}/{file}.pem\"]", self.folder.display());
            }
        }
        text + &trust.policy
    }

    /// What `openssl cms -verify` says. Purpose `any`, because OpenSSL 3.0 has none for code signing.
    fn openssl(&self, variant: &Variant, at: u64) -> (Verdict, String) {
        let mut command = Command::new("openssl");
        command.args(["cms", "-verify", "-binary", "-purpose", "any", "-no-CApath", "-no-CAstore", "-out", "/dev/null"]);
        command.args(["-inform", if self.is_pem { "PEM" } else { "DER" }, "-attime", &at.to_string(), "-in"]);
        command.arg(&self.signature).arg("-content").arg(&self.file).arg("-CAfile").arg(self.folder.join("openssl.pem"));
        if !variant.trust.intermediates.is_empty() || !variant.trust.pinned.is_empty() {
            command.arg("-certfile").arg(self.folder.join("others.pem"));
        }
        if !variant.trust.pinned.is_empty() {
            command.arg("-partial_chain");
        }
        if !variant.trust.revocations.is_empty() {
            command.args(["-crl_check", "-crl_check_all"]);
        }
        said_by(&mut command)
    }

    /// What `openssl ts -verify` and, at the time that the timestamp says, `openssl cms -verify` say; without a good timestamp, the latter now.
    fn openssl_ts(&self, variant: &Variant) -> (Verdict, String) {
        let Some(timestamp) = &variant.timestamp else { return self.openssl(variant, variant.at) };
        let (token, value) = (self.folder.join("token"), self.folder.join("value"));
        fs::write(&token, &timestamp.token).unwrap();
        fs::write(&value, &timestamp.value).unwrap();
        let mut command = Command::new("openssl");
        command.args(["ts", "-verify", "-token_in", "-attime", &timestamp.time.to_string(), "-in"]).arg(token).arg("-data").arg(value);
        command.arg("-CAfile").arg(self.folder.join("tsa.pem"));
        match said_by(&mut command) {
            (Accepted, _) => self.openssl(variant, timestamp.time),
            (Refused, reason) => {
                let (verdict, other) = self.openssl(variant, variant.at);
                (verdict, format!("{reason}; {other}"))
            }
        }
    }
}

/// How openssl ended, and its errors.
fn said_by(command: &mut Command) -> (Verdict, String) {
    let output = command.output().expect("the openssl command is needed: apt install openssl");
    let said = String::from_utf8_lossy(&output.stderr);
    let errors = said.lines().filter_map(|line| line.split_once("error:").map(|(_, rest)| rest)).collect::<Vec<_>>().join(" | ");
    (Verdict::of(output.status.success()), errors)
}

/// Our verdict, by the library's front door: a policy's text, and the examination of a file.
pub fn examine(policy: &str, file: &Path, at: u64) -> (Verdict, String) {
    let now = UnixTime::since_unix_epoch(Duration::from_secs(at));
    let policy = Policy::parse(policy, Path::new("policy.toml")).unwrap_or_else(|error| panic!("the policy is wrong: {error}"));
    let trust = match TrustStore::load(&policy, now) {
        Ok(trust) => trust,
        Err(error) => return (Refused, format!("the policy's certificates: {error}")),
    };
    let examiner = Examiner::new(&policy, trust, &Facts::at(now));
    let examination = examiner.examine(&measure::open(file).unwrap(), Some(file), &Facts::at(now)).unwrap();
    match examination.outcome() {
        Ok(verified) => (Accepted, format!("{}, {}", verified.carrier().name(), verified.subject())),
        Err(rejected) => (Refused, format!("{}: {rejected}", rejected.code())),
    }
}

/// PEM of these bytes (RFC 7468).
pub fn pem(label: &str, der: &[u8]) -> String {
    der::pem::encode_string(label, der::pem::LineEnding::LF, der).unwrap()
}
