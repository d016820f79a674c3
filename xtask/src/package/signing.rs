//! Signatures for what is in the package, so that a machine that enforces lets it in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use super::tree::{self, Tree};
use crate::process;
use crate::ui::Step;

/// By which every release of the enforcer is known: what `[[component]]` and the floors of security versions go by.
const IDENTIFIER: &str = "enforcer";
/// The right to take over from the daemon that runs, which a policy with `policy-signers` asks for.
const SUCCESSOR: &str = "enforcer";
/// Where the certificate is put, if that was asked for.
const CERTIFICATE: &str = "usr/share/enforcer/signer.pem";

/// Who signs, and what is claimed.
#[derive(Args, Clone, Debug)]
#[group(requires_all = ["key", "certificate"])]
#[command(next_help_heading = "Signing what is in the package")]
pub(crate) struct Signing {
    /// The private key, as `enforcer sign` takes it
    #[arg(long, required = false, value_name = "PEM|URI")]
    pub(crate) key: PathBuf,
    /// Its code-signing certificate
    #[arg(long, required = false, value_name = "PEM")]
    pub(crate) certificate: PathBuf,
    /// The certificates between it and the root
    #[arg(long, value_name = "PEM")]
    pub(crate) chain: Option<PathBuf>,
    /// The number that grows when older releases must not run any more
    #[arg(long, value_name = "NUMBER")]
    pub(crate) security_version: Option<u32>,
    /// Put the certificate into the package, as /usr/share/enforcer/signer.pem; nobody is trusted by that
    #[arg(long)]
    pub(crate) with_certificate: bool,
}

impl Signing {
    /// Says what is missing before anything is built.
    pub(super) fn check(&self) -> Result<()> {
        let is_in_a_token = self.key.to_string_lossy().starts_with("pkcs11:");
        let key = (!is_in_a_token).then_some(&self.key);
        for file in key.into_iter().chain([&self.certificate]).chain(&self.chain) {
            fs::File::open(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        }
        Ok(())
    }

    /// Signs everything in the tree that is code.
    pub(super) fn sign(&self, enforcer: &Path, version: &str, tree: &Tree, step: &Step) -> Result<()> {
        step.note("signing");
        let mut program = self.command(enforcer);
        program.args(["--embed", "--identifier", IDENTIFIER, "--entitlement", SUCCESSOR, "--software-version", version]);
        if let Some(number) = self.security_version {
            program.arg("--security-version").arg(number.to_string());
        }
        process::run(program.arg(tree.at(tree::PROGRAM)), step)?;
        // dpkg starts the first three, and shells read the others.
        let scripts = tree::MAINTAINER_SCRIPTS.map(|name| format!("DEBIAN/{name}"));
        let scripts = scripts.iter().map(String::as_str).chain([tree::INIT, tree::BASH_COMPLETION, tree::ZSH_COMPLETION]);
        process::run(self.command(enforcer).arg("--comment=#").args(scripts.map(|script| tree.at(script))), step)?;
        if self.with_certificate {
            let bytes = fs::read(&self.certificate).with_context(|| format!("cannot read `{}`", self.certificate.display()))?;
            tree.file(CERTIFICATE, 0o644, &bytes)?;
        }
        Ok(())
    }

    fn command(&self, enforcer: &Path) -> Command {
        let mut command = Command::new(enforcer);
        command.arg("sign").arg("--key").arg(&self.key).arg("--certificate").arg(&self.certificate);
        if let Some(chain) = &self.chain {
            command.arg("--chain").arg(chain);
        }
        command
    }
}
