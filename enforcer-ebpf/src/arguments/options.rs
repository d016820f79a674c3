//! Options: what a letter or a long name means to the interpreter, and where its argument is.
#![allow(clippy::needless_borrows_for_generic_args, reason = "by value, a key is copied to the stack, which has 512 bytes")]

use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::helpers::generated::{bpf_probe_read_user, bpf_probe_read_user_str};
use enforcer_common::{
    ARGUMENTS_IN_NEXT_WORD, FOLDS_UNDERSCORES, IGNORES_CASE, Interpreter, KNOWS_DESCRIPTORS, OPERANDS_ARE_DATA, OPTIONS_UNKNOWN, PLUS_OPTIONS,
    UNKNOWN_OPTIONS_ARE_TEXT, WORD_SIZE, Word, WordKind, WordMeaning,
};

use super::{ATTACHED, BEGIN, BEGIN_ARGUMENT, BEGIN_EITHER, DESCRIPTOR, FILE, LETTER_ARGUMENT, MODULE_NAME, Parser, SKIP, STDIN, TEXT, end};
use crate::maps::WORDS;

/// Whether a sign can be part of a module's name, or of the list of what is imported from it (`-MList::Util=first,sum`).
#[inline(always)]
pub(super) fn is_of_a_module(byte: u64) -> bool {
    let letter = (byte | 0x20).wrapping_sub(u64::from(b'a')) < 26;
    let digit = byte.wrapping_sub(u64::from(b'0')) < 10;
    letter || digit || byte == u64::from(b'_') || byte == u64::from(b':') || byte == u64::from(b'=') || byte == u64::from(b',')
}

/// A letter of an option's word.
///
/// # Safety
///
/// Values of maps.
#[inline(always)]
pub(super) unsafe fn option_letter(parser: *mut Parser, interpreter: *const Interpreter, flags: u32, byte: u64) -> i64 {
    if flags & OPTIONS_UNKNOWN != 0 {
        // Nobody knows what it means.
        // SAFETY: the caller's.
        return unsafe { end(parser, TEXT) };
    }
    if !(64..128).contains(&byte) {
        return 0;
    }
    // SAFETY: the caller's.
    unsafe {
        let bit = 1_u64 << (byte & 63);
        let outcome = if read_volatile(addr_of!((*interpreter).inline_letters)) & bit != 0 {
            TEXT
        } else if read_volatile(addr_of!((*interpreter).stdin_letters)) & bit != 0 {
            STDIN
        } else if read_volatile(addr_of!((*interpreter).module_letters)) & bit != 0 {
            FILE
        } else {
            0
        };
        if outcome != 0 {
            return end(parser, outcome);
        }
        if read_volatile(addr_of!((*interpreter).name_letters)) & bit != 0 {
            write_volatile(addr_of_mut!((*parser).state), MODULE_NAME);
            return 0;
        }
        if read_volatile(addr_of!((*interpreter).also_stdin_letters)) & bit != 0 {
            write_volatile(addr_of_mut!((*parser).also_stdin), 1);
            return 0;
        }
        if read_volatile(addr_of!((*interpreter).attached_letters)) & bit != 0 {
            write_volatile(addr_of_mut!((*parser).state), ATTACHED);
            return 0;
        }
        let due = if read_volatile(addr_of!((*interpreter).argument_letters)) & bit != 0 {
            WordMeaning::Argument as u64
        } else if read_volatile(addr_of!((*interpreter).program_letters)) & bit != 0 {
            WordMeaning::Program as u64
        } else if read_volatile(addr_of!((*interpreter).script_letters)) & bit != 0 {
            WordMeaning::Script as u64
        } else {
            return 0;
        };
        if flags & ARGUMENTS_IN_NEXT_WORD == 0 {
            write_volatile(addr_of_mut!((*parser).state), LETTER_ARGUMENT);
        } else if read_volatile(addr_of!((*parser).due)) != 0 {
            let more = read_volatile(addr_of!((*parser).more_due));
            write_volatile(addr_of_mut!((*parser).more_due), more + 1);
        }
        write_volatile(addr_of_mut!((*parser).due), due);
    }
    0
}

/// The end of a long option's name, at which either the word ends or its argument begins.
///
/// # Safety
///
/// Values of maps.
#[inline(always)]
pub(super) unsafe fn long_option(parser: *mut Parser, interpreter: *const Interpreter, flags: u32, address: u64, ends: bool) -> i64 {
    // SAFETY: the caller's.
    unsafe {
        let word = read_volatile(addr_of!((*parser).word));
        let number = read_volatile(addr_of!((*interpreter).number));
        let meaning = meaning_of(word, address.wrapping_sub(word), number, WordKind::LongOption as u32, flags & (IGNORES_CASE | FOLDS_UNDERSCORES));
        let outcome = match meaning {
            0 if flags & (UNKNOWN_OPTIONS_ARE_TEXT | OPTIONS_UNKNOWN) != 0 => TEXT,
            HARMLESS => FILE,
            INLINE => TEXT,
            FROM_STDIN => STDIN,
            MODULE => FILE,
            _ => 0,
        };
        if outcome != 0 {
            return end(parser, outcome);
        }
        if meaning == ALSO_STDIN {
            write_volatile(addr_of_mut!((*parser).also_stdin), 1);
        }
        // Of an option that is not known, the next word may be the argument, or the program. Shells have none with arguments that are not known.
        let is_unknown = meaning == 0 && flags & (PLUS_OPTIONS | OPERANDS_ARE_DATA) == 0;
        if is_unknown && ends {
            write_volatile(addr_of_mut!((*parser).state), BEGIN_EITHER);
            return 0;
        }
        let takes = matches!(meaning, TAKES | PROGRAM | SCRIPT);
        if takes {
            write_volatile(addr_of_mut!((*parser).due), meaning);
        }
        write_volatile(
            addr_of_mut!((*parser).state),
            match (takes, ends) {
                (true, true) => BEGIN_ARGUMENT,
                (true, false) => LETTER_ARGUMENT,
                (false, true) => BEGIN,
                (false, false) => SKIP,
            },
        );
    }
    0
}

pub(super) const INLINE: u64 = WordMeaning::Inline as u64;
pub(super) const TAKES: u64 = WordMeaning::Argument as u64;
pub(super) const PROGRAM: u64 = WordMeaning::Program as u64;
pub(super) const SCRIPT: u64 = WordMeaning::Script as u64;
pub(super) const MODULE: u64 = WordMeaning::Module as u64;
pub(super) const FROM_STDIN: u64 = WordMeaning::Stdin as u64;
pub(super) const INLINE_OR_SCRIPT: u64 = WordMeaning::InlineOrScript as u64;
pub(super) const HARMLESS: u64 = WordMeaning::Harmless as u64;
pub(super) const ALSO_STDIN: u64 = WordMeaning::AlsoStdin as u64;

/// What a word in the new program's memory means, perhaps after its signs were folded; 0 when it means nothing.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn meaning_of(address: u64, length: u64, number: u32, kind: u32, folds: u32) -> u64 {
    if length == 0 || length >= WORD_SIZE as u64 {
        return 0;
    }
    let mut word = Word { interpreter: number, kind, bytes: [0; WORD_SIZE] };
    // SAFETY: the helper checks the address, and writes no more than the buffer's size.
    if unsafe { bpf_probe_read_user(addr_of_mut!(word.bytes).cast(), (length & (WORD_SIZE as u64 - 1)) as u32, address as *const _) } != 0 {
        return INLINE;
    }
    if folds != 0 {
        for place in 0..WORD_SIZE {
            // SAFETY: a local variable; volatile, because the helper wrote it. Without a branch, of which the verifier would follow each.
            unsafe {
                let byte = addr_of_mut!(word.bytes).cast::<u8>().add(place);
                let letter = u64::from(read_volatile(byte));
                let is_capital = (letter.wrapping_sub(u64::from(b'A')).wrapping_sub(26) >> 63) & !(letter.wrapping_sub(u64::from(b'A')) >> 63);
                let is_folded = u64::from(folds & IGNORES_CASE != 0) & is_capital;
                // `_` is 0x5f, and `-` is 0x2d.
                let is_underscore = ((letter ^ 0x5f).wrapping_sub(1) >> 63) & u64::from(folds & FOLDS_UNDERSCORES != 0);
                write_volatile(byte, ((letter | is_folded << 5) ^ (is_underscore * 0x72)) as u8);
            }
        }
    }
    // SAFETY: initialised above; user space replaces a value as a whole.
    unsafe { WORDS.get(&word) }.map_or(0, |meaning| u64::from(*meaning))
}

/// Whether the word at an address names a descriptor, or is a dash. The program behind it is read through it, and not opened.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn word_of(address: u64) -> u64 {
    let mut beginning = 0_u64;
    // SAFETY: the helper checks the address, and writes eight bytes; a local variable, which it wrote.
    unsafe {
        if bpf_probe_read_user((&raw mut beginning).cast(), 8, address as *const _) != 0 {
            return NAMES_DESCRIPTOR;
        }
        let beginning = read_volatile(&beginning);
        if beginning & 0xffff == u64::from(b'-') {
            return DASH_ALONE;
        }
        if beginning == u64::from_le_bytes(*b"/dev/fd/") || beginning == u64::from_le_bytes(*b"/dev/std") { NAMES_DESCRIPTOR } else { ANY_WORD }
    }
}

// What `word_of` answers.
pub(super) const ANY_WORD: u64 = 0;
pub(super) const NAMES_DESCRIPTOR: u64 = 1;
pub(super) const DASH_ALONE: u64 = 2;

/// What an option's argument says of where the program comes from, where it names no file; 0 otherwise.
///
/// # Safety
///
/// A value of a map.
#[inline(always)]
pub(super) unsafe fn program_without_file(parser: *mut Parser, flags: u32, address: u64) -> u64 {
    // SAFETY: the caller's.
    let due = unsafe { read_volatile(addr_of!((*parser).due)) };
    match word_of(address) {
        DASH_ALONE if due == PROGRAM => STDIN,
        NAMES_DESCRIPTOR if flags & KNOWS_DESCRIPTORS != 0 && (due == PROGRAM || due == SCRIPT) => DESCRIPTOR,
        _ => 0,
    }
}

/// Whether the whole word at an address is a long option that is known.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn is_long_option(address: u64, number: u32) -> u64 {
    let mut word = Word { interpreter: number, kind: WordKind::LongOption as u32, bytes: [0; WORD_SIZE] };
    // SAFETY: the helper checks the address, and writes no more than the buffer's size.
    if unsafe { bpf_probe_read_user_str(addr_of_mut!(word.bytes).cast(), WORD_SIZE as u32, address as *const _) } <= 0 {
        return 0;
    }
    // SAFETY: initialised above; user space replaces a value as a whole.
    u64::from(unsafe { WORDS.get(&word) }.is_some())
}
