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
    maps::{self, SCOPES, SETTINGS},
};

/// The [`Mode`] for the current process. The deepest scope counts. Steps that cannot be read, again and again, hold everybody to the strictest one.
#[inline(always)]
pub(crate) fn mode(settings: &Settings) -> u32 {
    if root(settings) == 0 {
        return settings.mode;
    }
    for _ in 0..TRIES {
        let mode = mode_in_scopes();
        if mode != 0 {
            return mode as u32;
        }
    }
    maps::count(Counter::Faults);
    Mode::Enforce as u32
}

/// The stricter one of two modes.
#[inline(always)]
pub(crate) fn stricter(mode: u32, other: u32) -> u32 {
    if mode == Mode::Audit as u32 { other } else { mode }
}

/// The number of the node at the root, which user space may exchange at any moment.
#[inline(always)]
fn root(settings: &Settings) -> u32 {
    // SAFETY: a field of a borrowed value.
    unsafe { read_volatile(addr_of!(settings.scope_root)) }
}

/// The mode for the current process by the steps from the root on; 0 when they cannot be read, or others were put in force meanwhile. User space removes the
/// steps from a root after the settings name another one: what was found from one that is still named then was there as a whole.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn mode_in_scopes() -> u64 {
    let Some(settings) = SETTINGS.get(0) else { return 0 };
    let root = root(settings);
    if root == 0 {
        return u64::from(settings.mode);
    }
    let css_set = kernel::word_at(kernel::current_task() as u64 + u64::from(layout!(task_struct_cgroups)));
    let cgroup = if css_set == 0 { 0 } else { kernel::word_at(css_set + u64::from(layout!(css_set_dfl_cgrp))) };
    let level = if cgroup == 0 { 0 } else { kernel::read_half(cgroup + u64::from(layout!(cgroup_level))) };
    let mut node = ScopeNode { node: root, ..ScopeNode::default() };
    let mut is_readable = cgroup != 0 && step_down(NO_STEP, 0, &mut node) != 0;
    // SAFETY: a local variable; volatile, because the function wrote it.
    let mut mode = unsafe { read_volatile(addr_of!(node.mode)) };
    for depth in 1..=SCOPE_DEPTH {
        // SAFETY: as above.
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
    if is_readable && self::root(settings) == root { u64::from(mode) } else { 0 }
}

/// Goes from a node to its child by the whole name at an address, or else by its longest beginning that leads anywhere; to zeros where none does. Whether the
/// name could be read, or, without a name, the node is there. A function that the verifier looks at by itself: it would follow each level's outcomes with each
/// other's.
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
        if length == NO_STEP {
            return 0;
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

/// How often the steps are looked at before they count as unreadable: a new policy is in force a few times a day, not a few times in a microsecond.
const TRIES: u32 = 3;
