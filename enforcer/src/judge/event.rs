//! Uses that were recorded: what was asked, as far as the event tells, and what another policy says of it.

use std::path::{Path, PathBuf};

use enforcer_common::{ENTITLEMENT_DEBUGGER, ENTITLEMENT_INLINE_CODE, ENTITLEMENT_JIT, ENTITLEMENTS, Hook, Reason, Response};
use enforcer_common::{USE_EXEC, USE_LIBRARY, USE_MODULE, USE_SCRIPT};

use super::file::common;
use super::{Judge, Judgement, Outcome, Rationale, Use};
use crate::audit::{Code, Record, explain};
use crate::measure::MeasureError;
use crate::policy::{Callers, Evidence, Policy, Rule, ScriptSetting, Setting};
use crate::report::Service;
use crate::signature::{Compared, Examiner, Facts, Rejected, Verified};

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A file that is used as code: what is known of its content decides.
    File(FileUse),
    /// Anything else: settings decide, or nothing that a policy says.
    Other,
}

/// A file that was to be used as code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileUse {
    /// Its path, where the event has a full one.
    pub path: Option<PathBuf>,
    /// What for. A program that begins with `#!` is a script; the event does not tell.
    pub wanted: Use,
}

impl Subject {
    /// By hook and reason.
    pub fn of(record: &Record) -> Self {
        let (Code::Known(reason), Code::Known(hook)) = (record.reason, record.hook) else { return Self::Other };
        let is_about_content = matches!(
            reason,
            Reason::Untrusted
                | Reason::Expired
                | Reason::UseNotAllowed
                | Reason::WrongComponent
                | Reason::TooLarge
                | Reason::Unreadable
                | Reason::DaemonUnavailable
                | Reason::NoAnswer
                | Reason::TooManyWaiting
                | Reason::VerdictsFull
        );
        match wanted(hook) {
            Some(wanted) if is_about_content => {
                let is_full = record.path_kind == Code::Known(enforcer_common::PathKind::Full);
                Self::File(FileUse { path: record.path_as_it_is().filter(|path| is_full && path.is_absolute()), wanted })
            }
            _ => Self::Other,
        }
    }
}

/// A file that an event is about: by what lies there now, if that is still the same content, and else by the digest alone.
pub fn recorded_file(
    judge: &Judge<'_>,
    examiner: &Examiner,
    facts: &Facts<'_>,
    record: &Record,
    file: &FileUse,
    examined: Option<&Compared>,
) -> Judgement {
    if let Some(judgement) = judge.size(record, file) {
        return judgement;
    }
    let place = file.path.as_deref().unwrap_or(Path::new(""));
    let went_by_another_name = record.reason == Code::Known(Reason::WrongComponent) && !judge.policy.components.is_empty();
    let of_content = |outcome: Result<&Verified, &Rejected>| match judge.content(outcome, place, file.wanted) {
        Judgement::Ruled(ruling) if ruling.outcome == Outcome::Allowed && went_by_another_name => {
            Judgement::Unknown("it went by a name that the event does not tell, and the policy keeps names for components".to_owned())
        }
        judgement => judgement,
    };
    let Some(digest) = record.content() else {
        return Judgement::Unknown("the event does not tell which content the file had".to_owned());
    };
    if let Some(Ok(examination)) = examined
        && examination.covers(&digest)
    {
        return of_content(examination.outcome());
    }
    match examiner.examine_digest(digest, facts) {
        Some(outcome) => of_content(outcome.as_ref()),
        // What lies at that path on this machine is another file.
        None if Service::of(record.cgroup.as_deref()).is_container() => {
            Judgement::Unknown("its path is one in a container, and no manifest lists what it was".to_owned())
        }
        None => Judgement::Unknown(match examined {
            None => "the file is not there any more, and no manifest lists what it was".to_owned(),
            Some(Ok(_)) => "the file changed since, and no manifest lists what it was".to_owned(),
            Some(Err(error)) => format!("the file cannot be looked at, and no manifest lists it: {error}"),
        }),
    }
}

/// What a hook wants a file for.
fn wanted(hook: Hook) -> Option<Use> {
    match hook {
        Hook::BprmCheckSecurity => Some(Use(USE_EXEC)),
        Hook::MmapFile | Hook::FileMprotect => Some(Use(USE_LIBRARY)),
        Hook::FilePostOpen | Hook::BprmCredsForExec => Some(Use(USE_SCRIPT)),
        Hook::KernelReadFile | Hook::KernelPostReadFile => Some(Use(USE_MODULE)),
        _ => None,
    }
}

impl Judge<'_> {
    /// An event whose file is too large to be measured, by its size alone; `None` where that decides nothing.
    fn size(&self, record: &Record, file: &FileUse) -> Option<Judgement> {
        let (size, limit) = (record.size?, self.policy.limits.max_file_size);
        if record.content().is_some() || size <= limit {
            return None;
        }
        let error = MeasureError::TooLarge { size, limit };
        let rationale = Rationale::new("too-large", error.to_string(), error.hint());
        Some(self.without_verdict(file.path.as_deref().unwrap_or(Path::new("")), file.wanted, Rule::MaxFileSize, rationale))
    }

    /// An event that is about no content that could be examined.
    pub fn other(&self, record: &Record) -> Judgement {
        let Code::Known(reason) = record.reason else {
            return Judgement::Unknown("a newer version of Enforcer reported it".to_owned());
        };
        let Code::Known(hook) = record.hook else {
            return Judgement::Unknown("a newer version of Enforcer reported it".to_owned());
        };
        let rationale = Rationale::new(reason.name(), explain(reason), Some(&record.remedy));
        if let Some(setting) = ScriptSetting::of_text(reason) {
            return self.given_text(record, setting, rationale);
        }
        let settings = Setting::of_event(hook, reason);
        if settings.is_empty() {
            return self.circumstance(reason, rationale);
        }
        let Some(response) = common(settings.iter().map(|setting| setting.response(self.policy))) else {
            let keys: Vec<String> = settings.iter().map(|setting| format!("`{}`", setting.place().1)).collect();
            return Judgement::Unknown(format!("the event does not tell which of {} it falls under, and they differ", keys.join(" and ")));
        };
        if response == Response::Deny
            && let Some(entitlement) = entitlement(reason)
            && self.newly_grants(entitlement)
        {
            return Judgement::Unknown(format!(
                "the policy newly grants the entitlement `{entitlement}`, and the event does not tell whether the program has it"
            ));
        }
        if response != Response::Deny && matches!(reason, Reason::VolatileFilesystem | Reason::ForeignFilesystem) {
            return Judgement::Unknown("its file system would be no reason any more, and the event does not tell which content it had".to_owned());
        }
        self.ruled(response, Rule::Setting(settings[0], response.name()), rationale)
    }

    /// Memory that is executable now, in a process whose program was examined: what happens when it is asked for again.
    pub fn memory(&self, is_writable: bool, program: &Compared) -> Judgement {
        let is_jit = |verified: &Verified| verified.entitlements().iter().any(|granted| granted == name_of(ENTITLEMENT_JIT));
        if let Ok(examination) = program
            && let Ok(verified) = examination.outcome()
            && is_jit(verified)
        {
            let rule = Rule::Signer(verified.signer_name().to_owned());
            return self.ruled(Response::Allow, rule, Rationale::new("trusted", "its program has the entitlement `jit`", None));
        }
        let settings = [Setting::WritableAndExecutable, Setting::Anonymous, Setting::MadeExecutable];
        let possible = if is_writable { &settings[..] } else { &settings[1..] };
        let Some(response) = common(possible.iter().map(|setting| setting.response(self.policy))) else {
            return Judgement::Unknown("it is not known how it got its executable memory, and the policy's [memory] tells that apart".to_owned());
        };
        let reason = if is_writable { Reason::WritableAndExecutable } else { Reason::AnonymousMemory };
        self.ruled(response, Rule::Setting(possible[0], response.name()), Rationale::new(reason.name(), explain(reason), None))
    }

    /// An interpreter that was given text.
    fn given_text(&self, record: &Record, setting: ScriptSetting, rationale: Rationale) -> Judgement {
        let interpreters = &self.policy.interpreters;
        let path = record.path_as_it_is();
        let label = path.as_deref().and_then(|path| interpreters.label(Evidence::Lies(path), std::iter::empty()));
        let interpreter = label.and_then(|label| interpreters.0.get((label.number as usize).checked_sub(1)?));
        let response = interpreter.map(|found| setting.response(found)).or_else(|| setting.common_response(self.policy.possible_interpreters()));
        let Some(response) = response else {
            return Judgement::Unknown("the event does not tell which interpreter it was, and the policy tells them apart".to_owned());
        };
        let lets_programs = |policy: &Policy| policy.interpreters.0.iter().any(|one| one.callers == Callers::Programs);
        let newly_lets_programs = self.former.is_some_and(|former| lets_programs(self.policy) && !lets_programs(former));
        if response == Response::Deny && (self.newly_grants(name_of(ENTITLEMENT_INLINE_CODE)) || newly_lets_programs) {
            return Judgement::Unknown(
                "some programs may newly have interpreters run text, and the event does not tell which one started this".to_owned(),
            );
        }
        self.ruled(response, Rule::Scripts(interpreter.map(|found| found.name.clone()), setting, response.name()), rationale)
    }

    /// What no policy has a word for.
    fn circumstance(&self, reason: Reason, rationale: Rationale) -> Judgement {
        match reason {
            Reason::Untrusted | Reason::Expired | Reason::UseNotAllowed | Reason::WrongComponent => {
                Judgement::Unknown("the event does not tell what the file was used for".to_owned())
            }
            _ => self.ruled(Response::Deny, Rule::Always, rationale),
        }
    }
}

/// The entitlement that makes an exception from a denial for this reason.
fn entitlement(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::AnonymousMemory | Reason::WritableAndExecutable | Reason::MadeExecutable => Some(name_of(ENTITLEMENT_JIT)),
        Reason::Tracing => Some(name_of(ENTITLEMENT_DEBUGGER)),
        _ => None,
    }
}

/// How the policy calls an entitlement.
fn name_of(wanted: u32) -> &'static str {
    ENTITLEMENTS.iter().find(|(_, entitlement)| *entitlement == wanted).map_or("", |(name, _)| name)
}
