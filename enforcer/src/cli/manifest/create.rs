//! `enforcer manifest create`: a list of digests, from folders, packages, images and what is installed.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::super::sign::failure;
use super::super::verify::progress;
use super::super::{Exit, Failure, Output};
use super::counted;
use super::listing::{Listing, Trouble, all_or_nothing, digests};
use crate::inventory::{Bounds, Contents, deb};
use crate::measure;
use crate::signature::sign::write_whole;
use crate::text::{chain, printable};

/// List the digests of code: below folders, in packages.
///
/// ELF files and files with an executable bit are listed, as `sha256sum --tag` would; files in folders that have fs-verity get their
/// fs-verity digest too. Files of a package are listed under the paths that they are installed at. Sources can be mixed.
///
/// A package's own signature is not looked at: whoever signs the manifest vouches for the packages it was made from.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer manifest create /usr /opt/tool -o base.manifest
  enforcer manifest create ./hello_2.10-3_amd64.deb -o hello.manifest")]
pub(super) struct Create {
    /// Folders, files, and packages: names that end in .deb are opened.
    #[arg(required = true, value_name = "DIR|FILE|PACKAGE")]
    roots: Vec<PathBuf>,
    /// Where to write it, instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Create {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        let mut listing = Listing::default();
        let (packages, roots): (Vec<_>, Vec<_>) = self.roots.iter().cloned().partition(|root| is_package(root));
        add_folders(&roots, &mut listing)?;
        add_packages(packages, &mut listing)?;
        self.write(&listing, output)
    }

    fn write(&self, listing: &Listing, output: &mut Output) -> Result<Exit, Failure> {
        let text = listing.text();
        if let Some(path) = &self.output {
            write_whole(path, &text).map_err(|error| failure(&error))?;
            output.line(format!("{}: {}", printable(&path.to_string_lossy()), counted(listing.count(), "digest", "digests")))?;
            return Ok(Exit::Yes);
        }
        match std::str::from_utf8(&text) {
            Ok(text) => text.lines().try_for_each(|line| output.line(line))?,
            Err(_) => return Err(Failure::new(Exit::Usage, "a path is not UTF-8 text").hint("write the manifest to a file: `-o FILE`")),
        }
        Ok(Exit::Yes)
    }
}

fn add_folders(roots: &[PathBuf], listing: &mut Listing) -> Result<(), Failure> {
    let roots = roots.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>();
    let roots = roots.map_err(|error| Failure::because(Exit::System, &error))?;
    let progress = progress("measuring");
    let found = roots.iter().flat_map(|root| measure::code_files(root));
    let measured = measure::in_parallel(found, |(path, found)| {
        let digests = found.and_then(|()| digests(&path)).map_err(Trouble::from);
        progress.inc(1);
        (path, digests)
    });
    progress.finish_and_clear();
    for (path, digests) in all_or_nothing("files", measured)? {
        digests.into_iter().for_each(|digest| listing.add(&path, digest));
    }
    Ok(())
}

fn add_packages(packages: Vec<PathBuf>, listing: &mut Listing) -> Result<(), Failure> {
    let progress = progress("reading packages");
    let read = measure::in_parallel(packages.into_iter(), |path| {
        let contents = read_package(&path);
        progress.inc(contents.as_ref().map_or(0, |contents| contents.files.len() as u64));
        (path, contents)
    });
    progress.finish_and_clear();
    for (_, contents) in all_or_nothing("packages", read)? {
        listing.add_packed(&contents.files);
    }
    Ok(())
}

/// Whether the caller means what is in a file.
fn is_package(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "deb") && !path.is_dir()
}

fn read_package(path: &Path) -> Result<Contents, Trouble> {
    let file = BufReader::new(measure::open(path)?);
    deb::read(file, &Bounds::default()).map_err(|error| Trouble { message: chain(&error), hint: Some(error.hint().to_owned()), is_io: error.is_io() })
}
