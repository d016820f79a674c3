//! Every reason that the kernel side knows is judged, by the setting that the kernel side asks, or it is said why not.

use std::path::Path;

use enforcer_common::{Digest, Event, Hook, PathKind, Reason, Response, USE_MODULE, USE_SCRIPT};

use super::*;
use crate::audit::{Code, Record, tests};
use crate::policy::{ScriptSetting, Setting};
use crate::signature::Rejected;

fn policy(mode: &str, rest: &str) -> Policy {
    let signer = "[[signer]]\nname = \"us\"\nanchors = [\"/ca.pem\"]\n";
    Policy::parse(&format!("version = 1\nmode = \"{mode}\"\n{signer}{rest}"), Path::new("policy.toml")).unwrap()
}

/// What the kernel side reports without a file.
fn record(hook: Hook, reason: Reason) -> Record {
    let (hook, reason, path_kind) = (hook as u32, reason as u32, PathKind::None as u32);
    tests::record(&Event { hook, reason, path_kind, inode: 0, digest: Digest::NONE, ..tests::event() })
}

/// The outcome and the rule; the outcome is `None` where it is not known.
fn told(judgement: &Judgement) -> (Option<Outcome>, Option<Rule>) {
    match judgement {
        Judgement::Ruled(ruling) => (Some(ruling.outcome), Some(ruling.rule.clone())),
        Judgement::Unknown(_) => (None, None),
    }
}

#[test]
fn without_exceptions_nothing_that_was_reported_is_allowed_in_enforce_mode() {
    let (enforce, audit) = (policy("enforce", "[scripts]\ninline = \"deny\"\nstdin = \"deny\"\ninteractive = \"deny\"\n"), policy("audit", ""));
    for reason in Reason::ALL {
        let record = record(Hook::MmapFile, *reason);
        assert_ne!(told(&Judge::new(&enforce).other(&record)).0, Some(Outcome::Allowed), "{reason:?}");
        assert_ne!(told(&Judge::new(&audit).other(&record)).0, Some(Outcome::Denied), "{reason:?}");
    }
}

#[test]
fn each_setting_decides_about_its_own_reasons() {
    for (reason, hook, setting, word) in [
        (Reason::AnonymousMemory, Hook::MmapFile, Setting::Anonymous, "[memory]\nanonymous"),
        (Reason::ReadImpliesExec, Hook::Brk, Setting::Anonymous, "[memory]\nanonymous"),
        (Reason::WritableAndExecutable, Hook::MmapFile, Setting::WritableAndExecutable, "[memory]\nwritable-and-executable"),
        (Reason::MadeExecutable, Hook::FileMprotect, Setting::MadeExecutable, "[memory]\nmade-executable"),
        (Reason::ModifiedPages, Hook::FileMprotect, Setting::MadeExecutable, "[memory]\nmade-executable"),
        (Reason::SuppliedPages, Hook::InodeInitSecurityAnon, Setting::MadeExecutable, "[memory]\nmade-executable"),
        (Reason::Tracing, Hook::PtraceAccessCheck, Setting::Tracing, "[memory]\ntracing"),
        (Reason::KernelMemory, Hook::LockedDown, Setting::KernelMemory, "[kernel]\nmemory"),
        (Reason::ForeignProgram, Hook::Bpf, Setting::BpfPrograms, "[kernel]\nbpf-programs"),
    ] {
        for (response, outcome) in [(Response::Allow, Outcome::Allowed), (Response::Audit, Outcome::Reported), (Response::Deny, Outcome::Denied)] {
            let policy = policy("enforce", &format!("{word} = \"{}\"\n", response.name()));
            let judged = told(&Judge::new(&policy).other(&record(hook, reason)));
            assert_eq!(judged, (Some(outcome), Some(Rule::Setting(setting, response.name()))), "{reason:?}");
        }
    }
    let lenient = policy("enforce", "[memory]\ntracing = \"allow\"\n");
    let of_the_enforcer = told(&Judge::new(&lenient).other(&record(Hook::BprmCheckSecurity, Reason::Tracing)));
    assert_eq!(of_the_enforcer, (Some(Outcome::Denied), Some(Rule::Always)), "no setting lets anybody trace the enforcer");
}

#[test]
fn text_is_judged_by_the_interpreter_that_was_given_it() {
    let policy = policy("enforce", "[scripts]\ninline = \"allow\"\n[[interpreter]]\nname = \"bash\"\ninline = \"deny\"\n");
    let judged = |path: Option<&str>| {
        let mut record = record(Hook::BprmCommittedCreds, Reason::InlineCode);
        record.path = path.map(str::to_owned);
        record.path_kind = Code::Known(PathKind::Full);
        told(&Judge::new(&policy).other(&record))
    };
    let rule = |name: &str, word| Some(Rule::Scripts(Some(name.to_owned()), ScriptSetting::Inline, word));
    assert_eq!(judged(Some("/usr/bin/bash")), (Some(Outcome::Denied), rule("bash", "deny")));
    assert_eq!(judged(Some("/usr/bin/perl")), (Some(Outcome::Allowed), rule("perl", "allow")));
    assert_eq!(judged(Some("/opt/unknown")), (None, None), "they differ, and nobody knows which one it was");
}

#[test]
fn an_unsigned_script_falls_under_the_setting_of_those_who_may_read_it() {
    let judged = |rest: &str, path: &str| {
        let policy = policy("enforce", rest);
        told(&Judge::new(&policy).content(Err(&Rejected::Unsigned), Path::new(path), Use(USE_SCRIPT)))
    };
    assert_eq!(judged("", "/srv/app.py").0, Some(Outcome::Denied));
    assert_eq!(judged("[scripts]\nunsigned = \"allow\"\n", "/srv/app.py").0, Some(Outcome::Allowed));
    let python_may = "[[interpreter]]\nname = \"python\"\nunsigned = \"audit\"\n";
    assert_eq!(judged(python_may, "/srv/app.py").0, Some(Outcome::Reported));
    assert_eq!(judged(python_may, "/srv/app.sh").0, Some(Outcome::Denied));
    assert_eq!(judged(python_may, "/srv/app").0, None, "nobody knows which interpreter reads it");
    assert_eq!(judged("[scripts]\nothers = \"audit\"\n", "/srv/app").0, None, "or what for");
}

#[test]
fn what_the_kernel_reads_is_told_apart_by_its_name_and_not_guessed() {
    let policy = policy("enforce", "[kernel]\nfirmware = \"allow\"\n");
    let judged = |path: &str| told(&Judge::new(&policy).content(Err(&Rejected::Unsigned), Path::new(path), Use(USE_MODULE)));
    assert_eq!(judged("/lib/modules/6.1/x.ko.xz"), (Some(Outcome::Denied), Some(Rule::Setting(Setting::Modules, "deny"))));
    assert_eq!(judged("/lib/firmware/x.bin"), (Some(Outcome::Allowed), Some(Rule::Setting(Setting::Firmware, "allow"))));
    assert_eq!(judged("/boot/vmlinuz"), (None, None));
}
