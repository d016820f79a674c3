//! On which file system a file lies, and whether its content holds still there: the kernel side's table (`filesystem.rs` there), for reports.
//!
//! What of an overlay is in which layer, and who made a mount, is not seen from here.

use std::fs::File;

use rustix::fs::{SealFlags, fcntl_get_seals, fstatfs};
use serde::Serialize;

/// How the content of a file can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stability {
    /// By writing to it, on this machine.
    Local,
    /// In memory, with nothing to see it by.
    Volatile,
    /// Somebody else decides what is read.
    Foreign,
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Filesystem {
    /// Its name, or its magic number (`include/uapi/linux/magic.h`).
    pub name: String,
    /// How the content of its files can change.
    pub stability: Stability,
}

impl Filesystem {
    /// The file system of a file; foreign, where the kernel does not tell.
    pub fn of(file: &File) -> Self {
        #[allow(clippy::unnecessary_cast, reason = "the width of the field differs between architectures")]
        let magic = fstatfs(file).map_or(0, |status| status.f_type as u32);
        let known = KNOWN.iter().find(|(number, ..)| *number == magic);
        let (name, stability) =
            known.map_or_else(|| (format!("{magic:#x}"), Stability::Foreign), |(_, name, stability)| ((*name).to_owned(), *stability));
        // A memory file that is sealed against writing holds still (`memfd_create(2)`).
        let is_sealed = || fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::WRITE));
        if stability == Stability::Volatile && is_sealed() { Self { name, stability: Stability::Local } } else { Self { name, stability } }
    }
}

const KNOWN: [(u32, &str, Stability); 17] = [
    (0xEF53, "ext4", Stability::Local),
    (0x5846_5342, "xfs", Stability::Local),
    (0x9123_683E, "btrfs", Stability::Local),
    (0x794c_7630, "overlayfs", Stability::Local),
    (0x7371_7368, "squashfs", Stability::Local),
    (0xE0F5_E1E2, "erofs", Stability::Local),
    (0xF2F5_2010, "f2fs", Stability::Local),
    (0x9660, "iso9660", Stability::Local),
    (0x4d44, "vfat", Stability::Local),
    (0x0102_1994, "tmpfs", Stability::Volatile),
    (0x8584_58f6, "ramfs", Stability::Volatile),
    (0x9584_58f6, "hugetlbfs", Stability::Volatile),
    (0x6573_5546, "FUSE", Stability::Foreign),
    (0x6969, "NFS", Stability::Foreign),
    (0xFF53_4D42, "CIFS", Stability::Foreign),
    (0xFE53_4D42, "SMB", Stability::Foreign),
    (0x0102_1997, "9p", Stability::Foreign),
];

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rustix::fs::{MemfdFlags, fcntl_add_seals, memfd_create};

    use super::*;

    #[test]
    fn memory_is_volatile_until_it_is_sealed_and_the_kernels_own_files_are_foreign() {
        let mut file = File::from(memfd_create("trial", MemfdFlags::ALLOW_SEALING).unwrap());
        file.write_all(b"x").unwrap();
        assert_eq!(Filesystem::of(&file), Filesystem { name: "tmpfs".to_owned(), stability: Stability::Volatile });
        fcntl_add_seals(&file, SealFlags::WRITE).unwrap();
        assert_eq!(Filesystem::of(&file).stability, Stability::Local);
        assert_eq!(Filesystem::of(&File::open("/proc/self/stat").unwrap()).stability, Stability::Foreign);
    }
}
