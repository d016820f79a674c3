//! Settling who is trusted: signers, components, timestamp authorities, revocation.

use std::ops::Range;
use std::path::PathBuf;

use enforcer_common::{USE_EXEC, USE_LIBRARY};

use super::super::at::At;
use super::super::error::{Problem, list};
use super::super::raw::{RawComponent, RawRevocation, RawSignatures, RawSigner, RawTimestampAuthority};
use super::super::values::*;
use super::super::{Component, Revocation, SeveralSigners, Signatures, Signer, StaleCrl, TimestampAuthority};
use super::{Desk, paths, words};
use crate::text::printable;

impl Default for Signatures {
    fn default() -> Self {
        Self { several_signers: SeveralSigners::All }
    }
}

impl Default for Revocation {
    fn default() -> Self {
        Self { crls: paths(DEFAULT_CRLS), stale_crl: StaleCrl::HardFail, file: PathBuf::from(DEFAULT_REVOCATION_FILE) }
    }
}

impl Desk {
    pub(super) fn signers(&mut self, raw: Vec<At<RawSigner>>, policy_signers: &[At<String>]) -> Vec<Signer> {
        let mut signers: Vec<Signer> = Vec::with_capacity(raw.len());
        for signer in raw {
            let (place, signer) = (signer.span(), signer.into_inner());
            let name_place = signer.name.as_ref().map(At::span);
            let signs_policies = policy_signers.iter().any(|name| Some(name.get_ref()) == signer.name.as_ref().map(At::get_ref));
            let signer = self.signer(place, signer, signs_policies);
            if let Some(place) = name_place
                && signers.iter().any(|other| other.name == signer.name)
            {
                let message = format!("there is already a signer named `{}`", printable(&signer.name));
                self.refuse(Problem::new(place, message).remedy("events and tables name signers: give each its own name"));
            }
            signers.push(signer);
        }
        signers
    }

    /// The names of signers that must be there.
    pub(super) fn named_signers(&mut self, written: Vec<At<String>>, signers: &[Signer]) -> Vec<String> {
        let known: Vec<&str> = signers.iter().map(|signer| signer.name.as_str()).collect();
        let mut named = Vec::new();
        for name in written {
            if known.contains(&name.get_ref().as_str()) {
                named.push(name.into_inner());
            } else {
                self.refuse(Problem::misspelt(name.span(), "signer", name.get_ref(), &known));
            }
        }
        named
    }

    fn signer(&mut self, place: Range<usize>, raw: RawSigner, signs_policies: bool) -> Signer {
        let name = match raw.name {
            Some(name) => self.rule_name(name, "a signer"),
            None => {
                self.refuse(Problem::new(place.clone(), "a signer without a name").remedy("add a line such as: name = \"operations\""));
                String::new()
            }
        };
        let anchors = self.paths(raw.anchors.unwrap_or_default());
        let pinned = self.paths(raw.certificates.unwrap_or_default());
        if anchors.is_empty() && pinned.is_empty() {
            self.refuse(
                Problem::new(place, "a signer that nobody can be: it names neither `anchors` nor `certificates`")
                    .remedy("anchors = [\"/etc/enforcer/trust/ca.pem\"] trusts whomever that authority certifies"),
            );
        }
        let intermediates = self.paths(raw.intermediates.unwrap_or_default());
        let uses = raw.allow.map_or(USE_EXEC | USE_LIBRARY, |allow| self.uses(allow, signs_policies));
        let entitlements = raw.entitlements.unwrap_or_default().into_iter().map(|name| self.entitlement(name)).collect();
        Signer { name, anchors, pinned, intermediates, uses, entitlements }
    }

    /// The name of a rule; `whose` is "a signer" and the like.
    pub(super) fn rule_name(&mut self, name: At<String>, whose: &str) -> String {
        self.word(name, &format!("name for {whose}"), MAX_NAME, |character| character.is_ascii_alphanumeric() || "-_.".contains(character))
    }

    fn entitlement(&mut self, name: At<String>) -> String {
        self.word(name, "entitlement", MAX_NAME, |character| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-')
    }

    fn uses(&mut self, allow: At<Vec<At<String>>>, signs_policies: bool) -> u32 {
        if allow.get_ref().is_empty() && !signs_policies {
            self.refuse(
                Problem::new(allow.span(), "a signer that may sign for nothing")
                    .remedy(format!("allowed here: {}; without `allow`, exec and library are meant", list(&words(&USES)))),
            );
        }
        allow.into_inner().iter().filter_map(|word| self.choice(word, "use", &USES)).fold(0, |uses, bit| uses | bit)
    }

    pub(super) fn components(&mut self, raw: Vec<At<RawComponent>>, signers: &[Signer]) -> Vec<Component> {
        let mut components: Vec<Component> = Vec::with_capacity(raw.len());
        for component in raw {
            let (place, component) = (component.span(), component.into_inner());
            let component = self.component(place.clone(), component, signers);
            if components.iter().any(|other| other.identifier == component.identifier) {
                let message = format!("there is already a component with the identifier `{}`", printable(&component.identifier));
                self.refuse(Problem::new(place.clone(), message).remedy("write all its signers, names and paths in one `[[component]]`"));
            }
            for other in &components {
                let name = component.names.iter().find(|name| other.names.contains(name));
                let path = component.paths.iter().find(|path| other.paths.contains(path)).map(|path| path.to_string_lossy().into_owned());
                if let Some(claimed) = name.cloned().or(path) {
                    let message = format!("`{}` already belongs to the component `{}`", printable(&claimed), printable(&other.identifier));
                    self.refuse(Problem::new(place.clone(), message).remedy("a file can be one component only"));
                }
            }
            components.push(component);
        }
        if components.len() > MAX_COMPONENTS {
            self.refuse(Problem::new(0..0, format!("{} components", components.len())).remedy(format!("at most {MAX_COMPONENTS} are allowed")));
        }
        components
    }

    fn component(&mut self, place: Range<usize>, raw: RawComponent, signers: &[Signer]) -> Component {
        let identifier = match raw.identifier {
            Some(identifier) => self.word(identifier, "identifier", MAX_IDENTIFIER, |c| c.is_ascii_alphanumeric() || "-_.".contains(c)),
            None => {
                self.refuse(
                    Problem::new(place.clone(), "a component without an identifier")
                        .remedy("add a line such as: identifier = \"org.openssh.sshd\"; `enforcer verify` shows a file's"),
                );
                String::new()
            }
        };
        let names = raw.names.unwrap_or_default().into_iter().map(|name| self.file_name(name)).collect();
        let paths = raw.paths.unwrap_or_default().into_iter().map(|path| self.bound_path(path)).collect();
        let demanded = self.named_signers(raw.signers.unwrap_or_default(), signers);
        let min_security_version = self.number(raw.min_security_version, 0, SECURITY_VERSIONS) as u32;
        Component { identifier, signers: demanded, min_security_version, names, paths }
    }

    /// One part of a path, as the kernel compares it.
    fn file_name(&mut self, written: At<String>) -> String {
        let (place, name) = (written.span(), written.into_inner());
        if name.is_empty() || name.len() >= enforcer_common::NAME_SIZE || name.contains(['/', '\0']) {
            let longest = enforcer_common::NAME_SIZE - 1;
            self.refuse(
                Problem::new(place, format!("`{}` is no file name", printable(&name)))
                    .remedy(format!("write the last part of the path, such as \"sshd\", of at most {longest} bytes; whole paths belong to `paths`")),
            );
        }
        name
    }

    fn bound_path(&mut self, written: At<String>) -> PathBuf {
        let place = written.span();
        let path = self.path(written);
        let plain: PathBuf = path.components().collect();
        if plain.as_os_str() != path.as_os_str()
            || path.as_os_str().len() >= enforcer_common::PATH_SIZE
            || path.file_name().is_none_or(|name| name.len() >= enforcer_common::NAME_SIZE)
        {
            let (name, whole) = (enforcer_common::NAME_SIZE - 1, enforcer_common::PATH_SIZE - 1);
            self.refuse(
                Problem::new(place, format!("`{}` cannot be bound", printable(&path.to_string_lossy()))).remedy(format!(
                    "a bound path has at most {whole} bytes, its last part at most {name}, and neither `//`, `.` nor a trailing `/`"
                )),
            );
        }
        path
    }

    pub(super) fn timestamp_authorities(&mut self, raw: Vec<At<RawTimestampAuthority>>) -> Vec<TimestampAuthority> {
        let settle = |authority: At<RawTimestampAuthority>| {
            let (place, authority) = (authority.span(), authority.into_inner());
            let name = match authority.name {
                Some(name) => self.rule_name(name, "a timestamp authority"),
                None => {
                    let problem = Problem::new(place.clone(), "a timestamp authority without a name");
                    self.refuse(problem.remedy("add a line such as: name = \"our clock\""));
                    String::new()
                }
            };
            let anchors = self.paths(authority.anchors.unwrap_or_default());
            if anchors.is_empty() {
                let problem = Problem::new(place, "a timestamp authority that nobody can be: it names no `anchors`");
                self.refuse(problem.remedy("anchors = [\"/etc/enforcer/trust/tsa.pem\"] trusts whomever that authority certifies for timestamps"));
            }
            TimestampAuthority { name, anchors, intermediates: self.paths(authority.intermediates.unwrap_or_default()) }
        };
        raw.into_iter().map(settle).collect()
    }

    pub(super) fn signatures(&mut self, raw: RawSignatures) -> Signatures {
        let default = Signatures::default();
        let several_signers = raw.several_signers.and_then(|word| self.choice(&word, "rule", &SEVERAL_SIGNERS));
        Signatures { several_signers: several_signers.unwrap_or(default.several_signers) }
    }

    pub(super) fn revocation(&mut self, raw: RawRevocation) -> Revocation {
        let default = Revocation::default();
        Revocation {
            crls: self.paths_or(raw.crls, DEFAULT_CRLS),
            stale_crl: raw.stale_crl.and_then(|word| self.choice(&word, "rule", &STALE_CRL)).unwrap_or(default.stale_crl),
            file: raw.file.map_or(default.file, |path| self.path(path)),
        }
    }
}

/// What a policy of thousands of lines would have; the kernel's map of names holds twice as many.
const MAX_COMPONENTS: usize = 4096;
