//! Variables of the environment that name a file to be run, or lead to text.

use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::helpers::generated::{bpf_probe_read_user, bpf_probe_read_user_str};
use enforcer_common::{VARIABLE_PREFIX, WORD_SIZE, WordKind};

use super::{
    CHUNK, FILE, Parser, Reading, VALUES, end,
    options::{INLINE, INLINE_OR_SCRIPT, SCRIPT, meaning_of},
};

// The states of the reading of whole words.
pub(super) const BETWEEN_WORDS: u64 = 0;
const INSIDE_A_WORD: u64 = 1;

/// One word of the arguments, which is passed over, or of the environment, or a part of a long one. 1 ends the reading: when it came to the end, with
/// [`FILE`] as its outcome.
pub(super) extern "C" fn variable(_index: u32, reading: *mut Reading) -> i64 {
    // SAFETY: as in `letter`.
    unsafe {
        let (started, interpreter) = ((*reading).started, (*reading).interpreter);
        let parser = addr_of_mut!((*started).parser);
        let address = read_volatile(addr_of!((*parser).address));
        if address >= read_volatile(addr_of!((*parser).end)) {
            return end(parser, FILE);
        }
        let buffer = addr_of_mut!((*parser).buffer);
        let length = bpf_probe_read_user_str(buffer.cast(), CHUNK as u32, address as *const _);
        if length <= 0 {
            return 1;
        }
        // Filled up, it may have been cut off; read on from the zero that the helper put there.
        let is_cut = length as u64 == CHUNK as u64;
        let is_inside = read_volatile(addr_of!((*parser).state)) != BETWEEN_WORDS;
        write_volatile(addr_of_mut!((*parser).state), if is_cut { INSIDE_A_WORD } else { BETWEEN_WORDS });
        write_volatile(addr_of_mut!((*parser).address), address + length as u64 - u64::from(is_cut));
        if is_inside {
            // The rest of a word: its end is one only here.
            if !is_cut {
                word_ends(parser);
            }
            return 0;
        }
        let words = read_volatile(addr_of!((*parser).words));
        if !is_cut {
            word_ends(parser);
        }
        if words != 0 {
            return 0;
        }
        let first = u64::from(read_volatile(buffer.cast::<u8>()));
        if !(64..128).contains(&first) || read_volatile(addr_of!((*interpreter).variable_letters)) & (1 << (first & 63)) == 0 {
            return 0;
        }
        // Of a name that is longer than any word, only the beginning can mean something.
        let equals = equals_sign(buffer);
        let number = read_volatile(addr_of!((*interpreter).number));
        let mut meaning = meaning_of(address, equals, number, WordKind::Variable as u32, 0);
        if meaning == 0 && equals > VARIABLE_PREFIX as u64 {
            meaning = meaning_of(address, VARIABLE_PREFIX as u64, number, WordKind::VariablePrefix as u32, 0);
        }
        let mut value = address + equals + 1;
        if meaning == INLINE_OR_SCRIPT {
            let mut first = 0_u8;
            let is_read = bpf_probe_read_user((&raw mut first).cast(), 1, value as *const _) == 0;
            let is_file = is_read && read_volatile(&first) == b'@';
            meaning = if is_file { SCRIPT } else { INLINE };
            value += u64::from(is_file);
        }
        match meaning {
            INLINE => {
                write_volatile(addr_of_mut!((*parser).has_text), 1);
                0
            }
            SCRIPT => {
                let count = read_volatile(addr_of!((*parser).values_named));
                if count >= VALUES as u64 {
                    return 1;
                }
                write_volatile(addr_of_mut!((*parser).values_named), count + 1);
                write_volatile(addr_of_mut!((*parser).values).cast::<u64>().add((count & (VALUES as u64 - 1)) as usize), value);
                0
            }
            _ => 0,
        }
    }
}

/// # Safety
///
/// A value of a map.
#[inline(always)]
unsafe fn word_ends(parser: *mut Parser) {
    // SAFETY: the caller's.
    unsafe {
        let words = read_volatile(addr_of!((*parser).words));
        if words != 0 {
            write_volatile(addr_of_mut!((*parser).words), words - 1);
        }
    }
}

/// Where the equals sign of a variable stands, or where the longest word would end.
///
/// # Safety
///
/// A value of a map.
#[inline(always)]
unsafe fn equals_sign(buffer: *mut [u8; CHUNK]) -> u64 {
    for place in 1..WORD_SIZE {
        // SAFETY: the caller's.
        if unsafe { read_volatile(buffer.cast::<u8>().add(place)) } == b'=' {
            return place as u64;
        }
    }
    WORD_SIZE as u64 - 1
}

/// Words of arguments and environment, and parts of long ones.
pub(super) const MAX_VARIABLES: u32 = 1 << 16;
