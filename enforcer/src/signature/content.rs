//! The content that a signature is about: a file, or bytes in memory.

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;

use enforcer_common::Digest;

use super::Rejected;
use super::cms::MAX_SIGNATURE_SIZE;
use super::parse::{Inside, Place};
use crate::measure::{self, Algorithm, ContentDigest, MeasureError, Measurement, Part, Plan, Region, Witness};

/// What `verify` asks of a content.
pub(super) trait Content {
    /// The digest of the signed bytes.
    fn content_digest(&mut self, algorithm: Algorithm) -> Result<ContentDigest, Rejected>;
    /// The signed bytes themselves, bounded.
    fn bytes(&mut self) -> Result<Cow<'_, [u8]>, Rejected>;
    /// How many bytes are signed.
    fn size(&self) -> u64;
    /// Its fs-verity digest, where the kernel guarantees one.
    fn fsverity(&self) -> Option<Digest>;
}

/// Bytes in memory.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Content for Bytes<'_> {
    fn content_digest(&mut self, algorithm: Algorithm) -> Result<ContentDigest, Rejected> {
        Ok(algorithm.digest(self.0))
    }

    fn bytes(&mut self) -> Result<Cow<'_, [u8]>, Rejected> {
        Ok(self.0.into())
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn fsverity(&self) -> Option<Digest> {
        None
    }
}

/// A file that was measured once. What is read later must belong to the same version of it.
pub(super) struct FileContent<'a> {
    file: &'a File,
    max_size: u64,
    measurement: Measurement,
    /// What the digests of `measurement` are of, in that order.
    parts: Vec<Part>,
    /// Where an embedded signature lies.
    witnesses: &'a [Witness],
    /// What the signature at hand is about.
    region: Region,
    /// How often a long content was read into memory.
    reads: usize,
}

impl<'a> FileContent<'a> {
    /// Measures the file, with all digests that are known to be needed, in one pass.
    pub(super) fn measure(file: &'a File, max_size: u64, parts: Vec<Part>, witnesses: &'a [Witness]) -> Result<Self, MeasureError> {
        let measurement = measure::measure(file, &Plan { max_size, parts: parts.clone(), witnesses })?;
        Ok(Self { file, max_size, measurement, parts, witnesses, region: Region::WHOLE, reads: 0 })
    }

    /// SHA-256 over all bytes.
    pub(super) fn digest(&self) -> Digest {
        self.measurement.digest
    }

    /// The file itself.
    pub(super) fn file(&self) -> &File {
        self.file
    }

    /// How many bytes the whole file has.
    pub(super) fn file_size(&self) -> u64 {
        self.measurement.size
    }

    /// SHA-256 over a part, if it was asked for when the file was measured.
    pub(super) fn known_sha256(&self, part: &Part) -> Option<Digest> {
        let known = self.parts.iter().position(|known| known == part)?;
        Some(Digest::sha256(self.measurement.parts[known].bytes().try_into().ok()?))
    }

    /// Whether the signature at hand lies in the file where it was said to lie: looked for once more, in the very bytes that were measured.
    pub(super) fn lies_there(&self, place: Option<Place>) -> bool {
        let again = |place| Inside::lies_there(place, &self.region, self.witnesses, self.measurement.size);
        place.map_or(self.region == Region::WHOLE, again)
    }

    /// The same file, of which the signature at hand is about this much.
    pub(super) fn set_region(&mut self, region: Region) {
        self.region = region;
    }
}

impl Content for FileContent<'_> {
    fn content_digest(&mut self, algorithm: Algorithm) -> Result<ContentDigest, Rejected> {
        let part = Part { algorithm, region: self.region.clone() };
        if let Some(known) = self.parts.iter().position(|known| *known == part) {
            return Ok(self.measurement.parts[known]);
        }
        let plan = Plan { max_size: self.max_size, parts: vec![part.clone()], witnesses: self.witnesses };
        let second = measure::measure(self.file, &plan)?;
        if second.digest != self.measurement.digest {
            return Err(MeasureError::Changed.into());
        }
        self.parts.push(part);
        self.measurement.parts.push(second.parts[0]);
        Ok(second.parts[0])
    }

    fn bytes(&mut self) -> Result<Cow<'_, [u8]>, Rejected> {
        let size = self.measurement.size;
        let length = usize::try_from(size).ok().filter(|_| size <= MAX_CONTENT_IN_MEMORY);
        let length = length.ok_or(Rejected::ContentTooLarge { size, limit: MAX_CONTENT_IN_MEMORY })?;
        // Strangers can put a hundred signers into a signature, each of whom costs another pass over the content.
        self.reads += usize::from(length > MAX_SIGNATURE_SIZE);
        if self.reads > MAX_READS {
            return Err(Rejected::TooManyReads { limit: MAX_READS });
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, 0).map_err(|source| MeasureError::Read { source })?;
        if Algorithm::Sha256.digest(&bytes).bytes() != self.measurement.digest.bytes {
            return Err(MeasureError::Changed.into());
        }
        // The region lies inside the file: whoever found it checked it against the size, and the size has not changed.
        let zeroed = self.region.zeroed.start as usize..self.region.zeroed.end as usize;
        bytes.get_mut(zeroed).ok_or(MeasureError::Changed)?.fill(0);
        if let Some(end) = self.region.end {
            bytes.truncate(usize::try_from(end).unwrap_or(usize::MAX));
        }
        Ok(bytes.into())
    }

    fn size(&self) -> u64 {
        self.region.end.unwrap_or(self.measurement.size)
    }

    fn fsverity(&self) -> Option<Digest> {
        self.measurement.fsverity
    }
}

/// Ed25519 signs a message, not a digest, so a content without signed attributes has to be in memory at once.
const MAX_CONTENT_IN_MEMORY: u64 = 64 << 20;
/// Signatures over a long content itself that are looked at, in all carriers together.
const MAX_READS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_content_is_read_into_memory_a_few_times_and_a_short_one_as_often_as_you_like() {
        for (size, limit) in [(MAX_SIGNATURE_SIZE, 100), (MAX_SIGNATURE_SIZE + 1, MAX_READS)] {
            let file = tempfile::tempfile().unwrap();
            file.set_len(size as u64).unwrap();
            let mut content = FileContent::measure(&file, u64::MAX, Vec::new(), &[]).unwrap();
            for _ in 0..limit {
                assert_eq!(content.bytes().unwrap().len(), size);
            }
            assert_eq!(content.bytes().is_ok(), limit == 100);
        }
    }
}
