//! Paths in arguments and variables: of each, the hash of its last part is kept.

use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use enforcer_common::{Interpreter, SCRIPT_ARGUMENTS, WordKind};

use super::{
    BEGIN, BEGIN_ARGUMENT, FILE, OPERAND, Parser, TEXT, end,
    options::{INLINE, PROGRAM, TAKES, meaning_of},
};
use crate::{
    last_part::{FNV_OFFSET, fnv},
    scripts::Started,
};

/// Begins with the hash of a path's last part.
///
/// # Safety
///
/// A value of a map.
#[inline(always)]
pub(super) unsafe fn hash_begins(parser: *mut Parser) {
    // SAFETY: the caller's.
    unsafe {
        write_volatile(addr_of_mut!((*parser).hash), FNV_OFFSET);
        write_volatile(addr_of_mut!((*parser).expands), 0);
    }
}

/// A letter of an argument, which may be a path: of its last part, the hash is kept.
///
/// # Safety
///
/// Values of maps.
#[inline(always)]
pub(super) unsafe fn path_letter(
    parser: *mut Parser,
    started: *mut Started,
    interpreter: *const Interpreter,
    address: u64,
    byte: u64,
    state: u64,
) -> i64 {
    // SAFETY: the caller's.
    unsafe {
        let hash = read_volatile(addr_of!((*parser).hash));
        if byte == u64::from(b':') && read_volatile(addr_of!((*parser).is_value)) != 0 {
            // A list of folders and archives.
            if !note_script(parser, started, hash) {
                return end(parser, TEXT);
            }
            hash_begins(parser);
            return 0;
        }
        if byte != 0 {
            expand(parser, byte);
            write_volatile(addr_of_mut!((*parser).hash), if byte == u64::from(b'/') { FNV_OFFSET } else { fnv(hash, byte) });
            write_volatile(addr_of_mut!((*parser).state), state);
            return 0;
        }
        if read_volatile(addr_of!((*parser).expands)) != 0 {
            write_volatile(addr_of_mut!((*parser).has_text), 1);
        }
        if state == OPERAND {
            let word = read_volatile(addr_of!((*parser).word));
            let number = read_volatile(addr_of!((*interpreter).number));
            if meaning_of(word, address.wrapping_sub(word), number, WordKind::Operand as u32, 0) == INLINE {
                return end(parser, TEXT);
            }
            return end(parser, if note_script(parser, started, hash) { FILE } else { TEXT });
        }
        let (due, more) = (read_volatile(addr_of!((*parser).due)), read_volatile(addr_of!((*parser).more_due)));
        if more == 0 {
            write_volatile(addr_of_mut!((*parser).due), 0);
            write_volatile(addr_of_mut!((*parser).state), BEGIN);
        } else {
            write_volatile(addr_of_mut!((*parser).more_due), more - 1);
            write_volatile(addr_of_mut!((*parser).state), BEGIN_ARGUMENT);
        }
        if due == TAKES {
            return 0;
        }
        if due == PROGRAM {
            write_volatile(addr_of_mut!((*parser).has_program), 1);
        }
        if note_script(parser, started, hash) { 0 } else { end(parser, TEXT) }
    }
}

/// In the value of a variable, a shell puts something else in the place of what `$` and a backquote begin: a name, which does no harm in a folder's part, or
/// what a command says.
///
/// # Safety
///
/// A value of a map.
#[inline(always)]
unsafe fn expand(parser: *mut Parser, byte: u64) {
    // SAFETY: the caller's.
    unsafe {
        let expands = read_volatile(addr_of!((*parser).expands));
        let is_more_than_a_name = expands == 2 && (byte == u64::from(b'(') || byte == u64::from(b'{') || byte == u64::from(b'['));
        if byte == u64::from(b'`') || byte == u64::from(b'\\') || byte == u64::from(b'~') || is_more_than_a_name {
            write_volatile(addr_of_mut!((*parser).has_text), 1);
        }
        let now = if byte == u64::from(b'$') {
            2
        } else if byte == u64::from(b'/') || expands == 0 {
            0
        } else {
            1
        };
        write_volatile(addr_of_mut!((*parser).expands), now);
    }
}

/// Keeps the hash of a script's name. Whether there was room.
///
/// # Safety
///
/// Values of maps.
#[inline(always)]
unsafe fn note_script(parser: *mut Parser, started: *mut Started, hash: u64) -> bool {
    // SAFETY: the caller's.
    unsafe {
        let place = read_volatile(addr_of!((*parser).scripts));
        if place >= SCRIPT_ARGUMENTS as u64 {
            return false;
        }
        write_volatile(addr_of_mut!((*parser).scripts), place + 1);
        write_volatile(addr_of_mut!((*started).scripts).cast::<u64>().add((place & (SCRIPT_ARGUMENTS as u64 - 1)) as usize), hash);
    }
    true
}
