//! What is reported about one file: settled values, the same for JSON, table and tree.

use std::path::Path;

use enforcer_common::{USE_EXEC, USE_LIBRARY, USE_MODULE, USE_SCRIPT};
use rustls_pki_types::UnixTime;
use serde::Serialize;

use super::super::Exit;
use crate::measure::MeasureError;
use crate::policy::Policy;
use crate::signature::claims::Claims;
use crate::signature::{Attempt, Examination, Rejected, SignerReport, Verified};
use crate::text::hex;
use crate::trust::date;

/// What is reported about one file.
#[derive(Serialize)]
pub(in crate::cli) struct Answer {
    pub(in crate::cli) path: String,
    pub(in crate::cli) would_run: bool,
    pub(in crate::cli) sha256: Option<String>,
    pub(in crate::cli) fsverity_sha256: Option<String>,
    pub(in crate::cli) signer: Option<String>,
    pub(in crate::cli) subject: Option<String>,
    pub(in crate::cli) certificate_sha256: Option<String>,
    pub(in crate::cli) carrier: Option<&'static str>,
    pub(in crate::cli) signature: Option<String>,
    pub(in crate::cli) uses: Vec<&'static str>,
    pub(in crate::cli) not_after: Option<String>,
    /// What the signature says of the file, and is believed.
    #[serde(flatten)]
    pub(in crate::cli) says: Says,
    /// The component of the policy that it is.
    pub(in crate::cli) component: Option<String>,
    /// The entitlements that it asks for and is granted.
    pub(in crate::cli) granted: Vec<String>,
    pub(in crate::cli) reason: Option<Reason>,
    pub(in crate::cli) attempts: Vec<Try>,
    #[serde(skip)]
    pub(in crate::cli) exit: Exit,
}

/// What a signature says about a file.
#[derive(Default, Serialize)]
pub(in crate::cli) struct Says {
    pub(in crate::cli) identifier: Option<String>,
    pub(in crate::cli) version: Option<String>,
    pub(in crate::cli) security_version: Option<u32>,
    pub(in crate::cli) entitlements: Vec<String>,
}

/// Why not, at which step, and what can be done about it.
#[derive(Serialize)]
pub(in crate::cli) struct Reason {
    pub(in crate::cli) code: &'static str,
    pub(in crate::cli) step: &'static str,
    pub(in crate::cli) message: String,
    pub(in crate::cli) hint: Option<String>,
}

/// One signature that was looked at.
#[derive(Serialize)]
pub(in crate::cli) struct Try {
    pub(in crate::cli) carrier: &'static str,
    pub(in crate::cli) signature: Option<String>,
    pub(in crate::cli) accepted: bool,
    pub(in crate::cli) signers: Vec<OneSigner>,
    pub(in crate::cli) reason: Option<Reason>,
}

/// One signer of a signature.
#[derive(Serialize)]
pub(in crate::cli) struct OneSigner {
    pub(in crate::cli) subject: Option<String>,
    pub(in crate::cli) issuer: Option<String>,
    pub(in crate::cli) certificate_sha256: Option<String>,
    pub(in crate::cli) algorithm: String,
    #[serde(flatten)]
    pub(in crate::cli) says: Says,
    /// The rule of the policy that accepted it.
    pub(in crate::cli) signer: Option<String>,
    /// From the signer's certificate to the anchor.
    pub(in crate::cli) chain: Vec<String>,
    pub(in crate::cli) signed_at: Option<String>,
    pub(in crate::cli) not_after: Option<String>,
    pub(in crate::cli) timestamp_problem: Option<String>,
    pub(in crate::cli) problem: Option<String>,
}

impl Answer {
    /// `place` is where the file really lies, by which names and paths of the policy are meant.
    pub(in crate::cli) fn new(path: &Path, place: &Path, examined: &Result<Examination, MeasureError>, policy: &Policy) -> Self {
        let mut answer = Self {
            path: path.to_string_lossy().into_owned(),
            would_run: false,
            sha256: None,
            fsverity_sha256: None,
            signer: None,
            subject: None,
            certificate_sha256: None,
            carrier: None,
            signature: None,
            uses: Vec::new(),
            not_after: None,
            says: Says::default(),
            component: None,
            granted: Vec::new(),
            reason: None,
            attempts: Vec::new(),
            exit: Exit::No,
        };
        match examined {
            Err(problem) => answer.unmeasured(problem),
            Ok(examination) => {
                answer.sha256 = Some(hex(&examination.digest.bytes));
                answer.fsverity_sha256 = examination.fsverity.map(|digest| hex(&digest.bytes));
                answer.attempts = examination.attempts.iter().map(Try::new).collect();
                match examination.outcome() {
                    Ok(verified) => answer.verified(verified, place, policy),
                    Err(rejected) => answer.reason = Some(Reason::rejected(rejected)),
                }
            }
        }
        answer
    }

    fn verified(&mut self, verified: &Verified, place: &Path, policy: &Policy) {
        self.signer = Some(verified.signer_name().to_owned());
        self.subject = Some(verified.subject().to_owned());
        self.certificate_sha256 = Some(hex(&verified.fingerprint()));
        self.carrier = Some(verified.carrier().name());
        self.signature = verified.carrier().path().map(|path| path.to_string_lossy().into_owned());
        let uses = [(USE_EXEC, "exec"), (USE_LIBRARY, "library"), (USE_SCRIPT, "script"), (USE_MODULE, "module")];
        self.uses = uses.into_iter().filter(|(bit, _)| verified.uses() & bit != 0).map(|(_, name)| name).collect();
        self.not_after = verified.not_after().map(rfc3339);
        self.says = Says::of(verified.claims());
        self.granted = verified.entitlements().to_vec();
        let component = |number: u32| policy.components.get((number as usize).checked_sub(1)?).map(|component| component.identifier.clone());
        self.component = component(verified.component());
        match policy.component_at(place) {
            Some(bound) if bound != verified.component() => {
                let bound = component(bound).unwrap_or_default();
                self.reason = Some(Reason {
                    code: "wrong-component",
                    step: "apply the policy",
                    message: format!("its name belongs to the component `{bound}`, which this is not"),
                    hint: Some(format!("install the file that is signed as `{bound}`, or change the `[[component]]`")),
                });
            }
            _ => {
                self.would_run = true;
                self.exit = Exit::Yes;
            }
        }
    }

    fn unmeasured(&mut self, problem: &MeasureError) {
        let (code, exit) = match problem {
            MeasureError::TooLarge { .. } => ("too-large", Exit::No),
            MeasureError::NotRegular { .. } => ("not-a-file", Exit::Usage),
            MeasureError::Changed => ("changed-while-measured", Exit::System),
            MeasureError::Open { .. } | MeasureError::Read { .. } => ("unreadable", Exit::System),
        };
        self.exit = exit;
        let hint = problem.hint().map(str::to_owned);
        self.reason = Some(Reason { code, step: "read the file", message: problem.to_string(), hint });
    }
}

impl Says {
    fn of(claims: &Claims) -> Self {
        let Claims { identifier, version, security_version, entitlements } = claims.clone();
        Self { identifier, version, security_version, entitlements }
    }

    /// In words; nothing when nothing is said.
    pub(in crate::cli) fn words(&self) -> Option<String> {
        let identifier = self.identifier.as_ref()?;
        let version = self.version.as_ref().map_or(String::new(), |version| format!(" {version}"));
        let security = self.security_version.map_or(String::new(), |number| format!(", security version {number}"));
        let rights = if self.entitlements.is_empty() { String::new() } else { format!(", asks for {}", self.entitlements.join(", ")) };
        Some(format!("{identifier}{version}{security}{rights}"))
    }
}

impl Reason {
    fn rejected(rejected: &Rejected) -> Self {
        Self { code: rejected.code(), step: rejected.step(), message: rejected.to_string(), hint: Some(rejected.hint().to_owned()) }
    }
}

impl Try {
    fn new(attempt: &Attempt) -> Self {
        Self {
            carrier: attempt.carrier.name(),
            signature: attempt.carrier.path().map(|path| path.to_string_lossy().into_owned()),
            accepted: attempt.result.is_ok(),
            signers: match (&attempt.result, attempt.signers.is_empty()) {
                // The signer of a manifest was looked at when it was loaded.
                (Ok(verified), true) => vec![OneSigner::of_manifest(verified)],
                _ => attempt.signers.iter().map(OneSigner::new).collect(),
            },
            reason: attempt.result.as_ref().err().map(Reason::rejected),
        }
    }
}

impl OneSigner {
    fn new(report: &SignerReport) -> Self {
        let authority = report.authority.as_ref();
        let (subject, issuer) = report.certificate.clone().unzip();
        Self {
            subject,
            issuer,
            certificate_sha256: report.fingerprint.map(|bytes| hex(&bytes)),
            algorithm: report.algorithm.clone(),
            says: Says::of(&report.claims),
            signer: authority.map(|authority| authority.name().to_owned()),
            chain: authority.map_or(Vec::new(), |authority| authority.chain().to_vec()),
            signed_at: authority.and_then(|authority| authority.signed_at()).map(rfc3339),
            not_after: authority.and_then(|authority| authority.validity().not_after).map(rfc3339),
            timestamp_problem: report.timestamp_problem.clone(),
            problem: report.problem.clone(),
        }
    }

    fn of_manifest(verified: &Verified) -> Self {
        let authority = verified.authority();
        Self {
            subject: Some(verified.subject().to_owned()),
            issuer: authority.chain().get(1).cloned(),
            certificate_sha256: Some(hex(&verified.fingerprint())),
            algorithm: "the manifest's signature".to_owned(),
            says: Says::of(verified.claims()),
            signer: Some(verified.signer_name().to_owned()),
            chain: authority.chain().to_vec(),
            signed_at: authority.signed_at().map(rfc3339),
            not_after: verified.not_after().map(rfc3339),
            timestamp_problem: None,
            problem: None,
        }
    }
}

/// RFC 3339, in UTC.
fn rfc3339(time: UnixTime) -> String {
    date(time).replacen(' ', "T", 1).replace(" UTC", "Z")
}
