//! `enforcer sign`: files and folders in, signed files out.

mod interrupt;
mod options;
mod prepare;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustls_pki_types::UnixTime;
use serde::Serialize;

pub(super) use options::{ClaimsOption, SignerOption};
use options::{DestinationOption, FormOption, StepOption};

use super::output::{Cell, Style, Table};
use super::verify::progress;
use super::{Exit, Failure, Output, ReportOption};
use crate::code;
use crate::policy::known_script_names;
use crate::signature::sign::{self, Answer, Identity, SignError, Signed};
use crate::text::{hex, printable};

/// Sign files, or all code below folders.
///
/// ELF files get the signature inside and still run; other files get FILE.p7s beside them, and scripts may have it as comments at their end. A file is
/// replaced whole or not at all, with its mode, owner and extended attributes, and an earlier signature of the same kind is replaced. In folders, ELF
/// files, files with an executable bit and scripts are signed; symbolic links are not followed. `openssl cms -verify` can check every signature: see
/// docs/signing.md.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer sign --key key.pem --certificate signer.pem ./program
  enforcer sign --key key.pem --certificate signer.pem \\
      --chain intermediate.pem --detach script.sh
  enforcer sign --key key.pem --certificate signer.pem --comment script.sh
  enforcer sign --key key.pem --certificate signer.pem --comment='//' tool
  enforcer sign --key key.pem --certificate signer.pem \\
      --identifier com.example.tool --security-version 3 ./tool
  enforcer sign --key key.pem --certificate signer.pem \\
      --store /etc/enforcer/signatures /opt/tool
  enforcer sign --key key.pem --certificate signer.pem --append driver.ko
  enforcer sign --certificate signer.pem ./program --key \\
      'pkcs11:object=signer?module-path=/lib/p11.so&pin-source=file:/run/pin'
  enforcer sign --certificate signer.pem --prepare to-sign/ ./program
  enforcer sign --attach to-sign/           once to-sign/*.tbs are signed")]
pub(super) struct Arguments {
    /// The private key: PEM, not encrypted, or a PKCS #11 URI (RFC 7512) of a key in a token.
    #[arg(long, value_name = "PEM|URI", required_unless_present_any = ["prepare", "attach"])]
    key: Option<PathBuf>,
    /// Its code-signing certificate, PEM.
    #[arg(long, value_name = "PEM", required_unless_present = "attach")]
    certificate: Option<PathBuf>,
    /// The certificates between it and the root, PEM.
    #[arg(long, value_name = "PEM")]
    chain: Option<PathBuf>,
    /// Files and folders.
    #[arg(required_unless_present = "attach", value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    report: ReportOption,
    #[command(flatten)]
    steps: StepOption,
    #[command(flatten)]
    destination: DestinationOption,
    #[command(flatten)]
    claims: ClaimsOption,
    #[command(flatten)]
    form: FormOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let now = UnixTime::now();
    let started = Instant::now();
    let json = arguments.report.json;
    if let Some(folder) = arguments.steps.attach {
        let progress = progress("signing");
        let stop = interrupt::watch()?;
        let answers = sign::attach(&folder, now, || progress.inc(1), &stop).map_err(|error| failure(&error))?;
        progress.finish_and_clear();
        let exit = report(answers, json, false, started, output)?;
        return interrupt::unless(&stop).map(|()| exit);
    }
    let has_folders = arguments.files.iter().any(|file| file.is_dir());
    let found = arguments.files.iter().flat_map(|root| code::code_files(root, known_script_names()));
    let (settings, destination) = (arguments.form.settle(arguments.claims), arguments.destination.settle()?);
    // clap requires it wherever it is needed.
    let certificate = arguments.certificate.unwrap_or_default();
    let chain = arguments.chain.as_deref();
    if let Some(folder) = arguments.steps.prepare {
        let prepared = sign::prepare(&folder, (&certificate, chain), settings, found, &destination, now).map_err(|error| failure(&error))?;
        return prepare::report(&folder, &prepared, json, output);
    }
    let identity =
        Identity::with_settings(&arguments.key.unwrap_or_default(), &certificate, chain, settings, now).map_err(|error| failure(&error))?;
    let progress = progress("signing");
    let stop = interrupt::watch()?;
    let answers = identity.sign_all(found, &destination, || progress.inc(1), &stop);
    progress.finish_and_clear();
    let exit = report(answers, json, has_folders, started, output)?;
    interrupt::unless(&stop).map(|()| exit)
}

fn report(mut answers: Vec<Answer>, json: bool, has_folders: bool, started: Instant, output: &mut Output) -> Result<Exit, Failure> {
    answers.retain(|(_, answer)| !matches!(answer, Err(SignError::Interrupted)));
    let mut worst = Exit::Yes;
    let mut reports = Vec::new();
    for (path, answer) in &answers {
        match answer {
            Ok(signed) => {
                signed.notes.iter().for_each(|note| tell("note", path, note));
                reports.push(Report::new(path, signed));
            }
            Err(error) => worst = worse(worst, complain(path, error)),
        }
    }
    if json {
        output.json(&reports)?;
    } else if answers.is_empty() {
        output.line("nothing here is code: no ELF file, no file with an executable bit, and no script")?;
    } else if has_folders {
        output.line(summary(&reports, answers.len() - reports.len(), started))?;
    } else if !reports.is_empty() {
        let mut table = Table::new(["FILE", "SIGNED", "SIGNATURE"]);
        for report in &reports {
            table.row([Cell::from(&report.path), Cell::styled(report.carrier, Style::Good), Cell::from(report.signature.as_deref().unwrap_or(""))]);
        }
        output.table(&table)?;
    }
    Ok(worst)
}

/// `12 files signed (10 embedded, 2 detached), 1 failed, in 0.1 s`.
fn summary(reports: &[Report], failed: usize, started: Instant) -> String {
    let mut carriers = BTreeMap::<_, usize>::new();
    reports.iter().for_each(|report| *carriers.entry(report.carrier).or_default() += 1);
    let carriers: Vec<String> = carriers.into_iter().map(|(carrier, count)| format!("{count} {carrier}")).collect();
    let carriers = if carriers.is_empty() { String::new() } else { format!(" ({})", carriers.join(", ")) };
    let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
    format!("{} files signed{carriers}{failed}, in {:.1} s", reports.len(), started.elapsed().as_secs_f64())
}

/// Tells about one file that was not signed.
fn complain(path: &Path, error: &SignError) -> Exit {
    tell("error", path, &error.to_string());
    if let Some(hint) = error.hint() {
        tell("hint", path, &hint);
    }
    exit_for(error)
}

fn exit_for(error: &SignError) -> Exit {
    if error.is_io() { Exit::System } else { Exit::Usage }
}

pub(super) fn failure(error: &SignError) -> Failure {
    let failure = Failure::because(exit_for(error), error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// One line about one file, on stderr; nobody is left to tell when that is closed.
pub(super) fn tell(kind: &str, path: &Path, text: &str) {
    _ = writeln!(std::io::stderr(), "{kind}: {}: {text}", printable(&path.to_string_lossy()));
}

/// What went wrong with one file is not made up for by another one.
pub(super) fn worse(one: Exit, other: Exit) -> Exit {
    if other as u8 > one as u8 { other } else { one }
}

#[derive(Serialize)]
struct Report {
    path: String,
    sha256: String,
    carrier: &'static str,
    signature: Option<String>,
    notes: Vec<String>,
}

impl Report {
    fn new(path: &Path, signed: &Signed) -> Self {
        Self {
            path: path.to_string_lossy().into_owned(),
            sha256: hex(&signed.digest.bytes),
            carrier: signed.carrier.name(),
            signature: signed.carrier.path().map(|path| path.to_string_lossy().into_owned()),
            notes: signed.notes.clone(),
        }
    }
}
