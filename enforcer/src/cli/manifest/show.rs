//! `enforcer manifest show`: what a manifest lists.

use std::path::PathBuf;

use serde::Serialize;

use super::super::output::{Cell, Table};
use super::super::{Exit, Failure, Output, ReportOption};
use super::{kind, parse, read};
use crate::text::{counted, hex, printable};

/// Show what a manifest lists.
///
/// The list alone: `enforcer manifest verify` tells whether it is signed by somebody whom the policy trusts.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer manifest show base.manifest
  enforcer manifest show --json base.manifest | jq '.counts'")]
pub(super) struct Show {
    /// The manifest.
    #[arg(value_name = "FILE")]
    manifest: PathBuf,
    #[command(flatten)]
    report: ReportOption,
}

impl Show {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let text = read(&self.manifest)?;
        let entries = parse(&self.manifest, &text)?;
        let signature = signature_beside(&self.manifest);
        let fsverity = entries.iter().filter(|entry| kind(&entry.digest) != "sha256").count();
        let counts = Counts { entries: entries.len(), sha256: entries.len() - fsverity, fsverity_sha256: fsverity };
        if self.report.json {
            let entries = entries.iter().map(|entry| Line {
                path: String::from_utf8_lossy(&entry.path).into_owned(),
                kind: kind(&entry.digest),
                digest: hex(&entry.digest.bytes),
            });
            let report = Report {
                path: self.manifest.to_string_lossy().into_owned(),
                signature: signature.map(|path| path.to_string_lossy().into_owned()),
                counts,
                entries: entries.collect(),
            };
            output.json(&report)?;
            return Ok(Exit::Yes);
        }
        let mut table = Table::new(["PATH", "KIND", "DIGEST"]);
        for entry in &entries {
            let digest = hex(&entry.digest.bytes[..SHORT]);
            table.row([Cell::from(String::from_utf8_lossy(&entry.path)), Cell::from(kind(&entry.digest)), Cell::from(digest)]);
        }
        if !table.is_empty() {
            output.table(&table)?;
            output.line("")?;
        }
        let listed = counted(counts.entries, "digest", "digests");
        let signed = match signature {
            Some(path) => format!("signature beside it: {}", printable(&path.to_string_lossy())),
            None => "no signature beside it".to_owned(),
        };
        output.paragraph(0, &format!("{listed}: {} sha256, {} fsverity-sha256; {signed}", counts.sha256, counts.fsverity_sha256))?;
        Ok(Exit::Yes)
    }
}

fn signature_beside(manifest: &std::path::Path) -> Option<PathBuf> {
    let mut name = manifest.as_os_str().to_owned();
    name.push(".p7s");
    Some(PathBuf::from(name)).filter(|path| path.is_file())
}

#[derive(Serialize)]
struct Report {
    path: String,
    signature: Option<String>,
    counts: Counts,
    entries: Vec<Line>,
}

#[derive(Serialize)]
struct Counts {
    entries: usize,
    sha256: usize,
    fsverity_sha256: usize,
}

#[derive(Serialize)]
struct Line {
    path: String,
    kind: &'static str,
    digest: String,
}

/// Bytes of a digest in a table: enough to tell two files apart.
const SHORT: usize = 8;
