//! `enforcer trust init`: keys and certificates for trials.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{Exit, Failure, Output};
use crate::signature::sign::trial::{KeyType, Trial, TrialError};
use crate::text::printable;

/// Make keys and certificates for trials.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Init(Init),
}

/// Make a small public key infrastructure in a new folder.
///
/// A root, an intermediate, a certificate that signs code and one that stamps time, with their keys. For trials and tests: the keys lie beside
/// each other and are not encrypted. For real use, keep the root's key offline and the signer's in a token (docs/signing.md).
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer trust init pki
  enforcer trust init --name 'Example Trial' --key-type ed25519 --days 30 pki")]
struct Init {
    /// The folder: new or empty.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// In the subjects of all certificates.
    #[arg(long, value_name = "TEXT", default_value = "Enforcer Trial")]
    name: String,
    /// The kind of all keys.
    #[arg(long, value_name = "KIND", default_value = "p256")]
    key_type: KeyTypeName,
    /// How many days the signer's certificate is valid; the authorities' are twice as long.
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    days: u16,
}

#[derive(Clone, Copy, ValueEnum)]
enum KeyTypeName {
    P256,
    P384,
    Ed25519,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Init(init) => init.run(output),
    }
}

impl Init {
    fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let key_type = match self.key_type {
            KeyTypeName::P256 => KeyType::P256,
            KeyTypeName::P384 => KeyType::P384,
            KeyTypeName::Ed25519 => KeyType::Ed25519,
        };
        let folder = std::path::absolute(&self.folder).unwrap_or_else(|_| self.folder.clone());
        let steps = next_steps(&folder);
        let trial = Trial { name: self.name, key_type, days: self.days };
        trial.write(&self.folder, &format!("{WARNING}\n{FILES}\n{steps}")).map_err(|error| failure(&error))?;
        for line in steps.lines() {
            output.line(line)?;
        }
        Ok(Exit::Yes)
    }
}

fn failure(error: &TrialError) -> Failure {
    Failure::because(if error.is_io() { Exit::System } else { Exit::Usage }, error).hint(error.hint())
}

fn next_steps(folder: &Path) -> String {
    let folder = printable(&folder.to_string_lossy()).into_owned();
    let mut text = String::new();
    _ = write!(
        text,
        "Sign something:

  enforcer sign --key {folder}/signer-key.pem --certificate {folder}/signer.pem --chain {folder}/chain.pem PROGRAM

Trust it, in /etc/enforcer/policy.toml, on machines for trials only (root.pem is
all that they need):

  [[signer]]
  name = \"trial\"
  anchors = [\"{folder}/root.pem\"]

  [[timestamp-authority]]
  name = \"trial-clock\"
  anchors = [\"{folder}/root.pem\"]

See what would run:

  enforcer policy check
  enforcer verify PROGRAM
"
    );
    text
}

const WARNING: &str = "For trials only. Every key lies here, unencrypted: whoever can read this folder can sign anything in its name.
";

const FILES: &str = "root.pem, root-key.pem                  the root: machines trust its certificate
intermediate.pem, intermediate-key.pem  issues the other two certificates
chain.pem                               what goes into signatures: the intermediate's certificate
signer.pem, signer-key.pem              signs code
timestamp.pem, timestamp-key.pem        stamps time (RFC 3161), for `openssl ts -reply`
";
