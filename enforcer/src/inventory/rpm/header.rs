//! The front of an RPM package, held against its own numbers before the library allocates by them.
//!
//! Lengths and counts only: what the entries mean is the library's business. The bounds are those that rpm itself has, or tighter.

use std::io::Read;

use super::RpmError;

/// The lead and both headers of a package: everything before its payload.
pub(super) fn read(mut input: impl Read) -> Result<Vec<u8>, RpmError> {
    let mut front = Vec::new();
    take(&mut input, LEAD, &mut front)?;
    if !front.starts_with(LEAD_MAGIC) {
        return Err(RpmError::NotOne);
    }
    for padding in [8, 1] {
        let start = front.len();
        take(&mut input, INTRODUCTION, &mut front)?;
        let introduction = &front[start..];
        if !introduction.starts_with(HEADER_MAGIC) {
            return Err(RpmError::Header("it does not begin as a header does"));
        }
        let (entries, size) = (number(introduction, 8), number(introduction, 12));
        if entries > MAX_ENTRIES || size > MAX_STORE {
            return Err(RpmError::Header("it is larger than any package's"));
        }
        take(&mut input, entries * ENTRY + size.next_multiple_of(padding), &mut front)?;
        let index = &front[start + INTRODUCTION..][..entries * ENTRY];
        check(index, size).map_err(RpmError::Header)?;
    }
    Ok(front)
}

/// Whether every entry lies in the store, and all together take no more memory than it.
fn check(index: &[u8], size: usize) -> Result<(), &'static str> {
    let mut total = 0;
    for entry in index.chunks_exact(ENTRY) {
        let (kind, offset, count) = (number(entry, 4), number(entry, 8), number(entry, 12));
        let width = *WIDTHS.get(kind).ok_or("an entry is of an unknown type")?;
        let length = width.checked_mul(count).ok_or("an entry is larger than it")?;
        if offset > size || length > size - offset {
            return Err("an entry lies outside of it");
        }
        if kind >= STRING && count > MAX_STRINGS {
            return Err("an entry has more strings than any package's");
        }
        total += length;
        if total > size {
            return Err("its entries overlap");
        }
    }
    Ok(())
}

fn take(input: &mut impl Read, count: usize, front: &mut Vec<u8>) -> Result<(), RpmError> {
    let before = front.len();
    input.take(count as u64).read_to_end(front).map_err(RpmError::Read)?;
    if front.len() - before < count { Err(RpmError::Read(std::io::ErrorKind::UnexpectedEof.into())) } else { Ok(()) }
}

/// A number at `at`, most significant byte first.
fn number(bytes: &[u8], at: usize) -> usize {
    bytes[at..at + 4].iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

const LEAD: usize = 96;
const LEAD_MAGIC: &[u8] = &[0xed, 0xab, 0xee, 0xdb];
const INTRODUCTION: usize = 16;
const HEADER_MAGIC: &[u8] = &[0x8e, 0xad, 0xe8, 1];
const ENTRY: usize = 16;
/// Bytes of one item, by type: null, char, int8, int16, int32, int64, and at least one for string, binary, strings, translated strings.
const WIDTHS: [usize; 10] = [0, 1, 1, 2, 4, 8, 1, 1, 1, 1];
const STRING: usize = 8;
const MAX_ENTRIES: usize = 1024;
const MAX_STORE: usize = 32 << 20;
const MAX_STRINGS: usize = 1_000_000;
