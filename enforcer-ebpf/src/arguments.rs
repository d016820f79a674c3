//! What an interpreter is told to run: its command line and its environment, read when it starts, before its first instruction.
//!
//! Letter for letter, in a loop of the kernel's, with all that is carried from one to the next in the task's storage: of what is in a map's value the verifier
//! knows nothing, and so follows each turn once and not once for every state. What cannot be read, or does not come to an end, is text that is handed over.

mod options;
mod paths;
mod variables;

use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_user};
use enforcer_common::{
    DASHES_END_ALL, FIRST_WORD_IS_TEXT, Interpreter, KNOWS_DESCRIPTORS, LONG_AFTER_ONE_DASH, LONG_BEFORE_LETTERS, OPERANDS_ARE_DATA, PLUS_OPTIONS,
    SCRIPT_ARGUMENTS, UNKNOWN_OPTIONS_ARE_TEXT,
};
use options::{
    DASH_ALONE, NAMES_DESCRIPTOR, PROGRAM, SCRIPT, is_long_option, is_of_a_module, long_option, option_letter, program_without_file, word_of,
};
use paths::{hash_begins, path_letter};
use variables::{BETWEEN_WORDS, MAX_VARIABLES, variable};

use crate::{
    binprm::{self, LinuxBinprm},
    scripts::Started,
};

/// Where the arguments are in the new program's memory, and how many there are.
pub(crate) struct Strings {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) arguments: u64,
}

impl Strings {
    #[inline(always)]
    pub(crate) fn of(bprm: *const LinuxBinprm) -> Self {
        Self { begin: binprm::strings(bprm), end: binprm::strings_end(bprm), arguments: binprm::arguments(bprm) }
    }
}

// What it is told to run.
/// Text, in an argument or in a variable.
pub(crate) const TEXT: u64 = 1;
/// What comes through its standard input.
pub(crate) const STDIN: u64 = 2;
/// A file, or a module by its name.
pub(crate) const FILE: u64 = 3;
/// What comes through another descriptor.
pub(crate) const DESCRIPTOR: u64 = 4;

/// What the parser carries from letter to letter.
#[repr(C)]
pub(crate) struct Parser {
    /// Of the next letter.
    address: u64,
    end: u64,
    /// Words that have not ended yet.
    words: u64,
    state: u64,
    /// [`WordMeaning`] of the argument that is due; 0 for none.
    due: u64,
    /// How many more of its kind are due, in the words that follow.
    more_due: u64,
    /// Where the word began that may be a long option.
    word: u64,
    /// Of the last part of the path so far.
    hash: u64,
    outcome: u64,
    has_program: u64,
    scripts: u64,
    /// Whether a variable has text, or a shell would make text of its value.
    has_text: u64,
    /// Whether it is the value of a variable that is read.
    is_value: u64,
    /// Whether standard input is read as well.
    also_stdin: u64,
    /// Whether this part of a path has a `$`: 2 when it is the last sign, 1 when it is before.
    expands: u64,
    /// Where the values of variables begin that name files.
    values: [u64; VALUES],
    values_named: u64,
    /// Which 64 bytes are in the buffer.
    chunk: u64,
    buffer: [u8; CHUNK],
}

const CHUNK: usize = 64;
const VALUES: usize = 4;

// The states.
const FIRST_WORD: u64 = 0;
const BEGIN: u64 = 1;
const DASH: u64 = 2;
const DASHES: u64 = 3;
const LONG: u64 = 4;
const LETTERS: u64 = 5;
const LETTER_ARGUMENT: u64 = 6;
const ARGUMENT: u64 = 7;
const OPERAND: u64 = 8;
const SKIP: u64 = 9;
const BEGIN_OPERAND: u64 = 10;
const BEGIN_ARGUMENT: u64 = 11;
const BEGIN_EITHER: u64 = 12;
const MODULE_NAME: u64 = 13;
const ATTACHED: u64 = 14;

/// Both are values of maps.
#[repr(C)]
struct Reading {
    started: *mut Started,
    interpreter: *const Interpreter,
}

/// Reads the command line and the environment: which files they name is left in `started`, and what is to be run is the answer.
#[inline(always)]
pub(crate) fn read(strings: &Strings, started: *mut Started, interpreter: *const Interpreter) -> u64 {
    let mut reading = Reading { started, interpreter };
    // SAFETY: values of maps that were checked for null, of which this task's own is written by nobody else; the callbacks take what is passed here, and
    // outlive the calls.
    unsafe {
        let parser = addr_of_mut!((*started).parser);
        for place in 0..SCRIPT_ARGUMENTS {
            write_volatile(addr_of_mut!((*started).scripts).cast::<u64>().add(place), 0);
        }
        write_volatile(addr_of_mut!((*parser).end), strings.end);
        write_volatile(addr_of_mut!((*parser).due), 0);
        write_volatile(addr_of_mut!((*parser).more_due), 0);
        write_volatile(addr_of_mut!((*parser).has_program), 0);
        write_volatile(addr_of_mut!((*parser).is_value), 0);
        write_volatile(addr_of_mut!((*parser).also_stdin), 0);
        write_volatile(addr_of_mut!((*parser).scripts), 0);
        write_volatile(addr_of_mut!((*parser).values_named), 0);
        begin(parser, strings.begin, strings.arguments, FIRST_WORD);
        bpf_loop(MAX_LETTERS, letter as *mut _, (&raw mut reading).cast(), 0);
        let mut outcome = read_volatile(addr_of!((*parser).outcome));
        if outcome == 0 {
            outcome = TEXT;
        }
        if outcome == FILE && read_volatile(addr_of!((*parser).also_stdin)) != 0 {
            outcome = STDIN;
        }
        if read_volatile(addr_of!((*interpreter).variable_letters)) == 0 {
            return outcome;
        }
        // Of whatever it is told to run, a variable can name more.
        begin(parser, strings.begin, strings.arguments, BETWEEN_WORDS);
        write_volatile(addr_of_mut!((*parser).has_text), 0);
        bpf_loop(MAX_VARIABLES, variable as *mut _, (&raw mut reading).cast(), 0);
        if read_volatile(addr_of!((*parser).outcome)) != FILE {
            outcome = TEXT;
        }
        write_volatile(addr_of_mut!((*parser).is_value), 1);
        for place in 0..VALUES {
            if place as u64 >= read_volatile(addr_of!((*parser).values_named)) {
                break;
            }
            begin(parser, read_volatile(addr_of!((*parser).values).cast::<u64>().add(place)), 1, BEGIN_ARGUMENT);
            write_volatile(addr_of_mut!((*parser).due), SCRIPT);
            bpf_loop(MAX_LETTERS, letter as *mut _, (&raw mut reading).cast(), 0);
            if read_volatile(addr_of!((*parser).outcome)) == 0 || read_volatile(addr_of!((*parser).outcome)) == TEXT {
                outcome = TEXT;
            }
        }
        if read_volatile(addr_of!((*parser).has_text)) != 0 { TEXT } else { outcome }
    }
}

/// # Safety
///
/// A value of a map.
#[inline(always)]
unsafe fn begin(parser: *mut Parser, address: u64, words: u64, state: u64) {
    // SAFETY: the caller's.
    unsafe {
        write_volatile(addr_of_mut!((*parser).address), address);
        write_volatile(addr_of_mut!((*parser).words), words);
        write_volatile(addr_of_mut!((*parser).state), state);
        write_volatile(addr_of_mut!((*parser).outcome), 0);
        // What is in the buffer may have been something else since.
        write_volatile(addr_of_mut!((*parser).chunk), u64::MAX);
    }
}

/// One letter of the arguments. 1 ends the reading.
extern "C" fn letter(_index: u32, reading: *mut Reading) -> i64 {
    // SAFETY: `bpf_loop` hands on the pointer that `read` gave it, whose own pointers live as long.
    unsafe {
        let (started, interpreter) = ((*reading).started, (*reading).interpreter);
        let parser = addr_of_mut!((*started).parser);
        let address = read_volatile(addr_of!((*parser).address));
        let words = read_volatile(addr_of!((*parser).words));
        if words == 0 || address >= read_volatile(addr_of!((*parser).end)) {
            return end(parser, at_the_end(parser, interpreter));
        }
        let chunk = address & !(CHUNK as u64 - 1);
        if chunk != read_volatile(addr_of!((*parser).chunk)) {
            if bpf_probe_read_user(addr_of_mut!((*parser).buffer).cast(), CHUNK as u32, chunk as *const _) != 0 {
                return 1;
            }
            write_volatile(addr_of_mut!((*parser).chunk), chunk);
        }
        let byte = u64::from(read_volatile(addr_of!((*parser).buffer).cast::<u8>().add((address & (CHUNK as u64 - 1)) as usize)));
        write_volatile(addr_of_mut!((*parser).address), address + 1);
        if byte == 0 {
            write_volatile(addr_of_mut!((*parser).words), words - 1);
        }
        step(parser, started, interpreter, address, byte)
    }
}

/// What there is to run when there are no more words.
///
/// # Safety
///
/// Values of maps.
#[inline(always)]
unsafe fn at_the_end(parser: *mut Parser, interpreter: *const Interpreter) -> u64 {
    // SAFETY: the caller's.
    unsafe {
        let has_program = read_volatile(addr_of!((*parser).has_program)) != 0;
        let works_on_data = read_volatile(addr_of!((*interpreter).flags)) & OPERANDS_ARE_DATA != 0;
        if has_program || works_on_data { FILE } else { STDIN }
    }
}

/// From one state to the next. 1 when all is known.
///
/// # Safety
///
/// Values of maps.
#[inline(always)]
unsafe fn step(parser: *mut Parser, started: *mut Started, interpreter: *const Interpreter, address: u64, byte: u64) -> i64 {
    // SAFETY: the caller's.
    unsafe {
        let flags = read_volatile(addr_of!((*interpreter).flags));
        match read_volatile(addr_of!((*parser).state)) {
            FIRST_WORD | SKIP => {
                if byte == 0 {
                    go(parser, BEGIN);
                }
                0
            }
            state @ (BEGIN | BEGIN_OPERAND | BEGIN_EITHER) => {
                let may_be_option = state != BEGIN_OPERAND;
                if may_be_option && byte == u64::from(b'-') {
                    write_volatile(addr_of_mut!((*parser).word), address + 1);
                    go(parser, DASH);
                    return 0;
                }
                if may_be_option && byte == u64::from(b'+') && flags & PLUS_OPTIONS != 0 {
                    go(parser, LETTERS);
                    return 0;
                }
                if flags & OPERANDS_ARE_DATA != 0 {
                    // To an editor, a plus sign begins a command.
                    if byte == u64::from(b'+') {
                        return end(parser, TEXT);
                    }
                    go(parser, if byte == 0 { BEGIN } else { SKIP });
                    return 0;
                }
                if flags & FIRST_WORD_IS_TEXT != 0 {
                    let has_program = read_volatile(addr_of!((*parser).has_program)) != 0;
                    return end(parser, if has_program { FILE } else { TEXT });
                }
                // An empty word, and a dash where options are over, are standard input; a shell takes them for names.
                let word = word_of(address);
                if flags & PLUS_OPTIONS == 0 && (byte == 0 || word == DASH_ALONE) {
                    return end(parser, STDIN);
                }
                if flags & KNOWS_DESCRIPTORS != 0 && word == NAMES_DESCRIPTOR {
                    return end(parser, DESCRIPTOR);
                }
                // What looks like another sign than a dash, and a home folder.
                if flags & UNKNOWN_OPTIONS_ARE_TEXT != 0 && (byte >= 0x80 || byte == u64::from(b'~')) {
                    return end(parser, TEXT);
                }
                write_volatile(addr_of_mut!((*parser).word), address);
                hash_begins(parser);
                if state == BEGIN_EITHER {
                    write_volatile(addr_of_mut!((*parser).due), PROGRAM);
                    return path_letter(parser, started, interpreter, address, byte, ARGUMENT);
                }
                path_letter(parser, started, interpreter, address, byte, OPERAND)
            }
            DASH => {
                if byte == 0 {
                    // To a shell, a dash alone ends the options; to an editor, it is what it works on.
                    if flags & (PLUS_OPTIONS | OPERANDS_ARE_DATA) == 0 {
                        return end(parser, STDIN);
                    }
                    go(parser, if flags & PLUS_OPTIONS != 0 { BEGIN_OPERAND } else { BEGIN });
                    return 0;
                }
                if byte == u64::from(b'-') {
                    write_volatile(addr_of_mut!((*parser).word), address + 1);
                    go(parser, DASHES);
                    return 0;
                }
                let is_long = flags & LONG_BEFORE_LETTERS != 0 && is_long_option(address, read_volatile(addr_of!((*interpreter).number))) != 0;
                if is_long || flags & LONG_AFTER_ONE_DASH != 0 {
                    write_volatile(addr_of_mut!((*parser).word), address);
                    go(parser, LONG);
                    return 0;
                }
                go(parser, LETTERS);
                option_letter(parser, interpreter, flags, byte)
            }
            DASHES | LONG => {
                let is_separator = byte == 0;
                if is_separator && read_volatile(addr_of!((*parser).state)) == DASHES {
                    if flags & DASHES_END_ALL != 0 {
                        let has_program = read_volatile(addr_of!((*parser).has_program)) != 0;
                        return end(parser, if has_program { FILE } else { STDIN });
                    }
                    go(parser, BEGIN_OPERAND);
                    return 0;
                }
                go(parser, LONG);
                if !is_separator && byte != u64::from(b'=') {
                    return 0;
                }
                long_option(parser, interpreter, flags, address, is_separator)
            }
            LETTERS => {
                if byte == 0 {
                    let is_due = read_volatile(addr_of!((*parser).due)) != 0;
                    go(parser, if is_due { BEGIN_ARGUMENT } else { BEGIN });
                    return 0;
                }
                option_letter(parser, interpreter, flags, byte)
            }
            LETTER_ARGUMENT => {
                if byte == 0 {
                    go(parser, BEGIN_ARGUMENT);
                    return 0;
                }
                let outcome = program_without_file(parser, flags, address);
                if outcome != 0 {
                    return end(parser, outcome);
                }
                hash_begins(parser);
                path_letter(parser, started, interpreter, address, byte, ARGUMENT)
            }
            BEGIN_ARGUMENT => {
                let outcome = program_without_file(parser, flags, address);
                if outcome != 0 {
                    return end(parser, outcome);
                }
                hash_begins(parser);
                path_letter(parser, started, interpreter, address, byte, ARGUMENT)
            }
            ATTACHED => {
                // Behind a blank, some go on with other options.
                if byte == u64::from(b' ') {
                    return end(parser, TEXT);
                }
                if byte == 0 {
                    go(parser, BEGIN);
                }
                0
            }
            MODULE_NAME => {
                if byte == 0 {
                    go(parser, BEGIN);
                    return 0;
                }
                if is_of_a_module(byte) { 0 } else { end(parser, TEXT) }
            }
            state => path_letter(parser, started, interpreter, address, byte, state),
        }
    }
}

/// # Safety
///
/// A value of a map.
#[inline(always)]
unsafe fn go(parser: *mut Parser, state: u64) {
    // SAFETY: the caller's.
    unsafe { write_volatile(addr_of_mut!((*parser).state), state) };
}

/// # Safety
///
/// A value of a map.
#[inline(always)]
unsafe fn end(parser: *mut Parser, outcome: u64) -> i64 {
    // SAFETY: the caller's.
    unsafe { write_volatile(addr_of_mut!((*parser).outcome), outcome) };
    1
}

/// Letters of a command line up to the program's name: beyond, it is taken for text.
const MAX_LETTERS: u32 = 1 << 16;
