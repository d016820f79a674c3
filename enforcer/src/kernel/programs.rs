//! Loading, attaching and pinning the programs; and taking over those that a former daemon left in force.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use aya::programs::links::FdLink;
use aya::programs::{Lsm, Program, ProgramError};
use aya::{Btf, Ebpf, EbpfLoader, Endianness, VerifierLogLevel};
use aya_log::EbpfLogger;
use enforcer_common::{ABSENT, Digest, USE_EXEC, USE_LIBRARY, Verdict};

use super::layout::{self, KernelTypes};
use super::pins::{Pins, observed, pin_error, require_bpffs};
use super::{KernelError, Maps, boottime, guard, maps::MAPS, object};
use crate::measure::in_parallel;
use crate::text::chain;

/// The LSM hooks, by the kernel's names, which are the programs' names too, and the entry of a system call that asks none. Those that decide about code
/// come first, then those that the daemon enrols by, and those that guard the enforcer last: when they begin, they have to know it.
pub const HOOKS: [&str; 40] = [
    "bprm_check_security",
    "mmap_file",
    "file_mprotect",
    "__x64_sys_brk",
    "inode_init_security_anon",
    "kernel_read_file",
    "kernel_post_read_file",
    "kernel_load_data",
    "path_truncate",
    "inode_listxattr",
    "inode_free_security",
    "bprm_committed_creds",
    "inode_readlink",
    "task_alloc",
    // From here on the enforcer is guarded.
    FIRST_GUARD,
    "ptrace_access_check",
    "ptrace_traceme",
    "perf_event_alloc",
    "task_prctl",
    "locked_down",
    "task_kill",
    "file_send_sigiotask",
    "task_setrlimit",
    "task_setscheduler",
    "task_setnice",
    "task_setioprio",
    "inode_create",
    "inode_mkdir",
    "inode_symlink",
    "inode_mknod",
    "inode_link",
    "inode_unlink",
    "inode_rmdir",
    "inode_rename",
    "sb_mount",
    "sb_umount",
    "move_mount",
    "bpf_map",
    "bpf_prog",
    "bpf",
];

/// Those that not every kernel has: the entry of the same system call for 32-bit programs, the hook in which a file that was opened can be read, and the one
/// that answers interpreters that ask.
pub(super) const OPTIONAL: [&str; 3] = [COMPATIBLE, FILE_POST_OPEN, BPRM_CREDS_FOR_EXEC];
pub(super) const COMPATIBLE: &str = "__ia32_sys_brk";
const FILE_POST_OPEN: &str = "file_post_open";
const BPRM_CREDS_FOR_EXEC: &str = "bprm_creds_for_exec";

/// The first hook that asks who the enforcer is.
const FIRST_GUARD: &str = "file_open";

/// Programs that the kernel has accepted, with their maps. They decide once they are attached.
pub struct Loaded {
    /// Their pins.
    pub pins: Pins,
    /// Their maps.
    pub maps: Arc<Maps>,
    /// Descriptors of the links: as long as the daemon lives, the programs stay in force without their pins.
    links: Vec<FdLink>,
    /// What is still to be attached; `None` when a former daemon's programs were taken over, which are in force already.
    pending: Option<Ebpf>,
}

/// Takes over the programs in force, if they are of this build; else loads this build, without attaching it.
pub fn load_or_adopt(max_verdicts: u32) -> Result<Loaded, KernelError> {
    let types = layout::read()?;
    require_bpffs()?;
    let pins = Pins::of(&object::build_id(&types.layout, max_verdicts));
    if pins.is_complete() {
        return Ok(Loaded { maps: Arc::new(Maps::open(pins.folder())?), links: pins.links()?, pins, pending: None });
    }
    if pins.folder().exists() {
        pins.remove()?;
    }
    pins.create()?;
    let programs = load(&types, max_verdicts, &pins).inspect_err(|_| drop(pins.remove()))?;
    Ok(Loaded { maps: Arc::new(Maps::open(pins.folder())?), links: Vec::new(), pins, pending: Some(programs) })
}

impl Loaded {
    /// Whether the programs were in force already.
    pub fn was_adopted(&self) -> bool {
        self.pending.is_none()
    }

    /// Attaches the programs and pins their links. From here on they decide, with or without the daemon. `folders` are the daemon's own, which are
    /// guarded besides the pins.
    pub fn attach(&mut self, folders: &[&Path]) -> Result<(), KernelError> {
        let Some(mut programs) = self.pending.take() else {
            guard::enrol_inodes(&self.maps, &self.pins, folders)?;
            return guard::enrol_objects(&self.maps, &self.pins, &self.links);
        };
        for hook in HOOKS {
            if hook == FIRST_GUARD {
                guard::enrol_inodes(&self.maps, &self.pins, folders)?;
            }
            self.links.push(attach(&mut programs, hook, &self.pins)?);
        }
        for hook in OPTIONAL.into_iter().filter(|hook| self.pins.program(hook).exists()) {
            self.links.push(attach(&mut programs, hook, &self.pins)?);
        }
        guard::enrol_objects(&self.maps, &self.pins, &self.links)
    }

    /// The programs' own log, which tells of faults; its records go to the daemon's log.
    pub fn log(&self) -> Result<EbpfLogger<&'static dyn log::Log>, KernelError> {
        let missing = || KernelError::Load { detail: "a pinned program is missing".to_owned() };
        let program = self.pins.program_ids().into_iter().next().ok_or_else(missing)?;
        EbpfLogger::init_from_id(program).map_err(|error| failed(&error))
    }

    /// The other builds that are in force.
    pub fn others(&self) -> Result<Others, KernelError> {
        let others = observed()?.into_iter().filter(|pins| *pins != self.pins);
        Ok(Others { maps: others.filter_map(|pins| Maps::open(pins.folder()).ok()).collect() })
    }

    /// Removes the pins of every other build. Only after this one was proven to deny.
    pub fn retire_others(&self) -> Result<usize, KernelError> {
        let others: Vec<Pins> = observed()?.into_iter().filter(|pins| *pins != self.pins).collect();
        for pins in &others {
            pins.remove()?;
        }
        Ok(others.len())
    }
}

/// Other builds of the programs that are in force during an upgrade.
pub struct Others {
    maps: Vec<Maps>,
}

impl Others {
    /// Whether there are any: then enforcement began before this build came.
    pub fn are_there(&self) -> bool {
        !self.maps.is_empty()
    }

    /// Lets a canary pass them, so that what is seen of it is this build's doing alone.
    pub fn let_pass(&self, canary: &Digest) -> Result<(), KernelError> {
        let (expires_at, uses) = (boottime() + CANARY_PASSES, USE_EXEC | USE_LIBRARY);
        let verdict = Verdict { expires_at, uses, entitlements: 0, signer: 0, generation: 0, component: 0, left: 0 };
        self.maps.iter().try_for_each(|maps| maps.publish(canary, &verdict))
    }
}

/// Longer than a canary takes, in nanoseconds.
const CANARY_PASSES: u64 = 60_000_000_000;

/// The object's programs with their maps, which the kernel has not seen but for the maps.
pub(super) fn open(types: &KernelTypes, btf: &Btf, max_verdicts: u32, log: VerifierLogLevel) -> Result<Ebpf, KernelError> {
    EbpfLoader::new()
        .btf(Some(btf))
        .verifier_log_level(log)
        .override_global("KERNEL", &types.layout, true)
        .map_max_entries("VERDICTS", max_verdicts)
        // A task's storage, which aya does not know.
        .allow_unsupported_maps()
        .load(&object::for_kernel(types)?)
        .map_err(|error| failed(&error))
}

/// The types of the running kernel, as aya reads them.
pub(super) fn kernel_btf() -> Result<Btf, KernelError> {
    Btf::parse(&layout::vmlinux()?, Endianness::default()).map_err(|error| failed(&error))
}

fn failed(error: &dyn std::error::Error) -> KernelError {
    KernelError::Load { detail: chain(error) }
}

/// Loads the programs of this build, and pins its maps and programs.
fn load(types: &KernelTypes, max_verdicts: u32, pins: &Pins) -> Result<Ebpf, KernelError> {
    let btf = kernel_btf()?;
    let mut programs = open(types, &btf, max_verdicts, VerifierLogLevel::default())?;
    for name in MAPS {
        let map = programs.map_mut(name).ok_or_else(|| KernelError::Map { map: name, detail: "it is not in the object".to_owned() })?;
        map.pin(pins.map(name)).map_err(|error| failed(&error))?;
    }
    let wanted: Vec<&str> = hooks(types).collect();
    if let Some(hook) = wanted.iter().find(|hook| programs.program(hook).is_none()) {
        return Err(not_in_object(hook));
    }
    // The verifier looks at each by itself, and is what a start takes longest for.
    let found: Vec<(&str, &mut Program)> = programs.programs_mut().filter(|(name, _)| wanted.contains(name)).collect();
    in_parallel(found.into_iter(), |(hook, program)| load_one(hook, program, &btf, pins)).into_iter().collect::<Result<(), _>>()?;
    Ok(programs)
}

/// Has the verifier accept one program, and pins it.
fn load_one(hook: &str, program: &mut Program, btf: &Btf, pins: &Pins) -> Result<(), KernelError> {
    let began = Instant::now();
    verify(hook, program, btf)?.map_err(|error| KernelError::Program { program: hook.to_owned(), detail: describe(&error) })?;
    tracing::debug!(hook, milliseconds = began.elapsed().as_secs_f64() * 1000.0, "the kernel accepted a program");
    let path = pins.program(hook);
    program.pin(&path).map_err(|error| pin_error("pin", &path, std::io::Error::other(chain(&error))))
}

/// The hooks that this kernel has.
pub(super) fn hooks(types: &KernelTypes) -> impl Iterator<Item = &'static str> {
    let is_there = |hook: &&str| match *hook {
        COMPATIBLE => types.ia32_system_calls,
        FILE_POST_OPEN => types.layout.features.file_post_open != 0,
        _ => types.layout.linux_binprm_is_check != ABSENT,
    };
    HOOKS.into_iter().chain(OPTIONAL.into_iter().filter(is_there))
}

/// Has the kernel verify one program, and says what it answered.
pub(super) fn verify(hook: &str, program: &mut Program, btf: &Btf) -> Result<Result<(), ProgramError>, KernelError> {
    match program {
        Program::Lsm(program) => Ok(program.load(hook, btf)),
        Program::FEntry(program) => Ok(program.load(hook, btf)),
        _ => Err(not_in_object(hook)),
    }
}

/// Attaches one program, and pins its link.
fn attach(programs: &mut Ebpf, hook: &str, pins: &Pins) -> Result<FdLink, KernelError> {
    let attached: Result<FdLink, ProgramError> = match programs.program_mut(hook) {
        Some(Program::Lsm(program)) => program.attach().and_then(|id| program.take_link(id)).map(Into::into),
        Some(Program::FEntry(program)) => program.attach().and_then(|id| program.take_link(id)).map(Into::into),
        _ => return Err(not_in_object(hook)),
    };
    let link = attached.map_err(|error| KernelError::Program { program: hook.to_owned(), detail: chain(&error) })?;
    let path = pins.link(hook);
    let pinned = link.pin(&path);
    pinned.map(Into::into).map_err(|error| KernelError::Load { detail: format!("cannot pin `{}`: {}", path.display(), chain(&error)) })
}

pub(super) fn lsm<'a>(programs: &'a mut Ebpf, hook: &str) -> Result<&'a mut Lsm, KernelError> {
    match programs.program_mut(hook) {
        Some(Program::Lsm(program)) => Ok(program),
        _ => Err(not_in_object(hook)),
    }
}

pub(super) fn not_in_object(hook: &str) -> KernelError {
    KernelError::Object { detail: format!("it has no program `{hook}`") }
}

/// A refusal with the end of the verifier's log, which says where and why.
pub(super) fn describe(error: &ProgramError) -> String {
    const LINES: usize = 40;
    if let ProgramError::LoadError { io_error, verifier_log } = error {
        let log = verifier_log.to_string();
        let lines: Vec<&str> = log.lines().collect();
        if lines.is_empty() {
            return format!("{io_error} (the verifier said nothing)");
        }
        let tail = &lines[lines.len().saturating_sub(LINES)..];
        return format!("{io_error}; the end of the verifier's log:\n{}", tail.join("\n"));
    }
    chain(error)
}
