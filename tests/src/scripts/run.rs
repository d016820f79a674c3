//! Runs the table, and judges what happened by what is in force.

use std::os::unix::process::ExitStatusExt as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::interpreter::{Caller, Form, Interpreter, Role, Trace, Twin};
use super::stage::{Code, Stage, expand};
use super::{DATA, Phase, common, table};
use crate::child::Ended;
use crate::events::{self, Mark};
use crate::report::{Line, Report};
use crate::scene::Scene;

/// One form of one interpreter.
#[derive(Clone, Copy)]
struct Case<'a> {
    scene: &'a Scene,
    phase: Phase,
    interpreter: &'a Interpreter,
    form: &'a Form,
}

/// What has to come of it.
#[derive(Clone, Copy)]
enum Expected {
    /// The attack works, where nothing is in force.
    Works,
    /// The attack is recorded, and perhaps denied.
    Recorded { denied: bool },
    /// Its twin runs, and nothing is recorded of it.
    TwinRuns,
    /// So does text, where the policy allows it to everybody.
    IsPermitted,
    /// So does a signed script that reads data.
    ReadsData,
}

/// What was tried, and how it ended.
struct Tried<'a> {
    case: Case<'a>,
    outcome: &'static str,
    expected: Expected,
    ended: Result<Ended>,
}

/// Runs all that the phase asks for: each interpreter's forms in a row, and then what was recorded of them, because that takes a while to be written.
pub fn run_all(scene: &Scene, phase: Phase, report: &mut Report) -> Result<()> {
    for interpreter in table() {
        let mark = Mark::now();
        let mut tried = Vec::new();
        let common = common::FORMS.iter().filter(|form| interpreter.has(form));
        for form in common.chain(interpreter.forms) {
            let case = Case { scene, phase, interpreter, form };
            for (outcome, expected) in case.expectations() {
                tried.extend(case.try_it(report, outcome, expected));
            }
        }
        if matches!(phase, Phase::Off | Phase::Enforce) {
            let case = Case { scene, phase, interpreter, form: &common::READS_DATA };
            tried.extend(case.try_it(report, "is_read_by_a_signed_script", Expected::ReadsData));
        }
        let events = if tried.is_empty() || phase == Phase::Off { Vec::new() } else { mark.everything(scene)? };
        for one in tried {
            one.report(report, &events)?;
        }
    }
    scene.clear()
}

/// What happened, and the event that proves it.
type Seen = Result<(String, Option<Value>)>;

impl<'a> Case<'a> {
    /// What the phase wants to see of it.
    fn expectations(&self) -> Vec<(&'static str, Expected)> {
        let attack = match self.phase {
            Phase::Permitted if self.form.twin == Twin::Permitted => Some(("runs_where_text_is_allowed", Expected::IsPermitted)),
            Phase::Permitted => None,
            Phase::Off => Some(("works", Expected::Works)),
            Phase::Audit => Some(("is_reported", Expected::Recorded { denied: false })),
            Phase::Enforce => Some(("is_denied", Expected::Recorded { denied: true })),
        };
        let twin = match self.form.twin {
            _ if !matches!(self.phase, Phase::Off | Phase::Enforce) => None,
            Twin::Signed => Some(("runs_when_signed", Expected::TwinRuns)),
            Twin::Permitted => Some(("runs_for_an_entitled_program", Expected::TwinRuns)),
            Twin::None => None,
        };
        attack.into_iter().chain(twin).collect()
    }

    fn name(&self) -> String {
        format!("{}_{}", self.interpreter.name, self.form.name)
    }

    /// Does it, if the report wants it.
    fn try_it(self, report: &mut Report, outcome: &'static str, expected: Expected) -> Option<Tried<'a>> {
        let test = self.name();
        let is_wanted = report.wants(&format!("{}::{test}_{outcome}", self.phase.name()), &test);
        is_wanted.then(|| Tried { case: self, outcome, expected, ended: self.run(expected) })
    }

    fn run(&self, expected: Expected) -> Result<Ended> {
        // What the preparation makes is the attack.
        const UNPREPARED: &[&str] = &[];
        let unprepared = Form { preparation: UNPREPARED, ..*self.form };
        let (code, caller) = self.means(expected);
        let form = if matches!(expected, Expected::TwinRuns) { &unprepared } else { self.form };
        Stage { scene: self.scene, interpreter: self.interpreter, form, code, caller }.run()
    }

    /// Whose code it is, and who starts it.
    fn means(&self, expected: Expected) -> (Code, Caller) {
        match (expected, self.form.twin) {
            (Expected::Works | Expected::Recorded { .. }, _) => (Code::Unsigned, self.form.caller),
            // Text is the same whoever signs, so it is who starts it that makes the difference.
            (Expected::TwinRuns, Twin::Permitted) => (Code::Unsigned, Caller::Entitled),
            (Expected::TwinRuns, Twin::Signed | Twin::None) => (Code::Signed, self.form.caller),
            (Expected::IsPermitted, _) => (Code::Unsigned, Caller::Anybody),
            (Expected::ReadsData, _) => (Code::Signed, Caller::Anybody),
        }
    }

    /// The attack, where it is recorded, and perhaps denied.
    fn is_recorded(&self, ended: &Ended, denied: bool, events: &[Value]) -> Seen {
        let ran = ended.said(Code::Unsigned.words());
        ensure!(ran != denied, "it {}: it {}", if ran { "ran" } else { "did not run" }, ended.describe());
        if denied && self.form.trace.hooks == Trace::INLINE.hooks {
            ensure!(ended.status.signal() == Some(libc::SIGKILL), "it was not killed before it began: it {}", ended.describe());
        }
        let found = events.iter().find(|event| concerns(event, ended) && event["denied"] == denied && self.is_traced(event));
        let event = found.cloned().with_context(|| {
            let Trace { hooks, reasons } = self.form.trace;
            let told: Vec<String> = events.iter().filter(|event| concerns(event, ended)).map(events::summary).collect();
            format!("it {}, and no event has one of {hooks:?} and {reasons:?}; there were {told:?}", ended.describe())
        })?;
        let mode = if denied { "enforce" } else { "audit" };
        ensure!(event["mode"] == mode, "the event's mode is {}", event["mode"]);
        Ok((format!("it {}: it {}", if ran { "ran" } else { "was stopped" }, ended.describe()), Some(event)))
    }

    /// By hook, reason, and, where a file is the matter, its name.
    fn is_traced(&self, event: &Value) -> bool {
        let Trace { hooks, reasons } = self.form.trace;
        let is_one = |field: &str, names: &[&str]| names.iter().any(|name| event[field] == *name);
        let about_a_file = event["reason"] == "untrusted" && self.form.preparation.is_empty();
        is_one("hook", hooks) && is_one("reason", reasons) && (!about_a_file || self.names_code(event["path"].as_str().unwrap_or_default()))
    }

    fn names_code(&self, path: &str) -> bool {
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let code = self.form.files.iter().filter(|file| matches!(file.role, Role::Code | Role::Member(_) | Role::Link));
        code.into_iter().any(|file| last(&expand(self.interpreter, file.path, "")) == last(path))
    }
}

impl Tried<'_> {
    fn report(&self, report: &mut Report, events: &[Value]) -> Result<()> {
        let (case, outcome, test) = (&self.case, self.outcome, self.case.name());
        let seen = self.judge(events);
        let pass = seen.is_ok();
        let (happened, event) = seen.unwrap_or_else(|error| (format!("{error:#}"), None));
        let kind = if matches!(self.expected, Expected::Works | Expected::Recorded { .. }) { "attack" } else { "honest" };
        report.add(&Line {
            name: format!("{}::{test}_{outcome}", case.phase.name()),
            test,
            kind,
            title: format!("{}: {}", case.interpreter.name, case.form.name.replace('_', " ")),
            twin: None,
            expected: outcome.replace('_', " "),
            happened,
            event,
            pass,
            detail: String::new(),
        })
    }

    fn judge(&self, events: &[Value]) -> Seen {
        let ended = self.ended.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
        if let Expected::Recorded { denied } = self.expected {
            return self.case.is_recorded(ended, denied, events);
        }
        let words = if matches!(self.expected, Expected::ReadsData) { DATA } else { self.case.means(self.expected).0.words() };
        ensure!(ended.said(words), "it did not run: it {}", ended.describe());
        let recorded: Vec<String> = events.iter().filter(|event| concerns(event, ended)).map(events::summary).collect();
        ensure!(recorded.is_empty(), "it ran, and {recorded:?}");
        Ok((format!("it ran: it {}", ended.describe()), None))
    }
}

/// Whether it is an act of this process, or of one that it started.
fn concerns(event: &Value, ended: &Ended) -> bool {
    event["pid"] == ended.pid || event["parent_pid"] == ended.pid
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::interpreter::Start;
    use super::super::signed_files;
    use super::super::stage::bytes;
    use super::*;

    #[test]
    fn no_two_forms_of_an_interpreter_have_the_same_name() {
        for interpreter in table() {
            let mut names = HashSet::new();
            for form in common::FORMS.iter().chain(interpreter.forms) {
                assert!(names.insert(form.name), "{}: {}", interpreter.name, form.name);
            }
        }
    }

    #[test]
    fn what_an_interpreter_lacks_is_a_form_and_has_a_reason() {
        for interpreter in table() {
            for (name, reason) in interpreter.lacks {
                assert!(common::FORMS.iter().any(|form| form.name == *name) && !reason.is_empty(), "{}: {name}", interpreter.name);
            }
        }
    }

    /// Verdicts are by content: an attack whose file is signed for its twin would be no attack.
    #[test]
    fn nothing_that_an_attack_brings_is_signed() {
        let signed: HashSet<Vec<u8>> = signed_files().into_iter().map(|(_, content)| content).collect();
        for interpreter in table() {
            for form in common::FORMS.iter().chain(interpreter.forms) {
                for file in form.files.iter().filter(|file| !matches!(file.role, Role::Frame | Role::Link)) {
                    let content = bytes(interpreter, file, Code::Unsigned);
                    assert!(!signed.contains(&content), "{} {}: {}", interpreter.name, form.name, file.path);
                }
            }
        }
    }

    #[test]
    fn files_that_are_started_or_replaced_come_first() {
        for form in common::FORMS {
            if matches!(form.start, Start::Script | Start::AfterRename | Start::AfterWrite) {
                assert!(form.files.first().is_some_and(|file| file.role == Role::Code), "{}", form.name);
            }
        }
    }
}
