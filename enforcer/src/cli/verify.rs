//! `enforcer verify`: would these files run, by whose signature, or why not?

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use enforcer_common::{USE_EXEC, USE_LIBRARY};
use indicatif::{ProgressBar, ProgressStyle};
use rustls_pki_types::UnixTime;
use serde::Serialize;

use super::output::{Cell, Style, Table};
use super::sign::{tell, worse};
use super::{Exit, Failure, Output, PolicyOption, ReportOption};
use crate::measure::{self, MeasureError};
use crate::policy::Policy;
use crate::signature::{Attempt, Examination, Examiner, Facts, Rejected, Verified};
use crate::text::hex;
use crate::trust::{TrustStore, date};

/// Would these files run, by whose signature, or why not?
///
/// Looks at the files as the daemon would, by the same policy, and changes nothing. In folders, ELF files and files with an executable
/// bit are looked at; symbolic links are not followed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer verify /usr/bin/python3
  enforcer verify --policy ./policy.toml --json /usr/lib/x86_64-linux-gnu")]
pub(super) struct Arguments {
    #[command(flatten)]
    policy: PolicyOption,
    /// Files and folders.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    report: ReportOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let policy = Policy::load(&arguments.policy.policy)?;
    let now = UnixTime::now();
    let trust = TrustStore::load(&policy, now)?;
    let examiner = Examiner::new(&policy, trust, &Facts::at(now));
    for error in examiner.manifest_errors() {
        tell("warning", &error.path, &format!("this manifest is not in force: {}", error.problem));
        tell("hint", &error.path, error.hint());
    }
    let progress = progress("verifying");
    let found = arguments.files.iter().flat_map(|root| measure::code_files(root));
    let answers = measure::in_parallel(found, |(path, found)| {
        // The kernel tells the daemon the name behind symbolic links, and beside that one lies the signature.
        let place = path.canonicalize().unwrap_or_else(|_| path.clone());
        let examined = found.and_then(|()| measure::open(&path)).and_then(|file| examiner.examine(&file, Some(&place), &Facts::at(now)));
        progress.inc(1);
        Answer::new(&path, &examined)
    });
    progress.finish_and_clear();
    if arguments.report.json {
        output.json(&answers)?;
    } else if answers.is_empty() {
        output.line("nothing here is code: no ELF file, and no file with an executable bit")?;
    } else {
        show(&answers, output)?;
    }
    Ok(answers.iter().fold(Exit::Yes, |worst, answer| worse(worst, answer.exit)))
}

fn show(answers: &[Answer], output: &mut Output) -> Result<(), Failure> {
    let mut table = Table::new(["FILE", "RUNS", "SIGNED BY", "SIGNATURE", "REASON"]);
    let mut hints = BTreeMap::new();
    for answer in answers {
        let runs = if answer.would_run { Cell::styled("yes", Style::Good) } else { Cell::styled("no", Style::Bad) };
        let reason = answer.reason.as_ref().map_or("", |reason| reason.message.as_str());
        table.row([
            Cell::from(&answer.path),
            runs,
            Cell::from(answer.signer.as_deref().unwrap_or("")),
            Cell::from(answer.carrier.unwrap_or("")),
            Cell::from(reason),
        ]);
        if let Some(Reason { code, hint: Some(hint), .. }) = &answer.reason {
            hints.insert((*code, hint.as_str()), ());
        }
    }
    output.table(&table)?;
    for (code, hint) in hints.keys() {
        output.line("")?;
        output.paragraph(0, &format!("hint ({code}): {hint}"))?;
    }
    Ok(())
}

/// A counter on stderr, if that is a terminal.
pub(super) fn progress(doing: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg}: {pos} files, {per_sec}, {elapsed}");
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())).with_message(doing)
}

/// What is reported about one file.
#[derive(Serialize)]
struct Answer {
    path: String,
    would_run: bool,
    sha256: Option<String>,
    fsverity_sha256: Option<String>,
    signer: Option<String>,
    subject: Option<String>,
    certificate_sha256: Option<String>,
    carrier: Option<&'static str>,
    signature: Option<String>,
    uses: Vec<&'static str>,
    not_after: Option<String>,
    reason: Option<Reason>,
    attempts: Vec<Try>,
    #[serde(skip)]
    exit: Exit,
}

/// Why not, and what can be done about it.
#[derive(Serialize)]
struct Reason {
    code: &'static str,
    message: String,
    hint: Option<String>,
}

/// One signature that was looked at.
#[derive(Serialize)]
struct Try {
    carrier: &'static str,
    signature: Option<String>,
    accepted: bool,
    reason: Option<Reason>,
}

impl Answer {
    fn new(path: &Path, examined: &Result<Examination, MeasureError>) -> Self {
        let mut answer = Self {
            path: path.to_string_lossy().into_owned(),
            would_run: false,
            sha256: None,
            fsverity_sha256: None,
            signer: None,
            subject: None,
            certificate_sha256: None,
            carrier: None,
            signature: None,
            uses: Vec::new(),
            not_after: None,
            reason: None,
            attempts: Vec::new(),
            exit: Exit::No,
        };
        match examined {
            Err(problem) => answer.unmeasured(problem),
            Ok(examination) => {
                answer.sha256 = Some(hex(&examination.digest.bytes));
                answer.fsverity_sha256 = examination.fsverity.map(|digest| hex(&digest.bytes));
                answer.attempts = examination.attempts.iter().map(Try::new).collect();
                match examination.outcome() {
                    Ok(verified) => answer.verified(verified),
                    Err(rejected) => answer.reason = Some(Reason::rejected(rejected)),
                }
            }
        }
        answer
    }

    fn verified(&mut self, verified: &Verified) {
        self.would_run = true;
        self.exit = Exit::Yes;
        self.signer = Some(verified.signer_name().to_owned());
        self.subject = Some(verified.subject().to_owned());
        self.certificate_sha256 = Some(hex(&verified.fingerprint()));
        self.carrier = Some(verified.carrier().name());
        self.signature = verified.carrier().path().map(|path| path.to_string_lossy().into_owned());
        let uses = [(USE_EXEC, "exec"), (USE_LIBRARY, "library")];
        self.uses = uses.into_iter().filter(|(bit, _)| verified.uses() & bit != 0).map(|(_, name)| name).collect();
        self.not_after = verified.not_after().map(|end| date(end).replacen(' ', "T", 1).replace(" UTC", "Z"));
    }

    fn unmeasured(&mut self, problem: &MeasureError) {
        let (code, exit) = match problem {
            MeasureError::TooLarge { .. } => ("too-large", Exit::No),
            MeasureError::NotRegular { .. } => ("not-a-file", Exit::Usage),
            MeasureError::Changed => ("changed-while-measured", Exit::System),
            MeasureError::Open { .. } | MeasureError::Read { .. } => ("unreadable", Exit::System),
        };
        self.exit = exit;
        self.reason = Some(Reason { code, message: problem.to_string(), hint: problem.hint().map(str::to_owned) });
    }
}

impl Reason {
    fn rejected(rejected: &Rejected) -> Self {
        Self { code: rejected.code(), message: rejected.to_string(), hint: Some(rejected.hint().to_owned()) }
    }
}

impl Try {
    fn new(attempt: &Attempt) -> Self {
        Self {
            carrier: attempt.carrier.name(),
            signature: attempt.carrier.path().map(|path| path.to_string_lossy().into_owned()),
            accepted: attempt.result.is_ok(),
            reason: attempt.result.as_ref().err().map(Reason::rejected),
        }
    }
}
