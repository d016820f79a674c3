//! `enforcer policy`: is the policy right, and what may stand in it?

mod commented;
pub(super) mod manual;
mod markdown;
mod reference;

use std::borrow::Cow;
use std::path::PathBuf;

use rustls_pki_types::UnixTime;
use serde::Serialize;

use self::reference::Reference;
use super::{Exit, Failure, Output, ReportOption};
use crate::charter::{self, CharterError};
use crate::daemon;
use crate::policy::{self, DEFAULT_PATH, Mode, Policy, PolicyError, display_size};
use crate::signature::Facts;
use crate::text::printable;
use crate::trust::{SecurityVersions, TrustError, TrustStore};

/// Check the policy, and look up what may stand in it.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Check(Check),
    List(List),
    Default(Template),
    Reference(Lookup),
}

/// Say what is wrong with a policy, with line and column, and how to mend it.
///
/// Checks what is written and every certificate that it names. Changes nothing.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer policy check
  enforcer policy check ./policy.toml --json")]
struct Check {
    /// The policy.
    #[arg(value_name = "FILE", default_value = DEFAULT_PATH)]
    file: PathBuf,
    #[command(flatten)]
    report: ReportOption,
}

/// Write the list that a policy signer has to sign: the policy itself, and every file that it takes certificates from.
///
/// It goes beside the policy as `FILE.manifest`, with the signature as `FILE.manifest.p7s`. Sign it where the key is, with a security version that rises
/// from policy to policy: then no older policy can be put in its place.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer policy list > /etc/enforcer/policy.toml.manifest
  enforcer manifest sign --key policy.key --certificate policy.pem \\
      --identifier policy --security-version 1 policy.toml.manifest")]
struct List {
    /// The policy.
    #[arg(value_name = "FILE", default_value = DEFAULT_PATH)]
    file: PathBuf,
}

/// Print the policy of a first day, with comments that explain each key: it denies nothing and reports everything.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer policy default > policy.toml")]
struct Template {}

/// Print the reference of all tables and keys, with their types, defaults and ranges, as Markdown.
///
/// With `--json`, as JSON Schema (2020-12), by which editors complete and check a policy.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer policy reference | less
  enforcer policy reference --json > policy.schema.json")]
struct Lookup {
    #[command(flatten)]
    report: ReportOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Check(check) => check.run(output),
        Command::List(list) => list.run(output),
        Command::Default(Template {}) => {
            output.text(commented::policy(&Reference::of_types()).as_bytes())?;
            Ok(Exit::Yes)
        }
        Command::Reference(lookup) => lookup.run(output),
    }
}

impl List {
    fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let policy = Policy::load(&self.file)?;
        let trust = TrustStore::load(&policy, UnixTime::now())?;
        output.text(&charter::write(&policy, &trust))?;
        Ok(Exit::Yes)
    }
}

impl Lookup {
    fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        if self.report.json {
            output.json(&policy::schema())?;
        } else {
            output.text(markdown::document(&Reference::of_types()).as_bytes())?;
        }
        Ok(Exit::Yes)
    }
}

impl Check {
    fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        check(&self, output)
    }
}

fn check(check: &Check, output: &mut Output) -> Result<Exit, Failure> {
    match Policy::load(&check.file) {
        Ok(policy) => tell_settled(&policy, check.report.json, output),
        Err(PolicyError::Invalid(invalid)) if check.report.json => {
            let problem = |(place, problem): (crate::policy::Place, &crate::policy::Problem)| Problem {
                line: Some(place.line),
                column: Some(place.column),
                message: problem.message.clone(),
                suggestion: problem.label.clone(),
                remedy: problem.remedy.clone(),
            };
            output.json(&Invalid { path: invalid.path().to_string_lossy(), valid: false, problems: invalid.problems().map(problem).collect() })?;
            Ok(Exit::Usage)
        }
        Err(error) => Err(error.into()),
    }
}

fn tell_settled(policy: &Policy, json: bool, output: &mut Output) -> Result<Exit, Failure> {
    let unfit = unfit_certificates(policy);
    let unsigned = if unfit.is_empty() { not_signed(policy) } else { None };
    if json {
        output.json(&Settled {
            path: policy.path.to_string_lossy(),
            valid: unfit.is_empty() && unsigned.is_none(),
            mode: policy.mode.name(),
            signers: policy.signers.iter().map(|signer| signer.name.as_str()).collect(),
            problems: unfit
                .iter()
                .map(|error| (error.to_string(), error.hint()))
                .chain(unsigned.iter().map(|error| (error.to_string(), error.hint())))
                .map(|(message, remedy)| Problem { message, remedy: Some(remedy), ..Problem::default() })
                .collect(),
        })?;
        return Ok(if unfit.is_empty() && unsigned.is_none() { Exit::Yes } else { Exit::Usage });
    }
    if !unfit.is_empty() {
        let problems: Vec<_> = unfit.iter().map(|error| format!("{error}\n  = {}", error.hint())).collect();
        return Err(Failure::new(Exit::Usage, problems.join("\nerror: ")));
    }
    if let Some(problem) = unsigned {
        return Err(Failure::because(Exit::Usage, &problem).hint(problem.hint()));
    }
    let signers: Vec<_> = policy.signers.iter().map(|signer| signer.name.as_str()).collect();
    let text = format!(
        "{}: valid; mode {}; {}; files up to {}",
        printable(&policy.path.to_string_lossy()),
        policy.mode.name(),
        if signers.is_empty() { "no signer (nothing is trusted)".to_owned() } else { format!("signers: {}", signers.join(", ")) },
        display_size(policy.limits.max_file_size)
    );
    output.paragraph(0, &text)?;
    if policy.mode == Mode::Audit {
        output.line("In audit mode nothing is denied; what would be is shown by `enforcer events`.")?;
    }
    Ok(Exit::Yes)
}

/// Everything that is wrong with the certificates: one error for each signer at most, or one for the lists.
fn unfit_certificates(policy: &Policy) -> Vec<TrustError> {
    let now = UnixTime::now();
    let unfit: Vec<_> = policy.signers.iter().filter_map(|signer| TrustStore::check_signer(signer, now).err()).collect();
    // The rest is read only when the signers are fit, and stops at its first error.
    if unfit.is_empty() { TrustStore::load(policy, now).err().into_iter().collect() } else { unfit }
}

/// Whoever has to stand behind the policy and does not: those it names itself, and for root those whom the policy in force names.
fn not_signed(policy: &Policy) -> Option<CharterError> {
    let is_root = rustix::process::geteuid().is_root();
    // A machine that lets nobody look at its kernel has nothing in force.
    let in_force = if is_root { daemon::charters_in_force().unwrap_or_default() } else { Vec::new() };
    let (now, versions) = daemon::trusted_facts().unwrap_or_else(|_| (UnixTime::now(), SecurityVersions::default()));
    let mut trust = TrustStore::load(policy, now).ok()?;
    charter::admit(policy, &mut trust, &in_force, &Facts { now, security_versions: &versions }).err()
}

#[derive(Serialize)]
struct Settled<'a> {
    path: Cow<'a, str>,
    valid: bool,
    mode: &'static str,
    signers: Vec<&'a str>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Invalid<'a> {
    path: Cow<'a, str>,
    valid: bool,
    problems: Vec<Problem>,
}

#[derive(Default, Serialize)]
struct Problem {
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    suggestion: Option<String>,
    remedy: Option<String>,
}
