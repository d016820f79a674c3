//! `move_mount`: is a mount moved over a guarded folder, or away from the way to it?

use aya_ebpf::{macros::lsm, programs::LsmContext};
use enforcer_common::Hook;

use crate::{
    guard::{self, Besides, Touch},
    judge::{self, Answer, Fault},
    kernel,
};

/// `int move_mount(const struct path *from_path, const struct path *to_path)`
#[lsm(hook = "move_mount")]
pub(crate) fn move_mount(ctx: LsmContext) -> i32 {
    match try_move_mount(&ctx) {
        Ok(answer) => answer.errno(),
        Err(fault) => judge::on_fault(&ctx, fault),
    }
}

#[inline(always)]
fn try_move_mount(ctx: &LsmContext) -> Result<Answer, Fault> {
    let settings = judge::settings()?;
    let (from, to) = (ctx.arg::<*const u8>(0) as u64, ctx.arg::<*const u8>(1) as u64);
    let (mount, target) = (kernel::path_mount(from), kernel::path_dentry_at(to));
    let is_ours = guard::covers(target, kernel::mount_is_shared(kernel::path_mount(to)), settings)
        || guard::uncovers(kernel::mount_root(mount), kernel::parent_mount_is_shared(mount), settings);
    guard::answer(is_ours, &Touch { name: kernel::dentry_name(target), ..Touch::new(Hook::MoveMount, Besides::ServiceManager) })
}
