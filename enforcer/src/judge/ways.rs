//! What would have to change for something to be allowed: several ways, the best first, with commands that can be copied.

use std::path::Path;

use enforcer_common::USE_SCRIPT;
use serde::Serialize;

use super::{Cause, Ruling, Use};
use crate::policy::{Lines, Policy, Rule, Setting};
use crate::text::{argument, hex};

/// One way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Way {
    /// What to do, for people.
    pub text: String,
    /// The commands, in order; none, where there is something to write or to decide.
    pub commands: Vec<String>,
}

impl Way {
    fn new(text: impl Into<String>, commands: &[&str]) -> Self {
        Self { text: text.into(), commands: commands.iter().map(|command| (*command).to_owned()).collect() }
    }
}

/// The ways to have allowed what was ruled about, of a file at `path` with this digest if it is about one.
pub fn ways(ruling: &Ruling, policy: &Policy, lines: &Lines, path: Option<&Path>, wanted: Option<Use>, digest: Option<&[u8; 32]>) -> Vec<Way> {
    let text = path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let file = argument(&text).unwrap_or("FILE");
    let mut ways = match &ruling.rule {
        Rule::Nobody => unsigned(&ruling.cause, policy, file),
        Rule::Scripts(_, setting, _) => {
            let mut ways = if wanted == Some(Use(USE_SCRIPT)) { unsigned(&ruling.cause, policy, file) } else { hinted(&ruling.cause) };
            ways.push(in_policy(
                policy,
                &format!("knowing the risk, write `{} = \"audit\"` or \"allow\" {}", setting.key(), written(lines, &ruling.rule, "[scripts]")),
            ));
            ways
        }
        Rule::Setting(setting, _) => of_setting(*setting, ruling, policy, lines, file),
        Rule::Signer(name) => {
            let wanted = wanted.map_or("exec", Use::word);
            let place = written(lines, &ruling.rule, &format!("its [[signer]] \"{name}\""));
            vec![in_policy(policy, &format!("add \"{wanted}\" to `allow` {place}")), Way::new("have it signed by a signer who may", &[&sign(file)])]
        }
        Rule::Revocation => {
            let mut ways = vec![Way::new("install a version that is not revoked", &["enforcer revoke list"])];
            ways.extend(digest.map(|digest| {
                Way::new("take the revocation back, if it was a mistake", &[&format!("sudo enforcer revoke undo digest {}", hex(digest))])
            }));
            ways
        }
        Rule::Component(_) | Rule::MaxFileSize | Rule::Always => hinted(&ruling.cause),
    };
    ways.dedup();
    ways
}

/// Of what nobody signed, or nobody whom the policy trusts.
fn unsigned(cause: &Cause, policy: &Policy, file: &str) -> Vec<Way> {
    let list = format!("enforcer manifest create --output ours.manifest {file}");
    let folder =
        policy.sources.manifests.first().map_or_else(|| "/etc/enforcer/manifests".to_owned(), |folder| folder.to_string_lossy().into_owned());
    let put = format!("sudo cp ours.manifest ours.manifest.p7s {}/", argument(&folder).unwrap_or("FOLDER"));
    let sign_it = Way::new("sign it, where the key is", &[&sign(file)]);
    let list_it = Way::new(
        "list it in a manifest, and sign that",
        &[&list, "enforcer manifest sign --key KEY --certificate CERTIFICATE ours.manifest", &put, "sudo systemctl reload enforcer"],
    );
    match cause.code {
        "unsigned" => vec![sign_it, list_it],
        "unknown-issuer" | "signer-certificate" => {
            vec![in_policy(policy, "if whoever signed it is to be trusted, add a `[[signer]]` with the `anchors` of its authority"), sign_it, list_it]
        }
        _ => hinted(cause).into_iter().chain([list_it]).collect(),
    }
}

fn of_setting(setting: Setting, ruling: &Ruling, policy: &Policy, lines: &Lines, file: &str) -> Vec<Way> {
    let mut ways = match setting {
        Setting::Anonymous | Setting::WritableAndExecutable | Setting::MadeExecutable => vec![entitled("jit", policy, "PROGRAM")],
        Setting::Tracing => vec![entitled("debugger", policy, "PROGRAM")],
        Setting::Modules | Setting::Kexec | Setting::Firmware => {
            vec![Way::new("have it signed by a signer who may sign \"module\"", &[&sign(file)])]
        }
        Setting::Volatile | Setting::Foreign => vec![Way::new("put the file on a local disk file system", &[])],
        Setting::ModulesFromMemory | Setting::KernelMemory | Setting::BpfPrograms => Vec::new(),
    };
    let (table, key) = setting.place();
    let place = written(lines, &ruling.rule, &format!("[{table}]"));
    ways.push(in_policy(policy, &format!("knowing the risk, write `{key} = \"audit\"` or \"allow\" {place}")));
    ways
}

/// An exception for one program, by its signature and by the policy.
fn entitled(entitlement: &str, policy: &Policy, program: &str) -> Way {
    let granted = policy.signers.iter().find(|signer| signer.entitlements.iter().any(|granted| granted == entitlement));
    let who = granted.map_or_else(
        || format!("add \"{entitlement}\" to `entitlements` of a [[signer]], and let it sign the program with that entitlement"),
        |signer| format!("let `{}` sign the program with the entitlement `{entitlement}`", signer.name),
    );
    Way::new(who, &[&format!("enforcer sign --key KEY --certificate CERTIFICATE --identifier NAME --entitlement {entitlement} {program}")])
}

/// A change of the policy, which takes effect when it is reloaded.
fn in_policy(policy: &Policy, text: &str) -> Way {
    let path = policy.path.to_string_lossy();
    let path = argument(&path).unwrap_or("POLICY");
    Way::new(text, &[&format!("enforcer policy check {path}"), &format!("sudo enforcer simulate --policy {path}"), "sudo systemctl reload enforcer"])
}

/// Where a rule is written, or has to be.
fn written(lines: &Lines, rule: &Rule, table: &str) -> String {
    lines.line(rule).map_or_else(|| format!("in {table} of the policy"), |line| format!("in line {line} of the policy"))
}

fn hinted(cause: &Cause) -> Vec<Way> {
    cause.hint.iter().map(|hint| Way::new(hint.trim_end_matches('.'), &[])).collect()
}

fn sign(file: &str) -> String {
    format!("enforcer sign --key KEY --certificate CERTIFICATE {file}")
}
