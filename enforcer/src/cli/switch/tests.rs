//! What is said once a switch is in force.

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
