//! `enforcer policy`: is the policy right?

use std::borrow::Cow;
use std::path::PathBuf;

use rustls_pki_types::UnixTime;
use serde::Serialize;

use super::{Exit, Failure, Output, ReportOption};
use crate::policy::{DEFAULT_PATH, Mode, Policy, PolicyError, display_size};
use crate::text::printable;
use crate::trust::{TrustError, TrustStore};

/// Check the policy.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Check(Check),
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

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let Command::Check(check) = arguments.command;
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
    if json {
        output.json(&Settled {
            path: policy.path.to_string_lossy(),
            valid: unfit.is_empty(),
            mode: policy.mode.name(),
            signers: policy.signers.iter().map(|signer| signer.name.as_str()).collect(),
            problems: unfit.iter().map(|error| Problem { message: error.to_string(), remedy: Some(error.hint()), ..Problem::default() }).collect(),
        })?;
        return Ok(if unfit.is_empty() { Exit::Yes } else { Exit::Usage });
    }
    if !unfit.is_empty() {
        let problems: Vec<_> = unfit.iter().map(|error| format!("{error}\n  = {}", error.hint())).collect();
        return Err(Failure::new(Exit::Usage, problems.join("\nerror: ")));
    }
    let signers: Vec<_> = policy.signers.iter().map(|signer| signer.name.as_str()).collect();
    output.line(format!(
        "{}: valid; mode {}; {}; files up to {}",
        printable(&policy.path.to_string_lossy()),
        policy.mode.name(),
        if signers.is_empty() { "no signer (nothing is trusted)".to_owned() } else { format!("signers: {}", signers.join(", ")) },
        display_size(policy.limits.max_file_size)
    ))?;
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
