//! Which mode holds for the current process: the host's, or that of the scope that its control group lies in.
//!
//! Asked only when something is about to be denied, so the names on the way from the root of the hierarchy are compared then: a service that is started anew has
//! a new control group, of which nobody has to be told first.
#![allow(clippy::needless_borrows_for_generic_args, reason = "by value, a key is copied to the stack, which has 512 bytes")]

use core::{
    mem::MaybeUninit,
    ptr::{addr_of, addr_of_mut, read_volatile, write_volatile},
};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use enforcer_common::{Counter, Mode, NAME_SIZE, NO_STEP, SCOPE_DEPTH, ScopeNode, ScopeStep, Settings, WHOLE_NAME};

use crate::{
    kernel::{self, layout},
    maps::{self, SCOPES},
};

/// The [`Mode`] for the current process. The deepest scope counts.
#[inline(always)]
pub(crate) fn mode(settings: &Settings) -> u32 {
    if settings.scope_root == 0 { settings.mode } else { mode_below(settings.scope_root, settings.mode) as u32 }
}

/// The mode for the current process by the steps from this root on, or else `mode`. What cannot be read is held to the strictest one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn mode_below(root: u32, mode: u32) -> u64 {
    let css_set = kernel::word_at(kernel::current_task() as u64 + u64::from(layout!(task_struct_cgroups)));
    let cgroup = if css_set == 0 { 0 } else { kernel::word_at(css_set + u64::from(layout!(css_set_dfl_cgrp))) };
    let level = if cgroup == 0 { 0 } else { kernel::read_half(cgroup + u64::from(layout!(cgroup_level))) };
    let mut node = ScopeNode { node: root, ..ScopeNode::default() };
    let mut is_readable = cgroup != 0 && step_down(NO_STEP, 0, &mut node) != 0;
    let mut mode = mode;
    for depth in 1..=SCOPE_DEPTH {
        // SAFETY: a local variable; volatile, because the function wrote it.
        let from = unsafe { read_volatile(addr_of!(node.node)) };
        if !is_readable || depth > level || from == 0 {
            break;
        }
        let name = name_at(cgroup, depth);
        is_readable = name != 0 && step_down(WHOLE_NAME, name, &mut node) != 0;
        // SAFETY: as above.
        let own = unsafe { read_volatile(addr_of!(node.mode)) };
        if own != 0 {
            mode = own;
        }
    }
    if is_readable {
        return u64::from(mode);
    }
    maps::count(Counter::Faults);
    Mode::Enforce as u64
}

/// Goes from a node to its child by the whole name at an address, or else by its longest beginning that leads anywhere; to zeros where none does. Whether the
/// name could be read. A function that the verifier looks at by itself: it would follow each level's outcomes with each other's.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn step_down(length: u32, name: u64, node: *mut ScopeNode) -> u64 {
    // SAFETY: the caller's, which the verifier checks.
    let Some(node) = (unsafe { node.as_mut() }) else { return 0 };
    let (from, beginnings) = (node.node, node.beginnings);
    let mut step = MaybeUninit::<ScopeStep>::uninit();
    let step = step.as_mut_ptr();
    // SAFETY: a local variable, which is written before it is read; the helper checks the addresses of names. User space replaces a value as a whole, and the
    // kernel frees the old one later than this program ends.
    unsafe {
        clear(step, from, length);
        // A name that does not fit is cut off, and then it is the name of no scope, which are shorter.
        if length == WHOLE_NAME && !spell(step, name, NAME_SIZE as u64) {
            return 0;
        }
        if let Some(next) = SCOPES.get(&*step) {
            *node = *next;
            return 1;
        }
        for length in beginnings {
            if length == 0 || length as usize >= NAME_SIZE {
                break;
            }
            clear(step, from, length);
            // One byte more, for the zero at its end. The mask says to the verifier what was looked at above; LLVM would leave it out.
            spell(step, name, (kernel::opaque(u64::from(length)) & (NAME_SIZE as u64 - 1)) + 1);
            if let Some(next) = SCOPES.get(&*step) {
                *node = *next;
                return 1;
            }
        }
    }
    *node = ScopeNode::default();
    1
}

/// The address of the name of a control group's ancestor at this depth below the root; 0 when it cannot be read.
#[inline(always)]
fn name_at(cgroup: u64, depth: u32) -> u64 {
    let ancestor = kernel::word_at(cgroup + u64::from(layout!(cgroup_ancestors)) + 8 * u64::from(depth));
    let node = if ancestor == 0 { 0 } else { kernel::word_at(ancestor + u64::from(layout!(cgroup_kn))) };
    if node == 0 { 0 } else { kernel::word_at(node + u64::from(layout!(kernfs_node_name))) }
}

/// Begins a step, without a name. Volatile, because LLVM makes a loop over bytes of anything else.
///
/// # Safety
///
/// `step` can be written.
#[inline(always)]
unsafe fn clear(step: *mut ScopeStep, from: u32, length: u32) {
    // SAFETY: the caller's; the name is a multiple of eight bytes long, and aligned to eight.
    unsafe {
        write_volatile(addr_of_mut!((*step).from), from);
        write_volatile(addr_of_mut!((*step).length), length);
        for word in 0..NAME_SIZE / 8 {
            write_volatile(addr_of_mut!((*step).name).cast::<u64>().add(word), 0);
        }
    }
}

/// Puts so many bytes of the name at an address into a step, the last of them zero. Whether it could be read.
///
/// # Safety
///
/// `step` can be written, and its name has that much room.
#[inline(always)]
unsafe fn spell(step: *mut ScopeStep, name: u64, room: u64) -> bool {
    // SAFETY: the caller's; the helper checks the address.
    unsafe { bpf_probe_read_kernel_str(addr_of_mut!((*step).name).cast(), room as u32, name as *const _) > 0 }
}
