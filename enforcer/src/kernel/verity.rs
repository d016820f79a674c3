//! fs-verity (`Documentation/filesystems/fsverity.rst`): the digest that the kernel guarantees, and turning it on.

use std::fs::File;
use std::io;

use enforcer_common::{DIGEST_SIZE, Digest};
use rustix::io::Errno;
use rustix::ioctl::{Setter, Updater, ioctl, opcode};

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

/// Turns fs-verity on: from now on nobody can change the file's bytes, and the kernel checks each of them when it is read. It cannot be undone.
///
/// # Errors
/// What is in the way.
pub fn seal(file: &File) -> Result<(), SealError> {
    let argument = EnableArgument {
        version: 1,
        hash_algorithm: u32::from(FS_VERITY_HASH_ALG_SHA256),
        block_size: BLOCK_SIZE,
        salt_size: 0,
        salt: 0,
        signature_size: 0,
        reserved: 0,
        signature: 0,
        reserved_too: [0; 11],
    };
    // SAFETY: the opcode is FS_IOC_ENABLE_VERITY of <linux/fsverity.h>, and `EnableArgument` is its `struct fsverity_enable_arg`, whose pointers
    // are null with a size of zero. The kernel only reads it.
    let outcome = unsafe { ioctl(file, Setter::<FS_IOC_ENABLE_VERITY, EnableArgument>::new(argument)) };
    outcome.map_err(SealError::from)
}

/// Why a file was not sealed. It is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It is sealed.
    #[error("it is sealed already")]
    Already,
    /// The file system could, and is not set up for it.
    #[error("fs-verity is not switched on for its file system")]
    NotSwitchedOn,
    /// The file system or the kernel knows nothing of it.
    #[error("its file system, or this kernel, has no fs-verity")]
    Unknown,
    /// Somebody may write to it.
    #[error("somebody has it open for writing")]
    Busy,
    /// Whoever asked may not.
    #[error("sealing it is not permitted: {0}")]
    NotPermitted(#[source] io::Error),
    /// Anything else.
    #[error("the kernel could not seal it: {0}")]
    Failed(#[source] io::Error),
}

impl From<Errno> for SealError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EXIST => Self::Already,
            Errno::OPNOTSUPP => Self::NotSwitchedOn,
            Errno::NOTTY | Errno::NOSYS => Self::Unknown,
            Errno::TXTBSY | Errno::BUSY => Self::Busy,
            Errno::PERM | Errno::ACCESS => Self::NotPermitted(errno.into()),
            errno => Self::Failed(errno.into()),
        }
    }
}

impl SealError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Already => "nothing needs to be done",
            Self::NotSwitchedOn => {
                "on ext4: `tune2fs -O verity DEVICE`, which needs a block size of 4 KiB and makes kernels before 5.4 refuse to mount it"
            }
            Self::Unknown => {
                "ext4, f2fs and btrfs have it, in kernels built with CONFIG_FS_VERITY; without it, signatures and manifests do the same work"
            }
            Self::Busy => "wait until whoever writes it has finished: `fuser -v FILE`",
            Self::NotPermitted(_) => "run it as root, or as the owner with write permission; an append-only or immutable file: see `lsattr`",
            Self::Failed(_) => "see that the file system is mounted writable and has room: about 1 byte for each 127 of the file",
        }
    }

    /// Whether the machine failed (exit status 3), rather than the answer being no (exit status 1).
    pub fn is_io(&self) -> bool {
        matches!(self, Self::NotPermitted(_) | Self::Failed(_))
    }
}

/// `struct fsverity_enable_arg`.
#[repr(C)]
struct EnableArgument {
    version: u32,
    hash_algorithm: u32,
    block_size: u32,
    salt_size: u32,
    salt: u64,
    signature_size: u32,
    reserved: u32,
    signature: u64,
    reserved_too: [u64; 11],
}

const _: () = assert!(size_of::<EnableArgument>() == 128);

/// `struct fsverity_digest` with its flexible array.
#[repr(C)]
struct VerityDigest {
    algorithm: u16,
    size: u16,
    bytes: [u8; DIGEST_SIZE],
}

/// `_IOWR('f', 134, struct fsverity_digest)`; the size in the opcode is that of the structure without its flexible array.
const FS_IOC_MEASURE_VERITY: rustix::ioctl::Opcode = opcode::read_write::<[u16; 2]>(b'f', 134);
/// `_IOW('f', 133, struct fsverity_enable_arg)`.
const FS_IOC_ENABLE_VERITY: rustix::ioctl::Opcode = opcode::write::<EnableArgument>(b'f', 133);
/// What every kernel with fs-verity knows, and `fsverity digest` computes with.
const BLOCK_SIZE: u32 = 4096;
const FS_VERITY_HASH_ALG_SHA256: u16 = 1;
/// ext4, f2fs, btrfs.
const VERITY_FILE_SYSTEMS: [u64; 3] = [0xEF53, 0xF2F5_2010, 0x9123_683E];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opcodes_are_those_of_the_kernels_header() {
        assert_eq!(FS_IOC_ENABLE_VERITY, 0x4080_6685);
        assert_eq!(FS_IOC_MEASURE_VERITY, 0xc004_6686);
    }

    #[test]
    fn each_obstacle_has_its_name_and_its_remedy() {
        let cases = [
            (Errno::EXIST, "sealed already", "nothing needs"),
            (Errno::OPNOTSUPP, "not switched on", "tune2fs -O verity"),
            (Errno::NOTTY, "no fs-verity", "CONFIG_FS_VERITY"),
            (Errno::TXTBSY, "open for writing", "fuser"),
            (Errno::PERM, "not permitted", "root"),
            (Errno::ROFS, "Read-only file system", "mounted writable"),
        ];
        for (errno, message, remedy) in cases {
            let error = SealError::from(errno);
            assert!(error.to_string().contains(message) && error.hint().contains(remedy), "{error}: {}", error.hint());
        }
    }

    #[test]
    fn a_file_system_without_fs_verity_says_so() {
        // A memfd lives in tmpfs, which has none.
        let file = File::from(rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::empty()).unwrap());
        assert!(matches!(seal(&file), Err(SealError::Unknown)));
    }
}
