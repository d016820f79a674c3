//! `enforcer manifest verify`: would the policy put this manifest in force?

use std::path::{Path, PathBuf};

use rustls_pki_types::UnixTime;
use serde::Serialize;

use super::super::failure::note;
use super::super::{Exit, Failure, Output, PolicyOption, ReportOption};
use super::read;
use crate::measure::MeasureError;
use crate::policy::{Policy, Sources};
use crate::signature::{Examiner, Facts, ManifestProblem};
use crate::text::{counted, hex, printable};
use crate::trust::{TrustStore, date};

/// Would the policy put this manifest in force?
///
/// Looks at its signature, signer and lines as the daemon would. Exit status 0: yes. 1: no, with the reason. The policy need not name the
/// manifest yet, but a note tells when it does not.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer manifest verify --policy ./policy.toml base.manifest")]
pub(super) struct Verify {
    #[command(flatten)]
    policy: PolicyOption,
    /// The manifest.
    #[arg(value_name = "FILE")]
    manifest: PathBuf,
    #[command(flatten)]
    report: ReportOption,
}

impl Verify {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let policy = Policy::load(&self.policy.policy)?;
        // What is no readable file is the caller's mistake, not a manifest out of force.
        drop(read(&self.manifest)?);
        let now = UnixTime::now();
        let trust = TrustStore::load(&policy, now)?;
        let sources = Sources { manifests: vec![self.manifest.clone()], stores: Vec::new() };
        let examiner = Examiner::new(&Policy { sources, ..policy.clone() }, trust, &Facts::at(now));
        let (report, exit) = self.report(&examiner, &policy);
        if self.report.json {
            output.json(&report)?;
            return Ok(exit);
        }
        let path = printable(&report.path).into_owned();
        match (&report.reason, &report.signer) {
            (Some(reason), _) => {
                output.paragraph(0, &format!("{path}: not in force: {}", printable(&reason.message)))?;
                output.paragraph(0, &format!("hint: {}", reason.hint))?;
            }
            (None, Some(signer)) => {
                let entries = counted(report.entries, "digest", "digests");
                let (name, subject) = (printable(&signer.name), printable(&signer.subject));
                output.paragraph(0, &format!("{path}: in force, {entries}, signed by {name} ({subject})"))?;
            }
            (None, None) => output.line(format!("{path}: in force, and lists nothing"))?,
        }
        if !report.named_by_policy {
            note("the policy's `sources.manifests` does not name it, so the daemon will not see it where it lies");
        }
        Ok(exit)
    }

    fn report(&self, examiner: &Examiner, policy: &Policy) -> (Report, Exit) {
        let mut report = Report {
            path: self.manifest.to_string_lossy().into_owned(),
            in_force: true,
            entries: examiner.manifest_entries().count(),
            signer: examiner.manifest_entries().next().map(|verified| Signer {
                name: verified.signer_name().to_owned(),
                subject: verified.subject().to_owned(),
                certificate_sha256: hex(&verified.fingerprint()),
                not_after: verified.not_after().map(|end| date(end).replacen(' ', "T", 1).replace(" UTC", "Z")),
            }),
            named_by_policy: is_named(&self.manifest, &policy.sources),
            reason: None,
        };
        let Some(error) = examiner.manifest_errors().first() else { return (report, Exit::Yes) };
        let code = match &error.problem {
            ManifestProblem::File(_) => "file",
            ManifestProblem::NoSignature(_) => "unsigned",
            ManifestProblem::Signature(rejected) => rejected.code(),
            ManifestProblem::Line(_) => "bad-line",
            #[allow(unreachable_patterns, reason = "the enumeration may grow")]
            _ => "not-in-force",
        };
        let exit = if let ManifestProblem::File(problem) = &error.problem { unreadable(problem) } else { Exit::No };
        report.in_force = false;
        report.reason = Some(Reason { code, message: error.problem.to_string(), hint: error.hint().to_owned() });
        (report, exit)
    }
}

fn unreadable(problem: &MeasureError) -> Exit {
    if problem.is_io() { Exit::System } else { Exit::Usage }
}

/// Whether the policy names it, or its folder.
fn is_named(manifest: &Path, sources: &Sources) -> bool {
    let Ok(manifest) = manifest.canonicalize() else { return false };
    let in_folder = manifest.extension().is_some_and(|extension| extension == "manifest");
    sources
        .manifests
        .iter()
        .filter_map(|source| source.canonicalize().ok())
        .any(|source| source == manifest || (in_folder && manifest.parent() == Some(&source)))
}

#[derive(Serialize)]
struct Report {
    path: String,
    in_force: bool,
    entries: usize,
    signer: Option<Signer>,
    named_by_policy: bool,
    reason: Option<Reason>,
}

#[derive(Serialize)]
struct Signer {
    name: String,
    subject: String,
    certificate_sha256: String,
    not_after: Option<String>,
}

#[derive(Serialize)]
struct Reason {
    code: &'static str,
    message: String,
    hint: String,
}
