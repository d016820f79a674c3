//! An event: what happened then, and what the policy says of the same today.

use std::path::Path;

use enforcer_common::{ALGORITHM_SHA256, USE_EXEC, USE_SCRIPT};
use serde::Serialize;

use super::super::event_log::unreadable;
use super::super::events::ID_LENGTH;
use super::super::output::Style;
use super::super::{Exit, Failure, Output};
use super::ground::Ground;
use super::verdict::{NAME_WIDTH, Verdict};
use crate::audit::{Entry, EventReader, Next, Record, service};
use crate::code::Beginning;
use crate::judge::{FileUse, Subject, Use, recorded_file};
use crate::measure;
use crate::text::{clipped, hex, printable};

#[derive(Serialize)]
struct Explanation<'a> {
    kind: &'static str,
    event: &'a Record,
    service: Option<String>,
    r#use: Option<Use>,
    mode: &'static str,
    /// What the policy says today.
    verdict: Verdict,
}

/// The one event of the log whose name begins so.
pub(super) fn find(log: &Path, name: &str) -> Result<Box<Record>, Failure> {
    let mut reader = EventReader::open(log).map_err(|error| unreadable(log, &error))?;
    let mut found: Option<Box<Record>> = None;
    loop {
        match reader.read().map_err(|error| unreadable(log, &error))? {
            Next::End => break,
            Next::Entry(Entry::Event(record)) if record.id.starts_with(name) => match &found {
                Some(other) if other.id != record.id => {
                    let names = format!("`{}` and `{}`", printable(&other.id), printable(&record.id));
                    return Err(
                        Failure::new(Exit::Usage, format!("several events are called `{name}`: {names}")).hint("write more letters of the name")
                    );
                }
                _ => found = Some(record),
            },
            Next::Entry(_) | Next::Unreadable => {}
        }
    }
    found.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("no event in `{}` is called `{name}`", printable(&log.to_string_lossy())))
            .hint("`enforcer events` shows the names; the oldest events make room for newer ones. For a file, write `./` before its name")
    })
}

pub(super) fn explain(ground: &Ground, record: &Record, json: bool, output: &mut Output) -> Result<Exit, Failure> {
    let subject = Subject::of(record);
    let (judgement, wanted) = match &subject {
        Subject::Other => (ground.judge().other(record), None),
        Subject::File(file) => {
            let opened = file.path.as_deref().and_then(|path| measure::open(path).ok());
            let is_script = opened.as_ref().is_some_and(|opened| Beginning::of_file(opened) == Beginning::Interpreter);
            let wanted = if is_script && file.wanted == Use(USE_EXEC) { Use(USE_SCRIPT) } else { file.wanted };
            let file = FileUse { path: file.path.clone(), wanted };
            let examined = opened.zip(file.path.as_deref()).map(|(opened, path)| ground.examine(&opened, path));
            (recorded_file(&ground.judge(), &ground.examiner, &ground.facts(), record, &file, examined.as_ref()), Some(wanted))
        }
    };
    let paths: Vec<&str> = record.path.as_deref().filter(|_| wanted.is_some()).into_iter().collect();
    let digest = record.content().map(|digest| digest.bytes);
    let verdict = ground.verdict(&judgement, &paths, wanted, digest.as_ref());
    let exit = verdict.exit();
    let service = record.cgroup.as_deref().and_then(service);
    if json {
        let mode = ground.mode().name();
        output.json(&Explanation { kind: "event", event: record, service, r#use: wanted, mode, verdict })?;
        return Ok(exit);
    }
    let id = clipped(&record.id, ID_LENGTH);
    let style = if record.denied { Style::Bad } else { Style::Warn };
    output.hanging("", "  ", style, &format!("event {}: {}", printable(id), record.line()))?;
    output.item(2, NAME_WIDTH, "when", &record.time.to_the_second())?;
    if let Some(service) = &service {
        output.item(2, NAME_WIDTH, "service", &printable(service))?;
    }
    if let Some(wanted) = wanted {
        output.item(2, NAME_WIDTH, "used as", wanted.noun())?;
    }
    if let Some(digest) = record.content() {
        let name = if digest.algorithm == ALGORITHM_SHA256 { "sha256" } else { "fs-verity" };
        output.item(2, NAME_WIDTH, name, &hex(&digest.bytes))?;
    }
    // What was to be done then is told by what is to be done today.
    for (name, text) in record.details().into_iter().filter(|(name, _)| !["remedy", "digest"].contains(name)) {
        output.item(2, NAME_WIDTH, name, &text)?;
    }
    output.heading(&format!("Today, by {}", printable(&ground.policy.path.to_string_lossy())))?;
    output.item(2, NAME_WIDTH, "mode", &ground.mode_in_words())?;
    output.item(2, NAME_WIDTH, "decision", verdict.words())?;
    verdict.tell(2, output)?;
    Ok(exit)
}
