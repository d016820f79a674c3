//! Texts that people and other programs write: the policy, the files that the daemon keeps, tickets.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use enforcer::policy::Policy;
use enforcer::signature::sign;
use enforcer::trust::{Revoked, SecurityVersions};
use tempfile::TempDir;

use crate::scene;

/// `policy.toml`, and the report on what is wrong with it.
pub(super) fn policy(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Policy::parse(text, Path::new("policy.toml")) {
        Ok(policy) => assert!(policy.limits.max_file_size > 0),
        Err(error) => harmless(&error.report()),
    }
}

/// `revoked.toml`: what is read can be asked for and taken back.
pub(super) fn revoked(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Revoked::parse(text, Path::new("revoked.toml")) {
        Ok(mut revoked) => {
            for entry in revoked.entries().to_vec() {
                assert!(revoked.remove(&entry.subject), "{} is listed, and is not revoked", entry.subject);
            }
            assert!(revoked.entries().is_empty());
        }
        Err(error) => harmless(&error.report()),
    }
}

/// The file of the highest security versions.
pub(super) fn security_versions(input: &[u8]) {
    match scene::with_path(input, SecurityVersions::load) {
        Ok(versions) => assert!(versions.iter().all(|(identifier, version)| versions.floor(identifier) == version)),
        Err(error) => harmless(&error.report()),
    }
}

/// `ticket.json`. No value lies beside it, so nothing can be signed, whatever it names.
pub(super) fn ticket(input: &[u8]) {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder for files");
        fs::copy(scene::path("signers.pem"), folder.path().join("certificates.pem")).expect("writable");
        folder
    });
    fs::write(FOLDER.path().join("ticket.json"), input).expect("writable");
    match sign::attach(FOLDER.path(), scene::now(), || (), &AtomicBool::new(false)) {
        Ok(answers) => assert!(answers.iter().all(|(_, answer)| answer.is_err()), "a file was signed without a value"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What is shown to people must not steer their terminals.
fn harmless(report: &str) {
    assert!(!report.is_empty());
    let steering = report.chars().find(|character| character.is_control() && *character != '\n');
    assert!(steering.is_none(), "a report with {steering:?}: {report:?}");
}
