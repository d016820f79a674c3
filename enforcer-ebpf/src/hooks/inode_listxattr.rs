//! `inode_listxattr`: not a question, but how the daemon tells the programs which inodes are its own.
//!
//! User space cannot name an inode as the programs see it: on btrfs and overlayfs, `stat(2)` tells another device. So the daemon says in [`ENROLMENT`]
//! what it is about to show, and lists the extended attributes of it, which any file or folder on any file system takes. In the same way it shows what ran
//! before the programs were attached.
#![allow(clippy::needless_borrows_for_generic_args, reason = "by value, a key is copied to the stack, which has 512 bytes")]

use core::ptr::{addr_of_mut, read_volatile};

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::lsm, programs::LsmContext};
use enforcer_common::{ENROL_CODE, ENROL_EXECUTABLE, ExecutableId, InodeId};

use crate::{
    kernel,
    maps::{ENFORCER_PROGRAMS, ENROLMENT, GUARDED, SETTINGS},
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
    let enrolment = ENROLMENT.get_ptr_mut(0)?;
    // SAFETY: a map value that was checked for null; volatile, because user space writes it.
    let (tid, flags) = unsafe { (read_volatile(addr_of_mut!((*enrolment).tid)), read_volatile(addr_of_mut!((*enrolment).flags))) };
    if tid == 0 || tid != bpf_get_current_pid_tgid() as u32 {
        return None;
    }
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
    // SAFETY: as above; only the enrolling thread gets here.
    unsafe { *addr_of_mut!((*enrolment).done) += 1 };
    Some(())
}
