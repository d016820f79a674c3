//! Readers that count, hash, look ahead, decompress and stop: what stands between a file and the libraries that parse it.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::rc::Rc;

use enforcer_common::Digest;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ring::digest;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{ArchiveError, Bounds, Content};
use crate::code::Beginning;

/// A reader that computes a digest of what passes through it.
pub(super) struct Hashing<R> {
    inner: R,
    context: digest::Context,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(inner: R) -> Self {
        Self::with(inner, &digest::SHA256)
    }

    pub(super) fn with(inner: R, algorithm: &'static digest::Algorithm) -> Self {
        Self { inner, context: digest::Context::new(algorithm) }
    }

    /// Reads what is left, and tells the SHA-256 of all.
    pub(super) fn finish(&mut self) -> io::Result<Digest> {
        Ok(sha256(&self.finish_bytes()?))
    }

    /// The same, for other algorithms.
    pub(super) fn finish_bytes(&mut self) -> io::Result<digest::Digest> {
        io::copy(self, &mut io::sink())?;
        Ok(self.context.clone().finish())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.context.update(&buffer[..read]);
        Ok(read)
    }
}

/// Reads a file's bytes to their end, and tells what they are.
pub(super) fn content(mut input: impl Read, executable: bool) -> io::Result<Content> {
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; BUFFER];
    let mut head: Vec<u8> = Vec::with_capacity(Beginning::SIZE);
    let mut size = 0;
    loop {
        let read = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        head.extend(buffer[..read].iter().take(Beginning::SIZE - head.len()));
        context.update(&buffer[..read]);
        size += read as u64;
    }
    Ok(Content { digest: sha256(&context.finish()), size, executable, beginning: Beginning::of(&head) })
}

fn sha256(digest: &digest::Digest) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    Digest::sha256(bytes)
}

/// A reader whose next bytes can be looked at before a library sees them.
pub(super) struct Peeking<R> {
    inner: R,
    ahead: Vec<u8>,
}

impl<R: Read> Peeking<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, ahead: Vec::new() }
    }

    /// What is behind it; what was looked at and not read is lost to it.
    pub(super) fn inner_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The next `count` bytes, or as many as there are.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        if let Some(missing) = count.checked_sub(self.ahead.len()) {
            self.inner.by_ref().take(missing as u64).read_to_end(&mut self.ahead)?;
        }
        Ok(&self.ahead[..count.min(self.ahead.len())])
    }
}

impl<R: Read> Read for Peeking<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            return self.inner.read(buffer);
        }
        let count = buffer.len().min(self.ahead.len());
        buffer[..count].copy_from_slice(&self.ahead[..count]);
        self.ahead.drain(..count);
        Ok(count)
    }
}

/// A reader that gives so many bytes and then refuses, until it is told otherwise: for libraries that keep what they read.
pub(super) struct Allowed<R> {
    inner: R,
    allowance: Allowance,
}

/// What an [`Allowed`] may still give.
#[derive(Clone)]
pub(super) struct Allowance(Rc<Cell<Given>>);

#[derive(Clone, Copy, Default)]
struct Given {
    left: u64,
    limit: u64,
    ended: bool,
}

impl Allowance {
    pub(super) fn only(&self, bytes: u64) {
        self.0.set(Given { left: bytes, limit: bytes, ended: false });
    }

    pub(super) fn lift(&self) {
        self.only(u64::MAX);
    }

    /// Whether there was nothing more to give when it was last set.
    pub(super) fn was_at_the_end(&self) -> bool {
        let given = self.0.get();
        given.ended && given.left == given.limit
    }
}

impl<R> Allowed<R> {
    pub(super) fn new(inner: R) -> (Self, Allowance) {
        let allowance = Allowance(Rc::default());
        (Self { inner, allowance: allowance.clone() }, allowance)
    }
}

impl<R: Read> Read for Allowed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let given = self.allowance.0.get();
        if given.left == 0 {
            return Err(ArchiveError::LongHeader { limit: given.limit }.into());
        }
        let room = buffer.len().min(usize::try_from(given.left).unwrap_or(usize::MAX));
        let read = self.inner.read(&mut buffer[..room])?;
        self.allowance.0.set(Given { left: given.left.saturating_sub(read as u64), ended: read == 0 && room > 0, ..given });
        Ok(read)
    }
}

/// The bytes behind a compression, which is known by its first bytes; never more of them than `bounds` allow.
pub(super) fn decompressed<'a, R: Read + 'a>(mut input: R, bounds: &Bounds) -> Result<Bounded<Box<dyn Read + 'a>>, ArchiveError> {
    let mut magic = Vec::with_capacity(6);
    input.by_ref().take(6).read_to_end(&mut magic)?;
    let packed = Rc::new(Cell::new(0));
    let source: Source<_> = BufReader::with_capacity(BUFFER, Counting { inner: Cursor::new(magic.clone()).chain(input), count: Rc::clone(&packed) });
    let decoder: Box<dyn Read + 'a> = match magic.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(source)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(XzReader::new_mem_limit(source, true, XZ_MEMORY_KIB)),
        // A frame, or a skippable frame before it.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Box::new(ZstdFrames::new(source)),
        [b'B', b'Z', b'h', ..] => return Err(ArchiveError::Compression("bzip2")),
        [0x5d, 0, 0, ..] => return Err(ArchiveError::Compression("lzma")),
        _ => Box::new(source),
    };
    Ok(Bounded { inner: decoder, packed, unpacked: 0, bounds: *bounds })
}

type Source<R> = BufReader<Counting<Chain<Cursor<Vec<u8>>, R>>>;

struct Counting<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

/// See [`decompressed`].
pub(super) struct Bounded<R> {
    inner: R,
    packed: Rc<Cell<u64>>,
    unpacked: u64,
    bounds: Bounds,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.unpacked += read as u64;
        let (packed, unpacked) = (self.packed.get(), self.unpacked);
        if unpacked > self.bounds.unpacked {
            return Err(ArchiveError::TooLarge { limit: self.bounds.unpacked }.into());
        }
        if unpacked > self.bounds.unpacked_freely && unpacked / self.bounds.ratio > packed {
            return Err(ArchiveError::Bomb { packed, unpacked }.into());
        }
        Ok(read)
    }
}

/// All frames of a Zstandard stream, one after the other; the library decodes one.
struct ZstdFrames<R> {
    source: R,
    decoder: FrameDecoder,
    inside: bool,
}

impl<R: BufRead> ZstdFrames<R> {
    fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW);
        Self { source, decoder, inside: false }
    }

    fn begin_frame(&mut self) -> io::Result<()> {
        match self.decoder.init(&mut self.source) {
            Ok(()) => self.inside = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                let length = u64::from(length);
                if io::copy(&mut self.source.by_ref().take(length), &mut io::sink())? < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
        Ok(())
    }

    fn end_frame(&mut self) -> io::Result<()> {
        self.inside = false;
        let stated = self.decoder.get_checksum_from_data();
        if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum of a Zstandard frame is wrong"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.inside {
                while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                    let decoded = self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
                    decoded.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                }
                match self.decoder.read(buffer)? {
                    0 => self.end_frame()?,
                    read => return Ok(read),
                }
            } else if self.source.fill_buf()?.is_empty() {
                return Ok(0);
            } else {
                self.begin_frame()?;
            }
        }
    }
}

const BUFFER: usize = 64 * 1024;
/// `xz -9` needs 64 MiB for its dictionary, and a little beside it.
const XZ_MEMORY_KIB: u32 = 65 * 1024;
/// What dpkg, rpm and the image builders use is far below; the decoder's buffer may be twice as large.
const ZSTD_WINDOW: u64 = 32 << 20;
