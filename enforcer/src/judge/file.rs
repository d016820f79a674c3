//! Uses of files: by what was examined of the file, and else by the setting that governs files without a verdict.

use std::path::Path;

use enforcer_common::{Reason, Response, USE_EXEC, USE_LIBRARY, USE_MODULE, USE_SCRIPT};

use super::{Judge, Judgement, Outcome, Rationale, Ruling, Use};
use crate::audit::explain;
use crate::measure::{MeasureError, Stability};
use crate::policy::{Interpreter, Rule, ScriptNames, ScriptSetting, Setting};
use crate::signature::{Compared, Rejected, Verified};

impl Judge<'_> {
    /// A use of a file that really lies at this path, on a file system of this kind, by what was examined of it.
    pub fn file_on(&self, stability: Stability, examined: &Compared, place: &Path, wanted: Use) -> Judgement {
        let (setting, reason) = match stability {
            Stability::Local => return self.file(examined, place, wanted),
            Stability::Volatile => (Setting::Volatile, Reason::VolatileFilesystem),
            Stability::Foreign => (Setting::Foreign, Reason::ForeignFilesystem),
        };
        // What may be read without a verdict may be read from anywhere.
        let response = match self.governing(place, wanted) {
            Governing::Setting(response, _) => response.min(setting.response(self.policy)),
            _ => setting.response(self.policy),
        };
        let rationale = Rationale::new(reason.name(), explain(reason), Some("put the file on a local disk file system"));
        if response == Response::Deny {
            return self.ruled(response, Rule::Setting(setting, response.name()), rationale);
        }
        match self.file(examined, place, wanted) {
            Judgement::Ruled(ruling) if ruling.outcome == Outcome::Allowed && response == Response::Audit => {
                self.ruled(response, Rule::Setting(setting, response.name()), rationale)
            }
            judgement => judgement,
        }
    }

    /// The same of a file whose content holds still.
    pub fn file(&self, examined: &Compared, place: &Path, wanted: Use) -> Judgement {
        match examined {
            Ok(examination) => self.content(examination.outcome(), place, wanted),
            Err(MeasureError::TooLarge { size, limit }) => {
                let error = MeasureError::TooLarge { size: *size, limit: *limit };
                let rationale = Rationale::new("too-large", error.to_string(), error.hint());
                self.without_verdict(place, wanted, Rule::MaxFileSize, rationale)
            }
            Err(error) => Judgement::Unknown(format!("the file cannot be looked at: {error}")),
        }
    }

    /// A use of a content, by what was decided about its signatures.
    pub fn content(&self, outcome: Result<&Verified, &Rejected>, place: &Path, wanted: Use) -> Judgement {
        match outcome {
            Ok(verified) => self.verified(verified, place, wanted),
            Err(rejected) => {
                let rationale = Rationale::new(rejected.code(), rejected.to_string(), Some(rejected.hint()));
                self.without_verdict(place, wanted, self.refusing_rule(rejected), rationale)
            }
        }
    }

    fn verified(&self, verified: &Verified, place: &Path, wanted: Use) -> Judgement {
        let signer = Rule::Signer(verified.signer_name().to_owned());
        if !verified.allows(wanted.0) {
            let text = format!("`{}` signed it, who may not sign for the use \"{wanted}\"", verified.signer_name());
            let hint = format!("add \"{wanted}\" to `allow` of this signer, or have another one sign it");
            return self.without_verdict(place, wanted, signer, Rationale::new("use-not-allowed", text, Some(&hint)));
        }
        let identifier = |number: u32| Some(self.policy.components.get((number as usize).checked_sub(1)?)?.identifier.clone());
        if let Some(bound) = self.policy.component_at(place)
            && bound != verified.component()
            && wanted.0 & (USE_EXEC | USE_LIBRARY) != 0
        {
            let bound = identifier(bound).unwrap_or_default();
            let text = format!("its name belongs to the component `{bound}`, which this is not");
            let hint = format!("install the file that is signed as `{bound}`, or change the `[[component]]`");
            return self.ruled(Response::Deny, Rule::Component(bound), Rationale::new("wrong-component", text, Some(&hint)));
        }
        let text = format!("`{}` signed it ({})", verified.signer_name(), verified.carrier().name());
        Judgement::Ruled(Ruling { outcome: Outcome::Allowed, rule: signer, rationale: Rationale::new("trusted", text, None) })
    }

    /// The rule that stands behind a rejection.
    fn refusing_rule(&self, rejected: &Rejected) -> Rule {
        match rejected {
            Rejected::Revoked => Rule::Revocation,
            Rejected::WrongSigner { identifier, .. } => Rule::Component(identifier.clone()),
            // The line of releases of a signer alone is `identifier@signer`.
            Rejected::Rollback { identifier, .. } if self.policy.components.iter().any(|component| component.identifier == *identifier) => {
                Rule::Component(identifier.clone())
            }
            _ => Rule::Nobody,
        }
    }

    /// A use of a file that no verdict allows: by the setting for files that are used so, if there is one.
    pub(super) fn without_verdict(&self, place: &Path, wanted: Use, rule: Rule, rationale: Rationale) -> Judgement {
        match self.governing(place, wanted) {
            Governing::Nothing => self.ruled(Response::Deny, rule, rationale),
            // What is denied by a rule of its own is; whatever else happens to it is this setting's word.
            Governing::Setting(Response::Deny, _) if rule != Rule::Nobody => self.ruled(Response::Deny, rule, rationale),
            Governing::Setting(response, rule) => self.ruled(response, rule, rationale),
            Governing::Unknown(why) => Judgement::Unknown(why),
        }
    }

    fn governing(&self, place: &Path, wanted: Use) -> Governing {
        match wanted.0 {
            USE_SCRIPT => self.script_setting(place),
            USE_MODULE => {
                let settings = Setting::of_kernel_file(&place.to_string_lossy());
                match common(settings.iter().map(|setting| setting.response(self.policy))) {
                    Some(response) => Governing::Setting(response, Rule::Setting(settings[0], response.name())),
                    None => Governing::Unknown("it is not known what the kernel reads it for, and the policy's [kernel] tells that apart".to_owned()),
                }
            }
            _ => Governing::Nothing,
        }
    }

    /// What the interpreters are told that may read this file. Which one does is not known beforehand.
    fn script_setting(&self, place: &Path) -> Governing {
        let is_script_of = |interpreter: &&Interpreter| interpreter.scripts.iter().cloned().collect::<ScriptNames>().fit(place);
        let mut readers: Vec<&Interpreter> = self.policy.possible_interpreters().filter(is_script_of).collect();
        let is_named_as_script = !readers.is_empty();
        if readers.is_empty() {
            readers = self.policy.possible_interpreters().collect();
        }
        let unsigned = ScriptSetting::Unsigned.common_response(readers.iter().copied());
        // What is no script by its name is one by the command line, or is read as any other file.
        let others = ScriptSetting::Others.common_response(self.policy.possible_interpreters());
        if let Some(response) = unsigned
            && (is_named_as_script || others == Some(Response::Allow) || others == unsigned)
        {
            let name = if let [only] = readers[..] { Some(only.name.clone()) } else { None };
            return Governing::Setting(response, Rule::Scripts(name, ScriptSetting::Unsigned, response.name()));
        }
        Governing::Unknown("it is not known which interpreter reads it, and what for, and the policy tells that apart".to_owned())
    }
}

/// What answers for a file without a verdict.
enum Governing {
    /// Nothing: it is denied.
    Nothing,
    /// A setting, with its word.
    Setting(Response, Rule),
    /// One of several that differ.
    Unknown(String),
}

/// What all of them say; `None` where they differ.
pub(super) fn common(mut responses: impl Iterator<Item = Response>) -> Option<Response> {
    let first = responses.next()?;
    responses.all(|other| other == first).then_some(first)
}
