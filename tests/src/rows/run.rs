//! Running rows, and judging what happened by the mode that is in force.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Kind, Row, Trace, table};
use crate::child::{self, Ended};
use crate::events::{self, Mark};
use crate::mode::Mode;
use crate::report::{Line, Report, Selection};
use crate::scene::Scene;

/// `guest-tests rows`.
pub fn run(scene: &Scene, mode: Mode, selection: Selection) -> Result<ExitCode> {
    let mut report = Report::new(with_twins(selection));
    run_all(scene, mode, &mut report)?;
    report.close()
}

/// Runs every row that the report wants.
pub fn run_all(scene: &Scene, mode: Mode, report: &mut Report) -> Result<()> {
    for row in table() {
        let name = row.test_name(mode);
        if report.wants(&name, row.name) {
            let judged = judge(scene, mode, row).unwrap_or_else(|error| Judged {
                happened: "the test itself failed".to_owned(),
                event: None,
                faults: vec![format!("{error:#}")],
            });
            report.add(&judged.line(name, mode, row))?;
        }
    }
    scene.clear()
}

/// With the honest twins of the attacks that are named.
pub fn with_twins(mut selection: Selection) -> Selection {
    let is_named = |row: &&Row| selection.named.iter().any(|named| named == row.name);
    let twins: Vec<String> = table().filter(is_named).filter_map(Row::twin).map(str::to_owned).collect();
    for twin in twins {
        if !selection.named.contains(&twin) {
            selection.named.push(twin);
        }
    }
    selection
}

/// What happened, and what was wrong with it.
struct Judged {
    happened: String,
    event: Option<Value>,
    faults: Vec<String>,
}

impl Judged {
    fn line(self, name: String, mode: Mode, row: &Row) -> Line {
        let (kind, expected) = match (&row.kind, mode) {
            (Kind::Honest, _) => ("honest", "it runs, and nothing is recorded".to_owned()),
            (Kind::Absent { error }, _) => ("absent", format!("the kernel does not know it: {error}")),
            (Kind::Attack { .. }, Mode::Off) => ("attack", "it works".to_owned()),
            (Kind::Attack { trace, .. }, Mode::Audit) => ("attack", format!("it works, and {} reports {}", trace.hook.name(), trace.reason.name())),
            (Kind::Attack { trace, .. }, Mode::Enforce) => ("attack", format!("{} denies it: {}", trace.hook.name(), trace.reason.name())),
        };
        let pass = self.faults.is_empty();
        Line {
            name,
            test: row.name.to_owned(),
            kind,
            title: row.title.to_owned(),
            twin: row.twin(),
            expected,
            happened: self.happened,
            event: self.event,
            pass,
            detail: self.faults.join("; "),
        }
    }
}

fn judge(scene: &Scene, mode: Mode, row: &Row) -> Result<Judged> {
    scene.clear()?;
    let mut command = (row.command)(scene).context("cannot prepare it")?;
    let mark = Mark::now();
    let ended = child::run(&mut command)?;
    let mut faults = Vec::new();
    let mut event = None;
    match &row.kind {
        Kind::Honest => {
            if !ended.ran(row.proof) {
                faults.push(format!("it did not write {:?}", row.proof));
            }
            if mode != Mode::Off {
                // What an earlier row's process did last may be written down only now.
                let is_later = |event: &&Value| event["pid"].as_u64().is_none_or(|pid| pid >= u64::from(ended.pid));
                faults.extend(mark.everything(scene)?.iter().filter(is_later).map(events::summary));
            }
        }
        Kind::Absent { error } => {
            if ended.said(row.proof) || !ended.stderr.contains(error) {
                faults.push(format!("it did not end with {error:?}"));
            }
        }
        Kind::Attack { trace, stopped, .. } => {
            faults.extend(fault_of_attack(mode, row.proof, stopped, &ended));
            if mode == Mode::Enforce && ended.took > QUICKLY {
                faults.push(format!("the denial took {:?}", ended.took));
            }
            if mode != Mode::Off {
                match recorded(mark, trace, &ended, mode) {
                    Ok(found) => event = Some(found),
                    Err(error) => faults.push(format!("{error:#}")),
                }
            }
        }
    }
    let happened = if ended.said(row.proof) { "it ran" } else { "it was stopped" };
    Ok(Judged { happened: format!("{happened}: it {}", ended.describe()), event, faults })
}

fn fault_of_attack(mode: Mode, proof: &str, stopped: &str, ended: &Ended) -> Option<String> {
    match (mode, ended.said(proof)) {
        (Mode::Enforce, true) => Some("the foreign code ran".to_owned()),
        (Mode::Enforce, false) if !ended.stderr.contains(stopped) => Some(format!("it did not run, and not because of {stopped:?}")),
        (Mode::Off | Mode::Audit, false) => Some("the foreign code did not run".to_owned()),
        _ => None,
    }
}

fn recorded(mark: Mark, trace: &Trace, ended: &Ended, mode: Mode) -> Result<Value> {
    let what = format!("{} {} of process {}", trace.hook.name(), trace.reason.name(), ended.pid);
    let event = mark.wait_for(&what, |event| events::is(event, trace, ended.pid, mode == Mode::Enforce))?;
    anyhow::ensure!(event["mode"] == mode.name(), "the event's mode is {}", event["mode"]);
    Ok(event)
}

/// No denial takes longer, not even that of an enormous file on an emulated machine.
const QUICKLY: Duration = Duration::from_secs(10);
