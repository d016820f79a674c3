//! `enforcer policy`: is the policy right?

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Exit, Failure, Output, ReportOption};
use crate::policy::{DEFAULT_PATH, Mode, Policy, PolicyError, display_size};
use crate::text::printable;

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
/// Checks what is written and whether the certificate files that it names can be read. Changes nothing.
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
        Ok(policy) => tell_valid(&policy, check.report.json, output),
        Err(PolicyError::Invalid(invalid)) if check.report.json => {
            let problem = |(place, problem): (crate::policy::Place, &crate::policy::Problem)| Problem {
                line: place.line,
                column: place.column,
                message: problem.message.clone(),
                suggestion: problem.label.clone(),
                remedy: problem.remedy.clone(),
            };
            output.json(&Invalid {
                path: invalid.path().to_string_lossy(),
                valid: false,
                problems: invalid.problems().map(problem).collect(),
            })?;
            Ok(Exit::Usage)
        }
        Err(error) => Err(error.into()),
    }
}

fn tell_valid(policy: &Policy, json: bool, output: &mut Output) -> Result<Exit, Failure> {
    let unreadable = unreadable_certificates(policy);
    if json {
        output.json(&Valid {
            path: policy.path.to_string_lossy(),
            valid: unreadable.is_empty(),
            mode: policy.mode.name(),
            signers: policy.signers.iter().map(|signer| signer.name.as_str()).collect(),
            unreadable: unreadable.iter().map(|file| file.path.to_string_lossy()).collect(),
        })?;
    } else if unreadable.is_empty() {
        let signers = match policy.signers.as_slice() {
            [] => "no signer (nothing is trusted)".to_owned(),
            signers => format!("signers: {}", signers.iter().map(|signer| signer.name.as_str()).collect::<Vec<_>>().join(", ")),
        };
        output.line(format!(
            "{}: valid; mode {}; {signers}; files up to {}",
            printable(&policy.path.to_string_lossy()),
            policy.mode.name(),
            display_size(policy.limits.max_file_size)
        ))?;
        if policy.mode == Mode::Audit {
            output.line("In audit mode nothing is denied; what would be is shown by `enforcer events`.")?;
        }
    }
    match unreadable.as_slice() {
        [] => Ok(Exit::Yes),
        _ if json => Ok(Exit::Usage),
        files => Err(Failure::new(Exit::Usage, files.iter().map(Unreadable::tell).collect::<Vec<_>>().join("\nerror: "))
            .hint("put the certificate there, readable by root, or take its line out of the policy")),
    }
}

/// A certificate file that a signer names and that cannot be opened.
struct Unreadable<'a> {
    signer: &'a str,
    path: &'a Path,
    error: std::io::Error,
}

impl Unreadable<'_> {
    fn tell(&self) -> String {
        format!("signer `{}`: cannot read the certificate `{}`: {}", self.signer, printable(&self.path.to_string_lossy()), self.error)
    }
}

fn unreadable_certificates(policy: &Policy) -> Vec<Unreadable<'_>> {
    let files = policy.signers.iter().flat_map(|signer| signer.anchors.iter().chain(&signer.pinned).map(move |path| (signer, path)));
    let readable = |path: &Path| match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(std::io::Error::other("not a regular file")),
        Ok(_) => std::fs::File::open(path).map(drop),
        Err(error) => Err(error),
    };
    files.filter_map(|(signer, path)| Some(Unreadable { signer: &signer.name, path, error: readable(path).err()? })).collect()
}

#[derive(Serialize)]
struct Valid<'a> {
    path: Cow<'a, str>,
    valid: bool,
    mode: &'static str,
    signers: Vec<&'a str>,
    unreadable: Vec<Cow<'a, str>>,
}

#[derive(Serialize)]
struct Invalid<'a> {
    path: Cow<'a, str>,
    valid: bool,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Problem {
    line: usize,
    column: usize,
    message: String,
    suggestion: Option<String>,
    remedy: Option<String>,
}
