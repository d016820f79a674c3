//! `enforcer manifest create`: a list of digests, from folders, packages, images and what is installed.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::sign::failure;
use super::super::verify::progress;
use super::super::{Exit, Failure, Output, ReportOption};
use super::left_out::LeftOutReport;
use super::listing::{Listing, Trouble, all_or_nothing, digests};
use crate::code;
use crate::inventory::debian::{self, DebianError, LeftOut};
use crate::inventory::oci::{self, Platform, Reference};
use crate::inventory::{Bounds, Contents, deb, rpm};
use crate::measure;
use crate::policy::known_script_names;
use crate::signature::sign::write_whole;
use crate::text::{chain, counted, printable};

/// List the digests of code: below folders, in packages and images, or of what Debian packages installed.
///
/// ELF files, files with an executable bit and scripts (by their first line, or by a name that an interpreter goes by) are listed, as `sha256sum --tag`
/// would; files on disk that have fs-verity get their fs-verity digest too. Files of packages and images are listed under the paths that they are
/// installed at, and so are the maintainer scripts of Debian packages. Sources can be mixed.
///
/// With --debian, each file is compared with the package that apt's signed index names, and listed only if it is the same. What was left out is
/// told on stderr, and if a package's code was changed or cannot be compared, the exit status is 1.
///
/// Nothing else here checks who made a package or an image: whoever signs the manifest vouches for what it was made from.
#[derive(clap::Args)]
#[command(
    group = clap::ArgGroup::new("sources").multiple(true).required(true).args(["roots", "debian", "oci"]),
    override_usage = "enforcer manifest create [OPTIONS] <DIR|FILE|PACKAGE>...
       enforcer manifest create [OPTIONS] [DIR|FILE]... --debian [PACKAGE]...
       enforcer manifest create [OPTIONS] --oci <DIR[:TAG|@DIGEST]>",
    after_help = "Examples:
  enforcer manifest create /usr /opt/tool -o base.manifest
  enforcer manifest create ./hello_2.10-3_amd64.deb -o hello.manifest
  enforcer manifest create --debian -o debian.manifest    all that is installed
  enforcer manifest create /opt/tool --debian coreutils bash
  enforcer manifest create --oci ./layout:v1 --platform linux/arm64 \\
      -o image.manifest"
)]
pub(super) struct Create {
    /// Folders, files, and packages: names that end in .deb or .rpm are opened.
    #[arg(value_name = "DIR|FILE|PACKAGE")]
    roots: Vec<PathBuf>,
    /// Installed Debian packages: these, or all.
    #[arg(long, value_name = "PACKAGE", num_args = 0.., value_parser = package_name)]
    debian: Option<Vec<String>>,
    /// Look for .debs in this folder before apt's cache.
    #[arg(long, value_name = "DIR", requires = "debian")]
    debs: Vec<PathBuf>,
    /// Let apt fetch nothing.
    #[arg(long, requires = "debian")]
    no_download: bool,
    /// An image of an OCI layout, a folder or a tar archive of one.
    #[arg(long, value_name = "DIR[:TAG|@DIGEST]")]
    oci: Vec<String>,
    /// Which of an image's platforms, instead of this machine's.
    #[arg(long, value_name = "OS/ARCH", requires = "oci")]
    platform: Option<Platform>,
    /// Where to write it, instead of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    report: ReportOption,
}

impl Create {
    pub(super) fn run(self, output: &mut Output) -> Result<Exit, Failure> {
        if self.report.json && self.output.is_none() {
            return Err(Failure::new(Exit::Usage, "the manifest and the JSON report cannot both go to stdout")
                .hint("write the manifest to a file: `-o FILE`"));
        }
        let mut listing = Listing::default();
        let (packages, roots): (Vec<_>, Vec<_>) = self.roots.iter().cloned().partition(|root| Package::of(root).is_some());
        add_folders(&roots, &mut listing)?;
        add_packages(packages, &mut listing)?;
        self.add_images(&mut listing)?;
        let left_out = self.add_installed(&mut listing)?;
        self.write(&listing, &LeftOutReport::new(&left_out), output)
    }

    fn add_images(&self, listing: &mut Listing) -> Result<(), Failure> {
        let platform = self.platform.clone().unwrap_or_default();
        for name in &self.oci {
            let progress = progress("reading layers");
            let image = oci::read(&Reference::parse(name), &platform, &Bounds::default(), &|count| progress.inc(count));
            progress.finish_and_clear();
            let image = image.map_err(|error| {
                let exit = if error.is_io() { Exit::System } else { Exit::Usage };
                Failure::new(exit, format!("image `{}`: {}; no manifest was made", printable(name), chain(&error))).hint(error.hint())
            })?;
            listing.add_packed(&image.files);
        }
        Ok(())
    }

    fn add_installed(&self, listing: &mut Listing) -> Result<Vec<LeftOut>, Failure> {
        let Some(packages) = &self.debian else { return Ok(Vec::new()) };
        let request = debian::Request { packages, folders: &self.debs, download: !self.no_download };
        let progress = progress("comparing packages");
        let found = debian::check(&request, &|count| progress.inc(count));
        progress.finish_and_clear();
        let found = found
            .map_err(|error: DebianError| Failure::because(if error.is_io() { Exit::System } else { Exit::Usage }, &error).hint(error.hint()))?;
        for file in &found.files {
            file.digests.iter().for_each(|digest| listing.add(&file.path, *digest));
        }
        Ok(found.left_out)
    }

    fn write(&self, listing: &Listing, left_out: &LeftOutReport, output: &mut Output) -> Result<Exit, Failure> {
        let text = listing.text();
        match (&self.output, std::str::from_utf8(&text)) {
            (Some(path), _) => {
                write_whole(path, &text).map_err(|error| failure(&error))?;
                let manifest = path.to_string_lossy();
                if self.report.json {
                    output.json(&Report { manifest: &manifest, entries: listing.count(), left_out })?;
                } else {
                    output.line(format!("{}: {}", printable(&manifest), counted(listing.count(), "digest", "digests")))?;
                }
            }
            (None, Ok(text)) => text.lines().try_for_each(|line| output.line(line))?,
            (None, Err(_)) => {
                return Err(Failure::new(Exit::Usage, "a path is not UTF-8 text").hint("write the manifest to a file: `-o FILE`"));
            }
        }
        // After what it is about, also where both go to one terminal.
        output.flush()?;
        if !self.report.json {
            left_out.tell();
        }
        Ok(if left_out.leaves_a_gap() { Exit::No } else { Exit::Yes })
    }
}

#[derive(Serialize)]
struct Report<'a> {
    manifest: &'a str,
    entries: usize,
    left_out: &'a LeftOutReport,
}

fn add_folders(roots: &[PathBuf], listing: &mut Listing) -> Result<(), Failure> {
    let roots = roots.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>();
    let roots = roots.map_err(|error| Failure::because(Exit::System, &error))?;
    let progress = progress("measuring");
    let found = roots.iter().flat_map(|root| code::code_files(root, known_script_names()));
    let measured = measure::in_parallel(found, |(path, found)| {
        let digests = found.and_then(|()| digests(&path)).map_err(Trouble::from);
        progress.inc(1);
        (path, digests)
    });
    progress.finish_and_clear();
    for (path, digests) in all_or_nothing(["file", "files"], measured)? {
        digests.into_iter().for_each(|digest| listing.add(&path, digest));
    }
    Ok(())
}

fn add_packages(packages: Vec<PathBuf>, listing: &mut Listing) -> Result<(), Failure> {
    let progress = progress("reading packages");
    let read = measure::in_parallel(packages.into_iter(), |path| {
        let contents = Package::read(&path);
        progress.inc(1);
        (path, contents)
    });
    progress.finish_and_clear();
    for (_, contents) in all_or_nothing(["package", "packages"], read)? {
        listing.add_packed(&contents.files);
        for script in &contents.scripts {
            listing.add(&Path::new(UNPACKED).join(script.path.file_name().unwrap_or_default()), script.content.digest);
        }
    }
    Ok(())
}

/// Where dpkg runs the maintainer scripts of a package that it is about to install, whatever its name.
const UNPACKED: &str = "/var/lib/dpkg/tmp.ci";

/// A file of which the caller means what is in it.
enum Package {
    Deb,
    Rpm,
}

impl Package {
    fn of(path: &Path) -> Option<Self> {
        let kind = match path.extension()?.to_str()? {
            "deb" => Self::Deb,
            "rpm" => Self::Rpm,
            _ => return None,
        };
        (!path.is_dir()).then_some(kind)
    }

    fn read(path: &Path) -> Result<Contents, Trouble> {
        let file = BufReader::new(measure::open(path)?);
        let bounds = Bounds::default();
        match Self::of(path) {
            Some(Self::Rpm) => rpm::read(file, &bounds).map_err(|error| Trouble::new(&error, error.hint(), error.is_io())),
            _ => deb::read(file, &bounds).map_err(|error| Trouble::new(&error, error.hint(), error.is_io())),
        }
    }
}

/// Debian Policy §5.6.1, and an architecture if need be; a path is a mistake that is better noticed here.
fn package_name(text: &str) -> Result<String, String> {
    let is_name = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || "+-.:".contains(character);
    if text.chars().all(is_name) && text.starts_with(|character: char| character.is_ascii_alphanumeric()) {
        return Ok(text.to_owned());
    }
    Err("a package's name has lower-case letters, digits, `+`, `-`, `.` and `:`; folders and files come before `--debian`".to_owned())
}
