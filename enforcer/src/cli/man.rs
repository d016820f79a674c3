//! `enforcer man`: the manual pages, made from the command line's definition. For packagers, hence hidden.

use std::path::PathBuf;

use super::{Exit, Failure, Output};
use crate::text::printable;

/// Write the manual pages, one for each subcommand, into a folder.
#[derive(clap::Args)]
#[command(hide = true)]
pub(super) struct Arguments {
    /// The folder; made if it is not there.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let written = std::fs::create_dir_all(&arguments.folder).and_then(|()| clap_mangen::generate_to(super::definition(), &arguments.folder));
    written.map_err(|error| {
        let folder = printable(&arguments.folder.to_string_lossy()).into_owned();
        Failure::new(Exit::System, format!("cannot write the manual pages to `{folder}`: {error}"))
    })?;
    output.line(format!("manual pages written to {}", printable(&arguments.folder.to_string_lossy())))?;
    Ok(Exit::Yes)
}
