//! Interpreters: which programs run text, what each of them reads as a script, and how it is told what to run.

mod command;
mod known;
mod name;
mod program;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use enforcer_common::Response;

pub(super) use known::{KNOWN, Known};
pub use name::{ScriptName, ScriptNames};
pub use program::ProgramPath;

/// A program that runs text, and what it is held to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Its name in the policy.
    pub name: String,
    /// Whether the policy's text has it, and not only the table that is known.
    pub is_written: bool,
    /// The paths of its programs. Whatever has the content of one of them is this interpreter, wherever it lies.
    pub programs: Vec<ProgramPath>,
    /// The names of files that are scripts to it.
    pub scripts: Vec<ScriptName>,
    /// What happens to a script without a verdict.
    pub unsigned: Response,
    /// What happens to any other regular file that it reads without a verdict.
    pub others: Response,
    /// What happens to text in its arguments or its environment.
    pub inline: Response,
    /// What happens to a program that comes through its standard input.
    pub stdin: Response,
    /// What happens to a program that is typed.
    pub interactive: Response,
    /// Who may have it run text where that is denied.
    pub callers: Callers,
    /// How it is told what to run.
    pub grammar: Grammar,
}

/// All of them; an interpreter's number is its place here, from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interpreters(pub Vec<Interpreter>);

/// That a content is an interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place of the interpreter in the policy, from 1.
    pub number: u32,
    /// How sure that is: of two labels of one content, the higher one counts.
    pub rank: u32,
}

/// Who says which interpreter a content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence<'a> {
    /// A file that lies at this path, where nobody but root can put one.
    Lies(&'a Path),
    /// An entry with this path in a signed manifest.
    Listed(&'a Path),
    /// Nobody but the signature itself.
    Signature,
}

impl Interpreters {
    /// The interpreter that a content is, by its path or by an entitlement that it was granted: `interpreter`, or `interpreter-NAME`. `None` for what is
    /// none.
    pub fn label<'a>(&self, evidence: Evidence<'_>, entitlements: impl Iterator<Item = &'a str>) -> Option<Label> {
        let place_of = |name: &str| self.0.iter().position(|interpreter| interpreter.name == name);
        let mut said = entitlements.filter_map(|name| name.strip_prefix(GENERIC));
        if let Some(rest) = said.next() {
            // A name that this policy does not have is held to no less.
            let place = rest.strip_prefix('-').and_then(place_of).or_else(|| place_of(GENERIC))?;
            return self.labelled(place, SAID);
        }
        let (path, is_listed) = match evidence {
            Evidence::Lies(path) => (path, false),
            Evidence::Listed(path) => (path, true),
            Evidence::Signature => return None,
        };
        let merged = merged(path);
        let match_at = |interpreter: &Interpreter| interpreter.match_at(path).or_else(|| interpreter.match_at(merged.as_deref()?));
        let found = self.0.iter().enumerate().filter_map(|(place, interpreter)| Some((place, match_at(interpreter)?)));
        // A whole path says more than a pattern.
        let (place, is_exact) = found.max_by_key(|(place, is_exact)| (*is_exact, self.0[*place].is_written, std::cmp::Reverse(*place)))?;
        self.labelled(
            place,
            if is_listed {
                LISTED
            } else if is_exact {
                LIES
            } else {
                LIES_SOMEHOW
            },
        )
    }

    /// The names of what needs a verdict when an interpreter reads it.
    pub fn script_names(&self) -> ScriptNames {
        let judged = self.0.iter().filter(|interpreter| interpreter.unsigned != Response::Allow);
        judged.flat_map(|interpreter| interpreter.scripts.iter().cloned()).collect()
    }

    fn labelled(&self, place: usize, rank: u32) -> Option<Label> {
        Some(Label { number: u32::try_from(place + 1).ok()?, rank: rank << 1 | u32::from(self.0[place].is_written) })
    }
}

// How sure a label is.
const LIES_SOMEHOW: u32 = 0;
const LIES: u32 = 1;
const LISTED: u32 = 2;
const SAID: u32 = 3;

/// Who may have interpreters run text where that is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Programs with the entitlement `inline-code`.
    Entitled,
    /// Every program with a verdict that is no interpreter itself.
    Programs,
}

/// How an interpreter is told what to run: its options by what they mean, with their dashes, and its variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grammar {
    /// Their argument is text that is run.
    pub inline: Vec<String>,
    /// They have an argument, in the same word or in the next one.
    pub argument: Vec<String>,
    /// What stands behind the letter in the same word is their argument.
    pub attached: Vec<String>,
    /// Their argument is the file of the program.
    pub program: Vec<String>,
    /// Their argument is a file that is run besides the program.
    pub script: Vec<String>,
    /// Their argument is a module by its name, which is the program.
    pub module: Vec<String>,
    /// The name of a module stands behind the letter, and nothing else may.
    pub name: Vec<String>,
    /// The program is read from standard input.
    pub stdin: Vec<String>,
    /// Standard input is read as well.
    pub also_stdin: Vec<String>,
    /// Whatever else there is, nothing is run.
    pub harmless: Vec<String>,
    /// First words that are commands and no files.
    pub operands: Vec<String>,
    /// They have no argument: said where every other option is taken for text.
    pub nothing: Vec<String>,
    /// Variables whose value is a file that is run.
    pub variables: Vec<String>,
    /// Variables whose value is text that is run, or leads to it. A `*` behind the first ten letters stands for any other; an
    /// `@` before the name says that an `@` before the value makes it a file's name.
    pub inline_variables: Vec<String>,
    /// [`enforcer_common::PLUS_OPTIONS`] and its like.
    pub flags: u32,
}

impl Interpreter {
    /// Whether a program at this path is this interpreter, and then whether its whole path is known, and not only a pattern.
    fn match_at(&self, path: &Path) -> Option<bool> {
        self.programs.iter().filter(|program| program.matches(path)).map(ProgramPath::is_exact).max()
    }
}

/// Where `/bin` is a link to `/usr/bin`, both names are the same file's.
fn merged(path: &Path) -> Option<PathBuf> {
    path.strip_prefix("/").ok().filter(|below| !below.starts_with("usr")).map(|below| Path::new("/usr").join(below))
}

/// The names of what is a script to any interpreter that is known without the policy's saying.
pub fn known_script_names() -> &'static ScriptNames {
    static NAMES: LazyLock<ScriptNames> = LazyLock::new(|| KNOWN.iter().filter(|known| !known.is_optional).flat_map(Known::script_names).collect());
    &NAMES
}

/// The interpreter that a program is which merely says that it is one (by the entitlement [`GENERIC`]).
pub(super) const GENERIC: &str = "interpreter";
