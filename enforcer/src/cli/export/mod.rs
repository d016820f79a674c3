//! `enforcer export`: every event, to an OpenTelemetry collector.
//!
//! A process of its own, which reads the log that the daemon writes: the daemon opens no connection and waits for nobody. What was accepted is kept in a
//! file, so that a restart sends the rest; what was accepted just before a crash is sent once more. At least once, never less.

mod collector;
mod state;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::event_log::LogOption;
use super::failure::note;
use super::{Exit, Failure, Output, ReportOption};
use crate::audit::{EventReader, Next, Place, Timestamp, log_record, request};
use crate::text::counted;
use collector::{Answer, Collector, Endpoint};
use state::State;

/// Send events to an OpenTelemetry collector.
///
/// Follows the event log and sends what is new, over HTTP (OTLP, binary protobuf). An event is sent at least once: where the collector cannot be reached it
/// is tried again, up to once a minute, and a restart goes on where the collector accepted last. Runs until it is ended.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer export --otlp http://127.0.0.1:4318
  enforcer export --otlp https://collector.example:4318 --ca /etc/ssl/our-ca.pem
  enforcer export --otlp http://127.0.0.1:4318 --once

OTEL_EXPORTER_OTLP_HEADERS holds headers for the collector, as
`name=value,name=value` with percent-encoded values: a token for one.
`packaging/enforcer-export.service` runs it without rights.")]
pub(super) struct Arguments {
    /// The collector's address; `/v1/logs` is added, unless it is there.
    #[arg(long, value_name = "URL")]
    otlp: Endpoint,
    /// PEM file of the authorities that vouch for the collector, instead of the public ones.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where it is kept what was accepted.
    #[arg(long, value_name = "FILE", default_value = "/var/lib/enforcer-export/state.json")]
    state: PathBuf,
    /// Send what is in the log now, and end; fails where the collector cannot be reached in some tries.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    report: ReportOption,
    #[command(flatten)]
    log: LogOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let collector = Collector::new(&arguments.otlp, arguments.ca.as_deref())?;
    let mut state = State::open(&arguments.state)?;
    let mut exporter = Exporter { collector, tries: arguments.once.then_some(TRIES), host: host_name(), sent: Sent::default() };
    let mut reader = exporter.begin(&arguments.log, &state)?;
    loop {
        let batch = exporter.collect(&arguments.log, &mut reader)?;
        if let Some(place) = batch.place {
            exporter.deliver(&batch.records)?;
            state.keep(place)?;
        } else if arguments.once {
            break;
        } else {
            std::thread::sleep(INTERVAL);
        }
    }
    let Sent { accepted, rejected, unreadable } = exporter.sent;
    if arguments.report.json {
        output.json(&exporter.sent)?;
    } else {
        let (sent, skipped) = (counted(accepted, "event", "events"), counted(unreadable, "unreadable line", "unreadable lines"));
        output.paragraph(0, &format!("{sent} sent, {rejected} rejected by the collector, {skipped} skipped"))?;
    }
    Ok(if rejected == 0 { Exit::Yes } else { Exit::No })
}

/// Between log and collector.
struct Exporter {
    collector: Collector,
    /// How often something is tried; `None` is for ever.
    tries: Option<u32>,
    host: String,
    sent: Sent,
}

/// What became of the events.
#[derive(Default, serde::Serialize)]
struct Sent {
    accepted: u64,
    rejected: u64,
    unreadable: u64,
}

/// Events that are sent in one piece.
#[derive(Default)]
struct Batch {
    records: Vec<LogRecord>,
    /// Behind the last of them; `None` without any.
    place: Option<Place>,
}

impl Exporter {
    fn begin(&self, log: &LogOption, state: &State) -> Result<EventReader, Failure> {
        let Some(place) = state.place() else { return log.open() };
        let (reader, found) = EventReader::open_behind(&log.log, place).map_err(|error| log.unreadable(&error))?;
        if !found {
            note("what was sent last is not in the log any more: events in between may be missing, and all that the log holds is sent");
        }
        Ok(reader)
    }

    /// As many events as there are, and as fit into a batch.
    fn collect(&mut self, log: &LogOption, reader: &mut EventReader) -> Result<Batch, Failure> {
        let mut batch = Batch::default();
        while batch.records.len() < BATCH {
            match log.read(reader)? {
                Next::End => break,
                Next::Unreadable => self.sent.unreadable += 1,
                Next::Entry(entry) => {
                    batch.records.push(log_record(&entry, Timestamp::now()));
                    batch.place = Some(reader.place().map_err(|error| log.unreadable(&error))?);
                }
            }
        }
        Ok(batch)
    }

    /// Returns when the collector has them, or has said that it never will.
    fn deliver(&mut self, records: &[LogRecord]) -> Result<(), Failure> {
        let request = request(&self.host, records.to_vec());
        let mut tried = 0;
        loop {
            let (why, after) = match self.collector.send(&request) {
                Answer::Accepted { rejected, message } => {
                    if rejected > 0 {
                        note(&format!("the collector rejected {rejected} events: {message}"));
                    }
                    self.sent.rejected += rejected;
                    self.sent.accepted += (records.len() as u64).saturating_sub(rejected);
                    return Ok(());
                }
                Answer::TooLarge if records.len() > 1 => {
                    let (first, second) = records.split_at(records.len() / 2);
                    self.deliver(first)?;
                    return self.deliver(second);
                }
                Answer::TooLarge => {
                    note("the collector takes no request as large as one event, which is left out");
                    self.sent.rejected += 1;
                    return Ok(());
                }
                Answer::Refused { message } => {
                    return Err(Failure::new(Exit::System, format!("the collector refused the events: {message}"))
                        .hint("nothing is lost: mend the address, the headers or the collector, and start again"));
                }
                Answer::Later { message, after } => (message, after),
            };
            tried += 1;
            if self.tries.is_some_and(|most| tried >= most) {
                return Err(Failure::new(Exit::System, format!("the collector cannot be reached: {why}"))
                    .hint("nothing is lost: try again later; `--ca` names the authority of a collector of your own"));
            }
            let wait = after.unwrap_or_else(|| backoff(tried));
            note(&format!("not sent, tried again in {:.1} s: {why}", wait.as_secs_f64()));
            std::thread::sleep(wait);
        }
    }
}

/// Doubled each time, up to a minute; the last half is by chance, so that a fleet does not come back all at once.
fn backoff(tried: u32) -> Duration {
    let whole = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(tried.saturating_sub(1).min(16))).min(LONGEST_WAIT);
    let chance = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos() % 1000;
    whole / 2 + whole / 2000 * chance
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Events of one request.
const BATCH: usize = 512;
/// How often the log is looked at.
const INTERVAL: Duration = Duration::from_secs(1);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// With `--once`: some ten seconds.
const TRIES: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_and_stays_bounded() {
        for (tried, most) in [(1, 1), (2, 2), (3, 4), (7, 60), (40, 60), (u32::MAX, 60)] {
            let (wait, most) = (backoff(tried), Duration::from_secs(most));
            assert!(wait >= most / 2 && wait <= most, "{tried}: {wait:?}");
        }
    }
}
