//! What is about to be started: `struct linux_binprm` (`include/linux/binfmts.h`).

use aya_ebpf::bindings::file;

use crate::kernel::{field, field_address, layout, read_half, word_at};

/// `struct linux_binprm`, never constructed here.
pub(crate) enum LinuxBinprm {}

pub(crate) fn file(bprm: *const LinuxBinprm) -> *mut file {
    field!(bprm, linux_binprm_file as *mut file)
}

/// The address of the path that the program was called by; 0 for a script's interpreter, which was not called by anybody.
pub(crate) fn called_by(bprm: *const LinuxBinprm) -> u64 {
    let called_by = word_at(field_address!(bprm, linux_binprm_filename) as u64);
    // `binfmt_script` and `binfmt_misc` put the interpreter's path here, and leave the other one.
    if called_by == word_at(field_address!(bprm, linux_binprm_interp) as u64) { called_by } else { 0 }
}

/// Whether another process has the one that starts a program in its hands: traces it (`LSM_UNSAFE_PTRACE`), or may change its root and current folder, which
/// are its own too (`LSM_UNSAFE_SHARE`, `include/linux/security.h`).
pub(crate) fn is_in_others_hands(bprm: *const LinuxBinprm) -> bool {
    const LSM_UNSAFE_SHARE: u32 = 1;
    const LSM_UNSAFE_PTRACE: u32 = 2;
    field!(bprm, linux_binprm_unsafe as u32) & (LSM_UNSAFE_SHARE | LSM_UNSAFE_PTRACE) != 0
}

/// Whether what is started begins like a script (`BINPRM_BUF_SIZE` bytes of it are here).
pub(crate) fn is_script(bprm: *const LinuxBinprm) -> bool {
    field!(bprm, linux_binprm_buf as u16) == u16::from_le_bytes(*b"#!")
}

/// Where the arguments begin in the memory of the program that starts (`linux_binprm.p`).
pub(crate) fn strings(bprm: *const LinuxBinprm) -> u64 {
    word_at(field_address!(bprm, linux_binprm_p) as u64)
}

/// Where the variables end, which follow them.
pub(crate) fn strings_end(bprm: *const LinuxBinprm) -> u64 {
    word_at(field_address!(bprm, linux_binprm_exec) as u64)
}

/// How many arguments there are.
pub(crate) fn arguments(bprm: *const LinuxBinprm) -> u64 {
    u64::from(read_half(field_address!(bprm, linux_binprm_argc) as u64))
}

/// Whether nothing is to be started: somebody asks (`AT_EXECVE_CHECK`, `include/uapi/linux/fcntl.h`).
pub(crate) fn is_check(bprm: *const LinuxBinprm) -> bool {
    let bit = layout!(linux_binprm_is_check);
    read_half((bprm as *const u8).wrapping_add((bit / 32 * 4) as usize) as u64) & (1 << (bit % 32)) != 0
}
