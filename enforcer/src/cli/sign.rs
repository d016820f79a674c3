//! `enforcer sign`: files in, signed files out, by a PEM key.

use std::io::Write;
use std::path::{Path, PathBuf};

use rustls_pki_types::UnixTime;
use serde::Serialize;

use super::output::{Cell, Style, Table};
use super::{Exit, Failure, Output, ReportOption};
use crate::signature::sign::{Destination, Identity, SignError, Signed};
use crate::text::{hex, printable};

/// Sign files with a PEM key and certificate.
///
/// ELF files get the signature inside and still run; other files get FILE.p7s beside them. A file is replaced whole or not at all, with its
/// mode, owner and extended attributes. `openssl cms -verify` can check every signature: see docs/signature-format.md.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer sign --key key.pem --certificate signer.pem --chain intermediate.pem ./program
  enforcer sign --key key.pem --certificate signer.pem --detach script.sh
  enforcer sign --key key.pem --certificate signer.pem --store /etc/enforcer/signatures /opt/tool/bin/tool")]
pub(super) struct Arguments {
    #[command(flatten)]
    signer: SignerOption,
    #[command(flatten)]
    destination: DestinationOption,
    /// What to sign.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    report: ReportOption,
}

/// The options of every command that signs.
#[derive(clap::Args)]
pub(super) struct SignerOption {
    /// The private key, PEM, not encrypted.
    #[arg(long, value_name = "PEM")]
    key: PathBuf,
    /// Its code-signing certificate, PEM.
    #[arg(long, value_name = "PEM")]
    certificate: PathBuf,
    /// The certificates between it and the root, PEM.
    #[arg(long, value_name = "PEM")]
    chain: Option<PathBuf>,
}

#[derive(clap::Args)]
#[group(multiple = false)]
struct DestinationOption {
    /// Into the file; ELF files only.
    #[arg(long)]
    embed: bool,
    /// Beside the file, as FILE.p7s.
    #[arg(long)]
    detach: bool,
    /// Into this folder, named by the file's SHA-256.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let identity = arguments.signer.load()?;
    let destination = arguments.destination.settle();
    let mut worst = Exit::Yes;
    let mut reports = Vec::new();
    for path in &arguments.files {
        match identity.sign(path, &destination) {
            Ok(signed) => {
                signed.notes.iter().for_each(|note| tell("note", path, note));
                reports.push(Report::new(path, &signed));
            }
            Err(error) => {
                worst = worse(worst, if error.is_io() { Exit::System } else { Exit::Usage });
                tell("error", path, &error.to_string());
                if let Some(hint) = error.hint() {
                    tell("hint", path, &hint);
                }
            }
        }
    }
    if arguments.report.json {
        output.json(&reports)?;
    } else if !reports.is_empty() {
        let mut table = Table::new(["FILE", "SIGNED", "SIGNATURE"]);
        for report in &reports {
            table.row([Cell::from(&report.path), Cell::styled(report.carrier, Style::Good), Cell::from(report.signature.as_deref().unwrap_or(""))]);
        }
        output.table(&table)?;
    }
    Ok(worst)
}

impl SignerOption {
    pub(super) fn load(&self) -> Result<Identity, Failure> {
        Identity::load(&self.key, &self.certificate, self.chain.as_deref(), UnixTime::now()).map_err(|error| failure(&error))
    }
}

impl DestinationOption {
    fn settle(self) -> Destination {
        match self {
            Self { store: Some(folder), .. } => Destination::Store(folder),
            Self { detach: true, .. } => Destination::Detached,
            Self { embed: true, .. } => Destination::Embedded,
            _ => Destination::Automatic,
        }
    }
}

pub(super) fn failure(error: &SignError) -> Failure {
    let failure = Failure::because(if error.is_io() { Exit::System } else { Exit::Usage }, error);
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
