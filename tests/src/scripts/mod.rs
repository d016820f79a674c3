//! Scripts: each interpreter that Debian packages, and each form in which it can be made to run code that nobody signed.
//!
//! One boot, three phases: scripts are judged and text is allowed, as Debian's own system needs it ([`debian`]); then text is denied, too; then the same
//! is only reported, which shows that every attack of the table is one.

mod archive;
mod common;
mod debian;
mod interpreter;
mod languages;
mod run;
mod shells;
mod small;
mod stage;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::mode::Mode;
use crate::report::{Report, Selection};
use crate::scene::Scene;
use crate::service::{self, Policy};
use crate::suite;

pub use self::debian::PACKAGES;
use self::interpreter::{Interpreter, Role};
pub use self::stage::ENTITLED;
use self::stage::{Code, bytes};

/// What is in force.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No enforcer at all.
    Off,
    /// Scripts must be signed; text is allowed.
    Permitted,
    /// Text is denied, too, but to programs that are entitled to it.
    Enforce,
    /// The same, only reported.
    Audit,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Permitted => "permitted",
            Self::Enforce => "enforce",
            Self::Audit => "audit",
        }
    }
}

/// `guest-tests scripts`: everything, or one phase, which has to be in force already.
pub fn run(scene: &Scene, phase: Option<Phase>, selection: Selection) -> Result<ExitCode> {
    let mut report = Report::new(selection);
    if let Some(phase) = phase {
        run::run_all(scene, phase, &mut report)?;
        return report.close();
    }
    suite::check_boot(scene, &mut report)?;
    debian::run_all(scene, &mut report)?;
    run::run_all(scene, Phase::Permitted, &mut report)?;

    let policy = Policy::open()?;
    let strict = without_text(policy.original())?;
    policy.write(&strict)?;
    service::reload_in_force()?;
    run::run_all(scene, Phase::Enforce, &mut report)?;

    policy.write(&strict.replace("mode = \"enforce\"", "mode = \"audit\""))?;
    service::reload()?;
    service::wait_until("audit mode is in force", || Ok(service::mode_in_force()? == Mode::Audit))?;
    run::run_all(scene, Phase::Audit, &mut report)?;
    report.close()
}

/// The same policy with text denied.
fn without_text(policy: &str) -> Result<String> {
    ["inline", "stdin", "interactive"].into_iter().try_fold(policy.to_owned(), |text, what| {
        let allowed = format!("{what} = \"allow\"");
        ensure!(text.contains(&allowed), "the policy does not say `{allowed}`");
        Ok(text.replace(&allowed, &format!("{what} = \"deny\"")))
    })
}

/// The whole table.
fn table() -> impl Iterator<Item = &'static Interpreter> {
    [shells::INTERPRETERS, languages::INTERPRETERS, small::INTERPRETERS].into_iter().flatten()
}

/// Everything that is signed in one of the forms: a name, and the content. No content is there twice.
pub fn signed_files() -> Vec<(String, Vec<u8>)> {
    let mut contents = BTreeMap::new();
    for interpreter in table() {
        for form in common::FORMS.iter().chain([&common::READS_DATA]).chain(interpreter.forms) {
            let signed = form.files.iter().filter(|file| matches!(file.role, Role::Code | Role::Member(_) | Role::Frame));
            for (number, file) in signed.enumerate() {
                contents.entry(bytes(interpreter, file, Code::Signed)).or_insert_with(|| format!("{}/{}-{number}", interpreter.name, form.name));
            }
        }
    }
    contents.into_iter().map(|(content, name)| (name, content)).collect()
}

/// What signed scripts read.
const DATA: &str = "data was read";
/// The stand-in for PowerShell.
pub const PWSH: &str = "/opt/enforcer-tests/scripts/programs/pwsh";
