//! What belongs to the enforcer, and how the programs recognise it.

use crate::boundary_enum;

/// An inode, as the programs name it. What user space sees of an inode is not enough for that: on btrfs and overlayfs `st_dev` is another number than the
/// file system's. So user space never makes one; it *enrols* an inode, by [`Enrolment`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InodeId {
    /// `i_ino`
    pub number: u64,
    /// `i_sb->s_dev`
    pub device: u32,
    /// `i_generation`
    pub generation: u32,
}

const _: () = assert!(size_of::<InodeId>() == 16);

/// A program's file while somebody runs it, the key of the map `EXECUTABLES`. What names an inode is not always unique (subvolumes of btrfs, files of
/// overlays), but no two that are in memory have one address, and the executable of a process is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutableId {
    /// Which one it was when it was started.
    pub inode: InodeId,
    /// The address of the inode.
    pub address: u64,
}

const _: () = assert!(size_of::<ExecutableId>() == 24);

/// What lies in this folder is changed by the enforcer only.
pub const GUARDED_FOLDER: u32 = 1 << 0;
/// This folder is on the way to a guarded one: it is not renamed, removed, unmounted or mounted over.
pub const GUARDED_WAY: u32 = 1 << 1;
/// This is a control group of the daemon: it is not frozen or killed.
pub const GUARDED_CGROUP: u32 = 1 << 2;
/// This is the program that enrols itself: it goes into `ENFORCER_PROGRAMS` and not into `GUARDED`, and its root folder is the enforcer's.
pub const ENROL_EXECUTABLE: u32 = 1 << 31;
/// This was mapped as code before the programs were attached: it goes into `CODE`.
pub const ENROL_CODE: u32 = 1 << 30;
/// This is to be measured: what this thread maps next. Where a file that is opened cannot be measured by the programs themselves.
pub const ENROL_MEASUREMENT: u32 = 1 << 29;

/// The one element of the map `ENROLMENT`: the next inode whose extended attributes this thread lists is enrolled.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enrolment {
    /// How many were enrolled. Written by the programs.
    pub done: u64,
    /// The thread; 0 is nobody.
    pub tid: u32,
    /// As what: [`GUARDED_FOLDER`] and its like, [`ENROL_EXECUTABLE`], [`ENROL_CODE`] or [`ENROL_MEASUREMENT`].
    pub flags: u32,
}

const _: () = assert!(size_of::<Enrolment>() == 16);

boundary_enum! {
    /// A kind of BPF object.
    pub enum ObjectKind {
        /// A program.
        Program = 1 => "program",
        /// A map.
        Map = 2 => "map",
        /// A link.
        Link = 3 => "link",
    }
}

/// The key of the map `OBJECTS`: a BPF object of the enforcer's own.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectId {
    /// [`ObjectKind`].
    pub kind: u32,
    /// The kernel's id.
    pub id: u32,
}

const _: () = assert!(size_of::<ObjectId>() == 8);
