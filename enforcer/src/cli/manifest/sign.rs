//! `enforcer manifest sign`: a signature beside a manifest.

use std::path::PathBuf;

use super::super::sign::{ClaimsOption, SignerOption, failure};
use super::super::{Exit, Failure, Output};
use super::{parse, read};
use crate::signature::sign::Destination;
use crate::text::{counted, printable};

/// Sign a manifest: FILE.p7s beside it.
///
/// Whoever signs vouches for every file in it: for a package or an image, that it is the one that was meant. What is claimed is claimed of each of them.
#[derive(clap::Args)]
#[command(
    override_usage = "enforcer manifest sign [OPTIONS] --key <PEM|URI> --certificate <PEM>
                              <FILE>",
    after_help = "Examples:
  enforcer manifest sign --key key.pem --certificate signer.pem base.manifest
  enforcer manifest sign --key key.pem --certificate signer.pem \\
      --chain intermediate.pem base.manifest"
)]
pub(super) struct Sign {
    /// The manifest.
    // Before the options, which go on under headings of their own.
    #[arg(value_name = "FILE")]
    manifest: PathBuf,
    #[command(flatten)]
    signer: SignerOption,
    #[command(flatten)]
    claims: ClaimsOption,
}

impl Sign {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        // What no verifier would load is not signed.
        let count = parse(&self.manifest, &read(&self.manifest)?)?.len();
        let signed = self.signer.load(self.claims.settle())?.sign(&self.manifest, &Destination::Detached).map_err(|error| failure(&error))?;
        let signature = signed.carrier.path().unwrap_or(&self.manifest).to_string_lossy();
        output.line(format!("{}: signed, {}", printable(&signature), counted(count, "digest", "digests")))?;
        Ok(Exit::Yes)
    }
}
