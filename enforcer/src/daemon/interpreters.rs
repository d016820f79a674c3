//! What the policy says of interpreters, as the programs in the kernel want it; and which contents are interpreters.
//!
//! The restriction comes before the verdict: no content that is an interpreter can start before the programs hold it to what it is. A policy's words go by
//! numbers that begin with its generation, so that an interpreter is held to the one policy or to the other, and never to half of each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use enforcer_common::{Digest, HAS_SCRIPT_FOLDERS, INTERPRETER_NAME_SIZE, Interpreter, PROGRAMS_MAY_CALL, WORD_SIZE, Word, WordKind, WordMeaning};

use crate::kernel::{KernelError, Maps, fsverity_digest};
use crate::measure::{self, Stamp, in_parallel};
use crate::policy::{self, Callers, Evidence, Label, Policy, ScriptName};
use crate::signature::Verified;
use crate::text::printable;

/// What the policies in force say, and the programs that lie where they say.
#[derive(Default)]
pub(super) struct Table {
    /// By generation: the one that is in force, and the one that is about to be.
    values: Mutex<Vec<(u32, Vec<Interpreter>)>>,
    /// The contents that are held to something, and to what.
    held: Mutex<HashMap<Digest, Interpreter>>,
    /// What was measured of each program, as long as its file stays what it was.
    measured: Mutex<HashMap<PathBuf, (Stamp, Vec<Digest>)>>,
}

impl Table {
    /// Gives the words of a policy their meanings, and holds what is known as an interpreter to what this policy says of it.
    pub(super) fn bind(&self, maps: &Maps, policy: &Policy, generation: u32) -> Result<(), KernelError> {
        let interpreters = &policy.interpreters.0;
        let values: Vec<Interpreter> = interpreters.iter().zip(1..).map(|(of, place)| value(of, number(generation, place))).collect();
        for (of, value) in interpreters.iter().zip(&values) {
            for (kind, text, meaning) in words(of) {
                maps.set_word(&Word { interpreter: value.number, kind: kind as u32, bytes: filled_up(text.as_bytes()) }, meaning as u32)?;
            }
        }
        for (digest, held) in maps.interpreters()? {
            match values.iter().find(|value| value.name == held.name) {
                Some(value) => self.hold_to(maps, &digest, Interpreter { rank: held.rank, ..*value })?,
                None => {
                    maps.let_go(&digest)?;
                    lock(&self.held).remove(&digest);
                }
            }
        }
        let value_of = |path: &Path| labelled(&values, policy.interpreters.label(Evidence::Lies(path), std::iter::empty())?);
        let programs: Vec<(PathBuf, Interpreter)> =
            self.programs(policy).into_iter().filter_map(|path| value_of(&path).map(|value| (path, value))).collect();
        // Some are a hundred megabytes long, and a start waits for them.
        let measured = in_parallel(programs.into_iter(), |(path, value)| (self.digests(path, policy.limits.max_file_size), value));
        for (digests, value) in measured {
            digests.into_iter().flatten().try_for_each(|digest| self.hold_higher(maps, &digest, value))?;
        }
        let mut known = lock(&self.values);
        known.retain(|(of, _)| *of != generation);
        known.push((generation, values));
        let most = known.len().saturating_sub(GENERATIONS);
        known.drain(..most);
        Ok(())
    }

    /// Forgets the words of all policies but that of this generation.
    pub(super) fn forget_others(&self, maps: &Maps, generation: u32) -> Result<(), KernelError> {
        maps.retain_words(|of| of & GENERATION == number(generation, 0))?;
        lock(&self.values).retain(|(of, _)| *of == generation);
        Ok(())
    }

    /// Holds a content, by all that it is called, to what it is said to be, or to what any of that is held to already. Whether it is held to anything.
    pub(super) fn hold(&self, maps: &Maps, verified: &Verified, digests: &[Digest], generation: u32) -> Result<bool, KernelError> {
        let said = match verified.interpreter() {
            Some(label) => {
                let values = lock(&self.values).iter().find(|(of, _)| *of == generation).map(|(_, values)| values.clone());
                let value = values.and_then(|values| labelled(&values, label));
                Some(value.ok_or_else(|| KernelError::Map { map: "INTERPRETERS", detail: format!("interpreter {} is not known", label.number) })?)
            }
            None => None,
        };
        let all: Vec<Digest> = digests.iter().chain(verified.contents()).copied().collect();
        let known = all.iter().filter_map(|digest| lock(&self.held).get(digest).copied());
        // Of equal ones, the first: whoever comes last could be anybody.
        let Some(value) = known.chain(said).reduce(|first, next| if next.rank > first.rank { next } else { first }) else { return Ok(false) };
        for digest in &all {
            self.hold_higher(maps, digest, value)?;
        }
        Ok(true)
    }

    /// Unless it is held to something of a higher rank, or of the same.
    fn hold_higher(&self, maps: &Maps, digest: &Digest, value: Interpreter) -> Result<(), KernelError> {
        let held = lock(&self.held).get(digest).copied();
        match held {
            Some(held) if held.name == value.name && held.rank >= value.rank => Ok(()),
            Some(held) if held.name != value.name && held.rank >= value.rank => {
                let [name, other] = [held.name, value.name].map(|name| String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned());
                tracing::warn!("a program is `{name}` and also said to be `{other}`: it stays `{name}`");
                Ok(())
            }
            _ => self.hold_to(maps, digest, value),
        }
    }

    fn hold_to(&self, maps: &Maps, digest: &Digest, value: Interpreter) -> Result<(), KernelError> {
        maps.hold(digest, &value)?;
        lock(&self.held).insert(*digest, value);
        Ok(())
    }

    /// The programs that lie where the policy says.
    fn programs(&self, policy: &Policy) -> Vec<PathBuf> {
        let patterns = policy.interpreters.0.iter().flat_map(|of| &of.programs);
        let mut paths: Vec<PathBuf> = patterns.filter_map(|pattern| glob::glob(pattern.as_str()).ok()).flatten().filter_map(Result::ok).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    fn digests(&self, path: PathBuf, max_size: u64) -> Option<Vec<Digest>> {
        let file = measure::open(&path).ok()?;
        let stamp = Stamp::of(&file).ok()?;
        if let Some((_, digests)) = lock(&self.measured).get(&path).filter(|(of, _)| *of == stamp) {
            return Some(digests.clone());
        }
        match measure::sha256(&file, max_size) {
            Ok(digest) => {
                let digests: Vec<Digest> = std::iter::once(digest).chain(fsverity_digest(&file)).collect();
                lock(&self.measured).insert(path, (stamp, digests.clone()));
                Some(digests)
            }
            Err(error) => {
                // It has no verdict then, or one by another copy of it, whose path says what it is.
                tracing::warn!("`{}` is an interpreter, and cannot be measured: {error}", printable(&path.to_string_lossy()));
                None
            }
        }
    }
}

/// What a label says that a content is held to.
fn labelled(values: &[Interpreter], label: Label) -> Option<Interpreter> {
    values.get(label.number as usize - 1).map(|value| Interpreter { rank: label.rank, ..*value })
}

/// The number by which the programs tell an interpreter's words.
fn number(generation: u32, place: u32) -> u32 {
    generation << 8 | place
}

/// Of a number, the generation.
const GENERATION: u32 = !0xff;

fn value(of: &policy::Interpreter, number: u32) -> Interpreter {
    let grammar = &of.grammar;
    let callers = if of.callers == Callers::Programs { PROGRAMS_MAY_CALL } else { 0 };
    let folders = if of.scripts.iter().any(|name| matches!(name, ScriptName::Folder(_))) { HAS_SCRIPT_FOLDERS } else { 0 };
    let variables = grammar.variables.iter().chain(&grammar.inline_variables);
    Interpreter {
        inline_letters: letters(&grammar.inline),
        argument_letters: letters(&grammar.argument),
        attached_letters: letters(&grammar.attached),
        program_letters: letters(&grammar.program),
        script_letters: letters(&grammar.script),
        module_letters: letters(&grammar.module),
        name_letters: letters(&grammar.name),
        stdin_letters: letters(&grammar.stdin),
        also_stdin_letters: letters(&grammar.also_stdin),
        variable_letters: variables.filter_map(|name| name.trim_start_matches('@').bytes().next()).fold(0, |letters, byte| letters | bit(byte)),
        number,
        unsigned: of.unsigned as u32,
        others: of.others as u32,
        inline: of.inline as u32,
        stdin: of.stdin as u32,
        interactive: of.interactive as u32,
        flags: grammar.flags | callers | folders,
        rank: 0,
        name: filled_up::<INTERPRETER_NAME_SIZE>(of.name.as_bytes()),
    }
}

/// The options of one letter.
fn letters(options: &[String]) -> u64 {
    options
        .iter()
        .filter(|option| option.len() == 2)
        .filter_map(|option| option.as_bytes().get(1).copied())
        .fold(0, |letters, byte| letters | bit(byte))
}

/// The bit of a letter; none for what is no letter.
fn bit(byte: u8) -> u64 {
    if (64..128).contains(&byte) { 1 << (byte & 63) } else { 0 }
}

/// Everything that means something to an interpreter and does not fit into letters.
fn words(of: &policy::Interpreter) -> impl Iterator<Item = (WordKind, &str, WordMeaning)> {
    let grammar = &of.grammar;
    let scripts = of.scripts.iter().map(|name| match name {
        ScriptName::Whole(name) => (WordKind::Name, name.as_str(), WordMeaning::Nothing),
        ScriptName::Ending(ending) => (WordKind::Suffix, ending.as_str(), WordMeaning::Nothing),
        ScriptName::Folder(folder) => (WordKind::Folder, folder.as_str(), WordMeaning::Nothing),
    });
    let options = [
        (&grammar.inline, WordMeaning::Inline),
        (&grammar.argument, WordMeaning::Argument),
        (&grammar.program, WordMeaning::Program),
        (&grammar.script, WordMeaning::Script),
        (&grammar.module, WordMeaning::Module),
        (&grammar.stdin, WordMeaning::Stdin),
        (&grammar.also_stdin, WordMeaning::AlsoStdin),
        (&grammar.harmless, WordMeaning::Harmless),
        (&grammar.nothing, WordMeaning::Nothing),
    ];
    let takes_words = grammar.flags & enforcer_common::LONG_AFTER_ONE_DASH != 0;
    let options = options.into_iter().flat_map(|(options, meaning)| options.iter().map(move |option| (option, meaning)));
    let long = options.filter_map(move |(option, meaning)| {
        let name = option.strip_prefix("--").or_else(|| option.strip_prefix('-').filter(|name| takes_words || name.len() > 1))?;
        Some((WordKind::LongOption, name, meaning))
    });
    let operands = grammar.operands.iter().map(|word| (WordKind::Operand, word.as_str(), WordMeaning::Inline));
    let variables = grammar.variables.iter().map(|name| (WordKind::Variable, name.as_str(), WordMeaning::Script));
    let inline = grammar.inline_variables.iter().map(|name| match name.strip_suffix('*') {
        Some(prefix) => (WordKind::VariablePrefix, prefix, WordMeaning::Inline),
        None => match name.strip_prefix('@') {
            Some(name) => (WordKind::Variable, name, WordMeaning::InlineOrScript),
            None => (WordKind::Variable, name.as_str(), WordMeaning::Inline),
        },
    });
    scripts.chain(long).chain(operands).chain(variables).chain(inline)
}

/// The policy holds no word that would not fit.
fn filled_up<const SIZE: usize>(text: &[u8]) -> [u8; SIZE] {
    const { assert!(SIZE == WORD_SIZE || SIZE == INTERPRETER_NAME_SIZE) };
    let mut bytes = [0; SIZE];
    bytes[..text.len()].copy_from_slice(text);
    bytes
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Policies whose verdicts may be made at once.
const GENERATIONS: usize = 2;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use enforcer_common::VARIABLE_PREFIX;

    use super::*;

    #[test]
    fn a_grammar_becomes_letters_and_words() {
        let policy = Policy::parse("version = 1\nmode = \"audit\"\n", Path::new("policy.toml")).unwrap();
        let of = |name: &str| policy.interpreters.0.iter().find(|interpreter| interpreter.name == name).unwrap();
        let bash = value(of("bash"), number(7, 3));
        assert_eq!((bash.number, bash.inline_letters, bash.stdin_letters), (0x703, bit(b'c'), bit(b's')));
        assert_eq!(bash.argument_letters, bit(b'o') | bit(b'O'));
        assert_eq!(bash.variable_letters, bit(b'B') | bit(b'E') | bit(b'P'));
        let words_of = |name: &str| words(of(name)).map(|(kind, text, meaning)| (kind, text.to_owned(), meaning)).collect::<Vec<_>>();
        let bash = words_of("bash");
        for expected in [
            (WordKind::Suffix, "sh", WordMeaning::Nothing),
            (WordKind::Name, ".bashrc", WordMeaning::Nothing),
            (WordKind::LongOption, "rcfile", WordMeaning::Script),
            (WordKind::Variable, "BASH_ENV", WordMeaning::Script),
        ] {
            assert!(bash.contains(&(expected.0, expected.1.to_owned(), expected.2)), "{expected:?}");
        }
        assert!(words_of("pwsh").contains(&(WordKind::LongOption, "f".to_owned(), WordMeaning::Program)), "behind one dash, letters are words");
        assert!(!words_of("perl").iter().any(|(kind, ..)| *kind == WordKind::LongOption));
    }

    #[test]
    fn every_known_word_fits() {
        let policy = Policy::parse("version = 1\nmode = \"audit\"\n", Path::new("policy.toml")).unwrap();
        for interpreter in &policy.interpreters.0 {
            assert!(interpreter.name.len() < INTERPRETER_NAME_SIZE, "{}", interpreter.name);
            for (kind, text, _) in words(interpreter) {
                assert!(
                    !text.is_empty() && text.len() < WORD_SIZE && (kind != WordKind::Suffix || !text.contains('.')),
                    "{}: {text}",
                    interpreter.name
                );
                assert!(kind != WordKind::VariablePrefix || text.len() == VARIABLE_PREFIX, "{}: {text}", interpreter.name);
            }
        }
    }
}
