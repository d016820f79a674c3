//! Where the bytes of a file come from: the file itself, or what was seen of it before.
//!
//! Whoever has parsed a file in another process says what it read ([`Witness`]). The pass over the content proves that these bytes are really there; then
//! the same reading can be done once more, of the very version that was measured, without touching the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::measure::Witness;

/// A file, or the parts of it that were seen.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    File(&'a File),
    Seen { witnesses: &'a [Witness], size: u64 },
}

impl<'a> From<&'a File> for Source<'a> {
    fn from(file: &'a File) -> Self {
        Self::File(file)
    }
}

impl Source<'_> {
    /// Its size in bytes.
    pub(super) fn size(&self) -> io::Result<u64> {
        match self {
            // Not `File::metadata`: its `statx` is none of the few system calls that a worker has.
            Self::File(file) => Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0)),
            Self::Seen { size, .. } => Ok(*size),
        }
    }

    /// Reads at a place, maybe less than asked for. What was not seen cannot be read.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (witnesses, size) = match self {
            Self::File(file) => return file.read_at(buffer, offset),
            Self::Seen { witnesses, size } => (witnesses, size),
        };
        if buffer.is_empty() || offset >= *size {
            return Ok(0);
        }
        let seen = witnesses.iter().find_map(|witness| {
            let skipped = usize::try_from(offset.checked_sub(witness.offset)?).ok()?;
            witness.bytes.get(skipped..).filter(|rest| !rest.is_empty())
        });
        let seen = seen.ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = seen.len().min(buffer.len());
        buffer[..length].copy_from_slice(&seen[..length]);
        Ok(length)
    }

    /// Fills the buffer, or says that the file ends before.
    pub(super) fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    buffer = &mut buffer[read..];
                    offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_read_and_nothing_else() {
        let witnesses = [Witness { offset: 0, bytes: b"abcd".to_vec() }, Witness { offset: 4, bytes: b"ef".to_vec() }];
        let seen = Source::Seen { witnesses: &witnesses, size: 10 };
        let mut buffer = [0; 5];
        seen.read_exact_at(&mut buffer, 1).unwrap();
        assert_eq!(&buffer, b"bcdef");
        assert!(seen.read_exact_at(&mut buffer, 4).is_err(), "half of it was not seen");
        assert_eq!(seen.read_at(&mut buffer, 10).unwrap(), 0, "the end of the file");
    }
}
