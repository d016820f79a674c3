//! Names that belong to components: a trusted signature is not enough to go by the name of another program.
//!
//! Two names are looked at: the one by which the file is known, which a copy, a hard link, a new name or a mount changes, and the one by which a program
//! was called, which a symbolic link changes. A bound path is looked for only where its last part is found. What cannot be read is denied.
#![allow(clippy::needless_borrows_for_generic_args, reason = "by value, a key is copied to the stack, which has 512 bytes")]

use core::{
    mem::MaybeUninit,
    ptr::{addr_of, addr_of_mut, read_volatile, write_volatile},
};

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid,
    generated::{bpf_d_path, bpf_probe_read_kernel, bpf_probe_read_kernel_str},
};
use enforcer_common::{Binding, BoundPath, Counter, Digest, NAME_SIZE, Name, PATH_SIZE, Reason, Settings, Verdict};

use crate::{
    judge::Question,
    kernel::{self, file},
    last_part::{Part, last_part},
    maps::{self, BLANK, NAMES, PATHS, SCRATCH, VERDICTS},
};

/// Whether a file that may run by its content may also go by its name.
#[inline(always)]
pub(crate) fn check(question: &Question, digest: &Digest, settings: &Settings) -> Result<(), Reason> {
    if settings.bound_names == 0 { Ok(()) } else { check_names(question, digest, settings) }
}

/// What the content is, by the verdict on it.
#[derive(Clone, Copy)]
struct Identity {
    component: u32,
    generation: u32,
}

#[inline(never)]
fn check_names(question: &Question, digest: &Digest, settings: &Settings) -> Result<(), Reason> {
    // SAFETY: user space replaces a value as a whole, and the kernel frees the old one later than this program ends.
    let identity = match unsafe { VERDICTS.get(digest) } {
        Some(Verdict { component, generation, .. }) => Identity { component: *component, generation: *generation },
        // Taken away a moment ago.
        None => Identity { component: 0, generation: settings.generation },
    };
    let Some(known_as) = kernel::file_known_as(question.file) else { return fault() };
    let mut binding = Binding::default();
    look_up(known_as, identity.generation, &mut binding)?;
    fits(&binding, identity, question)?;
    if question.called_by == 0 {
        return Ok(());
    }
    let mut last = Part::NONE;
    if last_part(question.called_by, &mut last) == 0 {
        return fault();
    }
    look_up(question.called_by + last.begin, identity.generation, &mut binding)?;
    fits_call(&binding, identity, question.called_by)
}

/// Whose the name at this address is; zeros when it is nobody's.
#[inline(always)]
fn look_up(address: u64, generation: u32, binding: &mut Binding) -> Result<(), Reason> {
    if owner_of_name(address, generation, binding) != 0 { Ok(()) } else { fault() }
}

/// Whether it could be read.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn owner_of_name(address: u64, generation: u32, binding: *mut Binding) -> u64 {
    // SAFETY: the caller's, which the verifier checks.
    let Some(binding) = (unsafe { binding.as_mut() }) else { return 0 };
    *binding = Binding::default();
    let mut name = MaybeUninit::<Name>::uninit();
    let name = name.as_mut_ptr();
    // SAFETY: a local variable, all of which is written; the helper checks the address, and writes no more than the buffer's size. Word by word and
    // volatile, because LLVM makes a loop over bytes of anything else.
    let length = unsafe {
        for word in 0..NAME_SIZE / 4 {
            write_volatile(name.cast::<u32>().add(word), 0);
        }
        addr_of_mut!((*name).generation).write(generation);
        bpf_probe_read_kernel_str(addr_of_mut!((*name).bytes).cast(), NAME_SIZE as u32, address as *const _)
    };
    if length < 0 {
        return 0;
    }
    if length == NAME_SIZE as i64 {
        let mut end = 0_u8;
        // SAFETY: as above, one byte.
        if unsafe { bpf_probe_read_kernel((&raw mut end).cast(), 1, (address + NAME_SIZE as u64 - 1) as *const _) } != 0 {
            return 0;
        }
        // SAFETY: a local variable; volatile, because the helper wrote it.
        if unsafe { read_volatile(&end) } != 0 {
            // Longer than any bound name.
            return 1;
        }
    }
    // SAFETY: initialised above; user space replaces a value as a whole.
    if let Some(found) = unsafe { NAMES.get(&*name) } {
        *binding = *found;
    }
    1
}

/// By the name of the file: the name itself, and then the path.
#[inline(always)]
fn fits(binding: &Binding, identity: Identity, question: &Question) -> Result<(), Reason> {
    if binding.component != 0 && binding.component != identity.component {
        return Err(Reason::WrongComponent);
    }
    if binding.by_path == 0 || binding.by_path == identity.component {
        return Ok(());
    }
    if !question.sleepable {
        // The path cannot be had here, so the name must do.
        return Err(Reason::WrongComponent);
    }
    path_fits(identity, question.file, 0)
}

/// By the name that a program was called by: the same, without following what the path leads through.
#[inline(always)]
fn fits_call(binding: &Binding, identity: Identity, called_by: u64) -> Result<(), Reason> {
    if binding.component != 0 && binding.component != identity.component {
        return Err(Reason::WrongComponent);
    }
    if binding.by_path == 0 || binding.by_path == identity.component {
        return Ok(());
    }
    path_fits(identity, core::ptr::null_mut(), called_by)
}

/// Room for a path, and for the path as a key.
#[repr(C)]
pub(crate) struct Scratch {
    raw: [u8; PATH_SIZE],
    key: BoundPath,
    padding: u32,
}

/// Looks up the whole path: of the file, or else the one at an address.
#[inline(never)]
fn path_fits(identity: Identity, file: *mut file, address: u64) -> Result<(), Reason> {
    let task = bpf_get_current_pid_tgid();
    let Some(blank) = BLANK.get(0) else { return fault() };
    if SCRATCH.insert(&task, blank, 0).is_err() {
        return fault();
    }
    let answer = match SCRATCH.get_ptr_mut(&task) {
        // SAFETY: a map value that was checked for null, and that belongs to this task until it is removed.
        Some(scratch) => unsafe { look_up_path(scratch, identity, file, address) },
        None => fault(),
    };
    _ = SCRATCH.remove(&task);
    answer
}

/// # Safety
///
/// `scratch` is a map value that nobody else uses.
#[inline(always)]
unsafe fn look_up_path(scratch: *mut Scratch, identity: Identity, file: *mut file, address: u64) -> Result<(), Reason> {
    // SAFETY: the buffers' sizes are passed; the verifier checks the pointers, the helpers the addresses.
    unsafe {
        let key = addr_of_mut!((*scratch).key);
        let mut source = address;
        if !file.is_null() {
            let raw = addr_of_mut!((*scratch).raw);
            let length = bpf_d_path(kernel::file_path(file), raw.cast(), PATH_SIZE as u32);
            if length == ENAMETOOLONG {
                // Longer than any bound path.
                return Ok(());
            }
            if length < 0 {
                return fault();
            }
            // Copied, because `bpf_d_path` leaves bytes of its own behind the path.
            source = raw as u64;
        }
        if bpf_probe_read_kernel_str(addr_of_mut!((*key).bytes).cast(), PATH_SIZE as u32, source as *const _) < 0 {
            return fault();
        }
        addr_of_mut!((*key).generation).write(identity.generation);
        match PATHS.get(&*addr_of!((*scratch).key)) {
            Some(component) if *component != identity.component => Err(Reason::WrongComponent),
            _ => Ok(()),
        }
    }
}

/// A name that must be known and cannot be read.
#[inline(always)]
fn fault<T>() -> Result<T, Reason> {
    maps::count(Counter::Faults);
    Err(Reason::Fault)
}

const ENAMETOOLONG: i64 = -36;
