//! What is said once a switch is in force, and what it leaves alone.

use std::time::Duration;

use super::*;
use crate::cli::output::hold;

/// A policy with a service that is enforced already, at a path that is the same in each run.
fn told(name: &str, mode: Mode, scopes: &[&str], fuse: Option<Fuse>) {
    let text = "version = 1\nmode = \"audit\"\n[[signer]]\nname = \"ops\"\nanchors = [\"/etc/enforcer/ca.pem\"]\n\
                [[scope]]\nname = \"db\"\ncgroups = [\"/system.slice/db.service\"]\nmode = \"enforce\"\n\
                [[scope]]\nname = \"cron\"\ncgroups = [\"/system.slice/cron.service\"]\nmode = \"audit\"\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    std::fs::write(&path, text).unwrap();
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let switch = SwitchArguments { scopes, print: false, policy: PolicyOption { policy: path }, report: ReportOption { json: false } };
    let mut draft = Draft::new(&switch, mode).unwrap();
    if let Some(fuse) = fuse {
        draft = draft.edited(|edit| edit.set_fuse(Some(&fuse))).unwrap();
    }
    draft.policy.path = "/etc/enforcer/policy.toml".into();
    hold(name, |output| draft.tell(output));
}

#[test]
fn the_machine_enforces_with_a_fuse_and_a_service_that_is_only_watched() {
    let until = Timestamp::parse("2999-01-31T09:30:00Z").unwrap();
    told("enforce/machine", Mode::Enforce, &[], Some(Fuse { denials: 50, within: Duration::from_secs(600), until }));
}

#[test]
fn one_service_enforces() {
    told("enforce/service", Mode::Enforce, &["/system.slice/docker-*"], None);
}

#[test]
fn the_machine_is_watched_and_a_service_goes_on_enforcing() {
    told("audit/machine", Mode::Audit, &[], None);
}

#[test]
fn what_keeps_another_mode_within_a_switched_scope_is_named() {
    let scope = |name: &str, cgroup: &str, mode: &str| format!("[[scope]]\nname = {name:?}\ncgroups = [{cgroup:?}]\nmode = {mode:?}\n");
    let text = [
        "version = 1\nmode = \"audit\"\n[[signer]]\nname = \"a\"\nanchors = [\"/a\"]\n".to_owned(),
        scope("web", "/system.slice", "enforce"),
        scope("slow", "/system.slice/slow.service", "audit"),
        scope("fast", "/system.slice/fast.service", "enforce"),
        scope("other", "/user.slice", "audit"),
    ];
    let policy = Policy::parse(&text.concat(), Path::new("policy.toml")).unwrap();
    let keeping = |scopes: &[&str], mode| {
        let scopes = scopes.iter().map(|scope| CgroupPattern::parse(scope).unwrap()).collect();
        Draft { old: String::new(), new: String::new(), before: policy.clone(), policy: policy.clone(), mode, scopes }.keeping()
    };
    assert_eq!(keeping(&["/system.slice"], Mode::Enforce), ["/system.slice/slow.service"]);
    assert_eq!(keeping(&["/user.slice"], Mode::Audit), [""; 0]);
    assert_eq!(keeping(&[], Mode::Enforce), ["/system.slice/slow.service", "/user.slice"]);
    assert_eq!(keeping(&["/system.slice"], Mode::Audit), ["/system.slice/fast.service"]);
}
