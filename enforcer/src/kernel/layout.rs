//! The running kernel's structures, read from its BTF (`Documentation/bpf/btf.rst`).
//!
//! A field that is missing is an error that names it, never a silent zero.

use std::io::{self, Read as _};
use std::path::Path;

use btf_rs::{Btf, BtfType, Member, Type};
use enforcer_common::{ABSENT, Features, KernelLayout, OverlayLayout};

use super::KernelError;
use super::place::open_sys;
use super::programs::COMPATIBLE;

/// Where every kernel with `CONFIG_DEBUG_INFO_BTF` shows its types, below `/sys`.
const VMLINUX_BTF: &str = "kernel/btf/vmlinux";

/// The kernel's layout, and the BTF ids of the kfuncs that exist.
pub struct KernelTypes {
    /// The offsets and features for the eBPF programs.
    pub layout: KernelLayout,
    /// BTF id of the kfunc `bpf_get_fsverity_digest`, where it exists.
    pub bpf_get_fsverity_digest: Option<u32>,
    /// Whether 32-bit programs run here, and so have system calls of their own.
    pub ia32_system_calls: bool,
}

/// The running kernel's BTF, as it is in memory.
pub(super) fn vmlinux() -> Result<Vec<u8>, KernelError> {
    types_of(VMLINUX_BTF).map_err(|error| unreadable(VMLINUX_BTF, &error))
}

fn types_of(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_sys(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(path: &str, error: &dyn std::error::Error) -> KernelError {
    KernelError::Btf { path: Path::new("/sys").join(path), detail: error.to_string() }
}

/// Reads the running kernel's layout.
pub fn read() -> Result<KernelTypes, KernelError> {
    let btf = Btf::from_bytes(&vmlinux()?).map_err(|error| unreadable(VMLINUX_BTF, &error))?;
    let function = |name: &str| {
        let named = btf.resolve_ids_by_name(name).unwrap_or_default();
        named.into_iter().find(|id| matches!(btf.resolve_type_by_id(*id), Ok(Type::Func(_))))
    };
    let kfunc = function("bpf_get_fsverity_digest");
    let offset = |path: &str| Lookup { btf: &btf }.offset(&[path]);
    let any = |paths: &[&str]| Lookup { btf: &btf }.offset(paths);
    let number = |of: &str, name: &str| Lookup { btf: &btf }.enumerator(of, name);
    let required = |of: &str, name: &str| number(of, name).ok_or_else(|| KernelError::MissingField { field: format!("{of}.{name}") });
    let layout = KernelLayout {
        linux_binprm_file: offset("linux_binprm.file")?,
        linux_binprm_filename: offset("linux_binprm.filename")?,
        linux_binprm_interp: offset("linux_binprm.interp")?,
        linux_binprm_unsafe: offset("linux_binprm.unsafe")?,
        linux_binprm_buf: offset("linux_binprm.buf")?,
        linux_binprm_p: offset("linux_binprm.p")?,
        linux_binprm_exec: offset("linux_binprm.exec")?,
        linux_binprm_argc: offset("linux_binprm.argc")?,
        linux_binprm_is_check: Lookup { btf: &btf }.resolve_bits("linux_binprm.is_check").unwrap_or(ABSENT),
        file_f_inode: offset("file.f_inode")?,
        file_f_mode: offset("file.f_mode")?,
        file_f_flags: offset("file.f_flags")?,
        file_f_path: offset("file.f_path")?,
        file_private_data: offset("file.private_data")?,
        path_dentry: offset("path.dentry")?,
        path_mnt: offset("path.mnt")?,
        vfsmount_mnt_root: offset("vfsmount.mnt_root")?,
        mount_mnt: offset("mount.mnt")?,
        mount_propagation: any(&["mount.mnt_t_flags", "mount.mnt.mnt_flags"])?,
        mount_shared: if offset("mount.mnt_t_flags").is_ok() { T_SHARED } else { MNT_SHARED },
        mount_mnt_parent: offset("mount.mnt_parent")?,
        mount_mnt_mountpoint: offset("mount.mnt_mountpoint")?,
        dentry_name: offset("dentry.d_name.name")?,
        dentry_d_inode: offset("dentry.d_inode")?,
        dentry_d_parent: offset("dentry.d_parent")?,
        qstr_name: offset("qstr.name")?,
        inode_i_sb: offset("inode.i_sb")?,
        inode_i_ino: offset("inode.i_ino")?,
        inode_i_mode: offset("inode.i_mode")?,
        inode_i_generation: offset("inode.i_generation")?,
        inode_i_version: offset("inode.i_version")?,
        inode_ctime_sec: any(&["inode.i_ctime_sec", "inode.__i_ctime.tv_sec", "inode.i_ctime.tv_sec"])?,
        inode_ctime_nsec: any(&["inode.i_ctime_nsec", "inode.__i_ctime.tv_nsec", "inode.i_ctime.tv_nsec"])?,
        inode_i_size: offset("inode.i_size")?,
        inode_i_writecount: offset("inode.i_writecount")?,
        inode_i_readcount: offset("inode.i_readcount")?,
        inode_i_mapping: offset("inode.i_mapping")?,
        address_space_i_mmap_writable: offset("address_space.i_mmap_writable")?,
        address_space_xa_flags: offset("address_space.i_pages.xa_flags")?,
        super_block_s_dev: offset("super_block.s_dev")?,
        super_block_s_magic: offset("super_block.s_magic")?,
        super_block_s_user_ns: offset("super_block.s_user_ns")?,
        super_block_s_flags: offset("super_block.s_flags")?,
        user_namespace_level: offset("user_namespace.level")?,
        vm_area_struct_vm_file: offset("vm_area_struct.vm_file")?,
        vm_area_struct_vm_flags: any(&["vm_area_struct.vm_flags", "vm_area_struct.flags"])?,
        vm_area_struct_anon_vma: offset("vm_area_struct.anon_vma")?,
        task_struct_real_parent: offset("task_struct.real_parent")?,
        task_struct_tgid: offset("task_struct.tgid")?,
        task_struct_pending_signal: offset("task_struct.pending.signal")?,
        task_struct_mm: offset("task_struct.mm")?,
        task_struct_atomic_flags: offset("task_struct.atomic_flags")?,
        task_struct_personality: offset("task_struct.personality")?,
        task_struct_flags: offset("task_struct.flags")?,
        task_struct_seccomp_mode: offset("task_struct.seccomp.mode")?,
        task_struct_cgroups: offset("task_struct.cgroups")?,
        css_set_dfl_cgrp: offset("css_set.dfl_cgrp")?,
        cgroup_level: offset("cgroup.level")?,
        cgroup_ancestors: offset("cgroup.ancestors")?,
        cgroup_kn: offset("cgroup.kn")?,
        kernfs_node_name: offset("kernfs_node.name")?,
        task_struct_nsproxy: offset("task_struct.nsproxy")?,
        nsproxy_mnt_ns: offset("nsproxy.mnt_ns")?,
        mnt_namespace_inum: offset("mnt_namespace.ns.inum")?,
        mm_struct_arg_start: offset("mm_struct.arg_start")?,
        mm_struct_exe_file: offset("mm_struct.exe_file")?,
        bpf_map_id: offset("bpf_map.id")?,
        bpf_prog_aux: offset("bpf_prog.aux")?,
        bpf_prog_aux_id: offset("bpf_prog_aux.id")?,
        shmem_seals_from_inode: distance(offset("shmem_inode_info.vfs_inode")?, offset("shmem_inode_info.seals")?),
        reading_module: required("kernel_read_file_id", "READING_MODULE")?,
        reading_module_compressed: number("kernel_read_file_id", "READING_MODULE_COMPRESSED").unwrap_or(ABSENT),
        reading_firmware: required("kernel_read_file_id", "READING_FIRMWARE")?,
        reading_kexec_image: required("kernel_read_file_id", "READING_KEXEC_IMAGE")?,
        reading_kexec_initramfs: required("kernel_read_file_id", "READING_KEXEC_INITRAMFS")?,
        loading_module: required("kernel_load_data_id", "LOADING_MODULE")?,
        loading_kexec_image: required("kernel_load_data_id", "LOADING_KEXEC_IMAGE")?,
        loading_kexec_initramfs: required("kernel_load_data_id", "LOADING_KEXEC_INITRAMFS")?,
        perf_event_type: offset("perf_event.attr.type")?,
        perf_event_target: offset("perf_event.hw.target")?,
        task_struct_fs: offset("task_struct.fs")?,
        fs_struct_root: offset("fs_struct.root")?,
        task_struct_nameidata: offset("task_struct.nameidata")?,
        nameidata_name: offset("nameidata.name")?,
        filename_name: offset("filename.name")?,
        task_struct_files: offset("task_struct.files")?,
        files_struct_fdt: offset("files_struct.fdt")?,
        fdtable_fd: offset("fdtable.fd")?,
        inode_i_rdev: offset("inode.i_rdev")?,
        inode_i_uid: offset("inode.i_uid")?,
        proc_pid_from_inode: distance(offset("proc_inode.vfs_inode")?, offset("proc_inode.pid")?),
        pid_tasks: offset("pid.tasks")?,
        task_struct_pid_links: offset("task_struct.pid_links")?,
        uprobe_unit: uprobe_unit(),
        lockdown_integrity: LOCKDOWN_INTEGRITY
            .iter()
            .filter_map(|reason| number("lockdown_reason", reason).filter(|number| *number < u32::BITS))
            .fold(0, |reasons, number| reasons | 1 << number),
        features: Features { fsverity_digest: u32::from(kfunc.is_some()), file_post_open: u32::from(function("bpf_lsm_file_post_open").is_some()) },
    };
    Ok(KernelTypes { layout, bpf_get_fsverity_digest: kfunc, ia32_system_calls: function(COMPATIBLE).is_some() })
}

/// `fs/mount.h`, from 6.17.
const T_SHARED: u32 = 1;
/// `include/linux/mount.h`, before.
const MNT_SHARED: u32 = 0x1000;
/// Whether overlayfs's module is loaded. Cheap, unlike [`read_overlay`].
pub fn overlay_module_is_loaded() -> bool {
    open_sys(OVERLAY_BTF).is_ok()
}

/// Reads where overlayfs keeps what its files stand for; `None` as long as its module is not loaded.
pub fn read_overlay() -> Result<Option<OverlayLayout>, KernelError> {
    let base = Btf::from_bytes(&vmlinux()?).map_err(|error| unreadable(VMLINUX_BTF, &error))?;
    // Built into the kernel, it is in the kernel's own types.
    if (Lookup { btf: &base }).resolve("ovl_inode.vfs_inode").is_some() {
        return overlay_layout(&base).map(Some);
    }
    let bytes = match types_of(OVERLAY_BTF) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(|error| unreadable(OVERLAY_BTF, &error))?,
    };
    let module = Btf::from_split_bytes(&bytes, &base).map_err(|error| unreadable(OVERLAY_BTF, &error))?;
    overlay_layout(&module).map(Some)
}

fn overlay_layout(btf: &Btf) -> Result<OverlayLayout, KernelError> {
    let lookup = Lookup { btf };
    let inode = lookup.offset(&["ovl_inode.vfs_inode"])?;
    let from_inode = |path: &str| lookup.resolve(path).map(|offset| distance(inode, offset));
    let missing = |field: &str| KernelError::MissingField { field: field.to_owned() };
    let upper_dentry = from_inode("ovl_inode.__upperdentry").ok_or_else(|| missing("ovl_inode.__upperdentry"))?;
    let dentry = lookup.offset(&["ovl_path.dentry"])?;
    let (lower, lower_is_apart, lower_dentry) = match (from_inode("ovl_inode.oe"), from_inode("ovl_inode.lowerpath")) {
        (Some(entry), _) => (entry, 1, lookup.offset(&["ovl_entry.__lowerstack"])? + dentry),
        (None, Some(path)) => (path, 0, dentry),
        (None, None) => return Err(missing("ovl_inode.oe or ovl_inode.lowerpath")),
    };
    let real_file = lookup.resolve("ovl_file.realfile").unwrap_or(ABSENT);
    Ok(OverlayLayout { is_known: 1, real_file, upper_dentry, lower, lower_is_apart, lower_dentry })
}

/// Where the types of the overlay module are, when it is loaded.
const OVERLAY_BTF: &str = "kernel/btf/overlay";

/// How far the second field lies behind the first, negative when before it. Offsets inside of one structure are far below 2^31.
fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// Finds fields by paths such as `task_struct.pending.signal`, through anonymous structures and unions.
struct Lookup<'a> {
    btf: &'a Btf,
}

impl Lookup<'_> {
    /// The byte offset of the first path that exists.
    fn offset(&self, paths: &[&str]) -> Result<u32, KernelError> {
        paths.iter().find_map(|path| self.resolve(path)).ok_or_else(|| KernelError::MissingField { field: paths.join(" or ") })
    }

    /// The value of an enumerator.
    fn enumerator(&self, of: &str, name: &str) -> Option<u32> {
        self.btf.resolve_types_by_name(of).ok()?.into_iter().find_map(|found| match found {
            Type::Enum(found) => {
                found.members.iter().find(|member| self.btf.resolve_name(*member).is_ok_and(|found| found == name)).map(|member| member.val())
            }
            _ => None,
        })
    }

    fn resolve(&self, path: &str) -> Option<u32> {
        self.resolve_bits(path).filter(|bits| bits % 8 == 0).map(|bits| bits / 8)
    }

    /// The offset in bits, which is all that a bit field has.
    fn resolve_bits(&self, path: &str) -> Option<u32> {
        let mut names = path.split('.');
        let name = names.next()?;
        let mut members = self.btf.resolve_types_by_name(name).ok()?.into_iter().find_map(|found| match found {
            Type::Struct(found) => Some(found.members),
            _ => None,
        })?;
        let mut bits = 0;
        let mut names = names.peekable();
        while let Some(name) = names.next() {
            let (offset, member) = self.member(&members, name)?;
            bits += offset;
            if names.peek().is_some() {
                members = self.members_of(&member)?;
            }
        }
        Some(bits)
    }

    /// A member by name, also inside of anonymous members; its offset in bits.
    fn member(&self, members: &[Member], name: &str) -> Option<(u32, Member)> {
        for member in members {
            let found = self.btf.resolve_name(member).unwrap_or_default();
            if found == name {
                return Some((member.bit_offset(), member.clone()));
            }
            if found.is_empty()
                && let Some(inner) = self.members_of(member)
                && let Some((offset, inner)) = self.member(&inner, name)
            {
                return Some((member.bit_offset() + offset, inner));
            }
        }
        None
    }

    /// The members of a member's type, seen through typedefs and qualifiers.
    fn members_of(&self, member: &Member) -> Option<Vec<Member>> {
        let mut current = self.btf.resolve_chained_type(member).ok()?;
        for _ in 0..MAX_CHAIN {
            current = match current {
                Type::Struct(found) | Type::Union(found) => return Some(found.members),
                other => self.btf.resolve_chained_type(other.as_btf_type()? as &dyn BtfType).ok()?,
            };
        }
        None
    }
}

/// What kind of performance event a uprobe is (`Documentation/ABI/testing/sysfs-bus-event_source-devices-format`).
fn uprobe_unit() -> u32 {
    let mut text = String::new();
    let read = open_sys("bus/event_source/devices/uprobe/type").and_then(|mut file| file.read_to_string(&mut text));
    read.ok().and_then(|_| text.trim().parse().ok()).unwrap_or(ABSENT)
}

/// Those reasons of `enum lockdown_reason` (`include/linux/security.h`) by which the kernel's memory could be written or the hardware be made to. Not
/// those that have a key of their own in the policy (modules, kexec), nor hibernation, after which the machine starts anew.
const LOCKDOWN_INTEGRITY: [&str; 15] = [
    "LOCKDOWN_DEV_MEM",
    "LOCKDOWN_EFI_TEST",
    "LOCKDOWN_PCI_ACCESS",
    "LOCKDOWN_IOPORT",
    "LOCKDOWN_MSR",
    "LOCKDOWN_ACPI_TABLES",
    "LOCKDOWN_DEVICE_TREE",
    "LOCKDOWN_PCMCIA_CIS",
    "LOCKDOWN_TIOCSSERIAL",
    "LOCKDOWN_MODULE_PARAMETERS",
    "LOCKDOWN_MMIOTRACE",
    "LOCKDOWN_DEBUGFS",
    "LOCKDOWN_XMON_WR",
    "LOCKDOWN_BPF_WRITE_USER",
    "LOCKDOWN_DBG_WRITE_KERNEL",
];

/// Typedefs and qualifiers in a row; the kernel has three or four.
const MAX_CHAIN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_every_field() {
        let types = read().expect("this kernel has BTF");
        assert_ne!(types.layout.file_f_inode, types.layout.file_f_path);
        assert_ne!(types.layout.inode_ctime_sec, types.layout.inode_ctime_nsec);
        assert!(types.layout.task_struct_pending_signal > 0);
    }

    #[test]
    fn a_missing_field_is_named() {
        let btf = Btf::from_bytes(&vmlinux().unwrap()).expect("this kernel has BTF");
        let error = Lookup { btf: &btf }.offset(&["inode.i_no_such", "inode.i_nor_this"]).expect_err("no such field");
        assert!(error.to_string().contains("`inode.i_no_such or inode.i_nor_this`"), "{error}");
    }
}
