//! What the programs have to know about the running kernel.
//!
//! Rust's BPF target emits no CO-RE relocations. User space reads the offsets from the kernel's BTF and sets them in `.rodata` before loading;
//! the map is frozen, so that the verifier takes each of them for a constant.

/// Byte offsets of the fields that the programs read, named `type_field`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelLayout {
    /// `linux_binprm.file`
    pub linux_binprm_file: u32,
    /// `linux_binprm.filename`
    pub linux_binprm_filename: u32,
    /// `linux_binprm.interp`
    pub linux_binprm_interp: u32,
    /// `linux_binprm.unsafe`
    pub linux_binprm_unsafe: u32,
    /// `linux_binprm.buf`
    pub linux_binprm_buf: u32,
    /// `linux_binprm.p`
    pub linux_binprm_p: u32,
    /// `linux_binprm.exec`
    pub linux_binprm_exec: u32,
    /// `linux_binprm.argc`
    pub linux_binprm_argc: u32,
    /// `linux_binprm.is_check` (from 6.14), in bits; [`ABSENT`] where there is none.
    pub linux_binprm_is_check: u32,
    /// `file.f_inode`
    pub file_f_inode: u32,
    /// `file.f_mode`
    pub file_f_mode: u32,
    /// `file.f_flags`
    pub file_f_flags: u32,
    /// `file.f_path`
    pub file_f_path: u32,
    /// `file.private_data`
    pub file_private_data: u32,
    /// `path.dentry`
    pub path_dentry: u32,
    /// `path.mnt`
    pub path_mnt: u32,
    /// `vfsmount.mnt_root`
    pub vfsmount_mnt_root: u32,
    /// `mount.mnt`
    pub mount_mnt: u32,
    /// `mount.mnt_t_flags` (from 6.17), `mount.mnt.mnt_flags`
    pub mount_propagation: u32,
    /// Of these flags, `T_SHARED` or `MNT_SHARED`.
    pub mount_shared: u32,
    /// `mount.mnt_parent`
    pub mount_mnt_parent: u32,
    /// `mount.mnt_mountpoint`
    pub mount_mnt_mountpoint: u32,
    /// `dentry.d_name.name`
    pub dentry_name: u32,
    /// `dentry.d_inode`
    pub dentry_d_inode: u32,
    /// `dentry.d_parent`
    pub dentry_d_parent: u32,
    /// `qstr.name`
    pub qstr_name: u32,
    /// `inode.i_sb`
    pub inode_i_sb: u32,
    /// `inode.i_ino`
    pub inode_i_ino: u32,
    /// `inode.i_mode`
    pub inode_i_mode: u32,
    /// `inode.i_generation`
    pub inode_i_generation: u32,
    /// `inode.i_version`
    pub inode_i_version: u32,
    /// Seconds of the inode's ctime (`i_ctime_sec`, `__i_ctime.tv_sec` or `i_ctime.tv_sec`)
    pub inode_ctime_sec: u32,
    /// Nanoseconds of the inode's ctime
    pub inode_ctime_nsec: u32,
    /// `inode.i_size`
    pub inode_i_size: u32,
    /// `inode.i_writecount`
    pub inode_i_writecount: u32,
    /// `inode.i_readcount`, in kernels with IMA
    pub inode_i_readcount: u32,
    /// `inode.i_mapping`
    pub inode_i_mapping: u32,
    /// `address_space.i_mmap_writable`
    pub address_space_i_mmap_writable: u32,
    /// `address_space.i_pages.xa_flags`
    pub address_space_xa_flags: u32,
    /// `super_block.s_dev`
    pub super_block_s_dev: u32,
    /// `super_block.s_magic`
    pub super_block_s_magic: u32,
    /// `super_block.s_user_ns`
    pub super_block_s_user_ns: u32,
    /// Offset of `super_block.s_flags`.
    pub super_block_s_flags: u32,
    /// `user_namespace.level`
    pub user_namespace_level: u32,
    /// `vm_area_struct.vm_file`
    pub vm_area_struct_vm_file: u32,
    /// `vm_area_struct.vm_flags`
    pub vm_area_struct_vm_flags: u32,
    /// `vm_area_struct.anon_vma`
    pub vm_area_struct_anon_vma: u32,
    /// `task_struct.real_parent`
    pub task_struct_real_parent: u32,
    /// `task_struct.tgid`
    pub task_struct_tgid: u32,
    /// `task_struct.pending.signal`
    pub task_struct_pending_signal: u32,
    /// `task_struct.mm`
    pub task_struct_mm: u32,
    /// `task_struct.atomic_flags`
    pub task_struct_atomic_flags: u32,
    /// `task_struct.personality`
    pub task_struct_personality: u32,
    /// `task_struct.flags`
    pub task_struct_flags: u32,
    /// `task_struct.seccomp.mode`
    pub task_struct_seccomp_mode: u32,
    /// `task_struct.cgroups`
    pub task_struct_cgroups: u32,
    /// `css_set.dfl_cgrp`
    pub css_set_dfl_cgrp: u32,
    /// `cgroup.level`
    pub cgroup_level: u32,
    /// `cgroup.ancestors`
    pub cgroup_ancestors: u32,
    /// `cgroup.kn`
    pub cgroup_kn: u32,
    /// `kernfs_node.name`
    pub kernfs_node_name: u32,
    /// `task_struct.nsproxy`
    pub task_struct_nsproxy: u32,
    /// `nsproxy.mnt_ns`
    pub nsproxy_mnt_ns: u32,
    /// `mnt_namespace.ns.inum`
    pub mnt_namespace_inum: u32,
    /// `mm_struct.arg_start`
    pub mm_struct_arg_start: u32,
    /// `mm_struct.exe_file`
    pub mm_struct_exe_file: u32,
    /// `bpf_map.id`
    pub bpf_map_id: u32,
    /// `bpf_prog.aux`
    pub bpf_prog_aux: u32,
    /// `bpf_prog_aux.id`
    pub bpf_prog_aux_id: u32,
    /// `shmem_inode_info.seals`, relative to `shmem_inode_info.vfs_inode` (negative: the inode is embedded behind it)
    pub shmem_seals_from_inode: i32,
    /// `enum kernel_read_file_id`: what the kernel reads a file for.
    pub reading_module: u32,
    /// The same for a module that the kernel unpacks itself; [`ABSENT`] where it cannot.
    pub reading_module_compressed: u32,
    /// The same for firmware.
    pub reading_firmware: u32,
    /// The same for a kernel to be started by kexec.
    pub reading_kexec_image: u32,
    /// The same for its initramfs.
    pub reading_kexec_initramfs: u32,
    /// `enum kernel_load_data_id`: a module that comes as memory.
    pub loading_module: u32,
    /// The same for a kernel to be started by kexec.
    pub loading_kexec_image: u32,
    /// The same for its initramfs.
    pub loading_kexec_initramfs: u32,
    /// `perf_event.attr.type`
    pub perf_event_type: u32,
    /// `perf_event.hw.target`
    pub perf_event_target: u32,
    /// `task_struct.fs`
    pub task_struct_fs: u32,
    /// `fs_struct.root`
    pub fs_struct_root: u32,
    /// `task_struct.nameidata`
    pub task_struct_nameidata: u32,
    /// `nameidata.name`
    pub nameidata_name: u32,
    /// `filename.name`
    pub filename_name: u32,
    /// `task_struct.files`
    pub task_struct_files: u32,
    /// `files_struct.fdt`
    pub files_struct_fdt: u32,
    /// `fdtable.fd`
    pub fdtable_fd: u32,
    /// `inode.i_rdev`
    pub inode_i_rdev: u32,
    /// `inode.i_uid`
    pub inode_i_uid: u32,
    /// `proc_inode.pid`, relative to `proc_inode.vfs_inode` (negative: the inode is embedded behind it)
    pub proc_pid_from_inode: i32,
    /// `pid.tasks`
    pub pid_tasks: u32,
    /// `task_struct.pid_links`
    pub task_struct_pid_links: u32,
    /// The number of the performance monitoring unit `uprobe`; [`ABSENT`] where there is none.
    pub uprobe_unit: u32,
    /// The bits of those reasons of `enum lockdown_reason` below 32 that open the kernel's memory to be written or the hardware to be programmed.
    pub lockdown_integrity: u32,
    /// What this kernel can do.
    pub features: Features,
}

/// Where overlayfs keeps what its files stand for. Known once its module is loaded, and so not part of [`KernelLayout`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverlayLayout {
    /// 1 when the rest is set.
    pub is_known: u32,
    /// `ovl_file.realfile`; [`ABSENT`] where an overlay file's private data is the real file itself (before 6.13).
    pub real_file: u32,
    /// `ovl_inode.__upperdentry`, relative to `ovl_inode.vfs_inode`.
    pub upper_dentry: i32,
    /// `ovl_inode.lowerpath` or `ovl_inode.oe`, relative to `ovl_inode.vfs_inode`.
    pub lower: i32,
    /// 1 when a pointer stands there (`oe`, from 6.5), not the thing itself.
    pub lower_is_apart: u32,
    /// `ovl_path.dentry` in `lowerpath`, or that of `ovl_entry.__lowerstack[0]`.
    pub lower_dentry: u32,
}

const _: () = assert!(size_of::<OverlayLayout>() == 24);

/// The value of an enumerator that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Kernel features that are probed, never guessed from a version number. 1 is present, 0 absent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The kfunc `bpf_get_fsverity_digest` exists (upstream 6.8).
    pub fsverity_digest: u32,
    /// The hook `file_post_open` exists (upstream 6.9), in which a file that was opened can be read.
    pub file_post_open: u32,
}

/// The made-up helper number that stands for `bpf_get_fsverity_digest` in the object file, until the loader puts the kfunc's BTF id in its place.
pub const KFUNC_BPF_GET_FSVERITY_DIGEST: i32 = 0x7ef5_0001;
