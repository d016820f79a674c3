//! `enforcer doctor`: can this machine enforce? Observes ([`facts`]), judges ([`checks`]) and reports. Changes nothing.

mod checks;
mod facts;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Serialize;

use self::checks::{Answer, Finding};
use self::facts::Facts;
use super::output::{Cell, OutputError, Style, Table};
use super::{Exit, Failure, Output, ReportOption};
use crate::kernel::{self, ProbeOutcome};
use crate::text::printable;

/// Can this machine enforce? Looks before anything is installed.
///
/// Each check answers yes, no or could not tell, and says how to mend what is wrong. Changes nothing; run it as root, because only root may
/// ask the kernel to load a program.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo enforcer doctor
  sudo enforcer doctor --json

Exit status: 0 when this machine can enforce, 1 when it cannot, or when that
could not be told.")]
pub(super) struct Arguments {
    #[command(flatten)]
    report: ReportOption,
    /// Look at the machine whose files are below this folder.
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let probe = || match arguments.root == Path::new("/") {
        true => kernel::probe_lsm(),
        false => ProbeOutcome::CouldNotTell("only the machine itself can be asked to load a program".to_owned()),
    };
    let facts = Facts::observe(&arguments.root, probe);
    let findings = checks::examine(&facts);
    let conclusion = checks::conclude(&findings);
    if arguments.report.json {
        output.json(&Report { can_enforce: conclusion, kernel: facts.release.ok(), checks: &findings })?;
    } else {
        tell(&findings, conclusion, output)?;
    }
    Ok(if conclusion == Answer::Yes { Exit::Yes } else { Exit::No })
}

#[derive(Serialize)]
struct Report<'a> {
    can_enforce: Answer,
    kernel: Option<String>,
    checks: &'a [Finding],
}

fn tell(findings: &[Finding], conclusion: Answer, output: &mut Output) -> Result<(), OutputError> {
    let mut table = Table::new(["CHECK", "ANSWER", "FOUND"]);
    for finding in findings {
        table.row([finding.title.into(), Cell::styled(finding.answer.name(), style(finding)), Cell::from(&finding.found)]);
    }
    output.table(&table)?;
    for finding in findings.iter().filter(|finding| finding.answer != Answer::Yes) {
        let need = if finding.required { "required" } else { "good to have" };
        let heading = format!("{}: {} ({need})", finding.title, finding.answer.name());
        output.heading(&heading)?;
        output.paragraph(2, finding.meaning)?;
        if let Some(remedy) = &finding.remedy {
            output.paragraph(2, &format!("Remedy: {}", printable(remedy)))?;
        }
    }
    output.line("")?;
    output.paragraph(0, &conclusion_text(findings, conclusion))
}

/// The answer in one sentence, with its reasons.
fn conclusion_text(findings: &[Finding], conclusion: Answer) -> String {
    let reasons = |answer: Answer| {
        let found = findings.iter().filter(|finding| finding.required && finding.answer == answer);
        found.map(|finding| format!("{} ({})", finding.check, printable(&finding.found))).collect::<Vec<_>>().join("; ")
    };
    match conclusion {
        Answer::Yes => "This machine can enforce.".to_owned(),
        Answer::No => format!("This machine cannot enforce: {}.", reasons(Answer::No)),
        Answer::CouldNotTell => format!("Whether this machine can enforce could not be told: {}.", reasons(Answer::CouldNotTell)),
    }
}

fn style(finding: &Finding) -> Style {
    match finding.answer {
        Answer::Yes => Style::Good,
        Answer::No if finding.required => Style::Bad,
        Answer::No | Answer::CouldNotTell => Style::Warn,
    }
}
