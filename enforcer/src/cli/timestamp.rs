//! `enforcer timestamp`: questions for a timestamp authority, and its answers into signatures.

use std::path::PathBuf;

use super::sign::failure;
use super::{Exit, Failure, Output};
use crate::signature::sign::{stamp, write_whole};
use crate::text::printable;

/// Have signatures timestamped (RFC 3161), so that they outlive their certificate.
///
/// A file of your own goes to a timestamp authority and its answer comes back; enforcer itself never goes to the network.
#[derive(clap::Args)]
#[command(after_help = "Examples, with an authority's address in $TSA:
  enforcer sign --key key.pem --certificate signer.pem --reserve 8192 ./program
  enforcer timestamp query ./program -o program.tsq
  curl --fail --data-binary @program.tsq -o program.tsr \\
      -H 'Content-Type: application/timestamp-query' \"$TSA\"
  enforcer timestamp attach program.tsr ./program")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    #[command(after_help = "Examples:
  enforcer timestamp query ./program -o program.tsq")]
    Query(Query),
    #[command(after_help = "Examples:
  enforcer timestamp attach program.tsr ./program")]
    Attach(Attach),
}

/// Write the question about a signature.
///
/// The signature is the file itself, if it is one (FILE.p7s), else the one in the ELF file, at its end, in its comments, in its extended
/// attribute `user.enforcer.signature`, or beside it.
#[derive(clap::Args)]
struct Query {
    /// A signed file, or a signature.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to write the question (a TimeStampReq).
    #[arg(short, long, value_name = "QUERY")]
    output: PathBuf,
}

/// Put the answer into the signature.
#[derive(clap::Args)]
struct Attach {
    /// What the authority answered: a TimeStampResp, or the token from it.
    #[arg(value_name = "REPLY")]
    reply: PathBuf,
    /// The signed file, or the signature, that was asked about.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Query(query) => {
            let request = stamp::query(&query.file).map_err(|error| failure(&error))?;
            write_whole(&query.output, &request).map_err(|error| failure(&error))?;
            output.line(format!("{}: written", printable(&query.output.to_string_lossy())))?;
        }
        Command::Attach(attach) => {
            let carrier = stamp::attach(&attach.reply, &attach.file).map_err(|error| failure(&error))?;
            output.line(format!("{}: timestamped ({})", printable(&attach.file.to_string_lossy()), carrier.name()))?;
        }
    }
    Ok(Exit::Yes)
}
