//! What dpkg knows: which packages are installed, which paths are theirs, and which files were diverted.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::{DebianError, run};

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Package {
    /// As dpkg wants it: `coreutils`, or `libc6:amd64` where several architectures can be installed together.
    pub(super) name: String,
    pub(super) version: String,
    pub(super) architecture: String,
}

impl Package {
    /// Its name alone.
    pub(super) fn plain_name(&self) -> &str {
        self.name.split(':').next().unwrap_or(&self.name)
    }

    /// The names that a .deb of it may have: apt's, and dpkg-deb's, which leaves the epoch out.
    pub(super) fn file_names(&self) -> [String; 2] {
        let (name, architecture) = (self.plain_name(), &self.architecture);
        let without_epoch = self.version.split_once(':').map_or(self.version.as_str(), |(_, rest)| rest);
        [format!("{name}_{}_{architecture}.deb", self.version.replace(':', "%3a")), format!("{name}_{without_epoch}_{architecture}.deb")]
    }
}

/// The installed packages: all, or those of these names.
pub(super) fn installed(names: &[String]) -> Result<Vec<Package>, DebianError> {
    let mut arguments: Vec<OsString> = ["-W", "-f", FORMAT, "--"].map(OsString::from).into();
    arguments.extend(names.iter().map(OsString::from));
    let (stdout, stderr, _) = run("dpkg-query", &arguments, Path::new("/"))?;
    let text = String::from_utf8_lossy(&stdout);
    let packages: Vec<Package> = text.lines().filter_map(package).collect();
    for name in names {
        let is_named = |package: &Package| {
            package.name == *name || package.plain_name() == name || format!("{}:{}", package.plain_name(), package.architecture) == *name
        };
        if !packages.iter().any(is_named) {
            return Err(DebianError::NotInstalled(name.clone()));
        }
    }
    if packages.is_empty() {
        return Err(DebianError::ToolFailed {
            program: "dpkg-query",
            message: if stderr.is_empty() { "it lists no package".to_owned() } else { stderr },
        });
    }
    Ok(packages)
}

fn package(line: &str) -> Option<Package> {
    let mut fields = line.split('\t');
    let (name, version, architecture, status) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let package = || Package { name: name.to_owned(), version: version.to_owned(), architecture: architecture.to_owned() };
    // Half-configured and the like have their files unpacked all the same.
    (!matches!(status, "not-installed" | "config-files")).then(package)
}

/// Shows every path that these packages brought, at its place after diversion.
pub(super) fn each_path<'a>(packages: &'a [Package], mut visit: impl FnMut(&'a Package, &Path)) -> Result<(), DebianError> {
    for batch in packages.chunks(MANY) {
        let mut arguments: Vec<OsString> = ["-L", "--"].map(OsString::from).into();
        arguments.extend(batch.iter().map(|package| OsString::from(&package.name)));
        let (stdout, stderr, success) = run("dpkg-query", &arguments, Path::new("/"))?;
        if !success {
            return Err(DebianError::ToolFailed { program: "dpkg-query", message: stderr });
        }
        // An empty line stands between two packages, and none behind the last.
        let mut packages = batch.iter();
        let mut package = packages.next();
        for line in stdout.split(|byte| *byte == b'\n') {
            // "diverted by dash to: /bin/sh.distrib"
            let diverted = || line.windows(DIVERTED.len()).position(|window| window == DIVERTED).map(|at| &line[at + DIVERTED.len() - 1..]);
            let path = if line.starts_with(b"/") { Some(line) } else { diverted() };
            match (path, package) {
                (Some(path), Some(package)) => visit(package, Path::new(OsStr::from_bytes(path))),
                _ if line.is_empty() => package = packages.next(),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The files of these packages whose content is not what was unpacked, as dpkg says by its MD5 sums: that they differ is certain. Configuration files are
/// not among them, because they are there to be changed.
pub(super) fn modified(packages: &[&Package]) -> Result<Vec<PathBuf>, DebianError> {
    let mut paths = Vec::new();
    for batch in packages.chunks(MANY) {
        let arguments: Vec<OsString> =
            std::iter::once("--verify").chain(batch.iter().map(|package| package.name.as_str())).map(OsString::from).collect();
        // It fails when it finds something.
        let (stdout, ..) = run("dpkg", &arguments, Path::new("/"))?;
        // "??5??????   /usr/bin/x", "??5?????? c /etc/x", "missing     /usr/bin/y"
        for line in stdout.split(|byte| *byte == b'\n').filter(|line| line.get(2) == Some(&b'5')) {
            let Some(at) = line.windows(2).position(|window| window == b" /") else { continue };
            if !line[..at].ends_with(b" c") {
                paths.push(PathBuf::from(OsStr::from_bytes(&line[at + 1..])));
            }
        }
    }
    Ok(paths)
}

/// The files that are installed under another name than their package says (dpkg-divert).
pub(super) struct Diversions(HashMap<PathBuf, (PathBuf, String)>);

impl Diversions {
    /// dpkg's own file: path, the other name, and the package that diverted it, a line each.
    pub(super) fn read() -> Result<Self, DebianError> {
        let path = Path::new(DIVERSIONS);
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(DebianError::File { path: path.to_owned(), source }),
        };
        let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
        let mut all = HashMap::new();
        while let (Some(from), Some(to), Some(by)) = (lines.next(), lines.next(), lines.next()) {
            let path = |bytes| PathBuf::from(OsString::from_vec(bytes));
            all.insert(path(from), (path(to), String::from_utf8_lossy(&by).into_owned()));
        }
        Ok(Self(all))
    }

    /// Where the file `path` of `package` was put. The package that diverts keeps the name.
    pub(super) fn of<'a>(&'a self, path: &'a Path, package: &str) -> &'a Path {
        let name = package.split(':').next().unwrap_or(package);
        match self.0.get(path) {
            Some((to, by)) if by != name => to,
            _ => path,
        }
    }
}

const FORMAT: &str = "${binary:Package}\t${Version}\t${Architecture}\t${db:Status-Status}\n";
const DIVERTED: &[u8] = b" to: /";
const DIVERSIONS: &str = "/var/lib/dpkg/diversions";
/// Names on one command line.
const MANY: usize = 200;
