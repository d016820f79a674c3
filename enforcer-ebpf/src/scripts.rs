//! Interpreters: programs that run text. What they read as a script needs a verdict like a program; text that they are handed, the policy's consent.
//!
//! A process is held to what its program is: `INTERPRETERS` says it of a digest, and `EXECUTABLES` which digest a process runs. What counts as a script is
//! told by the file's name and folder, as they are and as they were opened by ([`names`]), or by the command line ([`arguments`](crate::arguments)): whatever goes by the name that
//! is given there is one.
#![allow(clippy::needless_borrows_for_generic_args, reason = "by value, a key is copied to the stack, which has 512 bytes")]

mod names;

use core::ptr::{addr_of, addr_of_mut, read_volatile, write_volatile};

use aya_ebpf::helpers::generated::bpf_send_signal;
use enforcer_common::{
    Digest, ENTITLEMENT_INLINE_CODE, ENTITLEMENT_PROTECTED, ExecutableId, HAS_SCRIPT_FOLDERS, Hook, Interpreter, PROGRAMS_MAY_CALL, RESOLVES_LINKS,
    Reason, Response, SCRIPT_ARGUMENTS, Settings, USE_SCRIPT,
};

use crate::{
    arguments::{self, Parser, Strings},
    binprm::{self, LinuxBinprm},
    filesystem, inode_at,
    judge::{self, Answer, Denial, Fault, Question},
    kernel::{self, file},
    last_part::{Part, last_part},
    maps::{self, EXECUTABLES, INTERPRETER_INODES, INTERPRETERS, STARTED},
    rights,
};
use names::{is_folder_name, is_script_name, leads_through_script_folder, lies_in_script_folder};

/// What is kept with a task that has started an interpreter.
#[repr(C)]
pub(crate) struct Started {
    /// The hashes of the last parts of the names that the command line and the environment give as scripts; 0 for none.
    pub(crate) scripts: [u64; SCRIPT_ARGUMENTS],
    /// Whether the program that started it may hand it text that is denied otherwise.
    caller_may: u64,
    /// Whether it has read where a script's link leads to, and not yet opened what it found.
    link_read: u64,
    /// The interpreter that it has mapped, and is not.
    mapped: Digest,
    reserved: u32,
    pub(crate) parser: Parser,
}

/// What the program of this digest is held to as an interpreter.
#[inline(always)]
pub(crate) fn interpreter(digest: &Digest) -> Option<*const Interpreter> {
    INTERPRETERS.get_ptr(digest)
}

/// An interpreter is about to start: whether the current process may, which it still is, and what it may hand to it.
#[inline(always)]
pub(crate) fn note_start(interpreter: *const Interpreter) -> Result<(), Reason> {
    let task = kernel::current_task();
    let started = storage(task);
    if started.is_null() {
        return Err(Reason::CodeFull);
    }
    let may = may_call(interpreter);
    // SAFETY: a map value that was checked for null, of this task alone.
    unsafe {
        write_volatile(addr_of_mut!((*started).caller_may), u64::from(may));
        write_volatile(addr_of_mut!((*started).link_read), 0);
        write_volatile(addr_of_mut!((*started).mapped), Digest::NONE);
    }
    if rights::is_entitled(ENTITLEMENT_PROTECTED) { Err(Reason::ProtectedProcess) } else { Ok(()) }
}

/// The task's storage, made when it is missing; null when there is no memory for it. Tried again, because the kernel also says so when somebody else is at it on
/// this processor.
#[inline(always)]
fn storage(task: *mut kernel::task_struct) -> *mut Started {
    for _ in 0..ATTEMPTS {
        let started = STARTED.get_or_insert(task);
        if !started.is_null() {
            return started;
        }
    }
    core::ptr::null_mut()
}

const ATTEMPTS: usize = 4;

/// A task is made by an interpreter: it goes by the same names of scripts. Whether that could be noted.
#[inline(always)]
pub(crate) fn inherit(task: *mut kernel::task_struct) -> bool {
    if !may_be_noted(kernel::current_executable_number()) {
        return true;
    }
    let parent = STARTED.get(kernel::current_task());
    if parent.is_null() {
        return true;
    }
    let child = storage(task);
    if child.is_null() {
        return false;
    }
    // SAFETY: map values that were checked for null; the new task does not run yet.
    unsafe {
        for place in 0..SCRIPT_ARGUMENTS {
            write_volatile(
                addr_of_mut!((*child).scripts).cast::<u64>().add(place),
                read_volatile(addr_of!((*parent).scripts).cast::<u64>().add(place)),
            );
        }
        write_volatile(addr_of_mut!((*child).caller_may), read_volatile(addr_of!((*parent).caller_may)));
        write_volatile(addr_of_mut!((*child).link_read), read_volatile(addr_of!((*parent).link_read)));
        write_volatile(addr_of_mut!((*child).mapped), read_volatile(addr_of!((*parent).mapped)));
    }
    true
}

/// Whether the current process may hand text to an interpreter that must not run any.
#[inline(always)]
fn may_call(interpreter: *const Interpreter) -> bool {
    if rights::is_entitled(ENTITLEMENT_INLINE_CODE) {
        return true;
    }
    // SAFETY: a map value that was checked for null.
    let programs_may = unsafe { read_volatile(addr_of!((*interpreter).flags)) } & PROGRAMS_MAY_CALL != 0;
    let mut id = ExecutableId::default();
    // A helper of the kernel's is called by no program.
    programs_may && kernel::task_executable(kernel::current_task() as u64, &mut id) && interpreter_of(&id).is_none()
}

/// What a program that was measured when it started is held to, if it is an interpreter.
#[inline(always)]
fn interpreter_of(id: &ExecutableId) -> Option<*const Interpreter> {
    // SAFETY: user space replaces a value as a whole, and the kernel frees the old one later than this program ends.
    interpreter(unsafe { EXECUTABLES.get(id) }?)
}

/// What the current process is held to: by the program that it runs, or by the one that it has mapped.
#[inline(always)]
fn held(task: *mut kernel::task_struct) -> Option<*const Interpreter> {
    let mut id = ExecutableId::default();
    if !kernel::task_executable(task as u64, &mut id) {
        return None;
    }
    if let Some(interpreter) = interpreter_of(&id) {
        return Some(interpreter);
    }
    let started = STARTED.get(task);
    if started.is_null() {
        return None;
    }
    // SAFETY: a map value that was checked for null, of this task alone.
    interpreter(unsafe { &*addr_of!((*started).mapped) })
}

/// Whether the program of a process may have anything noted of it, or be the enforcer, by its inode's number: a quick no for almost everybody.
#[inline(always)]
pub(crate) fn may_be_noted(number: u64) -> bool {
    let Some(bits) = INTERPRETER_INODES.get_ptr(0) else { return true };
    // SAFETY: a map value that was checked for null; 1024 words, of which one is read.
    let word = unsafe { read_volatile(bits.cast::<u64>().add((number >> 6) as usize & (INODE_WORDS - 1))) };
    word & (1 << (number & 63)) != 0
}

/// Says that it may.
#[inline(always)]
pub(crate) fn note_inode(number: u64) {
    let Some(bits) = INTERPRETER_INODES.get_ptr_mut(0) else { return };
    // SAFETY: as above. Of two at once, one can be lost: it is set until it stays.
    unsafe {
        let word = bits.cast::<u64>().add((number >> 6) as usize & (INODE_WORDS - 1));
        crate::atomic::fetch_or(word, 1 << (number & 63));
    }
}

/// Words of the map's one element, 64 inodes each.
pub(crate) const INODE_WORDS: usize = 1024;

/// The current process has opened a file: is it an interpreter, and may it read this? `judge` judges the file if it is a script.
#[inline(always)]
pub(crate) fn opened(file: *mut file, judge: impl FnOnce(&Question, &Settings) -> Answer) -> Result<Answer, Fault> {
    if !kernel::file_is_read(file) || !may_be_noted(kernel::current_executable_number()) {
        return Ok(Answer::Allow);
    }
    let inode = kernel::file_inode(file);
    let reading = what_is_read(kernel::address(file), kernel::address(inode));
    let response = (reading & RESPONSE) as u32;
    if reading & NOTHING_SAID != 0 || response == Response::Allow as u32 {
        return Ok(Answer::Allow);
    }
    let settings = judge::settings()?;
    let question = Question { response, ..Question::about(Hook::FilePostOpen, file, USE_SCRIPT, true) };
    if reading & NO_CONTENT != 0 {
        return Ok(judge::deny(&question, &Denial::without_digest(Reason::ScriptNotAFile), response, settings));
    }
    Ok(judge(&question, settings))
}

// What `what_is_read` answers: a `Response`, and these.
const RESPONSE: u64 = 0xff;
/// It is nothing that the policy says anything about.
const NOTHING_SAID: u64 = 1 << 8;
/// It is no file whose content can be measured.
const NO_CONTENT: u64 = 1 << 9;

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn what_is_read(file: u64, inode: u64) -> u64 {
    let task = kernel::current_task();
    let Some(interpreter) = held(task) else { return NOTHING_SAID };
    // SAFETY: a map value that was checked for null.
    let (number, flags, unsigned, others, stdin) = unsafe {
        (
            read_volatile(addr_of!((*interpreter).number)),
            read_volatile(addr_of!((*interpreter).flags)),
            u64::from(read_volatile(addr_of!((*interpreter).unsigned))),
            u64::from(read_volatile(addr_of!((*interpreter).others))),
            u64::from(read_volatile(addr_of!((*interpreter).stdin))),
        )
    };
    let kind = inode_at::kind(inode);
    if kind == inode_at::FOLDER {
        return NOTHING_SAID;
    }
    let has_content = kind == inode_at::REGULAR && has_content(inode);
    if is_script(task, file, kind, number, flags) {
        return match (has_content, kind) {
            (true, _) => unsigned,
            (false, inode_at::REGULAR) => unsigned | NO_CONTENT,
            // A pipe, a socket, a device: it is as if the program came through standard input.
            _ if caller_may(task) => NOTHING_SAID,
            _ => stdin | NO_CONTENT,
        };
    }
    if has_content && !filesystem::is_kernels_own(inode) { others } else { NOTHING_SAID }
}

/// The current process has read a link. One that opens what its scripts' links lead to opens a script next, whatever the name of that is.
#[inline(always)]
pub(crate) fn link_read(dentry: *const u8) {
    if may_be_noted(kernel::current_executable_number()) {
        note_link(kernel::address(dentry));
    }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn note_link(dentry: u64) -> u64 {
    let task = kernel::current_task();
    let Some(interpreter) = held(task) else { return 0 };
    let started = STARTED.get(task);
    // SAFETY: map values that were checked for null.
    unsafe {
        if started.is_null() || read_volatile(addr_of!((*interpreter).flags)) & RESOLVES_LINKS == 0 {
            return 0;
        }
        let mut part = Part::NONE;
        let name = kernel::dentry_name(dentry);
        let number = read_volatile(addr_of!((*interpreter).number));
        let has_folders = read_volatile(addr_of!((*interpreter).flags)) & HAS_SCRIPT_FOLDERS != 0;
        if last_part(name, &mut part) == 0
            || is_script_name(name, &part, number)
            || is_told(started, part.hash)
            || has_folders && (is_folder_name(name, number) || lies_in_script_folder(dentry, number) != 0)
        {
            write_volatile(addr_of_mut!((*started).link_read), 1);
        }
    }
    0
}

/// Whether this is the hash of a name that the command line or the environment gives as a script.
///
/// # Safety
///
/// A value of a map.
#[inline(always)]
unsafe fn is_told(started: *const Started, hash: u64) -> bool {
    for place in 0..SCRIPT_ARGUMENTS {
        // SAFETY: the caller's.
        if unsafe { read_volatile(addr_of!((*started).scripts).cast::<u64>().add(place)) } == hash {
            return true;
        }
    }
    false
}

/// Whether the program that started the interpreter may hand it text that is denied otherwise.
#[inline(always)]
fn caller_may(task: *mut kernel::task_struct) -> bool {
    let started = STARTED.get(task);
    // SAFETY: a map value that was checked for null.
    !started.is_null() && unsafe { read_volatile(addr_of!((*started).caller_may)) } != 0
}

/// Whether what is read of a file is what it has: those of the kernel's own file systems have no size.
#[inline(always)]
fn has_content(inode: u64) -> bool {
    inode_at::size(inode) != 0 || filesystem::keeps_sizes(inode)
}

/// Whether a file is a script to this interpreter.
#[inline(always)]
fn is_script(task: *mut kernel::task_struct, file: u64, kind: u32, number: u32, flags: u32) -> bool {
    let mut part = Part::NONE;
    let dentry = kernel::path_dentry_at(file + u64::from(kernel::layout!(file_f_path)));
    let known = kernel::dentry_name(dentry);
    let has_folders = flags & HAS_SCRIPT_FOLDERS != 0;
    if last_part(known, &mut part) == 0 || is_script_name(known, &part, number) || has_folders && lies_in_script_folder(dentry, number) != 0 {
        return true;
    }
    let opened = kernel::name_being_opened(task as u64);
    if opened == 0 {
        return false;
    }
    if last_part(opened, &mut part) == 0 || is_script_name(opened, &part, number) || has_folders && leads_through_script_folder(opened, number) != 0 {
        return true;
    }
    let started = STARTED.get(task);
    if started.is_null() {
        return false;
    }
    // SAFETY: a map value that was checked for null.
    unsafe {
        if is_told(started, part.hash) {
            return true;
        }
        if kind != inode_at::REGULAR || read_volatile(addr_of!((*started).link_read)) == 0 {
            return false;
        }
        write_volatile(addr_of_mut!((*started).link_read), 0);
    }
    true
}

/// An interpreter has been started, and has not run yet: what it is told to run may be denied. There is no way back any more, so that ends it.
#[inline(always)]
pub(crate) fn started(bprm: *const LinuxBinprm) -> Result<Answer, Fault> {
    if !may_be_noted(kernel::current_executable_number()) {
        return Ok(Answer::Allow);
    }
    let mut id = ExecutableId::default();
    if !kernel::task_executable(kernel::current_task() as u64, &mut id) {
        return Ok(Answer::Allow);
    }
    let Some(interpreter) = interpreter_of(&id) else { return Ok(Answer::Allow) };
    let started = STARTED.get(kernel::current_task());
    if started.is_null() {
        return Err(Fault::NoTask);
    }
    let strings = Strings::of(bprm);
    let outcome = arguments::read(&strings, started, interpreter);
    // SAFETY: map values that were checked for null.
    let (reason, response) = unsafe {
        match outcome {
            arguments::TEXT => (Reason::InlineCode, read_volatile(addr_of!((*interpreter).inline))),
            arguments::DESCRIPTOR => (Reason::CodeFromStdin, read_volatile(addr_of!((*interpreter).stdin))),
            arguments::STDIN => match standard_input() {
                // With nothing to read and nothing to do, there is nothing to deny; who says more means something else by it.
                StandardInput::Nothing if strings.arguments <= 1 => return Ok(Answer::Allow),
                StandardInput::Nothing => (Reason::CodeFromStdin, read_volatile(addr_of!((*interpreter).stdin))),
                StandardInput::Terminal => (Reason::InteractiveInterpreter, read_volatile(addr_of!((*interpreter).interactive))),
                StandardInput::Content => (Reason::CodeFromStdin, read_volatile(addr_of!((*interpreter).stdin))),
            },
            _ => return Ok(Answer::Allow),
        }
    };
    if response == Response::Allow as u32 || caller_may(kernel::current_task()) {
        return Ok(Answer::Allow);
    }
    let question = Question::about(Hook::BprmCommittedCreds, binprm::file(bprm), 0, true);
    let settings = judge::settings()?;
    let denial = Denial::without_digest(reason);
    Ok(judge::deny(&question, &denial, response, settings))
}

/// What is behind the current task's standard input.
enum StandardInput {
    /// It is closed, or `/dev/null`.
    Nothing,
    /// A device, of which terminals are some.
    Terminal,
    /// A pipe, a socket, a file.
    Content,
}

/// Looks behind the current task's first descriptor.
#[inline(always)]
fn standard_input() -> StandardInput {
    const NULL_DEVICE: u32 = 1 << 20 | 3;
    let table = kernel::word_at(
        kernel::word_at(kernel::current_task() as u64 + u64::from(kernel::layout!(task_struct_files))) + u64::from(kernel::layout!(files_struct_fdt)),
    );
    let file = kernel::word_at(kernel::word_at(table + u64::from(kernel::layout!(fdtable_fd))));
    if file == 0 {
        return StandardInput::Nothing;
    }
    let inode = kernel::word_at(file + u64::from(kernel::layout!(file_f_inode)));
    if inode_at::kind(inode) != inode_at::CHARACTER_DEVICE {
        return StandardInput::Content;
    }
    if kernel::read_half(inode + u64::from(kernel::layout!(inode_i_rdev))) == NULL_DEVICE { StandardInput::Nothing } else { StandardInput::Terminal }
}

/// Ends the current process before its first instruction.
#[inline(always)]
pub(crate) fn kill() {
    const SIGKILL: u32 = 9;
    // SAFETY: no pointers.
    unsafe { bpf_send_signal(SIGKILL) };
}

/// A file that is about to be mapped as code has a verdict that allows it to start and not to be mapped: so it is an interpreter, which only its own process
/// maps. Any other program that does, the dynamic loader say, could run it, and what it is told to run was not looked at. Where that may be anything, it is
/// held to what the interpreter may read (`ldd` maps programs, too); elsewhere it is refused.
#[inline(always)]
pub(crate) fn check_mapping(question: &Question, digest: &Digest) -> Result<(), Reason> {
    match mapping_of(kernel::address(kernel::file_inode(question.file)), digest) {
        MAPS_ITSELF => Ok(()),
        MAPS_ANOTHER => Err(Reason::ForeignInterpreter),
        _ => Err(Reason::UseNotAllowed),
    }
}

// What `mapping_of` answers.
const MAPS_NONE: u64 = 0;
const MAPS_ITSELF: u64 = 1;
const MAPS_ANOTHER: u64 = 2;

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn mapping_of(inode: u64, digest: *const Digest) -> u64 {
    let Some(digest) = maps::key(digest) else { return MAPS_NONE };
    let Some(interpreter) = interpreter(&digest) else { return MAPS_NONE };
    let task = kernel::current_task();
    let mut id = ExecutableId::default();
    if !kernel::task_executable(task as u64, &mut id) {
        return MAPS_ANOTHER;
    }
    if id.address == inode {
        return MAPS_ITSELF;
    }
    // SAFETY: map values that were checked for null.
    unsafe {
        let [inline, stdin, interactive] = [addr_of!((*interpreter).inline), addr_of!((*interpreter).stdin), addr_of!((*interpreter).interactive)]
            .map(|response| read_volatile(response));
        let allow = Response::Allow as u32;
        if inline != allow || stdin != allow || interactive != allow {
            return MAPS_ANOTHER;
        }
        let started = storage(task);
        if started.is_null() {
            return MAPS_ANOTHER;
        }
        write_volatile(addr_of_mut!((*started).mapped), digest);
    }
    note_inode(id.inode.number);
    MAPS_ITSELF
}
