//! What is installed of Debian packages, held against what apt verified.
//!
//! apt's signed index names the SHA-256 of each .deb. The .deb of exactly the installed version is read, and each code file and maintainer script in it is compared with
//! the one on disk. dpkg's own list of MD5 sums is never looked at: it is neither signed nor collision-resistant.

mod apt;
mod dpkg;
mod owners;

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use enforcer_common::Digest;

use super::places::Places;
use super::{Bounds, Contents, deb};
use crate::code;
use crate::measure::{self, MeasureError, Plan};
use crate::policy::known_script_names;
use crate::text::{chain, printable};
use dpkg::{Diversions, Package};

pub(super) use owners::owners;

/// Which packages to look at, and where their .debs may come from.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The packages; all that are installed if there are none.
    pub packages: &'a [String],
    /// Folders of .debs, looked into before apt's cache.
    pub folders: &'a [PathBuf],
    /// Whether apt may fetch what is in neither.
    pub download: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Installed {
    /// Code files that are what their package says.
    pub files: Vec<InstalledFile>,
    /// Everything else that is code, or might be.
    pub left_out: Vec<LeftOut>,
}

/// A code file that is what its package says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledFile {
    /// Where it lies.
    pub path: PathBuf,
    /// SHA-256, and the fs-verity digest if the kernel guarantees one.
    pub digests: Vec<Digest>,
}

/// A file or a package that nobody vouches for.
#[derive(Debug)]
pub struct LeftOut {
    /// The package, if it belongs to one.
    pub package: Option<String>,
    /// The file; none if it is the whole package.
    pub path: Option<PathBuf>,
    /// Why.
    pub reason: Reason,
}

/// Why a file or a package was left out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Other bytes than the package's.
    #[error("it is not what its package holds: it was changed after it was installed")]
    Modified,
    /// No regular file any more.
    #[error("its package holds a file there, and it is {0}")]
    Replaced(&'static str),
    /// Not there.
    #[error("its package holds it, and it is not there")]
    Missing,
    /// The file cannot be measured.
    #[error(transparent)]
    Unreadable(MeasureError),
    /// apt knows nothing of this version.
    #[error("apt has no package of the installed version")]
    NotInApt,
    /// The .deb is not to be had.
    #[error("its .deb is not to be had: {0}")]
    NoDeb(String),
    /// The .deb is not the one that apt's index names.
    #[error("`{}` has SHA-256 {found}, and apt's index names another", printable(&.path.to_string_lossy()))]
    WrongDeb {
        /// The .deb.
        path: PathBuf,
        /// Its SHA-256.
        found: String,
    },
    /// The .deb cannot be read.
    #[error("its .deb: {0}")]
    Deb(#[from] deb::DebError),
    /// No package installed it.
    #[error("it belongs to no package")]
    NoPackage,
}

impl Reason {
    /// A short name for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Modified => "modified",
            Self::Replaced(_) => "replaced",
            Self::Missing => "missing",
            Self::Unreadable(_) => "unreadable",
            Self::NotInApt => "not-in-apt",
            Self::NoDeb(_) => "no-deb",
            Self::WrongDeb { .. } => "wrong-deb",
            Self::Deb(_) => "bad-deb",
            Self::NoPackage => "no-package",
        }
    }

    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Modified | Self::Replaced(_) => {
                "find out who changed it; `apt-get install --reinstall PACKAGE` brings the original back; to vouch for it as it is, name the file itself"
            }
            Self::Missing => "nothing to do if it was removed on purpose; `apt-get install --reinstall PACKAGE` brings it back",
            Self::Unreadable(error) => error.hint().unwrap_or("check the disk"),
            Self::NotInApt => {
                "run `apt-get update`, and `apt-get upgrade`, since archives keep the newest version only; for a package from elsewhere, list its .deb or its files"
            }
            Self::NoDeb(_) => "give a folder of .debs with `--debs DIR`, or run `apt-get update` and let apt fetch it",
            Self::WrongDeb { .. } => "remove that file: it is not the package that it is named for",
            Self::Deb(error) => error.hint(),
            Self::NoPackage => "if it may run, list it too: `enforcer manifest create --debian DIR`",
        }
    }

    /// Whether something that its package meant to be run will not be.
    pub fn leaves_a_gap(&self) -> bool {
        !matches!(self, Self::Missing | Self::NoPackage)
    }
}

/// Why nothing can be said about this machine's packages.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DebianError {
    /// No Debian system.
    #[error("cannot run `{program}`")]
    Tool {
        /// The program.
        program: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The tool ran and failed.
    #[error("`{program}` failed: {}", printable(.message))]
    ToolFailed {
        /// The program.
        program: &'static str,
        /// What it said.
        message: String,
    },
    /// A name that dpkg does not know.
    #[error("the package `{}` is not installed", printable(.0))]
    NotInstalled(String),
    /// An index that anybody may have written.
    #[error("apt has not verified the signature of `{}`", printable(.0))]
    UnsignedIndex(String),
    /// dpkg's database cannot be read, or no temporary folder made.
    #[error("cannot use `{}`", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl DebianError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Tool { .. } => "this needs a Debian system; elsewhere, list folders, packages or images",
            Self::ToolFailed { .. } => "run it by hand to see more",
            Self::NotInstalled(_) => "`dpkg-query -l` lists what is installed; folders come before `--debian`",
            Self::UnsignedIndex(_) => "sign that source, or remove it and run `apt-get update`",
            Self::File { .. } => "check the disk and the permissions",
        }
    }

    /// Whether the machine failed (exit status 3), rather than the request being wrong (exit status 2).
    pub fn is_io(&self) -> bool {
        !matches!(self, Self::NotInstalled(_) | Self::UnsignedIndex(_))
    }
}

/// Compares what is installed with what apt verified. `counted` is told of packages done.
///
/// # Errors
/// [`DebianError`]: when nothing can be said at all. What cannot be said about one package or file is in [`Installed::left_out`].
pub fn check(request: &Request<'_>, counted: &(dyn Fn(u64) + Sync)) -> Result<Installed, DebianError> {
    let packages = dpkg::installed(request.packages)?;
    let diversions = Diversions::read()?;
    let index = apt::Index::of(&packages)?;
    let mut found = Installed::default();
    let mut here = Vec::new();
    let mut elsewhere = Vec::new();
    for package in &packages {
        match index.digests(package) {
            [] => found.left_out.push(LeftOut::package(package, Reason::NotInApt)),
            digests => match apt::local_deb(package, request.folders) {
                Some(path) => here.push((package, digests, path)),
                None => elsewhere.push((package, digests)),
            },
        }
    }
    let examine = |debs: Vec<(&Package, &[Digest], PathBuf)>| {
        measure::in_parallel(debs.into_iter(), |(package, digests, deb)| {
            let outcome = compare(package, digests, &deb, &diversions);
            counted(1);
            outcome
        })
    };
    examine(here).into_iter().for_each(|outcome| found.add(outcome));
    for batch in elsewhere.chunks(BATCH) {
        if !request.download {
            let reason = || Reason::NoDeb("it is in no folder that was named nor in apt's cache, and nothing may be fetched".to_owned());
            found.left_out.extend(batch.iter().map(|(package, _)| LeftOut::package(package, reason())));
            continue;
        }
        let fetched = apt::Fetched::fetch(batch.iter().map(|(package, _)| *package))?;
        let mut debs = Vec::new();
        for (package, digests) in batch {
            match fetched.deb(package) {
                Some(path) => debs.push((*package, *digests, path)),
                None => found.left_out.push(LeftOut::package(package, Reason::NoDeb(fetched.complaint().to_owned()))),
            }
        }
        examine(debs).into_iter().for_each(|outcome| found.add(outcome));
    }
    if request.packages.is_empty() {
        found.left_out.extend(unowned(&packages)?);
    }
    found.files.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

impl Installed {
    fn add(&mut self, other: Self) {
        self.files.extend(other.files);
        self.left_out.extend(other.left_out);
    }
}

impl LeftOut {
    fn package(package: &Package, reason: Reason) -> Self {
        Self { package: Some(package.name.clone()), path: None, reason }
    }
}

fn compare(package: &Package, digests: &[Digest], deb: &Path, diversions: &Diversions) -> Installed {
    let mut found = Installed::default();
    let contents = match read(deb) {
        Ok(contents) => contents,
        Err(reason) => {
            found.left_out.push(LeftOut::package(package, reason));
            return found;
        }
    };
    if !digests.contains(&contents.digest) {
        let reason = Reason::WrongDeb { path: deb.to_owned(), found: crate::text::hex(&contents.digest.bytes) };
        found.left_out.push(LeftOut::package(package, reason));
        return found;
    }
    let mut places = Places::default();
    for file in &contents.files {
        let diverted = diversions.of(&file.path, &package.name);
        let path = places.real(diverted);
        let metadata = fs::symlink_metadata(&path);
        let made_executable = metadata.as_ref().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0);
        if !file.may_be_code() && !made_executable {
            continue;
        }
        let outcome = match metadata {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Reason::Missing),
            Err(source) => Err(Reason::Unreadable(MeasureError::Open { source })),
            Ok(metadata) if metadata.is_symlink() => Err(Reason::Replaced("a symbolic link")),
            Ok(metadata) if metadata.is_dir() => Err(Reason::Replaced("a folder")),
            Ok(_) => installed(&path, &file.content.digest),
        };
        match outcome {
            Ok(digests) => found.files.push(InstalledFile { path, digests }),
            Err(reason) => found.left_out.push(LeftOut { package: Some(package.name.clone()), path: Some(path), reason }),
        }
    }
    for script in &contents.scripts {
        let name = script.path.file_name().unwrap_or_default().to_string_lossy();
        // The architecture is in the name only where several can be installed together; and dpkg forgets what it needs no more.
        let names = [package.name.as_str(), package.plain_name()].map(|of| Path::new(INFO).join(format!("{of}.{name}")));
        let Some(path) = names.into_iter().find(|path| path.symlink_metadata().is_ok()) else { continue };
        let outcome = installed(&path, &script.content.digest);
        match outcome {
            Ok(digests) => found.files.push(InstalledFile { path, digests }),
            Err(reason) => found.left_out.push(LeftOut { package: Some(package.name.clone()), path: Some(path), reason }),
        }
    }
    found
}

fn read(deb: &Path) -> Result<Contents, Reason> {
    let file = measure::open(deb).map_err(|error| Reason::NoDeb(chain(&error)))?;
    Ok(deb::read(BufReader::new(file), &Bounds::default())?)
}

/// The digests of an installed file, if it is what its package holds.
fn installed(path: &Path, expected: &Digest) -> Result<Vec<Digest>, Reason> {
    let plan = Plan { max_size: u64::MAX, parts: Vec::new(), witnesses: &[] };
    let measured = measure::open(path).and_then(|file| measure::measure(&file, &plan)).map_err(Reason::Unreadable)?;
    if measured.digest != *expected {
        return Err(Reason::Modified);
    }
    Ok([Some(measured.digest), measured.fsverity].into_iter().flatten().collect())
}

/// Code where packages are installed, but from none.
fn unowned(packages: &[Package]) -> Result<Vec<LeftOut>, DebianError> {
    let mut places = Places::default();
    let mut owned = HashSet::new();
    dpkg::each_path(packages, |_, path| _ = owned.insert(places.real(path)))?;
    let roots = ROOTS.iter().map(Path::new).filter(|root| root.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()));
    // What Python compiled for itself is of no package, and nothing is lost with it: it reads the source then.
    let is_cache =
        |path: &Path| path.extension().is_some_and(|ending| ending == "pyc") && path.parent().is_some_and(|folder| folder.ends_with("__pycache__"));
    let found = roots.flat_map(|root| code::code_files(root, known_script_names())).filter(|(path, _)| !owned.contains(path) && !is_cache(path));
    Ok(found
        .map(|(path, _)| path)
        .chain(scripts_of_nobody(packages))
        .map(|path| LeftOut { package: None, path: Some(path), reason: Reason::NoPackage })
        .collect())
}

/// The maintainer scripts of packages that are not installed any more, and are run once again when they are purged.
fn scripts_of_nobody(packages: &[Package]) -> Vec<PathBuf> {
    let names: HashSet<&str> = packages.iter().flat_map(|package| [package.name.as_str(), package.plain_name()]).collect();
    let of = |path: &Path| path.file_stem().is_some_and(|name| name.to_str().is_some_and(|name| names.contains(name)));
    let is_script = |path: &Path| path.extension().is_some_and(|kind| deb::SCRIPTS.iter().any(|known| kind == *known));
    let entries = fs::read_dir(INFO).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    entries.filter(|path| is_script(path) && !of(path)).collect()
}

/// Runs a tool of dpkg or apt; its stdout and stderr, and whether it succeeded.
fn run(program: &'static str, arguments: &[OsString], folder: &Path) -> Result<(Vec<u8>, String, bool), DebianError> {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(folder).env("LC_ALL", "C").stdin(std::process::Stdio::null()).output();
    let output = output.map_err(|source| DebianError::Tool { program, source })?;
    Ok((output.stdout, String::from_utf8_lossy(&output.stderr).trim().to_owned(), output.status.success()))
}

/// Packages whose .debs are fetched at a time, so that a whole system does not fill the disk.
const BATCH: usize = 32;
/// Where dpkg keeps maintainer scripts.
const INFO: &str = "/var/lib/dpkg/info";
/// Where packages put code.
const ROOTS: [&str; 9] = ["/usr", "/opt", "/etc", "/boot", "/bin", "/sbin", "/lib", "/lib32", "/lib64"];
