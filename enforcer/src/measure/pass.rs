//! One pass over a file: all digests that are wanted come from the same bytes.
//!
//! A signature's content digest and the file digest that the kernel will ask for must describe the same version of the file. They do
//! when each buffer that is read feeds both, and when the bytes that said *where* the signature lies ([`Witness`]) are seen again.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use enforcer_common::Digest;
use ring::digest::Context;
use serde::{Deserialize, Serialize};

use super::{Algorithm, ContentDigest, MeasureError, Stamp, within};
use crate::kernel::fsverity_digest;

/// What to compute.
pub struct Plan<'a> {
    /// A file with more bytes is refused.
    pub max_size: u64,
    /// Which digests, besides SHA-256 of all bytes, which is always computed.
    pub parts: Vec<Part>,
    /// Bytes that were read before and must still be the same.
    pub witnesses: &'a [Witness],
}

/// A digest of a file, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The digest algorithm.
    pub algorithm: Algorithm,
    /// Of which bytes.
    pub region: Region,
}

/// Which bytes of a file are signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// These count as zeros.
    pub zeroed: Range<u64>,
    /// Those from here on do not count; `None` is the end of the file.
    pub end: Option<u64>,
}

impl Region {
    /// The file as it is.
    pub const WHOLE: Self = Self { zeroed: 0..0, end: None };

    /// The file with these bytes counted as zeros.
    pub fn zeroed(zeroed: Range<u64>) -> Self {
        Self { zeroed, end: None }
    }

    /// The file up to here.
    pub fn up_to(end: u64) -> Self {
        Self { zeroed: 0..0, end: Some(end) }
    }
}

/// Bytes that a decision was based on before the file was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Witness {
    /// Where in the file.
    pub offset: u64,
    /// What was there.
    pub bytes: Vec<u8>,
}

/// What one pass found.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// SHA-256 over all bytes.
    pub digest: Digest,
    /// The fs-verity digest, where the kernel guarantees one.
    pub fsverity: Option<Digest>,
    /// Size in bytes.
    pub size: u64,
    /// The digests of [`Plan::parts`], in that order.
    pub parts: Vec<ContentDigest>,
}

/// Reads the whole file once.
pub fn measure(file: &File, plan: &Plan<'_>) -> Result<Measurement, MeasureError> {
    let before = Stamp::of(file)?;
    if before.size > plan.max_size {
        return Err(MeasureError::TooLarge { size: before.size, limit: plan.max_size });
    }
    let mut digests = Digests::new(&plan.parts);
    let mut buffer = vec![0; usize::try_from(before.size).unwrap_or(usize::MAX).clamp(1, BUFFER_SIZE)];
    let mut offset = 0;
    loop {
        let read = match file.read_at(&mut buffer, offset) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(MeasureError::Read { source }),
        };
        let bytes = &buffer[..read];
        digests.update(bytes);
        if !plan.witnesses.iter().all(|witness| witness.agrees(offset, bytes)) {
            return Err(MeasureError::Changed);
        }
        offset += read as u64;
        if offset > before.size {
            return Err(MeasureError::Changed);
        }
    }
    if offset != before.size || Stamp::of(file)? != before {
        return Err(MeasureError::Changed);
    }
    let (value, parts) = digests.finish();
    let bytes = value.as_ref().try_into().map_err(|_| MeasureError::Changed)?;
    Ok(Measurement { digest: Digest::sha256(bytes), fsverity: fsverity_digest(file), size: before.size, parts })
}

/// SHA-256 of everything, and the parts' digests.
struct Digests<'a> {
    offset: u64,
    whole: Context,
    /// No context as long as it would be the same as `whole`: most signed bytes are hashed once.
    parts: Vec<(&'a Part, Option<Context>)>,
}

impl<'a> Digests<'a> {
    fn new(parts: &'a [Part]) -> Self {
        let own = |part: &'a Part| (part, (part.algorithm != Algorithm::Sha256).then(|| part.algorithm.context()));
        Self { offset: 0, whole: Algorithm::Sha256.context(), parts: parts.iter().map(own).collect() }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let mut length = bytes.len();
            for (part, context) in self.parts.iter_mut().filter(|(_, context)| context.is_none()) {
                match part.region.departs().saturating_sub(self.offset) {
                    0 => *context = Some(self.whole.clone()),
                    left => length = length.min(usize::try_from(left).unwrap_or(usize::MAX)),
                }
            }
            let (piece, rest) = bytes.split_at(length);
            self.whole.update(piece);
            for (part, context) in &mut self.parts {
                if let Some(context) = context {
                    part.region.update(context, self.offset, piece);
                }
            }
            self.offset += length as u64;
            bytes = rest;
        }
    }

    fn finish(self) -> (ring::digest::Digest, Vec<ContentDigest>) {
        let Self { whole, parts, .. } = self;
        let parts =
            parts.into_iter().map(|(part, context)| ContentDigest::finish(part.algorithm, context.unwrap_or_else(|| whole.clone()))).collect();
        (whole.finish(), parts)
    }
}

impl Region {
    /// Where it first differs from the whole file.
    fn departs(&self) -> u64 {
        let zeroed = if self.zeroed.is_empty() { u64::MAX } else { self.zeroed.start };
        zeroed.min(self.end.unwrap_or(u64::MAX))
    }

    /// Adds what belongs to it of the bytes at `offset`.
    fn update(&self, context: &mut Context, offset: u64, bytes: &[u8]) {
        let signed = &bytes[within(&(0..self.end.unwrap_or(u64::MAX)), offset, bytes.len())];
        let zeroed = within(&self.zeroed, offset, signed.len());
        context.update(&signed[..zeroed.start]);
        update_with_zeros(context, zeroed.len());
        context.update(&signed[zeroed.end..]);
    }
}

impl Witness {
    /// Whether the bytes of a buffer read at `start` are those that were seen before, as far as they overlap.
    fn agrees(&self, start: u64, buffer: &[u8]) -> bool {
        let range = self.offset..self.offset.saturating_add(self.bytes.len() as u64);
        let here = within(&range, start, buffer.len());
        if here.is_empty() {
            return true;
        }
        let skipped = (start + here.start as u64 - self.offset) as usize;
        self.bytes[skipped..].starts_with(&buffer[here])
    }
}

fn update_with_zeros(context: &mut Context, mut count: usize) {
    const ZEROS: [u8; 4096] = [0; 4096];
    while count > 0 {
        let step = count.min(ZEROS.len());
        context.update(&ZEROS[..step]);
        count -= step;
    }
}

/// Large enough that the system calls cost nothing beside the hashing, small enough for the second-level cache.
const BUFFER_SIZE: usize = 256 * 1024;
