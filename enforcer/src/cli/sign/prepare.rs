//! What `enforcer sign --prepare` tells: what was written, and the command that makes the values.

use std::path::Path;

use serde::Serialize;

use super::{complain, worse};
use crate::cli::output::{Cell, Style, Table};
use crate::cli::{Exit, Failure, Output};
use crate::measure::Algorithm;
use crate::signature::sign::{Prepared, Scheme};
use crate::text::printable;
use crate::trust::KeyKind;

pub(super) fn report(folder: &Path, prepared: &Prepared, json: bool, output: &mut Output) -> Result<Exit, Failure> {
    let mut worst = Exit::Yes;
    let mut reports = Vec::new();
    for (path, entry) in &prepared.files {
        match entry {
            Ok(tbs) => reports.push(Report { path: path.to_string_lossy().into_owned(), to_be_signed: tbs.to_string_lossy().into_owned() }),
            Err(error) => worst = worse(worst, complain(path, error)),
        }
    }
    if json {
        output.json(&reports)?;
        return Ok(worst);
    }
    if reports.is_empty() {
        output.line("nothing was prepared")?;
        return Ok(worst);
    }
    let mut table = Table::new(["FILE", "TO BE SIGNED"]);
    for report in &reports {
        table.row([Cell::from(&report.path), Cell::styled(&report.to_be_signed, Style::Good)]);
    }
    output.table(&table)?;
    let folder = printable(&folder.to_string_lossy()).into_owned();
    output.line("")?;
    output.line(format!("Sign each of them ({}) where the key is:", prepared.scheme.name()))?;
    output.line("")?;
    output.line(format!("  for f in {folder}/*.tbs; do {}; done", command(&prepared.scheme)))?;
    output.line("")?;
    output.line(format!("Then: enforcer sign --attach {folder}"))?;
    Ok(worst)
}

/// The openssl command that makes a value.
fn command(scheme: &Scheme) -> String {
    let digest = match scheme.digest() {
        Algorithm::Sha256 => "sha256",
        Algorithm::Sha384 => "sha384",
        Algorithm::Sha512 => "sha512",
    };
    let padding = if scheme.is_pss() { " -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest" } else { "" };
    match scheme.kind() {
        KeyKind::Ed25519 => "openssl pkeyutl -sign -rawin -inkey key.pem -in \"$f\" -out \"${f%.tbs}.sig\"".to_owned(),
        _ => format!("openssl dgst -{digest} -sign key.pem{padding} -out \"${{f%.tbs}}.sig\" \"$f\""),
    }
}

#[derive(Serialize)]
struct Report {
    path: String,
    to_be_signed: String,
}
