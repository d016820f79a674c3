//! `enforcer manifest`: lists of digests, made, signed, shown, judged and compared.

mod create;
mod diff;
mod left_out;
pub(super) mod listing;
mod show;
mod sign;
mod verify;

use std::path::Path;

use enforcer_common::{ALGORITHM_FSVERITY_SHA256, Digest};

use super::{Exit, Failure, Output};
use crate::measure::{self, MeasureError};
use crate::signature::manifest::{Entry, LineError, MAX_MANIFEST_SIZE, entries};

/// Make, sign, show, check and compare lists of digests.
///
/// A signed manifest makes everything that it lists run, wherever it lies, without touching the files: for packages, images and whole systems.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Create(create::Create),
    Sign(sign::Sign),
    Show(show::Show),
    Verify(verify::Verify),
    Diff(diff::Diff),
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Create(create) => create.run(output),
        Command::Sign(sign) => sign.run(output),
        Command::Show(show) => show.run(output),
        Command::Verify(verify) => verify.run(output),
        Command::Diff(diff) => diff.run(output),
    }
}

/// The bytes of a manifest.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    measure::read_bounded(path, MAX_MANIFEST_SIZE).map_err(|error: MeasureError| {
        let failure = Failure::new(if error.is_io() { Exit::System } else { Exit::Usage }, format!("manifest `{}`: {error}", path.display()));
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

/// The entries of a manifest, all of them right.
fn parse<'a>(path: &Path, text: &'a [u8]) -> Result<Vec<Entry<'a>>, Failure> {
    let wrong = |error: LineError| Failure::new(Exit::Usage, format!("manifest `{}`: {error}", path.display()));
    entries(text).collect::<Result<_, _>>().map_err(|error| wrong(error).hint("make it with `enforcer manifest create`, or with `sha256sum --tag`"))
}

/// The word for a digest's kind in tables and JSON.
fn kind(digest: &Digest) -> &'static str {
    if digest.algorithm == ALGORITHM_FSVERITY_SHA256 { "fsverity-sha256" } else { "sha256" }
}
