//! What the kernel side tells user space: denials, and requests for a verdict.

use crate::{Digest, Mode, boundary_enum};

/// Bytes of a path in an event or request, with the terminating NUL. A longer path is reported by its last component.
pub const PATH_SIZE: usize = 1024;
/// Bytes of a task's command name (`TASK_COMM_LEN`).
pub const COMM_SIZE: usize = 16;

boundary_enum! {
    /// The LSM hook that asked, by the kernel's name.
    pub enum Hook {
        /// `execve` of a program, script or interpreter.
        BprmCheckSecurity = 1 => "bprm_check_security",
        /// A mapping that is executable.
        MmapFile = 2 => "mmap_file",
        /// Memory that becomes executable.
        FileMprotect = 3 => "file_mprotect",
        /// A file that is opened.
        FileOpen = 4 => "file_open",
        /// A module, kexec image or firmware that the kernel reads from a file.
        KernelReadFile = 5 => "kernel_read_file",
        /// The same, when it has been read.
        KernelPostReadFile = 6 => "kernel_post_read_file",
        /// A module or kexec image that is handed to the kernel as memory.
        KernelLoadData = 7 => "kernel_load_data",
        /// A process that reaches into another one.
        PtraceAccessCheck = 8 => "ptrace_access_check",
        /// A process that asks to be traced by its parent.
        PtraceTraceme = 9 => "ptrace_traceme",
        /// A process that changes what it is.
        TaskPrctl = 10 => "task_prctl",
        /// The system call `bpf`.
        Bpf = 11 => "bpf",
        /// A descriptor for a BPF map.
        BpfMap = 12 => "bpf_map",
        /// A descriptor for a BPF program.
        BpfProg = 13 => "bpf_prog",
        /// A signal.
        TaskKill = 14 => "task_kill",
        /// Another process's limits.
        TaskSetrlimit = 15 => "task_setrlimit",
        /// Another process's scheduling or processors.
        TaskSetscheduler = 16 => "task_setscheduler",
        /// Another process's nice level.
        TaskSetnice = 17 => "task_setnice",
        /// A file that is made.
        InodeCreate = 18 => "inode_create",
        /// A folder that is made.
        InodeMkdir = 19 => "inode_mkdir",
        /// A symbolic link that is made.
        InodeSymlink = 20 => "inode_symlink",
        /// A special file that is made.
        InodeMknod = 21 => "inode_mknod",
        /// A hard link that is made.
        InodeLink = 22 => "inode_link",
        /// A name that is removed.
        InodeUnlink = 23 => "inode_unlink",
        /// A folder that is removed.
        InodeRmdir = 24 => "inode_rmdir",
        /// A name that is changed.
        InodeRename = 25 => "inode_rename",
        /// A mount.
        SbMount = 26 => "sb_mount",
        /// The end of a mount.
        SbUmount = 27 => "sb_umount",
        /// A mount that is moved.
        MoveMount = 28 => "move_mount",
        /// A way into the kernel's memory.
        LockedDown = 29 => "locked_down",
        /// A file that is truncated by its name.
        PathTruncate = 30 => "path_truncate",
        /// A performance event, of which uprobes are some.
        PerfEventAlloc = 31 => "perf_event_alloc",
        /// A descriptor by which a process supplies pages itself.
        InodeInitSecurityAnon = 32 => "inode_init_security_anon",
        /// The system call `brk`, of which no hook is asked.
        Brk = 33 => "brk",
        /// A signal of a descriptor.
        FileSendSigiotask = 34 => "file_send_sigiotask",
        /// Another process's place in the queue for the disk.
        TaskSetioprio = 35 => "task_setioprio",
        /// A file that an interpreter has opened to read.
        FilePostOpen = 36 => "file_post_open",
        /// A program that an interpreter is told to run, by its arguments, its environment or its standard input.
        BprmCommittedCreds = 37 => "bprm_committed_creds",
        /// A file about which an interpreter asks (`AT_EXECVE_CHECK`).
        BprmCredsForExec = 38 => "bprm_creds_for_exec",
    }
}

boundary_enum! {
    /// Why code was denied (or, in audit mode, would have been).
    pub enum Reason {
        /// The daemon found no trusted signature that covers this file.
        Untrusted = 1 => "untrusted",
        /// The digest is unknown and the daemon is not there to ask.
        DaemonUnavailable = 2 => "daemon-unavailable",
        /// The digest is unknown and the daemon did not answer before the deadline.
        NoAnswer = 3 => "no-answer",
        /// The digest is unknown and too many others already wait for an answer.
        TooManyWaiting = 4 => "too-many-waiting",
        /// The verdict was an allow that has expired.
        Expired = 5 => "expired",
        /// The signer may not be used for this (a library started as a program).
        UseNotAllowed = 6 => "use-not-allowed",
        /// Executable memory without a file behind it.
        AnonymousMemory = 7 => "anonymous-memory",
        /// Memory that is writable and executable at once.
        WritableAndExecutable = 8 => "writable-and-executable",
        /// Anonymous memory that was written and then made executable.
        MadeExecutable = 9 => "made-executable",
        /// A private mapping of a file whose pages were rewritten, made executable.
        ModifiedPages = 10 => "modified-pages",
        /// The file is open for writing or mapped shared and writable somewhere: its bytes could change under the mapping.
        OpenForWriting = 11 => "open-for-writing",
        /// The file is on a file system whose content cannot be pinned down (tmpfs, unsealed memfd).
        VolatileFilesystem = 12 => "volatile-filesystem",
        /// The file is on a file system whose content somebody else controls (FUSE, network).
        ForeignFilesystem = 13 => "foreign-filesystem",
        /// The kernel could not measure the file.
        MeasurementFailed = 14 => "measurement-failed",
        /// The file changed while it was measured.
        ChangedWhileMeasured = 15 => "changed-while-measured",
        /// A mapped file was made executable by a hook that cannot measure, and no measurement is at hand.
        NotMeasured = 16 => "not-measured",
        /// The file is larger than the policy's `max-file-size`.
        TooLarge = 17 => "too-large",
        /// Something that must not happen inside the program happened; see the kernel side's log.
        Fault = 18 => "fault",
        /// The daemon could not find the file, or not read it, to look for its signature.
        Unreadable = 19 => "unreadable",
        /// The file was to be opened for writing or cut off while it is in use as code.
        MappedAsCode = 20 => "mapped-as-code",
        /// The file goes by a name that the policy binds to another component.
        WrongComponent = 21 => "wrong-component",
        /// A process was to be traced, or its memory to be written to by another one or through `/proc/PID/mem`.
        Tracing = 22 => "tracing",
        /// What belongs to the enforcer was to be changed by somebody else.
        Guarded = 23 => "guarded",
        /// A module or kexec image came as memory, of which nobody can say what it is.
        LoadedFromMemory = 24 => "loaded-from-memory",
        /// A way into the kernel's memory was to be opened.
        KernelMemory = 25 => "kernel-memory",
        /// A BPF program that can change what others decide was to be loaded.
        ForeignProgram = 26 => "foreign-program",
        /// A process was to pass for another program than the one it runs.
        ExecutableReplaced = 27 => "executable-replaced",
        /// A process asked to supply the pages of its memory itself (`userfaultfd`), past every permission to write.
        SuppliedPages = 32 => "supplied-pages",
        /// Under `personality(READ_IMPLIES_EXEC)`, a program was started, or a heap grew.
        ReadImpliesExec = 33 => "read-implies-exec",
        /// A trusted signature covers the file, and the kernel's map has no room for another verdict.
        VerdictsFull = 34 => "verdicts-full",
        /// The file is on an overlay, and the daemon has not told yet where overlayfs keeps the files that have the content.
        UnknownOverlay = 35 => "unknown-overlay",
        /// The file is on an overlay, and what was opened of it is no longer what is read (it was copied up since), or its data is elsewhere.
        DividedContent = 36 => "divided-content",
        /// The kernel has more files in memory that were measured than there is room to keep in mind.
        CodeFull = 37 => "code-full",
        /// The file was written through a shared mapping, and what may stand behind its end is not cleared before it is on the disk.
        UnwrittenTail = 38 => "unwritten-tail",
        /// An interpreter was to be run by another program, which is not held to what the interpreter may read.
        ForeignInterpreter = 39 => "foreign-interpreter",
        /// An interpreter was to run text in its arguments or its environment.
        InlineCode = 40 => "inline-code",
        /// An interpreter was to run what comes through its standard input.
        CodeFromStdin = 41 => "code-from-stdin",
        /// An interpreter was to run what somebody types.
        InteractiveInterpreter = 42 => "interactive-interpreter",
        /// What an interpreter was to run as a script is no file whose content can be measured.
        ScriptNotAFile = 43 => "script-not-a-file",
        /// A protected process was to load a library of another signer, or to start an interpreter.
        ProtectedProcess = 44 => "protected-process",
    }
}

boundary_enum! {
    /// What the `path` of an event is.
    pub enum PathKind {
        /// There is no file, or its name could not be read.
        None = 0 => "none",
        /// An absolute path as the process sees it (relative to its root).
        Full = 1 => "full",
        /// The last component alone.
        Name = 2 => "name",
    }
}

/// A denial, or in audit mode a would-be denial: one record of the ring buffer `EVENTS`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Event {
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub time: u64,
    /// The cgroup v2 id of the task (the inode number of its cgroup folder).
    pub cgroup: u64,
    /// Inode number; 0 without a file.
    pub inode: u64,
    /// Size of the file in bytes.
    pub size: u64,
    /// Device number as in `struct super_block.s_dev` (major in the upper 12 bits, minor in the lower 20).
    pub device: u32,
    /// [`Hook`].
    pub hook: u32,
    /// [`Reason`].
    pub reason: u32,
    /// [`crate::Mode`] at the time.
    pub mode: u32,
    /// 1 when the action was stopped, 0 when it was let through and only reported.
    pub denied: u32,
    /// Process (thread group) id in the initial pid namespace.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Process id of the parent.
    pub parent_pid: u32,
    /// Real user id in the initial user namespace.
    pub uid: u32,
    /// [`PathKind`] of `path`.
    pub path_kind: u32,
    /// An errno or other detail that belongs to the reason, else 0.
    pub detail: i32,
    /// The file's digest, or [`Digest::NONE`].
    pub digest: Digest,
    /// The task's command name, NUL-padded.
    pub comm: [u8; COMM_SIZE],
    /// NUL-terminated.
    pub path: [u8; PATH_SIZE],
}

const _: () = assert!(size_of::<Event>() == 32 + 44 + 36 + 16 + PATH_SIZE);

impl Event {
    /// What audit mode reports for this reason at this hook, at the boot time 0, by no process and about no file. The kernel side fills the ring buffer's own
    /// memory; this is for whoever makes events in another place.
    pub const fn new(hook: Hook, reason: Reason) -> Self {
        Self {
            time: 0,
            cgroup: 0,
            inode: 0,
            size: 0,
            device: 0,
            hook: hook as u32,
            reason: reason as u32,
            mode: Mode::Audit as u32,
            denied: 0,
            pid: 0,
            tid: 0,
            parent_pid: 0,
            uid: 0,
            path_kind: PathKind::None as u32,
            detail: 0,
            digest: Digest::NONE,
            comm: [0; COMM_SIZE],
            path: [0; PATH_SIZE],
        }
    }

    /// The same by the first thread of this process. Of a longer name the beginning counts, as in the kernel.
    #[must_use]
    pub fn by_process(mut self, pid: u32, comm: &str) -> Self {
        (self.pid, self.tid) = (pid, pid);
        fill(&mut self.comm, comm.as_bytes());
        self
    }

    /// The same about the file of this absolute path, of which the beginning counts.
    #[must_use]
    pub fn about(mut self, path: &[u8]) -> Self {
        self.path_kind = PathKind::Full as u32;
        fill(&mut self.path, path);
        self
    }

    /// The same in enforce mode, where it is stopped.
    #[must_use]
    pub const fn denied(mut self) -> Self {
        self.mode = Mode::Enforce as u32;
        self.denied = 1;
        self
    }
}

/// Writes what fits, with a NUL behind it.
fn fill(field: &mut [u8], text: &[u8]) {
    let room = field.len().saturating_sub(1);
    field.fill(0);
    for (place, byte) in field[..room].iter_mut().zip(text) {
        *place = *byte;
    }
}

/// "Nobody has decided about this digest yet": one record of the ring buffer `REQUESTS`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Request {
    /// `CLOCK_BOOTTIME`, nanoseconds, when it was asked.
    pub time: u64,
    /// When the asking task gives up, same clock.
    pub deadline: u64,
    /// Inode number.
    pub inode: u64,
    /// Size of the file in bytes.
    pub size: u64,
    /// Device number as in [`Event::device`].
    pub device: u32,
    /// [`Hook`].
    pub hook: u32,
    /// Process id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// [`PathKind`] of `path`.
    pub path_kind: u32,
    /// What the kernel measured: the answer is published under this key. [`Digest::NONE`] where it could not: then the daemon has it measure the file.
    pub digest: Digest,
    /// NUL-terminated.
    pub path: [u8; PATH_SIZE],
}

const _: () = assert!(size_of::<Request>() == 32 + 20 + 36 + PATH_SIZE);
