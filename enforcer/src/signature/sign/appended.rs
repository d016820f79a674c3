//! A signature behind the file's own bytes, as the kernel's modules have it (`include/linux/module_signature.h`).
//!
//! The content is everything before the signature. What lies behind it: `struct module_signature`, then a line of text.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::SignError;
use crate::measure::MeasureError;
use crate::signature::cms::MAX_SIGNATURE_SIZE;

/// How many bytes of the file are its own: all, or those before the signature that it bears.
pub(super) fn content_size(file: &File) -> Result<u64, SignError> {
    Ok(locate(file)?.map_or(file.metadata().map_err(unreadable)?.len(), |found| found.start))
}

/// Where the signature lies that the file bears, if it bears one.
pub(super) fn locate(file: &File) -> Result<Option<std::ops::Range<u64>>, SignError> {
    let size = file.metadata().map_err(unreadable)?.len();
    let mut tail = [0; TRAILER];
    let Some(at) = size.checked_sub(TRAILER as u64) else { return Ok(None) };
    file.read_exact_at(&mut tail, at).map_err(unreadable)?;
    let Some(header) = tail.strip_suffix(MAGIC) else { return Ok(None) };
    let broken = || SignError::Trailer;
    let (fixed, length) = header.split_last_chunk::<4>().ok_or_else(broken)?;
    let length = u32::from_be_bytes(*length);
    if fixed != FIXED || length == 0 || length as usize > MAX_SIGNATURE_SIZE {
        return Err(broken());
    }
    Ok(Some(at.checked_sub(u64::from(length)).ok_or_else(broken)?..at))
}

/// Writes a signature behind the first `content` bytes.
pub(super) fn write(file: &File, content: u64, signature: &[u8]) -> io::Result<()> {
    let length = u32::try_from(signature.len()).map_err(io::Error::other)?.to_be_bytes();
    file.write_all_at(&[signature, &FIXED, &length, MAGIC].concat(), content)
}

fn unreadable(source: io::Error) -> SignError {
    MeasureError::Read { source }.into()
}

/// algo, hash, id_type, signer_len, key_id_len and three bytes of padding: for CMS (id_type 2) all others are zero.
const FIXED: [u8; 8] = [0, 0, 2, 0, 0, 0, 0, 0];
const MAGIC: &[u8] = b"~Module signature appended~\n";
const TRAILER: usize = FIXED.len() + 4 + MAGIC.len();
