//! `inode_listxattr`: not a question, but how the daemon tells the programs which inodes are its own.
//!
//! User space cannot name an inode as the programs see it: on btrfs and overlayfs, `stat(2)` tells another device. So the daemon says in `ENROLMENT`
//! what it is about to show, and lists the extended attributes of it, which any file or folder on any file system takes. In the same way it shows what ran
//! before the programs were attached.
#![allow(clippy::needless_borrows_for_generic_args, reason = "by value, a key is copied to the stack, which has 512 bytes")]

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::{ENROL_CODE, ENROL_EXECUTABLE, ExecutableId, InodeId};

use crate::{
    enrolment, kernel,
    maps::{ENFORCER_PROGRAMS, GUARDED, SETTINGS},
    measure, rights,
};

/// `int inode_listxattr(struct dentry *dentry)`
#[lsm(hook = "inode_listxattr")]
pub(crate) fn inode_listxattr(ctx: LsmContext) -> i32 {
    enrol(ctx.arg::<*const u8>(0) as u64);
    0
}

#[inline(always)]
fn enrol(dentry: u64) -> Option<()> {
    let flags = enrolment::shown()?;
    let mut id = InodeId::default();
    if flags == ENROL_CODE {
        if !measure::enter(kernel::dentry_inode(dentry)) {
            return None;
        }
    } else if !kernel::dentry_inode_id(dentry, &mut id) {
        return None;
    } else if flags == ENROL_EXECUTABLE {
        let executable = ExecutableId { inode: id, address: kernel::dentry_inode(dentry) };
        ENFORCER_PROGRAMS.insert(&executable, &SETTINGS.get(0)?.enforcers[0], 0).ok()?;
        rights::note_number(id.number);
        rights::note_root();
    } else {
        // SAFETY: a number.
        let before = unsafe { GUARDED.get(&id) }.copied().unwrap_or(0);
        GUARDED.insert(&id, &(before | flags), 0).ok()?;
    }
    enrolment::take()
}
