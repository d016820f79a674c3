//! Settling what interpreters are held to: the table that is known, and what the policy changes in it.

use std::ops::Range;

use enforcer_common::{INTERPRETER_NAME_SIZE, OPTIONS_UNKNOWN, Response, WORD_SIZE};

use super::super::at::At;
use super::super::error::Problem;
use super::super::raw::{RawInterpreter, RawScripts};
use super::super::scripts::{Callers, Grammar, Interpreter, Interpreters, KNOWN, Known, ProgramPath, ScriptName};
use super::super::values::*;
use super::Desk;
use crate::text::printable;

/// What `[scripts]` says for every interpreter that has no word of its own.
struct Defaults {
    unsigned: Response,
    others: Response,
    inline: Option<Response>,
    stdin: Response,
    interactive: Response,
    callers: Callers,
}

impl Desk {
    /// Those that are known, as the policy changes them, and those that it adds.
    pub(super) fn interpreters(&mut self, scripts: RawScripts, raw: Vec<At<RawInterpreter>>) -> Interpreters {
        let defaults = Defaults {
            unsigned: self.response(scripts.unsigned, UNSIGNED),
            others: self.response(scripts.others, OTHERS),
            inline: scripts.inline.map(|word| self.response(Some(word), Response::Deny)),
            stdin: self.response(scripts.stdin, STDIN),
            interactive: self.response(scripts.interactive, INTERACTIVE),
            callers: scripts.callers.and_then(|word| self.choice(&word, "rule", &CALLERS)).unwrap_or(DEFAULT_CALLERS),
        };
        let mut named: Vec<String> = Vec::new();
        let mut interpreters = Vec::new();
        for written in raw {
            let (place, written) = (written.span(), written.into_inner());
            let Some(name) = written.name.clone() else {
                self.refuse(Problem::new(place, "an interpreter without a name").remedy("add a line such as: name = \"python\""));
                continue;
            };
            let name_place = name.span();
            let name =
                self.word(name, "name for an interpreter", INTERPRETER_NAME_SIZE - 1, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            if named.contains(&name) {
                let problem = Problem::new(name_place, format!("there is already an interpreter named `{}`", printable(&name)));
                self.refuse(problem.remedy("write all that is said of it in one `[[interpreter]]`"));
            }
            interpreters.push(self.interpreter(place, &name, written, &defaults));
            named.push(name);
        }
        let unnamed = KNOWN.iter().filter(|known| !known.is_optional && !named.iter().any(|name| name == known.name));
        interpreters.extend(unnamed.map(|known| defaults.of(known)));
        // Where one is written says nothing.
        interpreters.sort_by_key(|interpreter| KNOWN.iter().position(|known| known.name == interpreter.name).unwrap_or(KNOWN.len()));
        if interpreters.len() > MOST {
            self.refuse(Problem::new(0..0, format!("{} interpreters", interpreters.len())).remedy(format!("at most {MOST} are allowed")));
        }
        Interpreters(interpreters)
    }

    fn interpreter(&mut self, place: Range<usize>, name: &str, raw: RawInterpreter, defaults: &Defaults) -> Interpreter {
        let like = raw.like.and_then(|like| {
            let found = KNOWN.iter().find(|known| known.name == like.get_ref());
            if found.is_none() {
                let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
                self.refuse(Problem::misspelt(like.span(), "interpreter", like.get_ref(), &names));
            }
            found
        });
        let known = KNOWN.iter().find(|known| known.name == name);
        let base = like.or(known);
        let begun = base.map_or_else(|| defaults.of_none(), |known| defaults.of(known));
        let programs = match raw.programs {
            Some(programs) => programs.into_iter().filter_map(|program| self.pattern(program)).collect(),
            None if let Some(known) = known => defaults.of(known).programs,
            None => {
                let problem = Problem::new(place, format!("nobody is the interpreter `{}`: it has no `programs`", printable(name)));
                self.refuse(problem.remedy("add a line such as: programs = [\"/usr/bin/mylang\"]"));
                Vec::new()
            }
        };
        let scripts = raw.scripts.map_or(begun.scripts, |names| names.into_iter().filter_map(|name| self.script_name(name)).collect());
        let mut grammar = begun.grammar;
        for (written, options) in [
            (raw.inline_options, &mut grammar.inline),
            (raw.argument_options, &mut grammar.argument),
            (raw.program_options, &mut grammar.program),
            (raw.script_options, &mut grammar.script),
            (raw.module_options, &mut grammar.module),
            (raw.stdin_options, &mut grammar.stdin),
        ] {
            if let Some(written) = written {
                *options = written.into_iter().map(|option| self.option(option)).collect();
                grammar.flags &= !OPTIONS_UNKNOWN;
            }
        }
        for (written, variables) in [(raw.variables, &mut grammar.variables), (raw.inline_variables, &mut grammar.inline_variables)] {
            if let Some(written) = written {
                *variables = written.into_iter().map(|variable| self.variable(variable)).collect();
            }
        }
        Interpreter {
            name: name.to_owned(),
            is_written: true,
            programs,
            scripts,
            unsigned: self.response(raw.unsigned, begun.unsigned),
            others: self.response(raw.others, begun.others),
            inline: self.response(raw.inline, begun.inline),
            stdin: self.response(raw.stdin, begun.stdin),
            interactive: self.response(raw.interactive, begun.interactive),
            callers: raw.callers.and_then(|word| self.choice(&word, "rule", &CALLERS)).unwrap_or(begun.callers),
            grammar,
        }
    }

    fn pattern(&mut self, written: At<String>) -> Option<ProgramPath> {
        let (place, text) = (written.span(), self.path(written).to_string_lossy().into_owned());
        ProgramPath::parse(&text)
            .map_err(|error| self.refuse(Problem::new(place, format!("`{}` is no pattern: {}", printable(&text), error.msg)).remedy(PATTERNS)))
            .ok()
    }

    fn script_name(&mut self, written: At<String>) -> Option<ScriptName> {
        let (place, text) = (written.span(), written.into_inner());
        let name = ScriptName::parse(&text);
        if name.is_none() {
            let problem = Problem::new(place, format!("`{}` is no name of a script", printable(&text)));
            self.refuse(problem.remedy(format!(
                "write a whole file name such as \".bashrc\", an ending such as \"*.py\" (what stands behind the last dot), or a folder's name such as \"completions/\", \
                 of at most {} bytes",
                WORD_SIZE - 1
            )));
        }
        name
    }

    fn option(&mut self, written: At<String>) -> String {
        let (place, text) = (written.span(), written.into_inner());
        let letter = text.strip_prefix('-').filter(|rest| rest.len() == 1 && rest.bytes().all(|byte| (64..127).contains(&byte)));
        let long = text.strip_prefix("--").filter(|rest| !rest.is_empty() && rest.len() < WORD_SIZE && !rest.contains(['=', '\0']));
        if letter.is_none() && long.is_none() {
            let problem = Problem::new(place, format!("`{}` is no option", printable(&text)));
            self.refuse(problem.remedy(format!("write a letter (\"-c\") or a long option of at most {} bytes (\"--eval\")", WORD_SIZE - 1)));
        }
        text
    }

    fn variable(&mut self, written: At<String>) -> String {
        let (place, text) = (written.span(), written.into_inner());
        let begins_well = text.bytes().next().is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic());
        if !begins_well || text.len() >= WORD_SIZE || text.contains(['=', '\0']) {
            let problem = Problem::new(place, format!("`{}` is no variable", printable(&text)));
            self.refuse(problem.remedy(format!("write its name, such as \"BASH_ENV\", of at most {} bytes", WORD_SIZE - 1)));
        }
        text
    }
}

impl Defaults {
    fn of(&self, known: &Known) -> Interpreter {
        Interpreter {
            name: known.name.to_owned(),
            programs: known.programs.iter().filter_map(|program| ProgramPath::parse(program).ok()).collect(),
            scripts: known.script_names().collect(),
            inline: self.inline.or(known.inline_by_default).unwrap_or(INLINE),
            grammar: known.grammar(),
            ..self.of_none()
        }
    }

    /// An interpreter that is not known: its first word is its program.
    fn of_none(&self) -> Interpreter {
        Interpreter {
            name: String::new(),
            is_written: false,
            programs: Vec::new(),
            scripts: Vec::new(),
            unsigned: self.unsigned,
            others: self.others,
            inline: self.inline.unwrap_or(INLINE),
            stdin: self.stdin,
            interactive: self.interactive,
            callers: self.callers,
            grammar: Grammar { flags: OPTIONS_UNKNOWN, ..Grammar::default() },
        }
    }
}

const PATTERNS: &str = "`*` stands for any letters but `/`, `?` for one, `[0-9]` for one of these";
/// By their places, the kernel tells them apart in eight bits.
const MOST: usize = 255;
