//! The clauses of the rule by which a measurement is reused, each of which a build for the stress test can leave out.
//!
//! A test that finds nothing proves something only if it can find something: `cargo xtask test stress --mutate all` builds these programs without one
//! clause or another, and demands that the stress test then sees foreign bytes run. Such a build bears [`FAULTY_RULE`], and an enforcer refuses to load
//! a build that does unless it was itself made for that test.
//!
//! Some clauses stand behind each other, and are missed only together. Where that is so, the stress test shows it by leaving out both
//! (`xtask/src/stress/mutations.rs` has the whole list, for each file system):
//!
//! * a shared writable mapping needs a file that is open for writing, so [`SHARED_MAPPINGS`] stands behind [`WRITERS`];
//! * whoever changes a file opens it for writing, so [`VERSION`], [`CTIME`], [`CLOCK`], [`SIZE`] and [`SETTLING`] stand behind [`OPENINGS`], and it behind
//!   them: the opening is ours to see, the rest the kernel's to keep; what follows is said of builds without it;
//! * a size does not change without a time or version, so [`SIZE`] stands behind [`VERSION`] and [`CTIME`];
//! * where the file system counts each change in `i_version` (ext4, btrfs, xfs), [`CTIME`], [`SETTLING`] and [`CLOCK`] stand behind [`VERSION`], and
//!   [`VERSION`] behind those three together; elsewhere (layers on 6.1) there are only the three, and each is needed;
//! * a change during a first hash moves a version that counts, so that the file is hashed again: [`STAMP_ACROSS`] stands behind [`SETTLING`] there;
//! * a grant ([`grant`](crate::grant)) ends by an opening, too, so [`GRANT_STAMP`] stands behind [`OPENINGS`]; there are no grants without [`VERSION`], so that
//!   what stands behind it is looked at;
//! * the generation is no clause: what is kept goes with the inode, and is there so that nobody has to know that.

/// Nobody has the file open for writing.
pub(crate) const WRITERS: bool = !cfg!(feature = "without-writers");
/// Nobody has a shared writable mapping of it.
pub(crate) const SHARED_MAPPINGS: bool = !cfg!(feature = "without-shared-mappings");
/// `i_version` is part of the stamp.
pub(crate) const VERSION: bool = !cfg!(feature = "without-version");
/// The ctime is.
pub(crate) const CTIME: bool = !cfg!(feature = "without-ctime");
/// Setting the clock ends a measurement.
pub(crate) const CLOCK: bool = !cfg!(feature = "without-clock");
/// The time of the last opening for writing is.
pub(crate) const OPENINGS: bool = !cfg!(feature = "without-openings");
/// The size is.
pub(crate) const SIZE: bool = !cfg!(feature = "without-size");
/// A first measurement has to be confirmed by a later one.
pub(crate) const SETTLING: bool = !cfg!(feature = "without-settling");
/// The stamp is the same before and after the hash.
pub(crate) const STAMP_ACROSS: bool = !cfg!(feature = "without-stamp-across");
/// Only file systems whose stamp is known to move with the content.
pub(crate) const FILE_SYSTEMS: bool = !cfg!(feature = "without-file-systems");
/// Of an overlay, the inode whose content is read.
pub(crate) const REAL_INODE: bool = !cfg!(feature = "without-real-inode");
/// Code that is mapped is not opened for writing.
pub(crate) const MAPPED: bool = !cfg!(feature = "without-mapped");
/// A grant ends when the inode's version, ctime or size moves.
pub(crate) const GRANT_STAMP: bool = !cfg!(feature = "without-grant-stamp");

/// Whether any of them is missing.
const IS_FAULTY: bool = !(WRITERS
    && SHARED_MAPPINGS
    && VERSION
    && CTIME
    && CLOCK
    && OPENINGS
    && SIZE
    && SETTLING
    && STAMP_ACROSS
    && FILE_SYSTEMS
    && REAL_INODE
    && MAPPED
    && GRANT_STAMP);

/// By this name in the object, the loader knows a build for the stress test.
#[cfg(feature = "faulty-rule")]
#[unsafe(no_mangle)]
pub(crate) static FAULTY_RULE: u8 = 1;

/// Keeps the name in the object. Nothing without a clause is built without the name.
#[inline(always)]
pub(crate) fn mark() {
    const { assert!(IS_FAULTY == cfg!(feature = "faulty-rule"), "a build without a clause has to say so") };
    #[cfg(feature = "faulty-rule")]
    // SAFETY: a plain static; volatile, so that it stays.
    unsafe {
        core::ptr::read_volatile(core::ptr::addr_of!(FAULTY_RULE))
    };
}
