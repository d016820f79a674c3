//! The fs-verity digest that the kernel guarantees (`Documentation/filesystems/fsverity.rst`, "FS_IOC_MEASURE_VERITY").

use std::fs::File;

use enforcer_common::{DIGEST_SIZE, Digest};
use rustix::ioctl::{Updater, ioctl, opcode};

/// The file's fs-verity digest, if its file system keeps one itself.
///
/// Only file systems whose fs-verity is the kernel's own are asked. FUSE passes this ioctl to its server, which may answer with the
/// digest of another file; believing it would let anybody put a foreign digest beside a validly signed content.
pub fn fsverity_digest(file: &File) -> Option<Digest> {
    let statfs = rustix::fs::fstatfs(file).ok()?;
    #[allow(clippy::unnecessary_cast, reason = "the width of f_type differs between architectures")]
    if !VERITY_FILE_SYSTEMS.contains(&(statfs.f_type as u64)) {
        return None;
    }
    let mut answer = VerityDigest { algorithm: 0, size: DIGEST_SIZE as u16, bytes: [0; DIGEST_SIZE] };
    // SAFETY: the opcode is FS_IOC_MEASURE_VERITY of <linux/fsverity.h>, and `VerityDigest` is its `struct fsverity_digest` followed by
    // `size` bytes of room, which is what the kernel writes at most (EOVERFLOW otherwise).
    let outcome = unsafe { ioctl(file, Updater::<FS_IOC_MEASURE_VERITY, VerityDigest>::new(&mut answer)) };
    (outcome.is_ok() && answer.algorithm == FS_VERITY_HASH_ALG_SHA256 && usize::from(answer.size) == DIGEST_SIZE)
        .then(|| Digest::fsverity_sha256(answer.bytes))
}

/// `struct fsverity_digest` with its flexible array.
#[repr(C)]
struct VerityDigest {
    algorithm: u16,
    size: u16,
    bytes: [u8; DIGEST_SIZE],
}

/// `_IOWR('f', 134, struct fsverity_digest)`; the size in the opcode is that of the structure without its flexible array.
const FS_IOC_MEASURE_VERITY: rustix::ioctl::Opcode = opcode::read_write::<[u16; 2]>(b'f', 134);
const FS_VERITY_HASH_ALG_SHA256: u16 = 1;
/// ext4, f2fs, btrfs.
const VERITY_FILE_SYSTEMS: [u64; 3] = [0xEF53, 0xF2F5_2010, 0x9123_683E];
