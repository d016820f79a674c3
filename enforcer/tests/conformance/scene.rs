//! One variant as files, and the two verdicts on them: ours through the library's front door, and openssl's.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use enforcer::measure;
use enforcer::policy::Policy;
use enforcer::signature::{Examiner, Facts};
use enforcer::trust::TrustStore;
use rustls_pki_types::UnixTime;
use tempfile::TempDir;

use crate::compare::{Accepted, Reference, Refused, Trust, Variant, Verdict};
use crate::differences::Outcome;

/// The files of a group. Certificates that many variants share are written once.
pub struct Shelf {
    folder: TempDir,
    written: Mutex<HashMap<String, PathBuf>>,
}

impl Shelf {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), written: Mutex::default() }
    }

    /// A file with these objects in PEM; `None` for no objects.
    fn pem_file(&self, objects: &[(&str, &Vec<u8>)]) -> Option<PathBuf> {
        if objects.is_empty() {
            return None;
        }
        let text: String = objects.iter().map(|(label, der)| pem(label, der)).collect();
        let mut written = self.written.lock().unwrap();
        let number = written.len();
        let path = written.entry(text).or_insert_with_key(|text| {
            let path = self.folder.path().join(format!("{number}.pem"));
            fs::write(&path, text).unwrap();
            path
        });
        Some(path.clone())
    }
}

/// Judges a variant twice.
pub fn judge(shelf: &Shelf, number: usize, variant: &Variant) -> Outcome {
    let file = shelf.folder.path().join(number.to_string());
    let signature = shelf.folder.path().join(format!("{number}.p7s"));
    fs::write(&file, &variant.content).unwrap();
    fs::write(&signature, &variant.signature).unwrap();
    let (ours, our_reason) = examine(&policy(shelf, &variant.trust), &file, variant.at);
    let openssl = OpensslSide { shelf, variant, file: &file, signature: &signature };
    let (theirs, their_reason) = match variant.reference {
        Reference::Openssl => openssl.cms(variant.at),
        Reference::OpensslTs => openssl.timestamped_cms(),
        Reference::Published(verdict) => (verdict, "as published".to_owned()),
    };
    Outcome { variant: variant.name.clone(), ought: variant.ours, ours, our_reason, theirs, their_reason }
}

/// Our verdict on a file: a policy's text, and the examination.
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

/// The policy that says the same as openssl's options.
pub fn policy(shelf: &Shelf, trust: &Trust) -> String {
    let mut text = "version = 1\nmode = \"enforce\"\n[sources]\nmanifests = []\nstores = []\n".to_owned();
    let list = |label, all: &[Vec<u8>]| {
        let objects: Vec<_> = all.iter().map(|der| (label, der)).collect();
        shelf.pem_file(&objects).map_or(String::new(), |path| format!("\"{}\"", path.display()))
    };
    let absent = shelf.folder.path().join("revoked.toml");
    let crls = list("X509 CRL", &trust.revocations);
    let _ = writeln!(text, "[revocation]\ncrls = [{crls}]\nfile = \"{}\"\n{}", absent.display(), trust.revocation_policy);
    if !trust.timestamps.is_empty() {
        let _ = writeln!(text, "[[timestamp-authority]]\nname = \"times\"\nanchors = [{}]", list("CERTIFICATE", &trust.timestamps));
    }
    text += "[[signer]]\nname = \"signer\"\n";
    for (key, all) in [("anchors", &trust.anchors), ("certificates", &trust.pinned), ("intermediates", &trust.intermediates)] {
        let _ = writeln!(text, "{key} = [{}]", list("CERTIFICATE", all));
    }
    text + &trust.policy
}

/// The same question, put to the `openssl` command.
struct OpensslSide<'a> {
    shelf: &'a Shelf,
    variant: &'a Variant,
    file: &'a Path,
    signature: &'a Path,
}

impl OpensslSide<'_> {
    /// Purpose `any`, because OpenSSL 3.0 has none for code signing.
    fn cms(&self, at: u64) -> (Verdict, String) {
        let trust = &self.variant.trust;
        let form = if self.variant.signature.starts_with(b"-----") { "PEM" } else { "DER" };
        let mut command = Command::new("openssl");
        command.args(["cms", "-verify", "-binary", "-purpose", "any", "-no-CApath", "-no-CAstore", "-out", "/dev/null"]);
        command.args(["-inform", form, "-attime", &at.to_string(), "-in"]).arg(self.signature).arg("-content").arg(self.file);
        let certificates = trust.anchors.iter().chain(&trust.pinned).map(|der| ("CERTIFICATE", der));
        let trusted: Vec<_> = certificates.chain(trust.revocations.iter().map(|der| ("X509 CRL", der))).collect();
        command.arg("-CAfile").arg(self.shelf.pem_file(&trusted).expect("somebody is trusted"));
        let others: Vec<_> = trust.intermediates.iter().chain(&trust.pinned).map(|der| ("CERTIFICATE", der)).collect();
        if let Some(others) = self.shelf.pem_file(&others) {
            command.arg("-certfile").arg(others);
        }
        if !trust.pinned.is_empty() {
            command.arg("-partial_chain");
        }
        if !trust.revocations.is_empty() {
            command.args(["-crl_check", "-crl_check_all"]);
        }
        said_by(&mut command)
    }

    /// What `openssl ts -verify` and, at the time that the timestamp says, `openssl cms -verify` say; without a good timestamp, the latter now.
    fn timestamped_cms(&self) -> (Verdict, String) {
        let Some(timestamp) = &self.variant.timestamp else { return self.cms(self.variant.at) };
        let trusted: Vec<_> = self.variant.trust.timestamps.iter().map(|der| ("CERTIFICATE", der)).collect();
        let Some(trusted) = self.shelf.pem_file(&trusted) else { return self.cms(self.variant.at) };
        let (token, value) = (self.file.with_extension("token"), self.file.with_extension("value"));
        fs::write(&token, &timestamp.token).unwrap();
        fs::write(&value, &timestamp.value).unwrap();
        let mut command = Command::new("openssl");
        command.args(["ts", "-verify", "-token_in", "-attime", &timestamp.time.to_string(), "-in"]).arg(token).arg("-data").arg(value);
        command.arg("-CAfile").arg(trusted);
        match said_by(&mut command) {
            (Accepted, _) => self.cms(timestamp.time),
            (Refused, reason) => {
                let (verdict, other) = self.cms(self.variant.at);
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

/// PEM of these bytes (RFC 7468).
pub fn pem(label: &str, der: &[u8]) -> String {
    der::pem::encode_string(label, der::pem::LineEnding::LF, der).unwrap()
}
