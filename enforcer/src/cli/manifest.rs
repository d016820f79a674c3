//! `enforcer manifest`: lists of digests, made and signed.

use std::borrow::Cow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use enforcer_common::Digest;

use super::sign::{SignerOption, failure, tell};
use super::verify::progress;
use super::{Exit, Failure, Output};
use crate::measure::{self, MeasureError};
use crate::signature::manifest::{Entry, MAX_MANIFEST_SIZE, entries, write_entry};
use crate::signature::sign::{Destination, write_whole};

/// Make and sign lists of digests.
///
/// A signed manifest makes everything that it lists run, wherever it lies, without touching the files: for packages, images and whole systems.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Create(Create),
    Sign(Sign),
}

/// List the digests of the code below folders.
///
/// ELF files and files with an executable bit are listed, as `sha256sum --tag` would; files with fs-verity get their fs-verity digest too.
#[derive(clap::Args)]
#[command(after_help = "Example:
  enforcer manifest create /usr /opt/tool -o base.manifest")]
struct Create {
    /// Folders (or files).
    #[arg(required = true, value_name = "DIR")]
    roots: Vec<PathBuf>,
    /// Where to write it, instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Sign a manifest: FILE.p7s beside it.
#[derive(clap::Args)]
#[command(after_help = "Example:
  enforcer manifest sign --key key.pem --certificate signer.pem --chain intermediate.pem base.manifest")]
struct Sign {
    #[command(flatten)]
    signer: SignerOption,
    /// The manifest.
    #[arg(value_name = "FILE")]
    manifest: PathBuf,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Create(create) => create.run(output),
        Command::Sign(sign) => sign.run(output),
    }
}

impl Create {
    fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let roots = self.roots.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>();
        let roots = roots.map_err(|error| Failure::because(Exit::System, &error))?;
        let progress = progress("measuring");
        let found = roots.iter().flat_map(|root| measure::code_files(root));
        let measured = measure::in_parallel(found, |(path, found)| {
            let digests = found.and_then(|()| digests(&path));
            progress.inc(1);
            (path, digests)
        });
        progress.finish_and_clear();
        let failed: Vec<_> = measured.iter().filter_map(|(path, digests)| Some((path, digests.as_ref().err()?))).collect();
        if !failed.is_empty() {
            // A list that lacks files would deny them later, when nobody expects it.
            failed.iter().for_each(|(path, problem)| tell("error", path, &problem.to_string()));
            let exit = if failed.iter().any(|(_, problem)| problem.is_io()) { Exit::System } else { Exit::Usage };
            return Err(Failure::new(exit, format!("{} files cannot be measured; no manifest was made", failed.len())));
        }
        let mut text = Vec::new();
        for (path, digests) in &measured {
            for digest in digests.iter().flatten() {
                write_entry(&Entry { digest: *digest, path: Cow::Borrowed(path.as_os_str().as_bytes()) }, &mut text);
            }
        }
        self.write(&text, output)
    }

    fn write(&self, text: &[u8], output: &mut Output) -> Result<Exit, Failure> {
        if let Some(path) = &self.output {
            write_whole(path, text).map_err(|error| failure(&error))?;
            let count = text.iter().filter(|byte| **byte == b'\n').count();
            output.line(format!("{}: {count} digests", crate::text::printable(&path.to_string_lossy())))?;
            return Ok(Exit::Yes);
        }
        match std::str::from_utf8(text) {
            Ok(text) => text.lines().try_for_each(|line| output.line(line))?,
            Err(_) => return Err(Failure::new(Exit::Usage, "a path is not UTF-8 text").hint("write the manifest to a file: `-o FILE`")),
        }
        Ok(Exit::Yes)
    }
}

fn digests(path: &Path) -> Result<Vec<Digest>, MeasureError> {
    let file = measure::open(path)?;
    let sha256 = measure::sha256(&file, u64::MAX)?;
    Ok([Some(sha256), crate::kernel::fsverity_digest(&file)].into_iter().flatten().collect())
}

impl Sign {
    fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let unreadable = |error: MeasureError| {
            let failure =
                Failure::new(if error.is_io() { Exit::System } else { Exit::Usage }, format!("manifest `{}`: {error}", self.manifest.display()));
            match error.hint() {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        };
        let text = measure::read_bounded(&self.manifest, MAX_MANIFEST_SIZE).map_err(unreadable)?;
        // What no verifier would load is not signed.
        let count = entries(&text).try_fold(0_usize, |count, entry| entry.map(|_| count + 1)).map_err(|error| {
            Failure::new(Exit::Usage, format!("manifest `{}`: {error}", self.manifest.display()))
                .hint("make it with `enforcer manifest create`, or with `sha256sum --tag`")
        })?;
        let signed = self.signer.load()?.sign(&self.manifest, &Destination::Detached).map_err(|error| failure(&error))?;
        let signature = signed.carrier.path().unwrap_or(&self.manifest).to_string_lossy();
        output.line(format!("{}: signed, {count} digests", crate::text::printable(&signature)))?;
        Ok(Exit::Yes)
    }
}
