//! Reading the kernel's own structures: opaque types, and one typed load per field.
//!
//! Each load is `base + constant offset`, the offset coming from `.rodata` that user space filled from the kernel's BTF and froze. So the verifier
//! knows the field and keeps the pointer's type, and helpers that want a trusted pointer accept it.

use core::ptr::{null_mut, read_volatile, write_volatile};

pub(crate) use aya_ebpf::bindings::{file, inode, path, task_struct};
use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_current_task_btf, bpf_get_func_arg, bpf_probe_read_kernel, bpf_probe_read_kernel_str},
    programs::LsmContext,
};
use enforcer_common::{ExecutableId, Features, InodeId, KernelLayout};

use crate::inode_at;

mod of_inode;

pub(crate) use of_inode::{
    inode_ctime, inode_filesystem, inode_is_regular, inode_is_writable_somewhere, inode_number, inode_size, inode_version, inode_version_counts,
    shmem_seals,
};

/// `include/uapi/asm-generic/mman-common.h`
pub(crate) const PROT_READ: u64 = 0x1;
pub(crate) const PROT_WRITE: u64 = 0x2;
pub(crate) const PROT_EXEC: u64 = 0x4;
/// `include/uapi/asm-generic/fcntl.h`
const O_TRUNC: u32 = 0o1000;

/// `struct vm_area_struct`, never constructed here.
pub(crate) enum VmAreaStruct {}
/// `struct bpf_map`, never constructed here.
pub(crate) enum BpfMap {}
/// `struct bpf_prog`, never constructed here.
pub(crate) enum BpfProg {}

/// Where the fields are. Set before loading; the zeros here never reach a kernel, because the loader refuses a missing field.
#[unsafe(no_mangle)]
pub(crate) static KERNEL: KernelLayout = KernelLayout {
    linux_binprm_file: 0,
    linux_binprm_filename: 0,
    linux_binprm_interp: 0,
    linux_binprm_unsafe: 0,
    linux_binprm_buf: 0,
    linux_binprm_p: 0,
    linux_binprm_exec: 0,
    linux_binprm_argc: 0,
    linux_binprm_is_check: 0,
    file_f_inode: 0,
    file_f_mode: 0,
    file_f_flags: 0,
    file_f_path: 0,
    file_private_data: 0,
    path_dentry: 0,
    path_mnt: 0,
    vfsmount_mnt_root: 0,
    mount_mnt: 0,
    mount_propagation: 0,
    mount_shared: 0,
    mount_mnt_parent: 0,
    mount_mnt_mountpoint: 0,
    dentry_name: 0,
    dentry_d_inode: 0,
    dentry_d_parent: 0,
    qstr_name: 0,
    inode_i_sb: 0,
    inode_i_ino: 0,
    inode_i_mode: 0,
    inode_i_generation: 0,
    inode_i_version: 0,
    inode_ctime_sec: 0,
    inode_ctime_nsec: 0,
    inode_i_size: 0,
    inode_i_writecount: 0,
    inode_i_readcount: 0,
    inode_i_mapping: 0,
    address_space_i_mmap_writable: 0,
    address_space_xa_flags: 0,
    super_block_s_dev: 0,
    super_block_s_magic: 0,
    super_block_s_user_ns: 0,
    super_block_s_flags: 0,
    user_namespace_level: 0,
    vm_area_struct_vm_file: 0,
    vm_area_struct_vm_flags: 0,
    vm_area_struct_anon_vma: 0,
    task_struct_real_parent: 0,
    task_struct_tgid: 0,
    task_struct_pending_signal: 0,
    task_struct_mm: 0,
    task_struct_atomic_flags: 0,
    task_struct_personality: 0,
    task_struct_flags: 0,
    task_struct_seccomp_mode: 0,
    task_struct_cgroups: 0,
    css_set_dfl_cgrp: 0,
    cgroup_level: 0,
    cgroup_ancestors: 0,
    cgroup_kn: 0,
    kernfs_node_name: 0,
    task_struct_nsproxy: 0,
    nsproxy_mnt_ns: 0,
    mnt_namespace_inum: 0,
    mm_struct_arg_start: 0,
    mm_struct_exe_file: 0,
    bpf_map_id: 0,
    bpf_prog_aux: 0,
    bpf_prog_aux_id: 0,
    shmem_seals_from_inode: 0,
    reading_module: 0,
    reading_module_compressed: 0,
    reading_firmware: 0,
    reading_kexec_image: 0,
    reading_kexec_initramfs: 0,
    loading_module: 0,
    loading_kexec_image: 0,
    loading_kexec_initramfs: 0,
    perf_event_type: 0,
    perf_event_target: 0,
    task_struct_fs: 0,
    fs_struct_root: 0,
    task_struct_nameidata: 0,
    nameidata_name: 0,
    filename_name: 0,
    task_struct_files: 0,
    files_struct_fdt: 0,
    fdtable_fd: 0,
    inode_i_rdev: 0,
    inode_i_uid: 0,
    proc_pid_from_inode: 0,
    pid_tasks: 0,
    task_struct_pid_links: 0,
    uprobe_unit: 0,
    lockdown_integrity: 0,
    features: Features { fsverity_digest: 0, file_post_open: 0 },
};

/// One value of [`KERNEL`], as the loader set it.
macro_rules! layout {
    ($($field:ident).+) => {
        // SAFETY: a plain static; volatile, because its value is set after compilation.
        unsafe { core::ptr::read_volatile(core::ptr::addr_of!($crate::kernel::KERNEL.$($field).+)) }
    };
}
pub(crate) use layout;

/// The address of a field, without loading it.
macro_rules! field_address {
    ($base:expr, $field:ident) => {
        ($base as *const u8).wrapping_add($crate::kernel::layout!($field) as usize)
    };
}
pub(crate) use field_address;

/// A direct load of a field.
macro_rules! field {
    ($base:expr, $field:ident as $type:ty) => {{
        let address = $crate::kernel::field_address!($base, $field);
        // SAFETY: the base is a pointer that the verifier tracks, and the offset is the field's; the verifier checks both at load.
        unsafe { core::ptr::read_volatile(address.cast::<$type>()) }
    }};
}
pub(crate) use field;

pub(crate) fn file_inode(file: *const file) -> *mut inode {
    field!(file, file_f_inode as *mut inode)
}

/// `FMODE_WRITE` (`include/linux/fs.h`).
pub(crate) fn file_is_writable(file: *const file) -> bool {
    const FMODE_WRITE: u32 = 0x2;
    field!(file, file_f_mode as u32) & FMODE_WRITE != 0
}

/// Whether the file is opened to be read by the program, and not to be started (`FMODE_READ`, `__FMODE_EXEC`, `include/linux/fs.h`).
pub(crate) fn file_is_read(file: *const file) -> bool {
    const FMODE_READ: u32 = 0x1;
    const FMODE_EXEC: u32 = 0x20;
    field!(file, file_f_mode as u32) & FMODE_READ != 0 && field!(file, file_f_flags as u32) & FMODE_EXEC == 0
}

pub(crate) fn file_path(file: *const file) -> *mut path {
    field_address!(file, file_f_path) as *mut path
}

/// The address of the last component's name; read it with `bpf_probe_read_kernel_str`.
pub(crate) fn file_name(file: *const file) -> *const u8 {
    let dentry = (file_path(file) as *const u8).wrapping_add(layout!(path_dentry) as usize);
    // SAFETY: `path.dentry` inside of `file`, checked by the verifier.
    let dentry = unsafe { read_volatile(dentry.cast::<*const u8>()) };
    field!(dentry, dentry_name as *const u8)
}

/// The address of the name by which the file is known: the last part of its path, as far as it can be told from the file. A file that is mounted over
/// another one goes by the other's name. `None` when it cannot be read.
#[inline(always)]
pub(crate) fn file_known_as(file: *const file) -> Option<u64> {
    let path = file_path(file) as u64;
    let mut dentry = 0;
    let mut mount = 0;
    if !read_word(path + u64::from(layout!(path_dentry)), &mut dentry) || !read_word(path + u64::from(layout!(path_mnt)), &mut mount) {
        return None;
    }
    mount -= u64::from(layout!(mount_mnt));
    for _ in 0..MAX_STACKED_MOUNTS {
        let (mut root, mut parent) = (0, 0);
        if !read_word(mount + u64::from(layout!(mount_mnt)) + u64::from(layout!(vfsmount_mnt_root)), &mut root)
            || !read_word(mount + u64::from(layout!(mount_mnt_parent)), &mut parent)
        {
            return None;
        }
        // The root of all mounts, and of those that are mounted nowhere, is its own parent.
        if root != dentry || parent == mount {
            let mut name = 0;
            return if read_word(dentry + u64::from(layout!(dentry_name)), &mut name) { Some(name) } else { None };
        }
        if !read_word(mount + u64::from(layout!(mount_mnt_mountpoint)), &mut dentry) {
            return None;
        }
        mount = parent;
    }
    None
}

/// The first eight bytes of a `struct qstr`'s name; zero when they cannot be read.
#[inline(always)]
pub(crate) fn beginning_of_name(qstr: u64) -> u64 {
    let (mut name, mut beginning) = (0, 0);
    if read_word(qstr + u64::from(layout!(qstr_name)), &mut name) && read_word(name, &mut beginning) { beginning } else { 0 }
}

/// Whether the word at a kernel address could be read.
#[inline(always)]
pub(crate) fn read_word(address: u64, word: &mut u64) -> bool {
    // SAFETY: the helper checks the address, and writes eight bytes.
    unsafe { bpf_probe_read_kernel((word as *mut u64).cast(), 8, address as *const _) == 0 }
}

/// Files mounted over each other in one place.
const MAX_STACKED_MOUNTS: usize = 16;

/// Null for memory without a file. A null pointer and no `Option`, of which LLVM copies the empty half before it looks, which the verifier refuses.
pub(crate) fn vma_file(vma: *const VmAreaStruct) -> *mut file {
    if is_null(field_address!(vma, vm_area_struct_vm_file)) {
        return null_mut();
    }
    field!(vma, vm_area_struct_vm_file as *mut file)
}

/// Whether the file is to be empty once it is open.
pub(crate) fn file_is_cut_off(file: *const file) -> bool {
    field!(file, file_f_flags as u32) & O_TRUNC != 0
}

pub(crate) fn vma_flags(vma: *const VmAreaStruct) -> u64 {
    field!(vma, vm_area_struct_vm_flags as u64)
}

/// Whether private pages may stand in the mapping instead of the file's own.
pub(crate) fn vma_has_private_pages(vma: *const VmAreaStruct) -> bool {
    !is_null(field_address!(vma, vm_area_struct_anon_vma))
}

/// The hook's `n`th argument, a file that may be missing; then null.
///
/// Up to 6.18 the verifier believes that `mmap_file`'s file is never null and deletes a plain check, which crashes the kernel at the first
/// anonymous mapping; 7.x demands the plain check. So the slot is looked at as a number first, and then as a pointer.
pub(crate) fn file_argument(ctx: &LsmContext, n: usize) -> *mut file {
    let mut argument = 0_u64;
    // SAFETY: the context and a local variable, which the helper fills; volatile, because the verifier is not to know with what.
    unsafe {
        bpf_get_func_arg(ctx.as_ptr(), n as u32, &mut argument);
        if read_volatile(&argument) == 0 {
            return null_mut();
        }
    }
    ctx.arg(n)
}

/// Whether the pointer stored at this address is null (or cannot be read), in a way that the verifier does not reason about.
fn is_null(address: *const u8) -> bool {
    let mut value = 0_u64;
    // SAFETY: the helper checks the address; on a fault the value stays zero.
    unsafe { bpf_probe_read_kernel((&raw mut value).cast(), 8, address.cast()) };
    // SAFETY: a local variable; volatile, because the helper wrote it.
    unsafe { read_volatile(&value) == 0 }
}

/// A pointer as a plain number, which the verifier lets be calculated with: it has gone through a helper that does not know what it reads.
#[inline(always)]
pub(crate) fn address<T>(pointer: *const T) -> u64 {
    word_at((&raw const pointer) as u64)
}

/// The same number, of which the verifier knows nothing any more: so it goes on once from here, and not once for each value. It remembers what it knows of a
/// number that is kept on the stack, but not across two halves.
#[inline(always)]
pub(crate) fn opaque(number: u64) -> u64 {
    let mut word = 0_u64;
    // SAFETY: a local variable, written as two halves and read as a whole.
    unsafe {
        let halves = (&raw mut word).cast::<u32>();
        write_volatile(halves, number as u32);
        write_volatile(halves.add(1), (number >> 32) as u32);
        read_volatile(&word)
    }
}

/// The word at a kernel address; zero when it cannot be read.
#[inline(always)]
pub(crate) fn word_at(address: u64) -> u64 {
    let mut word = 0;
    if read_word(address, &mut word) { word } else { 0 }
}

/// Which inode a dentry leads to.
#[inline(always)]
pub(crate) fn dentry_inode_id(dentry: u64, id: &mut InodeId) -> bool {
    let mut inode = 0;
    dentry != 0 && read_word(dentry + u64::from(layout!(dentry_d_inode)), &mut inode) && inode_at::id(inode, id)
}

/// The address of a dentry's folder, itself a dentry.
#[inline(always)]
pub(crate) fn dentry_parent(dentry: u64) -> u64 {
    let mut parent = 0;
    if read_word(dentry + u64::from(layout!(dentry_d_parent)), &mut parent) { parent } else { 0 }
}

/// The address of a dentry's name.
#[inline(always)]
pub(crate) fn dentry_name(dentry: u64) -> u64 {
    let mut name = 0;
    if dentry != 0 && read_word(dentry + u64::from(layout!(dentry_name)), &mut name) { name } else { 0 }
}

/// The first bytes of a dentry's name, filled up with zeros: enough to tell the kernel's own files apart.
#[inline(always)]
pub(crate) fn short_name(dentry: u64) -> [u64; 2] {
    let mut words = [0_u64; 2];
    let name = dentry_name(dentry);
    // SAFETY: the helper checks the address, and writes no more than the buffer's size.
    let length = unsafe { bpf_probe_read_kernel_str(words.as_mut_ptr().cast(), 16, name as *const _) };
    // SAFETY: a local variable; volatile, because the helper wrote it. What stands behind the name's end is what stood there before: zeros.
    if length > 0 { unsafe { [read_volatile(&words[0]), read_volatile(&words[1])] } } else { [0; 2] }
}

/// The address of a path's dentry.
#[inline(always)]
pub(crate) fn path_dentry_at(path: u64) -> u64 {
    let mut dentry = 0;
    if path != 0 && read_word(path + u64::from(layout!(path_dentry)), &mut dentry) { dentry } else { 0 }
}

/// The address of the mount that a path is in (`struct vfsmount`).
#[inline(always)]
pub(crate) fn path_mount(path: u64) -> u64 {
    let mut mount = 0;
    if path != 0 && read_word(path + u64::from(layout!(path_mnt)), &mut mount) { mount } else { 0 }
}

/// Whether what is mounted onto this mount is mounted onto others, too (`Documentation/filesystems/sharedsubtree.rst`). True when it cannot be read.
#[inline(always)]
pub(crate) fn mount_is_shared(mount: u64) -> bool {
    mount_propagates(mount - u64::from(layout!(mount_mnt)))
}

/// The same of the mount that this one is mounted onto.
#[inline(always)]
pub(crate) fn parent_mount_is_shared(mount: u64) -> bool {
    let mut parent = 0;
    !read_word(mount - u64::from(layout!(mount_mnt)) + u64::from(layout!(mount_mnt_parent)), &mut parent) || mount_propagates(parent)
}

/// By the address of a `struct mount`.
#[inline(always)]
fn mount_propagates(mount: u64) -> bool {
    let mut flags = 0;
    !read_word(mount + u64::from(layout!(mount_propagation)), &mut flags) || flags & u64::from(layout!(mount_shared)) != 0
}

/// The address of the dentry that is a mount's root.
#[inline(always)]
pub(crate) fn mount_root(mount: u64) -> u64 {
    let mut root = 0;
    if mount != 0 && read_word(mount + u64::from(layout!(vfsmount_mnt_root)), &mut root) { root } else { 0 }
}

/// The magic number of the file system of the inode at this address.
#[inline(always)]
pub(crate) fn file_magic(file: *const file) -> u64 {
    let inode = file_inode(file);
    inode_filesystem(inode).1
}

/// Which program a task runs, by the inode of its file.
#[inline(always)]
pub(crate) fn task_executable(task: u64, id: &mut ExecutableId) -> bool {
    let (mut mm, mut file) = (0, 0);
    read_word(task + u64::from(layout!(task_struct_mm)), &mut mm)
        && mm != 0
        && read_word(mm + u64::from(layout!(mm_struct_exe_file)), &mut file)
        && file != 0
        && read_word(file + u64::from(layout!(file_f_inode)), &mut id.address)
        && inode_at::id(id.address, &mut id.inode)
}

/// The address of the inode that a dentry leads to; 0 for none.
#[inline(always)]
pub(crate) fn dentry_inode(dentry: u64) -> u64 {
    let mut inode = 0;
    if dentry != 0 && read_word(dentry + u64::from(layout!(dentry_d_inode)), &mut inode) { inode } else { 0 }
}

/// Whether a task is past the instructions of its program: ending, or killed by a signal, and then perhaps writing a core file
/// (`include/linux/sched.h`).
#[inline(always)]
pub(crate) fn is_ending(task: u64) -> bool {
    const PF_EXITING: u32 = 0x4;
    const PF_DUMPCORE: u32 = 0x200;
    const PF_SIGNALED: u32 = 0x400;
    read_half(task + u64::from(layout!(task_struct_flags))) & (PF_EXITING | PF_DUMPCORE | PF_SIGNALED) != 0
}

/// Whether somebody else answers a task's system calls, or some of them (`SECCOMP_MODE_DISABLED` is 0, `include/uapi/linux/seccomp.h`).
#[inline(always)]
pub(crate) fn has_seccomp_filter(task: u64) -> bool {
    read_half(task + u64::from(layout!(task_struct_seccomp_mode))) != 0
}

/// The process that a task belongs to, as the initial namespace numbers it; 0 when it cannot be read.
#[inline(always)]
pub(crate) fn process_id(task: u64) -> u32 {
    read_half(task + u64::from(layout!(task_struct_tgid)))
}

/// The mount and the dentry of the current task's root folder; zeros when they cannot be read.
#[inline(always)]
pub(crate) fn root_folder() -> [u64; 2] {
    let fs = word_at(current_task() as u64 + u64::from(layout!(task_struct_fs)));
    if fs == 0 {
        return [0; 2];
    }
    let root = fs + u64::from(layout!(fs_struct_root));
    [word_at(root + u64::from(layout!(path_mnt))), word_at(root + u64::from(layout!(path_dentry)))]
}

/// The task that a file of the proc file system is about; 0 for none, and when it has gone.
#[inline(always)]
pub(crate) fn proc_task(inode: u64) -> u64 {
    let pid = word_at(inode.wrapping_add(i64::from(layout!(proc_pid_from_inode)) as u64));
    if pid == 0 {
        return 0;
    }
    // The first of the list that begins there (`PIDTYPE_PID`, `include/linux/pid.h`), and the task that it is a part of.
    let link = word_at(pid + u64::from(layout!(pid_tasks)));
    if link == 0 { 0 } else { link - u64::from(layout!(task_struct_pid_links)) }
}

/// Whether a task has given up that a program may give it more rights (`PR_SET_NO_NEW_PRIVS`, `PFA_NO_NEW_PRIVS` of `include/linux/sched.h`). Cannot be
/// taken back.
#[inline(always)]
pub(crate) fn has_no_new_privs(task: u64) -> bool {
    const PFA_NO_NEW_PRIVS: u64 = 0;
    let mut flags = 0;
    !read_word(task + u64::from(layout!(task_struct_atomic_flags)), &mut flags) || flags & (1 << PFA_NO_NEW_PRIVS) != 0
}

/// Whether everything that the current task can read becomes executable as well (`include/uapi/linux/personality.h`).
#[inline(always)]
pub(crate) fn read_implies_exec() -> bool {
    const READ_IMPLIES_EXEC: u32 = 0x0040_0000;
    field!(current_task(), task_struct_personality as u32) & READ_IMPLIES_EXEC != 0
}

/// The inode number of the current task's program, by direct loads; 0 when it has none.
#[inline(always)]
pub(crate) fn current_executable_number() -> u64 {
    let mm = field!(current_task(), task_struct_mm as *const u8);
    let file = field!(mm, mm_struct_exe_file as *const file);
    if file.is_null() { 0 } else { inode_number(file_inode(file)) }
}

/// The number of the current task's mount namespace; 0 when it has none any more.
#[inline(always)]
pub(crate) fn mount_namespace() -> u32 {
    let (mut proxy, mut namespace) = (0, 0);
    let task = current_task() as u64;
    if read_word(task + u64::from(layout!(task_struct_nsproxy)), &mut proxy)
        && proxy != 0
        && read_word(proxy + u64::from(layout!(nsproxy_mnt_ns)), &mut namespace)
        && namespace != 0
    {
        return read_half(namespace + u64::from(layout!(mnt_namespace_inum)));
    }
    0
}

/// The address of the path that a task is opening, as it was given; 0 when it opens none by a path.
#[inline(always)]
pub(crate) fn name_being_opened(task: u64) -> u64 {
    let (mut walk, mut name, mut path) = (0, 0, 0);
    let is_there = read_word(task + u64::from(layout!(task_struct_nameidata)), &mut walk)
        && walk != 0
        && read_word(walk + u64::from(layout!(nameidata_name)), &mut name)
        && name != 0
        && read_word(name + u64::from(layout!(filename_name)), &mut path);
    if is_there { path } else { 0 }
}

/// The inode of a path.
pub(crate) fn path_inode(path: *const path) -> *mut inode {
    let dentry = field!(path, path_dentry as *const u8);
    field!(dentry, dentry_d_inode as *mut inode)
}

pub(crate) fn map_id(map: *const BpfMap) -> u32 {
    field!(map, bpf_map_id as u32)
}

pub(crate) fn program_id(program: *const BpfProg) -> u32 {
    let aux = field!(program, bpf_prog_aux as *const u8);
    field!(aux, bpf_prog_aux_id as u32)
}

/// Half a word at a kernel address; zero when it cannot be read.
#[inline(always)]
pub(crate) fn read_half(address: u64) -> u32 {
    let mut half = 0_u32;
    // SAFETY: the helper checks the address, and writes four bytes.
    unsafe { bpf_probe_read_kernel((&raw mut half).cast(), 4, address as *const _) };
    // SAFETY: a local variable; volatile, because the helper wrote it.
    unsafe { read_volatile(&half) }
}

/// Puts half a word at a kernel address into `half`, which stays as it is when it cannot be read.
#[inline(always)]
pub(crate) fn read_half_into(address: u64, half: &mut u32) {
    // SAFETY: the helper checks the address, and writes four bytes.
    unsafe { bpf_probe_read_kernel((half as *mut u32).cast(), 4, address as *const _) };
}

pub(crate) fn current_task() -> *mut task_struct {
    // SAFETY: no arguments; the result is a trusted pointer.
    unsafe { bpf_get_current_task_btf() }
}

pub(crate) fn parent_pid(task: *const task_struct) -> u32 {
    let parent = field!(task, task_struct_real_parent as *const task_struct);
    field!(parent, task_struct_tgid as u32)
}

/// Whether `SIGKILL` is pending for this thread.
pub(crate) fn is_being_killed(task: *const task_struct) -> bool {
    const SIGKILL: u32 = 9;
    field!(task, task_struct_pending_signal as u64) & (1 << (SIGKILL - 1)) != 0
}

/// An address in the task's own memory that can be read; 0 for a task without memory (a kernel thread starting a helper).
pub(crate) fn readable_address(task: *const task_struct) -> u64 {
    // A load through a null `mm` gives 0 in a BPF program; a check would be of no use to anybody.
    let mm = field!(task, task_struct_mm as *const u8);
    field!(mm, mm_struct_arg_start as u64)
}

/// Whether there is the hook `file_post_open`.
pub(crate) fn has_file_post_open() -> bool {
    layout!(features.file_post_open) != 0
}

/// Whether the kfunc `bpf_get_fsverity_digest` can be called.
pub(crate) fn has_fsverity_digest() -> bool {
    layout!(features.fsverity_digest) != 0
}
