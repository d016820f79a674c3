//! The decision that all hooks share: measure, look up, ask once about what nobody has seen, and answer.

use core::{mem::MaybeUninit, ptr::null_mut};

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_ktime_get_boot_ns},
    programs::LsmContext,
};
use aya_log_ebpf::error;
use enforcer_common::{Counter, Digest, Hook, Mode, Reason, Response, Settings, USE_MODULE, Verdict};

use crate::{
    filesystem, first_use, grant,
    kernel::{self, file},
    maps::{self, SETTINGS, VERDICTS},
    measure, names, report, rights, scope, scripts,
};

/// What a hook tells the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Allow,
    Deny,
}

/// What must not happen, and stops the program from deciding.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// The map `SETTINGS` has no element.
    NoSettings,
    /// What was kept with a task when it started an interpreter is not there.
    NoTask,
}

/// What is asked: by which hook, for which file, to be used how.
pub(crate) struct Question {
    pub(crate) hook: Hook,
    /// Null for memory without a file.
    pub(crate) file: *mut file,
    /// [`enforcer_common::USE_EXEC`] or its like.
    pub(crate) wanted: u32,
    /// The address of the path that a program was called by; 0 where there is none.
    pub(crate) called_by: u64,
    /// Whether the hook may sleep, and so hash, wait, and spell out a path.
    pub(crate) sleepable: bool,
    /// The address of a name to report where there is no file; 0 where there is none.
    pub(crate) name: u64,
    /// Whether another process has the one in its hands that starts the program.
    pub(crate) in_others_hands: bool,
    /// [`Response`] to content without a verdict.
    pub(crate) response: u32,
}

impl Question {
    /// A question about something that is no file, but may have a name.
    #[inline(always)]
    pub(crate) const fn without_file(hook: Hook, name: u64) -> Self {
        Self { name, ..Self::about(hook, core::ptr::null_mut(), 0, false) }
    }

    /// A question about a file, or about memory when that is null.
    #[inline(always)]
    pub(crate) const fn about(hook: Hook, file: *mut file, wanted: u32, sleepable: bool) -> Self {
        Self { hook, file, wanted, called_by: 0, sleepable, name: 0, in_others_hands: false, response: Response::Deny as u32 }
    }
}

impl Question {
    /// Says that the hook cannot sleep, by a store of its own: 6.1's verifier knows that a byte is zero if it saw the store, and not if it saw a loop
    /// over the whole structure; and what it does not know, it follows into helpers that sleep.
    #[inline(always)]
    pub(crate) fn cannot_sleep(&mut self) {
        // SAFETY: a field of a borrowed value.
        unsafe { core::ptr::write_volatile(&mut self.sleepable, false) };
    }
}

/// Why the answer is no.
pub(crate) struct Denial {
    pub(crate) reason: Reason,
    pub(crate) detail: i32,
    pub(crate) digest: Digest,
}

impl Denial {
    pub(crate) const fn without_digest(reason: Reason) -> Self {
        Self { reason, detail: 0, digest: Digest::NONE }
    }
}

/// The current process, as the initial namespace numbers it.
#[inline(always)]
pub(crate) fn current_pid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

pub(crate) fn settings() -> Result<&'static Settings, Fault> {
    SETTINGS.get(0).ok_or(Fault::NoSettings)
}

/// Judges a file that is about to become code, in a hook that may sleep.
#[inline(always)]
pub(crate) fn file(question: &Question, settings: &Settings) -> Answer {
    if is_granted(question, settings) {
        maps::count(Counter::Granted);
        return Answer::Allow;
    }
    let mut denial = Denial::without_digest(Reason::Untrusted);
    let mut subject = measure::Subject::UNKNOWN;
    if let Err(reason) = measure::locate_or_wait(question.file, &mut subject) {
        denial.reason = reason;
        return deny(question, &denial, question.response, settings);
    }
    let is_reusable = measure::reusable(kernel::file_inode(question.file), &mut subject, &mut denial.digest);
    if kernel::opaque(u64::from(is_reusable)) != 0 {
        maps::count(Counter::CacheHits);
    } else if let Some(answer) = look_at(question, &mut subject, &mut denial, settings) {
        return answer;
    }
    by_digest(question, &subject, denial, settings)
}

/// Whether a grant and the file's name are all that has to be looked at. Where it is not, the whole rule says why.
#[inline(always)]
fn is_granted(question: &Question, settings: &Settings) -> bool {
    // Zeros cost as much as all the rest: only where names are bound is there a digest, and it is looked at.
    let mut digest = MaybeUninit::<Digest>::uninit();
    let has_names = settings.bound_names != 0;
    let granted = grant::granted(kernel::file_inode(question.file), question.wanted, if has_names { digest.as_mut_ptr() } else { null_mut() });
    // SAFETY: what is granted puts the digest there.
    if granted == 0 || has_names && names::check(question, unsafe { digest.assume_init_ref() }, settings).is_err() {
        return false;
    }
    match question.hook {
        // Of others, it has to be noted what they are, and held against whoever starts them.
        Hook::BprmCheckSecurity => granted & grant::PLAIN != 0,
        Hook::MmapFile => rights::loads_any_library(),
        _ => true,
    }
}

/// Judges a file in a hook that comes too early to read it: by a measurement that is at hand, or that the daemon has the kernel make.
#[inline(always)]
pub(crate) fn unread_file(question: &Question, settings: &Settings) -> Answer {
    let mut denial = Denial::without_digest(Reason::Untrusted);
    let mut subject = measure::Subject::UNKNOWN;
    if let Err(reason) = measure::locate_or_wait(question.file, &mut subject) {
        denial.reason = reason;
        return deny(question, &denial, question.response, settings);
    }
    let inode = kernel::file_inode(question.file);
    let mut is_reusable = measure::reusable(inode, &mut subject, &mut denial.digest);
    if kernel::opaque(u64::from(is_reusable)) == 0 {
        if let Err(reason) = first_use::ask(&Digest::NONE, question, settings) {
            denial.reason = reason;
            return deny(question, &denial, question.response, settings);
        }
        is_reusable = measure::reusable(inode, &mut subject, &mut denial.digest);
        if kernel::opaque(u64::from(is_reusable)) == 0 {
            denial.reason = Reason::NotMeasured;
            return deny(question, &denial, question.response, settings);
        }
    }
    by_digest(question, &subject, denial, settings)
}

/// Measures a file, or answers at once where that cannot be, or need not.
#[inline(always)]
fn look_at(question: &Question, subject: &mut measure::Subject, denial: &mut Denial, settings: &Settings) -> Option<Answer> {
    if let Some(reason) = filesystem::unwelcome(kernel::file_inode(question.file), subject.real) {
        let response = if reason == Reason::VolatileFilesystem { settings.volatile_filesystems } else { settings.foreign_filesystems };
        // What may be read without a verdict may be read from anywhere.
        let response = if question.response < response { question.response } else { response };
        denial.reason = reason;
        if deny(question, denial, response, settings) == Answer::Deny {
            return Some(Answer::Deny);
        }
        // Reported in audit mode already: once is enough, and the file may well be unsigned besides.
        if response == Response::Deny as u32 && mode_for(question, denial, settings) == Mode::Audit as u32 {
            return Some(Answer::Allow);
        }
        denial.reason = Reason::Untrusted;
    }
    let Err(unmeasured) = measure::measure(question.file, subject, settings, &mut denial.digest) else { return None };
    // Nobody is left who would run it; and the reading was cut short by that, so that there is nothing to tell of the file.
    if kernel::is_being_killed(kernel::current_task()) {
        return Some(Answer::Deny);
    }
    denial.reason = unmeasured.reason;
    denial.detail = unmeasured.detail;
    denial.digest.algorithm = 0;
    Some(deny(question, denial, question.response, settings))
}

/// Judges a file by its digest, and looks once more whether that is still the content's.
#[inline(always)]
fn by_digest(question: &Question, subject: &measure::Subject, mut denial: Denial, settings: &Settings) -> Answer {
    let mut answer = look_up(&denial.digest, question, settings);
    if question.hook as u32 == Hook::MmapFile as u32
        && let Err(Reason::UseNotAllowed) = answer
    {
        answer = scripts::check_mapping(question, &denial.digest);
    }
    answer = answer.and_then(|()| names::check(question, &denial.digest, settings)).and_then(|()| rights::check_library(question, &denial.digest));
    if question.hook as u32 == Hook::BprmCheckSecurity as u32 {
        // In audit mode also what is only reported starts, and may be the enforcer.
        let noted = rights::note(kernel::file_inode(question.file), &denial.digest, settings);
        answer = answer.and(noted);
        // Whoever traces a process acts with its rights.
        if question.in_others_hands && rights::is_one_of(&denial.digest, settings) {
            answer = answer.and(Err(Reason::Tracing));
        }
    }
    if answer.is_ok() {
        answer = measure::confirm(question.file, subject);
    }
    match answer {
        Ok(()) => {
            maps::count(Counter::Allowed);
            grant::give(kernel::file_inode(question.file), question.hook as u32 == Hook::BprmCheckSecurity as u32);
            Answer::Allow
        }
        Err(reason) => {
            denial.reason = reason;
            deny(question, &denial, question.response, settings)
        }
    }
}

/// Whether the digest may be used so, or why not. Asks about what nobody has decided, and about what was allowed once and has expired: there may be a
/// newer signature.
#[inline(always)]
fn look_up(digest: &Digest, question: &Question, settings: &Settings) -> Result<(), Reason> {
    match known(digest, question.wanted) {
        None => first_use::ask(digest, question, settings),
        Some(Err(Reason::Expired)) => match first_use::ask(digest, question, settings) {
            Err(Reason::DaemonUnavailable) => Err(Reason::Expired),
            answer => answer,
        },
        Some(answer) => answer,
    }
}

/// What is known about a use of a digest; `None` when nobody has decided.
#[inline(always)]
pub(crate) fn known(digest: &Digest, wanted: u32) -> Option<Result<(), Reason>> {
    match known_use(digest, wanted) {
        NOT_DECIDED => None,
        ALLOWED => Some(Ok(())),
        EXPIRED => Some(Err(Reason::Expired)),
        _ => Some(Err(Reason::UseNotAllowed)),
    }
}

// What is known of a use.
pub(crate) const NOT_DECIDED: u64 = 0;
pub(crate) const ALLOWED: u64 = 1;
pub(crate) const EXPIRED: u64 = 2;
pub(crate) const OTHER_USES: u64 = 3;

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn known_use(digest: *const Digest, wanted: u32) -> u64 {
    maps::key(digest).map_or(NOT_DECIDED, |digest| decided(&digest, wanted))
}

/// One of the numbers above.
#[inline(always)]
pub(crate) fn decided(digest: &Digest, wanted: u32) -> u64 {
    // SAFETY: user space replaces a value as a whole, and the kernel frees the old one later than this program ends.
    let Some(verdict): Option<&Verdict> = (unsafe { VERDICTS.get(digest) }) else { return NOT_DECIDED };
    if verdict.uses == 0 && verdict.left != 0 {
        return NOT_DECIDED;
    }
    // SAFETY: no arguments.
    if verdict.expires_at != 0 && verdict.expires_at <= unsafe { bpf_ktime_get_boot_ns() } {
        return EXPIRED;
    }
    if verdict.uses & wanted == wanted { ALLOWED } else { OTHER_USES }
}

/// A denial as the policy wants it: stopped, or let through and reported, or let through without a word.
#[inline(always)]
pub(crate) fn deny(question: &Question, denial: &Denial, response: u32, settings: &Settings) -> Answer {
    deny_and(report::event, question, denial, response, settings)
}

/// The same about something that is no file.
#[inline(always)]
pub(crate) fn deny_without_file(question: &Question, denial: &Denial, response: u32, settings: &Settings) -> Answer {
    deny_and(report::event_without_file, question, denial, response, settings)
}

#[inline(always)]
fn deny_and(report: impl Fn(&Question, &Denial, u32, bool), question: &Question, denial: &Denial, response: u32, settings: &Settings) -> Answer {
    if response == Response::Allow as u32 {
        return Answer::Allow;
    }
    let mode = mode_for(question, denial, settings);
    let stops = mode != Mode::Audit as u32 && response != Response::Audit as u32;
    maps::count(if stops { Counter::Denied } else { Counter::WouldBeDenied });
    report(question, denial, mode, stops);
    if stops { Answer::Deny } else { Answer::Allow }
}

/// The mode that a denial falls under. A scope speaks for what its own processes run; what guards the kernel, or code that others run, is the machine's
/// matter, too; and what guards the enforcer holds on when its fuse has blown.
#[inline(always)]
fn mode_for(question: &Question, denial: &Denial, settings: &Settings) -> u32 {
    let here = scope::mode(settings);
    if denial.reason as u32 == Reason::Guarded as u32 {
        return scope::stricter(here, settings.guards);
    }
    let is_of_the_machine = question.wanted == USE_MODULE
        || matches!(question.hook, Hook::KernelReadFile | Hook::KernelPostReadFile | Hook::KernelLoadData | Hook::LockedDown | Hook::Bpf)
        || matches!(
            denial.reason,
            Reason::Tracing | Reason::MappedAsCode | Reason::KernelMemory | Reason::ForeignProgram | Reason::ExecutableReplaced
        );
    if is_of_the_machine { scope::stricter(here, settings.mode) } else { here }
}

/// Fails closed in enforce mode, and counts it in either. Without settings there is no mode to know, so that is closed too.
pub(crate) fn on_fault(ctx: &LsmContext, fault: Fault) -> i32 {
    maps::count(Counter::Faults);
    match fault {
        Fault::NoSettings => error!(ctx, "the map SETTINGS has no element"),
        Fault::NoTask => error!(ctx, "an interpreter has started, and what it is told to run is not known"),
    }
    match SETTINGS.get(0) {
        Some(settings) if scope::mode(settings) == Mode::Audit as u32 => 0,
        _ => Answer::Deny.errno(),
    }
}

impl Answer {
    /// 0 or `-EPERM`. The value goes through memory, because some kernels' verifiers lose its bounds in the arithmetic that LLVM makes of a choice; and
    /// in all 64 bits, because they keep track of nothing less.
    #[inline(always)]
    pub(crate) fn errno(self) -> i32 {
        let mut errno = 0_i64;
        if self == Self::Deny {
            // SAFETY: a local variable.
            unsafe { core::ptr::write_volatile(&mut errno, -EPERM) };
        }
        // SAFETY: as above.
        unsafe { core::ptr::read_volatile(&errno) as i32 }
    }
}

const EPERM: i64 = 1;
