//! `enforcer verify`: would these files run, by whose signature, or why not?
//!
//! [`answer`] gathers what is reported, [`tree`] shows it step by step.

mod answer;
mod tree;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use rustls_pki_types::UnixTime;

use super::output::{Cell, Style, Table};
use super::sign::{tell, worse};
use super::{Exit, Failure, Output, PolicyOption, ReportOption};
use crate::code;
use crate::daemon::STATE_FOLDER;
use crate::measure;
use crate::policy::Policy;
use crate::signature::{Examiner, Facts};
use crate::trust::{SecurityVersions, TrustStore, date};
use answer::Reason;

pub(super) use answer::Answer;

/// Would these files run, by whose signature, or why not?
///
/// Looks at the files as the daemon would, by the same policy, and changes nothing. In folders, ELF files, files with an
/// executable bit and what the policy calls scripts are looked at; symbolic links are not followed. A single file is explained step by step, several make a table.
///
/// The exit status is 0 when all would run, 1 when some would not, 2 when what was asked makes no sense, 3 when something cannot be read.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer verify /usr/bin/python3
  enforcer verify --explain /opt/tool/bin/*
  enforcer verify --policy ./policy.toml --json /usr/lib/x86_64-linux-gnu")]
pub(super) struct Arguments {
    #[command(flatten)]
    policy: PolicyOption,
    /// Explain each file step by step, however many there are.
    #[arg(long, conflicts_with = "json")]
    explain: bool,
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
    let security_versions = security_versions();
    let facts = Facts { now, security_versions: &security_versions };
    let examiner = Examiner::new(&policy, trust, &facts);
    tell_what_does_not_count(&examiner, now);
    let progress = progress("verifying");
    let names = policy.interpreters.script_names();
    let found = arguments.files.iter().flat_map(|root| code::code_files(root, &names));
    let answers = measure::in_parallel(found, |(path, found)| {
        // The kernel tells the daemon the name behind symbolic links, and beside that one lies the signature.
        let place = path.canonicalize().unwrap_or_else(|_| path.clone());
        let examined = found.and_then(|()| measure::open(&path)).and_then(|file| examiner.examine(&file, Some(&place), &facts));
        progress.inc(1);
        Answer::new(&path, &place, &examined, &policy)
    });
    progress.finish_and_clear();
    if arguments.report.json {
        output.json(&answers)?;
    } else if answers.is_empty() {
        output.line("nothing here is code: no ELF file, no file with an executable bit, and no script")?;
    } else if arguments.explain || (answers.len() == 1 && arguments.files[0] == Path::new(&answers[0].path)) {
        answers.iter().try_for_each(|answer| tree::show(answer, output))?;
    } else {
        show(&answers, output)?;
    }
    Ok(answers.iter().fold(Exit::Yes, |worst, answer| worse(worst, answer.exit)))
}

/// Lists of revocations that are overdue, and manifests that are not in force, on stderr.
pub(super) fn tell_what_does_not_count(examiner: &Examiner, now: UnixTime) {
    for list in examiner.trust().overdue_crls(now) {
        let due = date(list.next_update);
        tell("warning", &list.path, &format!("the next list of revocations of `{}` was due at {due}", list.issuer));
    }
    for error in examiner.manifest_errors() {
        tell("warning", &error.path, &format!("this manifest is not in force: {}", error.problem));
        tell("hint", &error.path, error.hint());
    }
}

/// What the daemon has accepted; where nobody but root may read it, what is older is not known.
pub(super) fn security_versions() -> SecurityVersions {
    let path = Path::new(STATE_FOLDER).join(SecurityVersions::FILE_NAME);
    SecurityVersions::load(&path).unwrap_or_else(|error| {
        tell("note", &path, &format!("older releases are not recognised: {}", error.report()));
        SecurityVersions::default()
    })
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
