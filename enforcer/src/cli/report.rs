//! `enforcer report`: what would have been denied, put together, with the commands that mend it.

use std::path::PathBuf;

use rustls_pki_types::UnixTime;

use super::event_log::{LogOption, tell_skipped};
use super::failure::note;
use super::output::{Cell, OutputError, Style, Table};
use super::sign::failure;
use super::verify::{progress, security_versions, tell_what_does_not_count};
use super::{Exit, Failure, Output, PolicyOption, ReportOption, since};
use crate::audit::Timestamp;
use crate::policy::Policy;
use crate::report::{Appraiser, By, Finding, Report, Section, State, Survey, gather, page};
use crate::signature::sign::write_whole;
use crate::signature::{Examiner, Facts};
use crate::text::{chain, counted, printable};
use crate::trust::TrustStore;

/// Show what would have been denied, put together by cause, and how to mend it.
///
/// Each file that a signature could mend is looked at as it is now, by the policy on this machine: what runs by now, or is gone, is counted and not listed.
/// Nothing is changed. Times are in UTC. Needs root.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo enforcer report --since 7d
  sudo enforcer report --by service              who would be affected?
  sudo enforcer report --html report.html        one page, for a browser
  sudo enforcer report --json | jq .ready

Exit status: 0 when there is a report, whatever is in it.")]
pub(super) struct Arguments {
    /// Only events since then: a time (2026-01-31T09:30:00Z) or an age (90s, 15m, 2h, 7d).
    #[arg(long, value_name = "WHEN", value_parser = since::parse)]
    since: Option<Timestamp>,
    /// What the findings are put together by.
    #[arg(long, value_name = "WHAT", value_parser = by_names(), default_value = By::Cause.name())]
    by: String,
    /// List every finding, also those that run by now or are gone.
    #[arg(long)]
    all: bool,
    /// Write the report as one HTML page that needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    log: LogOption,
    #[command(flatten)]
    policy: PolicyOption,
    #[command(flatten)]
    report: ReportOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut report = read(&arguments.log, arguments.since)?;
    look(&mut report, &arguments.policy);
    if let Some(path) = &arguments.html {
        write_whole(path, page(&report).as_bytes()).map_err(|error| failure(&error))?;
    }
    match &arguments.html {
        _ if arguments.report.json => output.json(&report)?,
        Some(path) => {
            output.line(format!("{}: {}", printable(&path.to_string_lossy()), counted(report.findings.len(), "finding", "findings")))?;
        }
        None => {
            let by = By::ALL.into_iter().find(|by| by.name() == arguments.by).unwrap_or(By::Cause);
            Text { report: &report, by, all: arguments.all }.show(output)?;
        }
    }
    output.flush()?;
    tell_skipped(report.unreadable);
    Ok(Exit::Yes)
}

/// What a log has.
pub(super) fn read(log: &LogOption, since: Option<Timestamp>) -> Result<Report, Failure> {
    gather(&mut log.open()?, since).map_err(|error| log.unreadable(&error))
}

/// Looks at the files of a report; without a policy, at what they are alone.
fn look(report: &mut Report, policy: &PolicyOption) {
    let now = UnixTime::now();
    let loaded = Policy::load(&policy.policy).map_err(|error| chain(&error));
    let loaded = loaded.and_then(|policy| TrustStore::load(&policy, now).map(|trust| (policy, trust)).map_err(|error| chain(&error)));
    let (policy, trust) = match loaded {
        Ok((policy, trust)) => (Some(policy), Some(trust)),
        Err(why) => {
            note(&format!("what the policy lets run by now is not known: {why}"));
            (None, None)
        }
    };
    let versions = policy.as_ref().map(|_| security_versions()).unwrap_or_default();
    let facts = Facts { now, security_versions: &versions };
    let examiner = policy.as_ref().zip(trust).map(|(policy, trust)| Examiner::new(policy, trust, &facts));
    if let Some(examiner) = &examiner {
        tell_what_does_not_count(examiner, now);
    }
    let appraiser = examiner.as_ref().zip(policy.as_ref()).map(|(examiner, policy)| Appraiser { examiner, facts: &facts, policy });
    let progress = progress("looking");
    let problems = Survey { appraiser, most: Survey::MOST }.look(report, &|count| progress.inc(count));
    progress.finish_and_clear();
    problems.iter().for_each(|problem| note(&printable(problem)));
}

/// The report for a terminal.
struct Text<'a> {
    report: &'a Report,
    by: By,
    all: bool,
}

impl Text<'_> {
    fn show(&self, output: &mut Output) -> Result<(), OutputError> {
        self.summary(output)?;
        let sections = self.report.sections(self.by);
        if sections.is_empty() {
            return Ok(());
        }
        output.line("")?;
        self.overview(&sections, output)?;
        sections.iter().take(if self.all { usize::MAX } else { MOST_SECTIONS }).try_for_each(|section| self.section(section, output))?;
        if self.all { Ok(()) } else { self.settled(output) }
    }

    /// What is not listed, because nothing is left to mend.
    fn settled(&self, output: &mut Output) -> Result<(), OutputError> {
        let with = |wanted: &State| self.report.findings.iter().filter(|finding| finding.state == *wanted).count();
        let (runs, gone) = (with(&State::Runs), with(&State::Gone));
        let all = [(runs, counted(runs, "file runs by now", "files run by now")), (gone, counted(gone, "file is gone", "files are gone"))];
        let told: Vec<String> = all.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
        if told.is_empty() {
            return Ok(());
        }
        output.line("")?;
        output.paragraph(0, &format!("Not listed (`--all` does): {}.", told.join(", ")))
    }

    fn summary(&self, output: &mut Output) -> Result<(), OutputError> {
        let report = self.report;
        let (Some(first), Some(last)) = (report.tally.first, report.tally.last) else {
            let since = report.since.map_or_else(String::new, |since| format!(" since {}", since.to_the_second()));
            output.paragraph(0, &format!("Nothing was reported{since}. `enforcer status` tells whether the daemon is at work."))?;
            return self.missing(output);
        };
        let tally = &report.tally;
        let what = [(tally.would_be_denied, "would be denied"), (tally.denied, "denied"), (tally.let_through, "let through by the policy")];
        let what: Vec<String> = what.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let span = format!("{} to {}", first.to_the_second(), last.to_the_second());
        let findings = counted(report.findings.len(), "finding", "findings");
        output.paragraph(0, &format!("{span}: {} ({}), {findings}.", counted(tally.events, "event", "events"), what.join(", ")))?;
        let open = report.open().count();
        let (verdict, style) = match (report.ready, open) {
            (true, _) => ("Ready to enforce: everything that was reported runs by now, is gone, or is let through.".to_owned(), Style::Good),
            (false, 0) => ("Nothing is left to mend of what is known, and events are missing.".to_owned(), Style::Warn),
            (false, open) => (format!("Not ready to enforce: {} to mend.", counted(open, "finding is left", "findings are left")), Style::Bad),
        };
        output.hanging("", "", style, &verdict)?;
        self.missing(output)
    }

    fn missing(&self, output: &mut Output) -> Result<(), OutputError> {
        for missing in &self.report.lost {
            let text = format!("{} missing in the log: {}", counted(missing.count, "event is", "events are"), printable(&missing.cause));
            output.hanging("", "", Style::Warn, &text)?;
        }
        if self.report.beyond > 0 {
            let text = format!("{} about more different things than a report keeps apart", counted(self.report.beyond, "event is", "events are"));
            output.hanging("", "", Style::Warn, &text)?;
        }
        Ok(())
    }

    fn overview(&self, sections: &[Section], output: &mut Output) -> Result<(), OutputError> {
        let mut table = Table::new([heading(self.by), "EVENTS", "TO MEND", "FIRST", "LAST"]);
        let shown = if self.all { sections.len() } else { sections.len().min(MOST_SECTIONS) };
        for section in &sections[..shown] {
            let open = section.members.iter().filter(|(number, _)| self.report.findings[*number].is_open()).count();
            table.row([
                Cell::from(&section.title),
                Cell::from(section.tally.events.to_string()),
                Cell::styled(open.to_string(), if open == 0 { Style::Good } else { Style::Plain }),
                Cell::from(minute(section.tally.first)),
                Cell::from(minute(section.tally.last)),
            ]);
        }
        output.table(&table)?;
        if sections.len() > shown {
            output.line(format!("and {} more: `--all`", sections.len() - shown))?;
        }
        Ok(())
    }

    fn section(&self, section: &Section, output: &mut Output) -> Result<(), OutputError> {
        let finding = |number: usize| &self.report.findings[number];
        let listed: Vec<_> = section.members.iter().filter(|(number, _)| self.all || finding(*number).is_open()).collect();
        if listed.is_empty() {
            return Ok(());
        }
        output.heading(&printable(&section.title))?;
        if let Some(cause) = section.cause {
            output.paragraph(0, cause.meaning())?;
        }
        let shown = if self.all { listed.len() } else { listed.len().min(MOST_FINDINGS) };
        let columns: &[&str] = match self.by {
            By::Cause | By::Package => &["EVENTS", "LAST", "SERVICE", "WHAT"],
            By::Program | By::Service => &["EVENTS", "LAST", "CAUSE", "WHAT"],
        };
        let mut table = Table::new(columns);
        for (number, tally) in &listed[..shown] {
            let finding = finding(*number);
            let third = match self.by {
                By::Cause | By::Package => several(finding.services.iter().map(ToString::to_string)),
                By::Program | By::Service => finding.cause.name().to_owned(),
            };
            table.row([Cell::from(tally.events.to_string()), Cell::from(minute(tally.last)), Cell::from(third), Cell::from(what(finding, self.by))]);
        }
        output.table_with_long_last(&table)?;
        if listed.len() > shown {
            output.line(format!("and {} more: `--all`, `--html FILE` or `--json`", listed.len() - shown))?;
        }
        let open = section.members.iter().map(|(number, _)| finding(*number)).filter(|finding| finding.is_open());
        mend(&open.collect::<Vec<_>>(), output)
    }
}

/// What to do about these findings, each thing once, with the commands that do it below.
fn mend(open: &[&Finding], output: &mut Output) -> Result<(), OutputError> {
    let mut advice: Vec<(&str, Vec<&str>)> = Vec::new();
    for finding in open {
        let number = advice.iter().position(|(remedy, _)| *remedy == finding.remedy).unwrap_or_else(|| {
            advice.push((&finding.remedy, Vec::new()));
            advice.len() - 1
        });
        let commands = &mut advice[number].1;
        commands.extend(finding.command.as_deref().filter(|command| !commands.contains(command)));
    }
    let more = advice.len().saturating_sub(MOST_REMEDIES);
    for (remedy, mut commands) in advice.into_iter().take(MOST_REMEDIES) {
        output.paragraph(0, &printable(remedy))?;
        let is_about_one = |command: &&str| command.starts_with("enforcer learn --include ");
        if commands.iter().filter(|command| is_about_one(command)).count() > 1 {
            // It asks about them one by one.
            commands = vec![LEARN_AND_ASK];
        }
        for command in commands.iter().take(MOST_COMMANDS) {
            // Not broken at the terminal's width, so that it can be copied; nothing in it acts on a terminal.
            output.line(format!("  {command}"))?;
        }
        if commands.len() > MOST_COMMANDS {
            output.line(format!("  and {} more commands: `--html FILE` or `--json`", commands.len() - MOST_COMMANDS))?;
        }
    }
    if more > 0 {
        output.line(format!("and {more} more things to do: `--html FILE` or `--json`"))?;
    }
    Ok(())
}

/// The subject, with what is worth knowing about it.
fn what(finding: &Finding, by: By) -> String {
    let mut notes = Vec::new();
    if let Some(package) = finding.package.as_ref().filter(|_| by != By::Package) {
        notes.push(format!("of {}", package.name));
    }
    match &finding.state {
        state @ (State::Changed | State::Runs | State::Gone) => notes.push(state.words().to_owned()),
        State::Unreadable(why) => notes.push(why.clone()),
        State::Denied(_) | State::Unchanged | State::Unknown => {}
    }
    if !finding.cause.is_about_signatures() {
        notes.push(finding.reason.to_string());
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    format!("{}{notes}", finding.subject.text())
}

/// A few of them, and how many more.
fn several(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(MOST_NAMES);
    let mut names: Vec<String> = names.take(MOST_NAMES).collect();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

fn heading(by: By) -> &'static str {
    match by {
        By::Cause => "CAUSE",
        By::Program => "PROGRAM",
        By::Package => "PACKAGE",
        By::Service => "SERVICE",
    }
}

/// To the minute: `2026-01-31 09:30`.
fn minute(time: Option<Timestamp>) -> String {
    time.map_or_else(String::new, |time| time.to_the_second()[..16].to_owned())
}

fn by_names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(By::ALL.map(By::name))
}

const LEARN_AND_ASK: &str = "enforcer learn --output packages.manifest --output-unknown reviewed.manifest";
/// Findings of a section, sections, names in a cell, and commands, without `--all`.
const MOST_FINDINGS: usize = 10;
const MOST_SECTIONS: usize = 20;
const MOST_NAMES: usize = 2;
const MOST_COMMANDS: usize = 3;
const MOST_REMEDIES: usize = 8;

#[cfg(test)]
mod tests;
