//! `enforcer events`: what was denied, or would have been, from the event log.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use super::event_log::{LogOption, tell_skipped};
use super::output::{OutputError, Style, wrapped};
use super::{Exit, Failure, Output, ReportOption, since};
use crate::audit::{Entry, EventReader, Next, Record, Timestamp};
use crate::text::{clipped, printable};

/// Show what was denied, or would have been.
///
/// One line for each event, the oldest first: the time in UTC, the name by which `enforcer explain` knows it, and what happened. Needs root.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo enforcer events                        everything in the log
  sudo enforcer events --follow --details     watch, with reasons and remedies
  sudo enforcer events --since 1h --denied    what was stopped within an hour
  sudo enforcer events --json | jq -r .path | sort | uniq -c")]
pub(super) struct Arguments {
    /// Go on and show events as they happen (beginning with the last 10, unless `--last` or `--since` says otherwise).
    #[arg(long, short)]
    follow: bool,
    /// Show everything that is known about each event, and how to mend it.
    #[arg(long, short)]
    details: bool,
    /// Only what was really stopped.
    #[arg(long)]
    denied: bool,
    /// Only events for this reason, such as `untrusted`.
    #[arg(long, value_name = "REASON", value_parser = reason_names())]
    reason: Option<String>,
    /// Only events since then: a time (2026-01-31T09:30:00Z) or an age (90s, 15m, 2h, 7d).
    #[arg(long, value_name = "WHEN", value_parser = since::parse)]
    since: Option<Timestamp>,
    /// Only the last N events.
    #[arg(long, short = 'n', value_name = "N")]
    last: Option<usize>,
    #[command(flatten)]
    report: ReportOption,
    #[command(flatten)]
    log: LogOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut reader = arguments.log.open()?;
    arguments.show_past(&mut reader, output)?;
    if arguments.follow {
        arguments.show_future(&mut reader, output)?;
    }
    Ok(Exit::Yes)
}

impl Arguments {
    /// What is in the log now.
    fn show_past(&self, reader: &mut EventReader, output: &mut Output) -> Result<(), Failure> {
        let last = self.last.or((self.follow && self.since.is_none()).then_some(LAST_WHEN_FOLLOWING));
        let mut kept = VecDeque::new();
        let mut skipped = 0_u64;
        loop {
            match self.log.read(reader)? {
                Next::End => break,
                Next::Unreadable => skipped += 1,
                Next::Entry(entry) if !self.wants(&entry) => {}
                Next::Entry(entry) if last.is_none() => self.show(&entry, output)?,
                Next::Entry(entry) => {
                    kept.push_back(entry);
                    if last.is_some_and(|last| kept.len() > last) {
                        kept.pop_front();
                    }
                }
            }
        }
        for entry in kept {
            self.show(&entry, output)?;
        }
        output.flush()?;
        tell_skipped(skipped);
        Ok(())
    }

    /// What comes, until somebody ends it.
    fn show_future(&self, reader: &mut EventReader, output: &mut Output) -> Result<Infallible, Failure> {
        loop {
            match self.log.read(reader)? {
                Next::Entry(entry) if self.wants(&entry) => self.show(&entry, output)?,
                Next::Entry(_) | Next::Unreadable => {}
                Next::End => {
                    output.flush()?;
                    std::thread::sleep(INTERVAL);
                }
            }
        }
    }

    /// Gaps in the log are always of interest: they may hide what was asked for.
    fn wants(&self, entry: &Entry) -> bool {
        let time = match entry {
            Entry::Event(record) => record.time,
            Entry::Lost(lost) => lost.time,
        };
        let about_this = match entry {
            Entry::Event(record) => (record.denied || !self.denied) && self.reason.as_ref().is_none_or(|reason| record.reason.to_string() == *reason),
            Entry::Lost(_) => true,
        };
        about_this && self.since.is_none_or(|since| time >= since)
    }

    fn show(&self, entry: &Entry, output: &mut Output) -> Result<(), OutputError> {
        match entry {
            _ if self.report.json => output.json_line(entry),
            Entry::Event(record) => {
                show_line(record, output)?;
                if self.details {
                    details(record, output)?;
                }
                Ok(())
            }
            Entry::Lost(lost) => {
                let text = format!("{} events are missing here: {}", lost.count, printable(&lost.cause));
                output.line(format!("{}  {}", lost.time.to_the_second(), output.paint(Style::Warn, &text)))
            }
        }
    }
}

/// One line; on a terminal that is narrower, broken, with the rest below.
fn show_line(record: &Record, output: &mut Output) -> Result<(), OutputError> {
    let id = printable(clipped(&record.id, ID_LENGTH)).into_owned();
    let (line, outcome) = (format!("{}  {id}  {}", record.time.to_the_second(), record.line()), record.outcome());
    let style = if record.denied { Style::Bad } else { Style::Warn };
    let room = output.width().map_or(usize::MAX, |width| width.saturating_sub(HANGING.len()).max(NARROWEST));
    for (number, part) in wrapped(&line, room).iter().enumerate() {
        if number == 0 {
            let part = part.replacen(&id, &output.paint(Style::Dim, &id), 1).replacen(outcome, &output.paint(style, outcome), 1);
            output.line(part)?;
        } else {
            output.line(format!("{HANGING}{part}"))?;
        }
    }
    Ok(())
}

fn details(record: &Record, output: &mut Output) -> Result<(), OutputError> {
    for (name, text) in record.details() {
        output.item(4, NAME_WIDTH, name, &text)?;
    }
    output.line("")
}

fn reason_names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(enforcer_common::Reason::ALL.iter().map(|reason| reason.name()))
}

const LAST_WHEN_FOLLOWING: usize = 10;
/// Before what is left of a line that was broken.
const HANGING: &str = "    ";
/// Columns of a terminal that is too narrow for anything.
const NARROWEST: usize = 20;
const INTERVAL: Duration = Duration::from_millis(200);
/// Letters of an event's name that are shown; it is known by fewer as well.
pub(super) const ID_LENGTH: usize = 8;
/// Columns of the longest name in a record's details.
const NAME_WIDTH: usize = 8;
