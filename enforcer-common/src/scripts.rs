//! Interpreters: programs that run text, and what each of them takes for it.

use crate::boundary_enum;

/// The value of the map `INTERPRETERS`: what the program with this digest may read as code, and how it is told to.
///
/// Not part of the verdict on it: a restriction has to outlive the verdict by which the program was started.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Of the letters from `@` on, those that as an option take the text to be run (`-c`, `-e`): bit 0 is `@`, bit 1 `A`.
    pub inline_letters: u64,
    /// Those that take an argument, in the rest of the word or in the next one.
    pub argument_letters: u64,
    /// Those that take an argument in the rest of the word only.
    pub attached_letters: u64,
    /// Those that take the file of the program, in the same way.
    pub program_letters: u64,
    /// Those that take a file which is run besides the program.
    pub script_letters: u64,
    /// Those that take the name of a module, which is the program; what follows is its own.
    pub module_letters: u64,
    /// Those with the name of a module behind the letter, and nothing else: any other sign would be text (Perl's `-M`).
    pub name_letters: u64,
    /// Those after which the program is read from standard input.
    pub stdin_letters: u64,
    /// Those after which standard input is read as well, when the program has come to its end.
    pub also_stdin_letters: u64,
    /// The first letters of the variables that mean something to it; 0 when none does.
    pub variable_letters: u64,
    /// Its number: generation × 256 + its place in the policy, from 1. By it, [`Word`]s are its own.
    pub number: u32,
    /// [`crate::Response`] to a script without a verdict.
    pub unsigned: u32,
    /// [`crate::Response`] to any other regular file without a verdict.
    pub others: u32,
    /// [`crate::Response`] to text in the arguments or in a variable.
    pub inline: u32,
    /// [`crate::Response`] to a program that comes through standard input.
    pub stdin: u32,
    /// [`crate::Response`] to a program that is typed.
    pub interactive: u32,
    /// [`PLUS_OPTIONS`] and its like.
    pub flags: u32,
    /// How sure it is that the content is this interpreter: of two that it is said to be, the higher one counts. Only user space looks at it.
    pub rank: u32,
    /// Its name in the policy, filled up with zeros: what it is under the next policy.
    pub name: [u8; INTERPRETER_NAME_SIZE],
}

const _: () = assert!(size_of::<Interpreter>() == 80 + 32 + INTERPRETER_NAME_SIZE);

/// Bytes of an interpreter's name, of which the last is always zero.
pub const INTERPRETER_NAME_SIZE: usize = 32;

/// Words that begin with `+` are options, too (shells).
pub const PLUS_OPTIONS: u32 = 1 << 0;
/// An option's argument is in the next word always, and the letters of its own word go on (shells).
pub const ARGUMENTS_IN_NEXT_WORD: u32 = 1 << 1;
/// The first word that is no option is the text to be run, unless an option named the program's file (awk).
pub const FIRST_WORD_IS_TEXT: u32 = 1 << 2;
/// Every signed program that is no interpreter may have it run text that is denied otherwise.
pub const PROGRAMS_MAY_CALL: u32 = 1 << 3;
/// It has no options that are known: only a program's file can be told.
pub const OPTIONS_UNKNOWN: u32 = 1 << 4;
/// A word behind one dash is a long option, too.
pub const LONG_AFTER_ONE_DASH: u32 = 1 << 5;
/// Options are the same in large and small letters.
pub const IGNORES_CASE: u32 = 1 << 6;
/// An option that is not known has text for its argument.
pub const UNKNOWN_OPTIONS_ARE_TEXT: u32 = 1 << 7;
/// The words that are no options are files that it works on, and options may follow them (editors).
pub const OPERANDS_ARE_DATA: u32 = 1 << 8;
/// Behind two dashes there is no program any more: it comes through standard input (PHP, Guile).
pub const DASHES_END_ALL: u32 = 1 << 9;
/// `/dev/fd/N` and `/dev/stdin` it does not open: it goes on with the descriptor (Perl, awk).
pub const KNOWS_DESCRIPTORS: u32 = 1 << 10;
/// It finds out by itself where a link leads to, and opens that (Node.js, PHP, Tcl).
pub const RESOLVES_LINKS: u32 = 1 << 11;
/// A word behind one dash is a long option if it is a known one, and letters otherwise (bash, Guile).
pub const LONG_BEFORE_LETTERS: u32 = 1 << 12;
/// In long options, `_` is `-` (Node.js).
pub const FOLDS_UNDERSCORES: u32 = 1 << 13;
/// There are folders in which every file is a script ([`WordKind::Folder`]).
pub const HAS_SCRIPT_FOLDERS: u32 = 1 << 14;

boundary_enum! {
    /// What a [`Word`] is to an interpreter.
    pub enum WordKind {
        /// The name of a file that is a script.
        Name = 1 => "name",
        /// What stands behind the last dot in the names of scripts.
        Suffix = 2 => "suffix",
        /// An option of more than one letter, without its dashes.
        LongOption = 3 => "long-option",
        /// A variable of the environment.
        Variable = 4 => "variable",
        /// The first [`VARIABLE_PREFIX`] letters of variables.
        VariablePrefix = 5 => "variable-prefix",
        /// The first word that is no option, where it is a command and no file.
        Operand = 6 => "operand",
        /// The name of a folder below which every file is a script.
        Folder = 7 => "folder",
    }
}

boundary_enum! {
    /// What an option or a variable means to an interpreter.
    pub enum WordMeaning {
        /// It has no argument, or none of interest.
        Nothing = 1 => "nothing",
        /// Its argument is text to be run.
        Inline = 2 => "inline",
        /// It has an argument.
        Argument = 3 => "argument",
        /// Its argument is the file of the program.
        Program = 4 => "program",
        /// Its argument is a file that is run besides the program.
        Script = 5 => "script",
        /// Its argument is the name of a module, which is the program.
        Module = 6 => "module",
        /// The program is read from standard input.
        Stdin = 7 => "stdin",
        /// Its argument is text to be run, or behind an `@` a file that is run.
        InlineOrScript = 8 => "inline-or-script",
        /// Whatever else there is, it runs nothing (`--version`).
        Harmless = 9 => "harmless",
        /// Standard input is read as well.
        AlsoStdin = 10 => "also-stdin",
    }
}

/// The key of the map `WORDS`: a word that means something to an interpreter. The value is a [`WordMeaning`]; 1 for names, suffixes and folders.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Word {
    /// [`Interpreter::number`].
    pub interpreter: u32,
    /// [`WordKind`].
    pub kind: u32,
    /// Filled up with zeros, of which there is at least one.
    pub bytes: [u8; WORD_SIZE],
}

const _: () = assert!(size_of::<Word>() == 8 + WORD_SIZE);

/// Bytes of a [`Word`], of which the last is always zero.
pub const WORD_SIZE: usize = 32;

/// How many folders a file is looked for in, from its own upwards.
pub const SCRIPT_FOLDER_DEPTH: usize = 8;

/// Letters of a [`WordKind::VariablePrefix`].
pub const VARIABLE_PREFIX: usize = 10;

/// Files that a command line can name, as the programs keep them.
pub const SCRIPT_ARGUMENTS: usize = 8;
