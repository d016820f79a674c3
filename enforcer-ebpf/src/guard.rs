//! The enforcer's own skin, on one page: what belongs to the enforcer, and who may touch it.
//!
//! | what | who may | hooks |
//! |---|---|---|
//! | its BPF programs, maps and links | the enforcer | `bpf`, `bpf_map`, `bpf_prog` |
//! | its pins, its state, its run-time files (the *guarded folders*) | the enforcer | `inode_*`, `file_open`, `path_truncate` |
//! | the mounts that they lie on, and the way to them | the enforcer, the service manager | `sb_mount`, `sb_umount`, `move_mount`, `inode_rename`, `inode_rmdir` |
//! | its processes: signals, limits, scheduling | the enforcer, the service manager | `task_kill`, `task_set*`, `file_send_sigiotask` (nobody), `perf_event_alloc`, `file_open` of `oom_score_adj` (nobody) |
//! | its processes: memory, root folder | nobody | `ptrace_access_check`, `bprm_check_security` (in others' hands from its start) |
//! | its control groups | the enforcer, the service manager | `file_open` of `cgroup.kill`, `cgroup.freeze` |
//! | the switches that end all BPF programs, or all processes | the enforcer | `file_open` of `ftrace_enabled`, `sysrq-trigger` |
//!
//! *The enforcer* is a process whose program has one of the digests in `Settings::enforcers` (and to touch anything it must not have given up its rights); *the service manager* is process 1, by which the
//! administrator stops and restarts the service. In audit mode everything is let through and reported.
#![allow(clippy::needless_borrows_for_generic_args, reason = "by value, a key is copied to the stack, which has 512 bytes")]

use enforcer_common::{Digest, GUARDED_CGROUP, GUARDED_FOLDER, Hook, InodeId, ObjectId, ObjectKind, Reason, Response, Settings};

use crate::{
    filesystem::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, PROC_SUPER_MAGIC},
    inode_at,
    judge::{self, Answer, Denial, Fault, Question},
    kernel::{self, file},
    maps::{GUARDED, OBJECTS},
    rights,
};

/// Who may touch a thing besides the enforcer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Besides {
    Nobody,
    ServiceManager,
}

/// Something of the enforcer's is touched: let in who may, and refuse all others.
#[inline(never)]
pub(crate) fn touched(touch: &Touch) -> bool {
    let is_manager = touch.besides as u32 == Besides::ServiceManager as u32 && judge::current_pid() == 1;
    if is_manager || rights::acts_for_the_enforcer() {
        return false;
    }
    let Ok(settings) = judge::settings() else { return true };
    let question = Question::without_file(touch.hook, touch.name);
    let denial = Denial { reason: Reason::Guarded, detail: touch.detail, digest: Digest::NONE };
    judge::deny_without_file(&question, &denial, Response::Deny as u32, settings) == Answer::Deny
}

/// The same for a file that is opened for writing or truncated.
#[inline(never)]
pub(crate) fn file_touched(hook: Hook, besides: Besides, file: *mut file) -> bool {
    let is_manager = besides as u32 == Besides::ServiceManager as u32 && judge::current_pid() == 1;
    if is_manager || rights::acts_for_the_enforcer() {
        return false;
    }
    let Ok(settings) = judge::settings() else { return true };
    let question = Question::about(hook, file, 0, true);
    judge::deny(&question, &Denial::without_digest(Reason::Guarded), Response::Deny as u32, settings) == Answer::Deny
}

/// What is touched, and how it is reported.
pub(crate) struct Touch {
    pub(crate) hook: Hook,
    pub(crate) besides: Besides,
    /// The address of a name that says what it is; 0 where there is none.
    pub(crate) name: u64,
    /// A number that belongs to it: a signal, an object's id.
    pub(crate) detail: i32,
}

impl Touch {
    pub(crate) const fn new(hook: Hook, besides: Besides) -> Self {
        Self { hook, besides, name: 0, detail: 0 }
    }
}

/// The answer, when it is clear whether something of the enforcer's is touched.
#[inline(always)]
pub(crate) fn answer(is_ours: bool, touch: &Touch) -> Result<Answer, Fault> {
    Ok(if is_ours && touched(touch) { Answer::Deny } else { Answer::Allow })
}

/// A descriptor for one of the enforcer's own BPF objects.
#[inline(always)]
pub(crate) fn object(hook: Hook, kind: ObjectKind, id: u32) -> Result<Answer, Fault> {
    let is_ours = OBJECTS.get_ptr(&ObjectId { kind: kind as u32, id }).is_some();
    answer(is_ours, &Touch { detail: id as i32, ..Touch::new(hook, Besides::Nobody) })
}

/// A process of the enforcer's own, by the kernel's task.
#[inline(always)]
pub(crate) fn process(hook: Hook, task: *mut kernel::task_struct, detail: i32) -> Result<Answer, Fault> {
    // What it does to itself it may do: a worker has given up its rights, and then its priority.
    let is_ours = kernel::process_id(task as u64) != judge::current_pid() && rights::is_enforcer(task);
    answer(is_ours, &Touch { detail, ..Touch::new(hook, Besides::ServiceManager) })
}

/// The same in nobody's name: whoever runs at that moment has nothing to do with it.
#[inline(always)]
pub(crate) fn process_by_nobody(hook: Hook, task: *mut kernel::task_struct, detail: i32) -> Result<Answer, Fault> {
    if !rights::is_enforcer(task) {
        return Ok(Answer::Allow);
    }
    let denial = Denial { reason: Reason::Guarded, detail, digest: Digest::NONE };
    Ok(judge::deny_without_file(&Question::without_file(hook, 0), &denial, Response::Deny as u32, judge::settings()?))
}

/// A name in a folder is made, removed or changed. `folder` is the folder's inode, `dentry` the name.
#[inline(always)]
pub(crate) fn name(hook: Hook, folder: u64, dentry: u64) -> Result<Answer, Fault> {
    answer(is_in_guarded_folder(folder), &Touch { name: kernel::dentry_name(dentry), ..Touch::new(hook, Besides::Nobody) })
}

/// A name that leads to a folder is removed or changed: also the way to a guarded folder has to stay.
#[inline(always)]
pub(crate) fn folder_name(hook: Hook, folder: u64, dentry: u64) -> Result<Answer, Fault> {
    let is_ours = is_in_guarded_folder(folder) || is_guarded(dentry);
    answer(is_ours, &Touch { name: kernel::dentry_name(dentry), ..Touch::new(hook, Besides::Nobody) })
}

/// A file is opened for writing or truncated.
#[inline(always)]
pub(crate) fn is_guarded_file(dentry: u64) -> bool {
    flags_of_folder(dentry) & GUARDED_FOLDER != 0
}

/// One of the files by which the kernel lets root end everything at once; who may write to it besides the enforcer.
#[inline(never)]
pub(crate) fn switch(file: *const file) -> Switch {
    let magic = kernel::file_magic(file);
    if magic != PROC_SUPER_MAGIC && magic != CGROUP2_SUPER_MAGIC && magic != CGROUP_SUPER_MAGIC {
        return Switch::None;
    }
    let dentry = kernel::path_dentry_at(kernel::file_path(file) as u64);
    let name = kernel::short_name(dentry);
    if magic == PROC_SUPER_MAGIC {
        if name == FTRACE_ENABLED || name == SYSRQ_TRIGGER {
            return Switch::OfTheKernel;
        }
        let is_ours = (name == OOM_SCORE_ADJ || name == OOM_ADJ)
            && rights::is_enforcer(kernel::proc_task(kernel::address(kernel::file_inode(file))) as *mut kernel::task_struct);
        return if is_ours { Switch::OfAProcess } else { Switch::None };
    }
    let ends_processes = name == CGROUP_KILL || name == CGROUP_FREEZE || name == FREEZER_STATE;
    if ends_processes && flags_of_folder(dentry) & GUARDED_CGROUP != 0 { Switch::OfACgroup } else { Switch::None }
}

/// What a file switches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    None,
    /// The processes of a control group: for the service manager, too.
    OfACgroup,
    /// One of the enforcer's processes, which the kernel would end first.
    OfAProcess,
    /// All BPF programs, or all processes: for nobody, since the service manager can be made to write to it in another one's place.
    OfTheKernel,
}

/// Whether a mount changes what is found on the way to a guarded folder: in the mount namespace of the daemon, or where it is carried over to others
/// (`is_shared`), on a folder that is guarded or leads to one, or on something inside.
#[inline(never)]
pub(crate) fn covers(dentry: u64, is_shared: bool, settings: &Settings) -> bool {
    (is_shared || in_host_namespace(settings)) && (is_guarded(dentry) || flags_of_folder(dentry) & GUARDED_FOLDER != 0)
}

/// Whether the end or the moving of a mount takes something away from the way to a guarded folder. `root` is the dentry that the mount shows.
#[inline(never)]
pub(crate) fn uncovers(root: u64, is_shared: bool, settings: &Settings) -> bool {
    (is_shared || in_host_namespace(settings)) && is_guarded(root)
}

#[inline(always)]
pub(crate) fn in_host_namespace(settings: &Settings) -> bool {
    kernel::mount_namespace() == settings.mount_namespace
}

#[inline(never)]
fn is_guarded(dentry: u64) -> bool {
    let mut id = InodeId::default();
    kernel::dentry_inode_id(dentry, &mut id) && GUARDED.get_ptr(&id).is_some()
}

/// The flags of the folder that a dentry lies in.
#[inline(never)]
fn flags_of_folder(dentry: u64) -> u32 {
    let mut id = InodeId::default();
    if !kernel::dentry_inode_id(kernel::dentry_parent(dentry), &mut id) {
        return 0;
    }
    // SAFETY: a number that user space never writes.
    unsafe { GUARDED.get(&id) }.copied().unwrap_or(0)
}

#[inline(never)]
fn is_in_guarded_folder(folder: u64) -> bool {
    let mut id = InodeId::default();
    // SAFETY: as above.
    inode_at::id(folder, &mut id) && unsafe { GUARDED.get(&id) }.is_some_and(|flags| flags & GUARDED_FOLDER != 0)
}

/// The first sixteen bytes of a name, as [`kernel::short_name`] reads them.
const fn short(name: &[u8]) -> [u64; 2] {
    let mut words = [0_u64; 2];
    let mut place = 0;
    while place < name.len() {
        words[place / 8] |= (name[place] as u64) << (place % 8 * 8);
        place += 1;
    }
    words
}

const FTRACE_ENABLED: [u64; 2] = short(b"ftrace_enabled");
const SYSRQ_TRIGGER: [u64; 2] = short(b"sysrq-trigger");
const OOM_SCORE_ADJ: [u64; 2] = short(b"oom_score_adj");
const OOM_ADJ: [u64; 2] = short(b"oom_adj");
const CGROUP_KILL: [u64; 2] = short(b"cgroup.kill");
const CGROUP_FREEZE: [u64; 2] = short(b"cgroup.freeze");
const FREEZER_STATE: [u64; 2] = short(b"freezer.state");

/// `/proc/PID/mem`: the memory of a process, over every protection.
pub(crate) const MEM: [u64; 2] = short(b"mem");
/// Where probes are put into programs.
pub(crate) const UPROBE_EVENTS: [u64; 2] = short(b"uprobe_events");
pub(crate) const DYNAMIC_EVENTS: [u64; 2] = short(b"dynamic_events");
