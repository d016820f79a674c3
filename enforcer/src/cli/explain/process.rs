//! A process: its program, its libraries, its script and its executable memory, each with the policy's word, and whether anything of it is not covered.

use std::collections::BTreeMap;

use enforcer_common::USE_SCRIPT;
use serde::Serialize;

use super::super::output::{Cell, OutputError, Style, Table};
use super::super::{Exit, Failure, Output};
use super::file::sha256;
use super::ground::Ground;
use super::verdict::{NAME_WIDTH, Verdict};
use crate::audit::service;
use crate::judge::{Judgement, Outcome, Use};
use crate::measure::{self, Filesystem, Stability};
use crate::policy::Policy;
use crate::processes::{Part, Parts, Process, RunningFile};
use crate::signature::Compared;
use crate::text::{hex, printable};

#[derive(Serialize)]
struct Explanation {
    kind: &'static str,
    pid: u32,
    name: Option<String>,
    program: String,
    service: Option<String>,
    mode: &'static str,
    /// The interpreter that its program is.
    interpreter: Option<String>,
    /// The rights that its program's signature asks for and the policy grants.
    entitlements: Vec<String>,
    parts: Vec<PartReport>,
    /// Parts that no policy's word allows, or of which it is not known.
    uncovered: usize,
    /// Whether there is more that may not be looked at.
    is_incomplete: bool,
}

#[derive(Serialize)]
struct PartReport {
    /// None for memory that no file stands behind.
    path: Option<String>,
    r#use: &'static str,
    sha256: Option<String>,
    carrier: Option<&'static str>,
    signer: Option<String>,
    verdict: Verdict,
}

pub(super) fn explain(ground: Ground, pid: u32, json: bool, output: &mut Output) -> Result<Exit, Failure> {
    let hidden = |error: &std::io::Error| {
        let failure = Failure::new(Exit::System, format!("the process {pid} may not be looked at: {error}"));
        if rustix::process::geteuid().is_root() { failure } else { failure.hint("only root may: use `sudo`") }
    };
    let process = Process::of(pid).map_err(|error| hidden(&error))?.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("there is no process {pid} that runs a program"))
            .hint("`ps -e` lists the processes; the kernel's own threads run no file. For a file, write `./` before its name")
    })?;
    let ground = ground.within(process.cgroup().as_deref());
    let parts = process.parts(&[&ground.policy.interpreters]).map_err(|error| hidden(&error))?;
    let explanation = Explanation::new(&ground, &process, &parts);
    let exit = if explanation.uncovered == 0 { Exit::Yes } else { Exit::No };
    if json {
        output.json(&explanation)?;
    } else {
        explanation.tell(&ground, output)?;
    }
    Ok(exit)
}

impl Explanation {
    fn new(ground: &Ground, process: &Process, parts: &Parts) -> Self {
        let program = parts.program().map(|program| examine(ground, program));
        let verified = program.as_ref().and_then(|(_, examined)| examined.as_ref().ok()?.outcome().ok());
        // What its content is, its signature may say, and else the place where it lies.
        let labelled = verified.and_then(|verified| verified.interpreter()).and_then(|label| interpreter_of(&ground.policy, label.number));
        let interpreter = labelled.or_else(|| process.interpreter(&ground.policy.interpreters).map(|interpreter| interpreter.name.clone()));
        let reports: Vec<PartReport> = parts.all.iter().map(|part| report(ground, part, program.as_ref().map(|(_, examined)| examined))).collect();
        Self {
            kind: "process",
            pid: process.pid,
            name: process.name(),
            program: process.program.to_string_lossy().into_owned(),
            service: process.cgroup().as_deref().and_then(service),
            mode: ground.mode().name(),
            interpreter,
            entitlements: verified.map_or_else(Vec::new, |verified| verified.entitlements().to_vec()),
            uncovered: reports.iter().filter(|part| part.verdict.outcome != Some(Outcome::Allowed)).count(),
            parts: reports,
            is_incomplete: parts.is_hidden,
        }
    }

    fn tell(&self, ground: &Ground, output: &mut Output) -> Result<(), OutputError> {
        let (parts, verb) = (self.parts.len(), if self.uncovered == 1 { "is" } else { "are" });
        let covered = if self.uncovered == 0 { "covered".to_owned() } else { format!("{} of its {parts} parts {verb} not covered", self.uncovered) };
        let name = self.name.as_deref().unwrap_or(&self.program);
        let style = if self.uncovered == 0 { Style::Good } else { Style::Bad };
        output.hanging("", "  ", style, &format!("process {} ({}): {covered}", self.pid, printable(name)))?;
        output.item(2, NAME_WIDTH, "program", &printable(&self.program))?;
        if let Some(service) = &self.service {
            output.item(2, NAME_WIDTH, "service", &printable(service))?;
        }
        output.item(2, NAME_WIDTH, "mode", &ground.mode_in_words())?;
        let rights = if self.entitlements.is_empty() { "none".to_owned() } else { self.entitlements.join(", ") };
        output.item(2, NAME_WIDTH, "rights", &printable(&rights))?;
        if let Some(interpreter) = &self.interpreter {
            let script = self.parts.iter().find(|part| part.r#use == Use(USE_SCRIPT).word()).and_then(|part| part.path.as_deref());
            let runs = script.map_or_else(|| "its command line names no script".to_owned(), |script| format!("its script is {}", printable(script)));
            output.item(2, NAME_WIDTH, "interpreter", &format!("{}; {runs}", printable(interpreter)))?;
        }
        output.line("")?;
        output.table(&self.table())?;
        let mut rationales: BTreeMap<(&str, Option<&str>), &PartReport> = BTreeMap::new();
        for part in self.parts.iter().filter(|part| part.verdict.outcome != Some(Outcome::Allowed)) {
            rationales.entry((&part.verdict.rationale.text, part.verdict.rule.as_deref())).or_insert(part);
        }
        for part in rationales.values() {
            let subject = part.path.as_deref().unwrap_or("memory");
            output.heading(&format!("{}: {}", printable(subject), part.verdict.words()))?;
            part.verdict.tell(2, output)?;
        }
        if self.is_incomplete {
            output.line("")?;
            output.paragraph(0, "There is more that may not be looked at; root may look at all that the kernel shows.")?;
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["COVERED", "USE", "FILE", "BY, OR WHY NOT"]);
        for part in &self.parts {
            let covered = match part.verdict.outcome {
                Some(Outcome::Allowed) => Cell::styled("yes", Style::Good),
                Some(_) => Cell::styled("no", Style::Bad),
                None => Cell::styled("?", Style::Warn),
            };
            let why = match (&part.signer, &part.verdict.outcome) {
                (Some(signer), Some(Outcome::Allowed)) => format!("{signer} ({})", part.carrier.unwrap_or_default()),
                _ => part.verdict.rationale.text.clone(),
            };
            table.row([covered, Cell::from(part.r#use), Cell::from(part.path.as_deref().unwrap_or("(memory)")), Cell::from(why)]);
        }
        table
    }
}

fn report(ground: &Ground, part: &Part, program: Option<&Compared>) -> PartReport {
    match part {
        Part::File(file, wanted) => {
            let (stability, examined) = examine(ground, file);
            let (path, wanted) = (file.path.to_string_lossy().into_owned(), Use(*wanted));
            let judgement = ground.judge().file_on(stability, &examined, &file.path, wanted);
            let verified = examined.as_ref().ok().and_then(|examination| examination.outcome().ok());
            PartReport {
                r#use: wanted.word(),
                sha256: sha256(&examined).map(|digest| hex(&digest)),
                carrier: verified.map(|verified| verified.carrier().name()),
                signer: verified.map(|verified| verified.signer_name().to_owned()),
                verdict: ground.verdict(&judgement, &[&path], Some(wanted), sha256(&examined).as_ref()),
                path: Some(path),
            }
        }
        Part::Memory { is_writable } => {
            let unknown = || Judgement::Unknown("its program cannot be looked at".to_owned());
            let judgement = program.map_or_else(unknown, |program| ground.judge().memory(*is_writable, program));
            let verdict = ground.verdict(&judgement, &[], None, None);
            PartReport { path: None, r#use: "memory", sha256: None, carrier: None, signer: None, verdict }
        }
    }
}

fn examine(ground: &Ground, file: &RunningFile) -> (Stability, Compared) {
    match measure::open(&file.handle) {
        Ok(opened) => (Filesystem::of(&opened).stability, ground.examine(&opened, &file.place)),
        Err(error) => (Stability::Local, Err(error)),
    }
}

fn interpreter_of(policy: &Policy, number: u32) -> Option<String> {
    Some(policy.interpreters.0.get((number as usize).checked_sub(1)?)?.name.clone())
}
