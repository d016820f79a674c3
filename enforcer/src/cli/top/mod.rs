//! `enforcer top`: what is in force and what happens, live.
//!
//! [`view`] is what is known, [`frame`] a pure function from it to a picture, [`screen`] the terminal.

mod frame;
mod screen;
mod view;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use super::event_log::LogOption;
use super::{Exit, Failure, Output, ReportOption, status};
use crate::audit::{EventReader, Next, Status, Timestamp};
use view::View;

/// Watch what is in force and what happens, live.
///
/// The head says what is in force; below are the rates of the last interval, the programs, services and reasons with most events of the last minute, and
/// the newest events. Needs root.
#[derive(clap::Args)]
#[command(after_help = "Keys:
  q, Esc, Ctrl-C  end            d  show only what was really stopped
  p, Space        pause          s  sort by events, by denials, by name

Examples:
  sudo enforcer top
  sudo enforcer top --interval 0.5
  sudo enforcer top --once                       one picture as text
  sudo enforcer top --json | jq .rates")]
pub(super) struct Arguments {
    /// Seconds between two looks, 0.1 to 3600.
    #[arg(long, short, value_name = "SECONDS", default_value = "2", value_parser = interval)]
    interval: Duration,
    /// One picture as text, after one interval.
    #[arg(long)]
    once: bool,
    /// Only what was really stopped.
    #[arg(long)]
    denied: bool,
    // One picture, after one interval.
    #[command(flatten)]
    report: ReportOption,
    #[command(flatten)]
    log: LogOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let one_picture = arguments.once || arguments.report.json;
    let has_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    if !one_picture && !has_terminal {
        let failure = Failure::new(Exit::Usage, "`enforcer top` draws on a terminal, and this is none");
        return Err(failure.hint("`enforcer top --once` prints one picture; see also `enforcer status` and `enforcer events --follow`"));
    }
    let mut source = Source::open(&arguments.log)?;
    let mut view = View::new(arguments.interval, arguments.denied);
    source.look(&mut view)?;
    if !one_picture {
        return screen::watch(&mut source, &mut view, output.has_colour());
    }
    std::thread::sleep(arguments.interval);
    source.look(&mut view)?;
    if arguments.report.json {
        output.json(&view.report())?;
    } else {
        for line in frame::text(&view, output.width().unwrap_or(super::output::WIDTH), HEIGHT) {
            output.line(line)?;
        }
    }
    Ok(Exit::Yes)
}

/// Where a view comes from: the kernel, and the log.
struct Source<'a> {
    log: &'a LogOption,
    reader: EventReader,
    last: Option<Instant>,
}

impl<'a> Source<'a> {
    fn open(log: &'a LogOption) -> Result<Self, Failure> {
        Ok(Self { log, reader: log.open()?, last: None })
    }

    /// Tells the view what there is to see now.
    fn look(&mut self, view: &mut View) -> Result<(), Failure> {
        self.read(view)?;
        let status: Status = status::observe()?;
        let now = Instant::now();
        let since = self.last.replace(now).map(|last| now - last);
        view.look(status, Timestamp::now(), since);
        Ok(())
    }

    /// What is new in the log. While it is written faster than it can be read, the picture falls behind and does not stand still.
    fn read(&mut self, view: &mut View) -> Result<(), Failure> {
        let began = Instant::now();
        loop {
            match self.log.read(&mut self.reader)? {
                Next::Entry(entry) => view.note(entry),
                Next::Unreadable => view.note_unreadable(),
                Next::End => return Ok(()),
            }
            if self.last.is_some() && began.elapsed() > LONGEST_READING {
                return Ok(());
            }
        }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "write a number of seconds from 0.1 to 3600".to_owned())
}

/// Lines of a picture that goes to no terminal.
const HEIGHT: usize = 24;
/// So that keys are answered.
const LONGEST_READING: Duration = Duration::from_millis(500);
