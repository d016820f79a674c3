//! `enforcer seal`: fs-verity for files that would run.

use std::path::{Path, PathBuf};

use rustls_pki_types::UnixTime;
use serde::Serialize;

use super::output::{Cell, OutputError, Style, Table};
use super::sign::{tell, worse};
use super::verify::{progress, security_versions};
use super::{Exit, Failure, Output, PolicyOption, ReportOption};
use crate::code;
use crate::kernel::{self, SealError};
use crate::measure::{self, MeasureError};
use crate::policy::{Policy, ScriptNames};
use crate::signature::{Examiner, Facts};
use crate::text::hex;
use crate::trust::TrustStore;

/// Make files unchangeable with fs-verity.
///
/// The kernel then guarantees their bytes whenever they are read, and measuring them takes no time, however large they are. Only files that would
/// run under the policy are sealed; in folders, those that can be started and ELF files, since what interpreters read otherwise (`/etc/profile`) is
/// edited now and then. It cannot be undone: a sealed file can be replaced or removed, and never be written again. So sign first, and seal afterwards.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer seal /opt/tool
  enforcer seal --all --json ./program")]
pub(super) struct Arguments {
    #[command(flatten)]
    policy: PolicyOption,
    /// Seal files that would not run too, and read no policy.
    #[arg(long, conflicts_with = "policy")]
    all: bool,
    /// Files and folders.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    report: ReportOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let versions = security_versions();
    let facts = Facts { now: UnixTime::now(), security_versions: &versions };
    let examiner = if arguments.all { None } else { Some(examiner(&arguments.policy.policy, &facts)?) };
    let progress = progress("sealing");
    let names = ScriptNames::default();
    let found = arguments.files.iter().flat_map(|root| code::code_files(root, &names));
    let outcomes = measure::in_parallel(found, |(path, found)| {
        let outcome = found.map_err(Obstacle::File).and_then(|()| seal(&path, examiner.as_ref(), &facts));
        progress.inc(1);
        (path, outcome)
    });
    progress.finish_and_clear();
    let mut worst = Exit::Yes;
    let mut reports = Vec::new();
    for (path, outcome) in &outcomes {
        if let Err(obstacle) = outcome {
            tell("error", path, &obstacle.to_string());
            obstacle.hint().inspect(|hint| tell("hint", path, hint));
            worst = worse(worst, obstacle.exit());
        }
        reports.push(Report::new(path, outcome));
    }
    if arguments.report.json {
        output.json(&reports)?;
    } else if reports.is_empty() {
        output.line("nothing here is code: no ELF file, and no file that can be started")?;
    } else {
        show(&reports, output)?;
    }
    Ok(worst)
}

fn show(reports: &[Report], output: &mut Output) -> Result<(), OutputError> {
    let mut table = Table::new(["FILE", "SEALED", "FS-VERITY DIGEST"]);
    for report in reports {
        let sealed = if report.sealed { Cell::styled("yes", Style::Good) } else { Cell::styled("no", Style::Bad) };
        table.row([Cell::from(&report.path), sealed, Cell::from(report.fsverity_sha256.as_deref().unwrap_or(""))]);
    }
    output.table(&table)
}

fn examiner(policy: &Path, facts: &Facts<'_>) -> Result<Examiner, Failure> {
    let policy = Policy::load(policy)?;
    let trust = TrustStore::load(&policy, facts.now)?;
    let examiner = Examiner::new(&policy, trust, facts);
    for error in examiner.manifest_errors() {
        tell("warning", &error.path, &format!("this manifest is not in force: {}", error.problem));
        tell("hint", &error.path, error.hint());
    }
    Ok(examiner)
}

/// Seals one file, if it would run. A file that is sealed already is as it should be.
fn seal(path: &Path, examiner: Option<&Examiner>, facts: &Facts<'_>) -> Result<Option<String>, Obstacle> {
    let file = measure::open(path)?;
    if let Some(examiner) = examiner {
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let examination = examiner.examine(&file, Some(&place), facts)?;
        if let Err(rejected) = examination.outcome() {
            return Err(Obstacle::WouldNotRun(rejected.to_string()));
        }
    }
    match kernel::seal(&file) {
        Ok(()) | Err(SealError::Already) => Ok(kernel::fsverity_digest(&file).map(|digest| hex(&digest.bytes))),
        Err(error) => Err(Obstacle::Seal(error)),
    }
}

/// Why a file was not sealed.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error(transparent)]
    File(#[from] MeasureError),
    #[error("it would not run, so it was not sealed: {0}")]
    WouldNotRun(String),
    #[error(transparent)]
    Seal(SealError),
}

impl Obstacle {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File(problem) => problem.hint(),
            Self::WouldNotRun(_) => Some("sign it first, `enforcer sign`, or seal it nevertheless: `--all`"),
            Self::Seal(problem) => Some(problem.hint()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::File(problem) if problem.is_io() => Exit::System,
            Self::File(_) => Exit::Usage,
            Self::Seal(problem) if problem.is_io() => Exit::System,
            Self::WouldNotRun(_) | Self::Seal(_) => Exit::No,
        }
    }
}

#[derive(Clone, Serialize)]
struct Report {
    path: String,
    sealed: bool,
    fsverity_sha256: Option<String>,
    problem: Option<String>,
}

impl Report {
    fn new(path: &Path, outcome: &Result<Option<String>, Obstacle>) -> Self {
        Self {
            path: path.to_string_lossy().into_owned(),
            sealed: outcome.is_ok(),
            fsverity_sha256: outcome.as_ref().ok().cloned().flatten(),
            problem: outcome.as_ref().err().map(ToString::to_string),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::hold;

    #[test]
    fn each_file_has_its_row() {
        let sealed = Report::new(Path::new("/opt/tool/bin/tool"), &Ok(Some("5e".repeat(32))));
        let kept = Report::new(Path::new("/opt/tool/lib/libtool.so.1.2.3"), &Err(Obstacle::WouldNotRun("it is not signed".to_owned())));
        hold("seal/table", |output| show(&[sealed.clone(), kept.clone()], output));
    }
}
