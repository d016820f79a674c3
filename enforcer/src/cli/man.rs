//! `enforcer man`: the manual pages, made from the command line's definition and the policy's types. For packagers, hence hidden.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use roff::Roff;

use super::policy::manual;
use super::{Exit, Failure, Output};
use crate::text::printable;

/// Write the manual pages into a folder: in man1 one for each subcommand, in man5 that of the policy.
#[derive(clap::Args)]
#[command(hide = true)]
pub(super) struct Arguments {
    /// The folder; made if it is not there. `man -M` takes it.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let folder = printable(&arguments.folder.to_string_lossy()).into_owned();
    write(&arguments.folder).map_err(|error| Failure::new(Exit::System, format!("cannot write the manual pages to `{folder}`: {error}")))?;
    output.line(format!("manual pages written to {folder}"))?;
    Ok(Exit::Yes)
}

fn write(folder: &Path) -> io::Result<()> {
    let (commands, formats) = (folder.join("man1"), folder.join("man5"));
    fs::create_dir_all(&commands)?;
    fs::create_dir_all(&formats)?;
    clap_mangen::generate_to(super::definition(), &commands)?;
    for page in ["enforcer.1", "enforcer-policy.1"] {
        fs::File::options().append(true).open(commands.join(page))?.write_all(see_also().as_bytes())?;
    }
    fs::write(formats.join("enforcer-policy.5"), manual::page())
}

/// What a page about commands names besides its subcommands.
fn see_also() -> String {
    let mut section = Roff::new();
    section.control("SH", ["SEE ALSO"]);
    section.text(manual::see(0, "enforcer-policy(5)"));
    section.to_roff()
}
