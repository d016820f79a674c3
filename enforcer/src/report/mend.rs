//! The command that mends a finding: a real one, which can be pasted into a shell.

use enforcer_common::Reason;

use super::{Cause, Finding, State, Subject};
use crate::audit::{Code, remedy};
use crate::inventory::Manager;
use crate::text::shell_word;

/// Words as a command line; `None` if one of them cannot be pasted.
pub fn command_line(words: &[&str]) -> Option<String> {
    Some(words.iter().map(|word| shell_word(word)).collect::<Option<Vec<_>>>()?.join(" "))
}

impl Finding {
    /// Works out what to do about it, by what is known of it now.
    pub(crate) fn advise(&mut self) {
        // Bytes that are no UTF-8 cannot be pasted.
        let path = match &self.subject {
            Subject::File(path) => path.to_str(),
            _ => None,
        };
        self.remedy = match (&self.package, self.cause) {
            (Some(package), Cause::Modified) if package.modified => {
                "Find out who changed it; installing the package again brings the original back.".to_owned()
            }
            (_, cause) if cause.is_about_signatures() && path.is_some() && self.local_file().is_none() => {
                "Its path is one in a container: list the image (`enforcer manifest create --oci`), and sign the list.".to_owned()
            }
            (_, Cause::Unsigned) if self.state == State::Changed => "It has changed since: see what it is now.".to_owned(),
            (_, Cause::Unsigned) => {
                "List what may run in a manifest, and sign that on the signing machine; or sign the file itself (`enforcer sign`).".to_owned()
            }
            (_, Cause::UnknownSigner) => {
                "See who signed it; if you trust them, add their certificate to a `[[signer]]` of the policy, and reload it.".to_owned()
            }
            (_, Cause::Modified) => "Install the signed version again; or sign this one, if the change is yours.".to_owned(),
            (_, Cause::Expired) => "Install a newer release; or sign it anew with a certificate that is valid, on the signing machine.".to_owned(),
            (_, Cause::Revoked) => "Install a version that is not revoked (`enforcer revoke list` says why), and no older one.".to_owned(),
            (_, Cause::BadSignature) => "See what is wrong with its signature, and sign it anew.".to_owned(),
            (_, Cause::NotAllowed) if self.reason == Code::Known(Reason::Untrusted) => {
                "See who signed it; then let that signer sign for this in the policy, or have another one sign it.".to_owned()
            }
            _ => remedy(self.reason, path),
        };
        self.command = self.mending(path);
    }

    fn mending(&self, path: Option<&str>) -> Option<String> {
        if !self.is_open() {
            return None;
        }
        if self.cause.is_about_signatures() && path.is_some() && self.local_file().is_none() {
            return None;
        }
        match self.cause {
            Cause::Unsigned | Cause::Modified if self.package.as_ref().is_some_and(|package| package.modified) => {
                let package = self.package.as_ref()?;
                match package.manager {
                    Manager::Debian => command_line(&["apt-get", "install", "--reinstall", &package.name]),
                    Manager::Rpm => command_line(&["dnf", "reinstall", &package.name]),
                }
            }
            Cause::Unsigned if self.state == State::Changed => command_line(&["enforcer", "verify", path?]),
            Cause::Unsigned if self.package.is_some() => command_line(&["enforcer", "learn", "--output", "packages.manifest"]),
            Cause::Unsigned => command_line(&["enforcer", "learn", "--include", path?, "--output-unknown", "reviewed.manifest"]),
            Cause::Expired => command_line(&["enforcer", "sign", "--key", "signer.key", "--certificate", "signer.pem", path?]),
            Cause::UnknownSigner | Cause::Modified | Cause::Revoked | Cause::BadSignature | Cause::NotAllowed => {
                command_line(&["enforcer", "verify", path?])
            }
            Cause::NotExamined => match self.reason {
                Code::Known(Reason::DaemonUnavailable) => command_line(&["systemctl", "start", "enforcer"]),
                Code::Known(Reason::VerdictsFull | Reason::TooLarge) => reload(),
                _ => command_line(&["enforcer", "verify", path?]),
            },
            Cause::BeingWritten => command_line(&["fuser", "-v", path?]),
            Cause::Memory | Cause::Script | Cause::Place | Cause::Kernel | Cause::Tracing => reload(),
            Cause::Guarded | Cause::Fault => command_line(&["enforcer", "events", "--details", "--reason", &self.reason.to_string()])
                .filter(|_| matches!(self.reason, Code::Known(_))),
        }
    }
}

/// After the policy was changed as the remedy says.
fn reload() -> Option<String> {
    Some("enforcer policy check && systemctl reload enforcer".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_every_word_quoted_or_is_none() {
        assert_eq!(command_line(&["enforcer", "verify", "/tmp/a b"]).unwrap(), "enforcer verify '/tmp/a b'");
        assert_eq!(command_line(&["enforcer", "verify", "/tmp/a\nb"]), None);
    }
}
