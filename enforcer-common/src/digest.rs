//! What a file's content is called.

/// Bytes in every digest this version uses (SHA-256).
pub const DIGEST_SIZE: usize = 32;

/// SHA-256 over the file's bytes, as `sha256sum` and the kernel's IMA compute it.
pub const ALGORITHM_SHA256: u32 = 1;
/// The fs-verity file digest with SHA-256 (`Documentation/filesystems/fsverity.rst`, "fs-verity file digest").
pub const ALGORITHM_FSVERITY_SHA256: u32 = 2;

/// The digest of a file's content: the key of the map `VERDICTS`.
///
/// The algorithm is part of the key, so that a digest of one kind can never stand for one of another kind.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    /// [`ALGORITHM_SHA256`] or [`ALGORITHM_FSVERITY_SHA256`]; 0 where there is no digest.
    pub algorithm: u32,
    /// The digest itself.
    pub bytes: [u8; DIGEST_SIZE],
}

impl Digest {
    /// "No digest": what an event carries when nothing could be measured.
    pub const NONE: Self = Self { algorithm: 0, bytes: [0; DIGEST_SIZE] };

    /// A SHA-256 digest of a file's bytes.
    pub const fn sha256(bytes: [u8; DIGEST_SIZE]) -> Self {
        Self { algorithm: ALGORITHM_SHA256, bytes }
    }

    /// An fs-verity file digest.
    pub const fn fsverity_sha256(bytes: [u8; DIGEST_SIZE]) -> Self {
        Self { algorithm: ALGORITHM_FSVERITY_SHA256, bytes }
    }

    /// Whether this is [`Digest::NONE`].
    pub const fn is_none(&self) -> bool {
        self.algorithm == 0
    }
}

const _: () = assert!(size_of::<Digest>() == 36 && align_of::<Digest>() == 4);
