//! Single digests, certificates and signers that are trusted no longer: the file that `enforcer revoke` writes.
//!
//! Says only what is written there: whoever decides asks. Certificate revocation lists are another matter.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use enforcer_common::{ALGORITHM_FSVERITY_SHA256, Digest};
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::value::Datetime;

use super::record::{self, Document, RecordError};
use crate::policy::Problem;
use crate::text::{hex, printable, unhex};

/// Everything that was revoked, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Revoked {
    entries: Vec<Revocation>,
    digests: HashSet<Digest>,
    certificates: HashSet<[u8; 32]>,
    signers: HashSet<String>,
    /// SHA-256 of the file that it was read from.
    sha256: Option<[u8; 32]>,
}

/// One thing that was revoked.
#[derive(Clone, Debug, PartialEq)]
pub struct Revocation {
    /// What.
    pub subject: Subject,
    /// Why, in somebody's words.
    pub reason: Option<String>,
    /// When it was written down. It counts from the moment it is in the file, whatever stands here.
    pub at: Option<Datetime>,
}

/// What can be revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A file's content.
    Digest(Digest),
    /// Whatever this certificate signed, or certified: SHA-256 of its DER.
    Certificate([u8; 32]),
    /// A signer of the policy, by its name.
    Signer(String),
}

impl Revoked {
    /// Reads the file; one that is not there is empty.
    ///
    /// # Errors
    /// Whatever is wrong with the file: then nobody knows what was revoked.
    pub fn load(path: &Path) -> Result<Self, RecordError> {
        let Some(document) = record::read(path, MAX_SIZE)? else { return Ok(Self::default()) };
        let sha256 = Some(document.sha256());
        Ok(Self { sha256, ..document.settle(settle)? })
    }

    /// The same, of a text that is not in its file yet.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, RecordError> {
        Document::parse(path, text.to_owned())?.settle(settle)
    }

    /// Writes the file, whole or not at all, and as whose it was.
    ///
    /// # Errors
    /// The old file is as it was.
    pub fn save(&self, path: &Path) -> Result<(), RecordError> {
        record::rewrite(path, COMMENT, &RawRevoked::from(self), MAX_SIZE)
    }

    /// Whether this content was revoked.
    pub fn has_digest(&self, digest: &Digest) -> bool {
        self.digests.contains(digest)
    }

    /// All contents that were revoked, in no order.
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.digests.iter()
    }

    /// Whether any content was revoked.
    pub fn names_digests(&self) -> bool {
        !self.digests.is_empty()
    }

    /// Whether the certificate with this fingerprint (SHA-256 of its DER) was revoked.
    pub fn has_certificate(&self, fingerprint: &[u8; 32]) -> bool {
        self.certificates.contains(fingerprint)
    }

    /// Whether the policy's signer of this name was revoked.
    pub fn has_signer(&self, name: &str) -> bool {
        self.signers.contains(name)
    }

    /// Names what is revoked, whatever the reasons: two files with the same id revoke the same.
    pub fn id(&self) -> String {
        let mut subjects: Vec<String> = self.entries.iter().map(|entry| format!("{} {}", entry.subject.kind(), entry.subject)).collect();
        subjects.sort();
        hex(ring::digest::digest(&ring::digest::SHA256, subjects.join("\n").as_bytes()).as_ref())
    }

    /// SHA-256 of the file that it was read from, if there was one.
    pub fn sha256(&self) -> Option<[u8; 32]> {
        self.sha256
    }

    /// With everything that another one revokes.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for entry in &other.entries {
            self.add(entry.clone());
        }
        self
    }

    /// Everything, in the order of the file.
    pub fn entries(&self) -> &[Revocation] {
        &self.entries
    }

    /// Revokes something; `false` when it was revoked before, and stays as it was.
    pub fn add(&mut self, revocation: Revocation) -> bool {
        let is_new = match &revocation.subject {
            Subject::Digest(digest) => self.digests.insert(*digest),
            Subject::Certificate(fingerprint) => self.certificates.insert(*fingerprint),
            Subject::Signer(name) => self.signers.insert(name.clone()),
        };
        if is_new {
            self.entries.push(revocation);
        }
        is_new
    }

    /// Takes a revocation back; `false` when there was none.
    pub fn remove(&mut self, subject: &Subject) -> bool {
        self.entries.retain(|entry| entry.subject != *subject);
        match subject {
            Subject::Digest(digest) => self.digests.remove(digest),
            Subject::Certificate(fingerprint) => self.certificates.remove(fingerprint),
            Subject::Signer(name) => self.signers.remove(name),
        }
    }
}

impl Subject {
    /// `digest`, `certificate` or `signer`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Digest(_) => "digest",
            Self::Certificate(_) => "certificate",
            Self::Signer(_) => "signer",
        }
    }
}

/// What is revoked, without its kind: `sha256:…`, `fsverity-sha256:…`, a fingerprint, or a signer's name.
impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) if digest.algorithm == ALGORITHM_FSVERITY_SHA256 => write!(out, "fsverity-sha256:{}", hex(&digest.bytes)),
            Self::Digest(digest) => write!(out, "sha256:{}", hex(&digest.bytes)),
            Self::Certificate(fingerprint) => out.write_str(&hex(fingerprint)),
            Self::Signer(name) => out.write_str(&printable(name)),
        }
    }
}

/// 64 hexadecimal digits, with or without colons between the bytes, as `openssl x509 -fingerprint` writes them.
pub fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    unhex(&text.replace(':', ""))?.try_into().ok()
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawRevoked {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    digest: Vec<Spanned<RawDigest>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    certificate: Vec<Spanned<RawCertificate>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signer: Vec<Spanned<RawSigner>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawDigest {
    sha256: Option<Spanned<String>>,
    fsverity_sha256: Option<Spanned<String>>,
    reason: Option<String>,
    at: Option<Datetime>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawCertificate {
    sha256: Option<Spanned<String>>,
    reason: Option<String>,
    at: Option<Datetime>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RawSigner {
    name: Option<String>,
    reason: Option<String>,
    at: Option<Datetime>,
}

fn settle(raw: RawRevoked, problems: &mut Vec<Problem>) -> Revoked {
    let mut revoked = Revoked::default();
    let mut add = |subject, reason, at| _ = revoked.add(Revocation { subject, reason, at });
    for digest in raw.digest {
        let (place, digest) = (digest.span(), digest.into_inner());
        let subject = match (digest.sha256, digest.fsverity_sha256) {
            (Some(text), None) => sha256(&text, problems).map(Digest::sha256),
            (None, Some(text)) => sha256(&text, problems).map(Digest::fsverity_sha256),
            _ => {
                let problem = Problem::new(place, "a revoked digest is either `sha256` or `fsverity-sha256`");
                problems.push(problem.remedy("write each in a [[digest]] of its own: sha256 = \"64 hexadecimal digits\""));
                None
            }
        };
        if let Some(subject) = subject {
            add(Subject::Digest(subject), digest.reason, digest.at);
        }
    }
    for certificate in raw.certificate {
        let (place, certificate) = (certificate.span(), certificate.into_inner());
        match &certificate.sha256 {
            Some(text) => {
                if let Some(fingerprint) = sha256(text, problems) {
                    add(Subject::Certificate(fingerprint), certificate.reason, certificate.at);
                }
            }
            None => problems.push(Problem::new(place, "a revoked certificate without its `sha256`").remedy(FINGERPRINT)),
        }
    }
    for signer in raw.signer {
        let (place, signer) = (signer.span(), signer.into_inner());
        match signer.name {
            Some(name) => add(Subject::Signer(name), signer.reason, signer.at),
            None => {
                problems.push(Problem::new(place, "a revoked signer without its `name`").remedy("name it as the policy does: name = \"operations\""))
            }
        }
    }
    revoked
}

fn sha256(text: &Spanned<String>, problems: &mut Vec<Problem>) -> Option<[u8; 32]> {
    let parsed = parse_sha256(text.get_ref());
    if parsed.is_none() {
        problems.push(Problem::new(text.span(), format!("`{}` is no SHA-256", printable(text.get_ref()))).remedy("write 64 hexadecimal digits"));
    }
    parsed
}

impl From<&Revoked> for RawRevoked {
    fn from(revoked: &Revoked) -> Self {
        let mut raw = Self::default();
        let text = |bytes: &[u8; 32]| Some(Spanned::new(0..0, hex(bytes)));
        for Revocation { subject, reason, at } in &revoked.entries {
            let (reason, at) = (reason.clone(), *at);
            match subject {
                Subject::Digest(digest) => {
                    let is_fsverity = digest.algorithm == ALGORITHM_FSVERITY_SHA256;
                    let (fsverity_sha256, sha256) = if is_fsverity { (text(&digest.bytes), None) } else { (None, text(&digest.bytes)) };
                    raw.digest.push(Spanned::new(0..0, RawDigest { sha256, fsverity_sha256, reason, at }));
                }
                Subject::Certificate(fingerprint) => {
                    raw.certificate.push(Spanned::new(0..0, RawCertificate { sha256: text(fingerprint), reason, at }));
                }
                Subject::Signer(name) => raw.signer.push(Spanned::new(0..0, RawSigner { name: Some(name.clone()), reason, at })),
            }
        }
        raw
    }
}

const FINGERPRINT: &str = "write what `openssl x509 -in CERTIFICATE -noout -fingerprint -sha256` shows";
const COMMENT: &str = "# Who and what is trusted no longer. `enforcer revoke` writes this file; comments of your own are lost when it does.\n\
    # The daemon puts a change in force by itself. A file that it cannot read leaves the old one in force.\n\n";
/// Some 100,000 entries.
const MAX_SIZE: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "revoked.toml";

    fn parse(text: &str) -> Result<Revoked, RecordError> {
        Revoked::parse(text, Path::new(FILE))
    }

    #[test]
    fn each_kind_is_found_and_nothing_else() {
        let text = format!(
            "[[digest]]\nsha256 = \"{0}\"\nreason = \"CVE\"\nat = 2026-01-31T09:30:00Z\n[[digest]]\nfsverity-sha256 = \"{1}\"\n\
             [[certificate]]\nsha256 = \"{2}\"\n[[signer]]\nname = \"old\"\n",
            "ab".repeat(32),
            "CD".repeat(32),
            ["EF"; 32].join(":"),
        );
        let revoked = parse(&text).unwrap();
        assert!(revoked.has_digest(&Digest::sha256([0xab; 32])) && revoked.has_digest(&Digest::fsverity_sha256([0xcd; 32])));
        assert!(!revoked.has_digest(&Digest::fsverity_sha256([0xab; 32])) && !revoked.has_digest(&Digest::sha256([0xcd; 32])));
        assert!(revoked.has_certificate(&[0xef; 32]) && !revoked.has_certificate(&[0xab; 32]));
        assert!(revoked.has_signer("old") && !revoked.has_signer("Old"));
    }

    #[test]
    fn what_is_written_is_read_again_and_undone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        assert!(Revoked::load(&path).unwrap().entries().is_empty());
        let subjects = [
            Subject::Digest(Digest::sha256([1; 32])),
            Subject::Digest(Digest::fsverity_sha256([2; 32])),
            Subject::Certificate([3; 32]),
            Subject::Signer("ops".to_owned()),
        ];
        let mut revoked = Revoked::default();
        for subject in &subjects {
            let at = "2026-01-31T09:30:00Z".parse().ok();
            let entry = Revocation { subject: subject.clone(), reason: Some("a \"reason\"\nof two lines".to_owned()), at };
            assert!(revoked.add(entry.clone()) && !revoked.add(entry));
        }
        revoked.save(&path).unwrap();
        let mut read = Revoked::load(&path).unwrap();
        assert_eq!(read.entries(), revoked.entries());
        for subject in &subjects {
            assert!(read.remove(subject) && !read.remove(subject));
        }
        read.save(&path).unwrap();
        assert!(Revoked::load(&path).unwrap().entries().is_empty());
    }

    #[test]
    fn whatever_is_wrong_is_an_error_that_points_at_its_place() {
        let cases = [
            ("[[digest]]\nsha256 = \"abc\"\n", "revoked.toml:2:10", "is no SHA-256"),
            ("[[digest]]\nreason = \"x\"\n", "revoked.toml:1:1", "either `sha256` or"),
            ("\n[[certificate]]\n", "revoked.toml:2:1", "without its `sha256`"),
            ("[[signer]]\n", "revoked.toml:1:1", "without its `name`"),
            ("[[digests]]\n", "revoked.toml:1:3", "unknown key `digests`"),
            ("[[signer]\n", "revoked.toml:1:", ""),
        ];
        for (text, place, message) in cases {
            let report = parse(text).unwrap_err().report();
            assert!(report.starts_with(place) && report.contains(message), "{text}: {report}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Revoked::load(folder.path()).is_err());
        let path = folder.path().join(FILE);
        std::fs::write(&path, b"[[signer]]\nname = \"\xff\"\n").unwrap();
        assert!(matches!(Revoked::load(&path), Err(RecordError::NotText { line: 2, .. })));
        std::fs::File::create(&path).unwrap().set_len(MAX_SIZE + 1).unwrap();
        assert!(matches!(Revoked::load(&path), Err(RecordError::Unreadable { .. })));
    }
}
