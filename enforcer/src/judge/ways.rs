//! What would have to change for something to be allowed: several ways, the best first, with commands that can be copied.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use enforcer_common::USE_SCRIPT;
use serde::Serialize;

use super::{Rationale, Ruling, Use};
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

/// The ways to have allowed what was ruled about: a use of these files, if it is about any, and the digest of the only one, where that is known.
pub fn ways(ruling: &Ruling, policy: &Policy, lines: &Lines, paths: &[&str], wanted: Option<Use>, digest: Option<&[u8; 32]>) -> Vec<Way> {
    let files = Files::new(paths);
    let file = files.arguments.as_str();
    let mut ways = match &ruling.rule {
        Rule::Nobody => unsigned(&ruling.rationale, policy, &files),
        Rule::Scripts(_, setting, _) => {
            let mut ways = if wanted == Some(Use(USE_SCRIPT)) { unsigned(&ruling.rationale, policy, &files) } else { hinted(&ruling.rationale) };
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
        Rule::Component(_) | Rule::MaxFileSize | Rule::Always => hinted(&ruling.rationale),
    };
    ways.dedup();
    ways
}

/// Files, as commands are told of them.
struct Files {
    arguments: String,
    /// Whether all of them lie where packages put theirs.
    are_packaged: bool,
}

impl Files {
    /// Each of a few; of more, the folder that all of them are in, if it holds little else.
    fn new(paths: &[&str]) -> Self {
        let absolute: Vec<PathBuf> = paths.iter().filter_map(|path| std::path::absolute(path).ok()).collect();
        let are_packaged = !absolute.is_empty() && absolute.iter().all(|path| is_packaged(path));
        let written = |path: &PathBuf| path.to_str().and_then(argument).map(Cow::into_owned);
        let arguments = if absolute.len() <= MOST_ARGUMENTS {
            absolute.iter().map(written).collect::<Option<Vec<String>>>().filter(|all| !all.is_empty()).map(|all| all.join(" "))
        } else {
            common_folder(&absolute).as_ref().and_then(written)
        };
        Self { arguments: arguments.unwrap_or_else(|| "FILE".to_owned()), are_packaged }
    }
}

/// Whether packages put their files there, and nobody else.
fn is_packaged(path: &Path) -> bool {
    ["/usr", "/bin", "/sbin", "/lib", "/lib64"].iter().any(|folder| path.starts_with(folder)) && !path.starts_with("/usr/local")
}

/// The folder that all of these are below, if it is not one of the few that hold everything.
fn common_folder(paths: &[PathBuf]) -> Option<PathBuf> {
    let mut common = paths.first()?.parent()?.to_owned();
    while !paths.iter().all(|path| path.starts_with(&common)) {
        common.pop();
    }
    (common.components().count() > SHALLOWEST).then_some(common)
}

/// Of what nobody signed, or nobody whom the policy trusts.
fn unsigned(rationale: &Rationale, policy: &Policy, files: &Files) -> Vec<Way> {
    let file = &files.arguments;
    let folder =
        policy.sources.manifests.first().map_or_else(|| "/etc/enforcer/manifests".to_owned(), |folder| folder.to_string_lossy().into_owned());
    let put_both = |name: &str| format!("sudo cp {name} {name}.p7s {}/", argument(&folder).unwrap_or("FOLDER".into()));
    let sign_it = Way::new("sign it, where the key is", &[&sign(file)]);
    let list_it = manifest("list it in a manifest, and sign that", file, "ours.manifest", &put_both("ours.manifest"));
    match rationale.code {
        "unsigned" if files.are_packaged => vec![
            manifest("list what the Debian packages hold, if one of them installed it", "--debian", "debian.manifest", &put_both("debian.manifest")),
            sign_it,
        ],
        "unsigned" => vec![sign_it, list_it],
        "unknown-issuer" | "signer-certificate" => {
            vec![in_policy(policy, "if whoever signed it is to be trusted, add a `[[signer]]` with the `anchors` of its authority"), sign_it, list_it]
        }
        _ => hinted(rationale).into_iter().chain([list_it]).collect(),
    }
}

/// A manifest of something, made, signed and put where the policy looks for it.
fn manifest(text: &str, of: &str, name: &str, put: &str) -> Way {
    let create = format!("enforcer manifest create --output {name} {of}");
    let sign = format!("enforcer manifest sign --key KEY --certificate CERTIFICATE {name}");
    Way::new(text, &[&create, &sign, put, "sudo systemctl reload enforcer"])
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
    let path = std::path::absolute(&policy.path).unwrap_or_default();
    let path = path.to_str().and_then(argument).unwrap_or("POLICY".into());
    Way::new(text, &[&format!("enforcer policy check {path}"), &format!("sudo enforcer simulate --policy {path}"), "sudo systemctl reload enforcer"])
}

/// Where a rule is written, or has to be.
fn written(lines: &Lines, rule: &Rule, table: &str) -> String {
    lines.line(rule).map_or_else(|| format!("in {table} of the policy"), |line| format!("in line {line} of the policy"))
}

fn hinted(rationale: &Rationale) -> Vec<Way> {
    rationale.hint.iter().map(|hint| Way::new(hint.trim_end_matches('.'), &[])).collect()
}

fn sign(file: &str) -> String {
    format!("enforcer sign --key KEY --certificate CERTIFICATE {file}")
}

/// Files that a command names one by one.
const MOST_ARGUMENTS: usize = 3;
/// A folder with fewer parts (`/usr`, with the root) holds too much else to be signed as a whole.
const SHALLOWEST: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_files_are_named_and_many_by_a_folder_that_holds_little_else() {
        let arguments = |paths: &[&str]| Files::new(paths).arguments;
        assert_eq!(arguments(&["/opt/a/b", "/opt/a/c"]), "/opt/a/b /opt/a/c");
        assert_eq!(arguments(&["/opt/a/b", "/opt/a/c", "/opt/a/d/e", "/opt/a/f"]), "/opt/a");
        assert_eq!(arguments(&["/opt/a", "/opt/b", "/opt/c", "/opt/d"]), "FILE");
        assert_eq!((arguments(&[]), arguments(&["/opt/a\nreboot"])), ("FILE".to_owned(), "FILE".to_owned()));
        assert_eq!(arguments(&["/opt/$(reboot)"]), "'/opt/$(reboot)'", "a shell takes it literally");
        assert!(Files::new(&["/usr/bin/a", "/lib/b"]).are_packaged && !Files::new(&["/usr/bin/a", "/usr/local/bin/b"]).are_packaged);
    }
}
