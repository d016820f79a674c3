//! What apt knows: the SHA-256 of each .deb, by its signed index, and where to get it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use enforcer_common::Digest;
use tempfile::TempDir;

use super::dpkg::Package;
use super::{DebianError, run};
use crate::text::unhex;

/// The SHA-256 of .debs, by apt's index.
pub(super) struct Index(HashMap<Key, Vec<Digest>>);

/// Name, version and architecture.
type Key = (String, String, String);

impl Index {
    /// Asks apt about exactly these versions.
    pub(super) fn of(packages: &[Package]) -> Result<Self, DebianError> {
        refuse_unsigned()?;
        let mut index = HashMap::<Key, Vec<Digest>>::new();
        for batch in packages.chunks(MANY) {
            let mut arguments = vec![OsString::from("show")];
            arguments.extend(batch.iter().map(|package| OsString::from(exactly(package))));
            // It fails when it knows none of them, which the missing records say better.
            let (stdout, ..) = run("apt-cache", &arguments, Path::new("/"))?;
            for record in String::from_utf8_lossy(&stdout).split("\n\n") {
                if let Some((key, digest)) = entry(record) {
                    index.entry(key).or_default().push(digest);
                }
            }
        }
        Ok(Self(index))
    }

    /// Several sources may hold different builds of one version.
    pub(super) fn digests(&self, package: &Package) -> &[Digest] {
        let key = (package.plain_name().to_owned(), package.version.clone(), package.architecture.clone());
        self.0.get(&key).map_or(&[], Vec::as_slice)
    }
}

/// A record of the index; those of dpkg's status, which apt shows too, have no `Filename` and no digest.
fn entry(record: &str) -> Option<(Key, Digest)> {
    let field = |name: &str| record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned);
    field("Filename")?;
    let digits = field("SHA256")?;
    let bytes = unhex(&digits).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())?;
    Some(((field("Package")?, field("Version")?, field("Architecture")?), Digest::sha256(bytes)))
}

/// What an index that nobody signed says proves nothing.
fn refuse_unsigned() -> Result<(), DebianError> {
    let arguments = ["indextargets", "--format", "$(TRUSTED) $(REPO_URI) $(SOURCESENTRY)", "Created-By: Packages"].map(OsString::from);
    let (stdout, stderr, success) = run("apt-get", &arguments, Path::new("/"))?;
    if !success {
        return Err(DebianError::ToolFailed { program: "apt-get", message: stderr });
    }
    for line in String::from_utf8_lossy(&stdout).lines().filter(|line| !line.is_empty()) {
        let mut words = line.splitn(3, ' ');
        let (trusted, uri, entry) = (words.next(), words.next().unwrap_or(line), words.next().unwrap_or_default());
        if trusted != Some("yes") || is_believed_unsigned(entry) {
            return Err(DebianError::UnsignedIndex(uri.to_owned()));
        }
    }
    Ok(())
}

/// Whether somebody told apt to trust a source whatever its signature: apt says `yes` of that too. The entry is a file and a line in it; one that cannot
/// be read may say anything.
fn is_believed_unsigned(entry: &str) -> bool {
    let Some((path, line)) = entry.rsplit_once(':') else { return true };
    let (Ok(text), Ok(line)) = (fs::read_to_string(path), line.parse::<usize>()) else { return true };
    if path.ends_with(".sources") {
        // A paragraph of the file; the others are not told apart.
        return text.lines().any(|line| line.to_ascii_lowercase().strip_prefix("trusted:").is_some_and(|value| !is_no(value)));
    }
    let line = line.checked_sub(1).and_then(|line| text.lines().nth(line)).unwrap_or_default().to_ascii_lowercase();
    let mut options = line.split_once(']').map_or("", |(options, _)| options).split(['[', ' ', '\t']);
    options.any(|option| option.strip_prefix("trusted=").is_some_and(|value| !is_no(value)))
}

/// What apt takes for no; anything else is not.
fn is_no(value: &str) -> bool {
    ["no", "false", "without", "off", "disable", "0"].contains(&value.trim())
}

/// The .deb of a package in one of these folders or in apt's cache. Its name is no proof of anything: its digest is looked at when it is read.
pub(super) fn local_deb(package: &Package, folders: &[PathBuf]) -> Option<PathBuf> {
    let places = folders.iter().map(PathBuf::as_path).chain([Path::new(CACHE)]);
    places.flat_map(|folder| package.file_names().map(|name| folder.join(name))).find(|path| path.is_file())
}

/// .debs that apt fetched; gone when this is dropped.
pub(super) struct Fetched {
    folder: TempDir,
    complaint: String,
}

impl Fetched {
    pub(super) fn fetch<'a>(packages: impl Iterator<Item = &'a Package>) -> Result<Self, DebianError> {
        let failed = |source| DebianError::File { path: std::env::temp_dir(), source };
        let folder = tempfile::Builder::new().prefix("enforcer-debs-").tempdir().map_err(failed)?;
        // apt's own sandbox user cannot write into a folder that is ours alone; nothing of what is fetched is run or installed.
        let mut arguments = ["download", "-q", "-o", "APT::Sandbox::User=root"].map(OsString::from).to_vec();
        arguments.extend(packages.map(|package| OsString::from(exactly(package))));
        let (_, complaint, success) = run("apt-get", &arguments, folder.path())?;
        let complaint = if success { "apt-get did not say why".to_owned() } else { complaint };
        Ok(Self { folder, complaint })
    }

    pub(super) fn deb(&self, package: &Package) -> Option<PathBuf> {
        package.file_names().into_iter().map(|name| self.folder.path().join(name)).find(|path| path.is_file())
    }

    pub(super) fn complaint(&self) -> &str {
        self.complaint.lines().last().unwrap_or_default()
    }
}

/// `libc6:amd64=2.36-9`
fn exactly(package: &Package) -> String {
    format!("{}={}", package.name, package.version)
}

const CACHE: &str = "/var/cache/apt/archives";
/// Names on one command line.
const MANY: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_trusted_by_word_alone_is_told_from_one_that_is_signed() {
        let folder = tempfile::tempdir().unwrap();
        let entry = |name: &str, text: &str, line: usize| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            is_believed_unsigned(&format!("{}:{line}", path.display()))
        };
        let list = "deb http://deb.debian.org/debian trixie main\ndeb [arch=amd64 Trusted=yes] file:/srv ./\ndeb [ trusted=no ] http://x ./\n";
        assert_eq!([1, 2, 3].map(|line| entry("some.list", list, line)), [false, true, false]);
        assert!(!entry("some.sources", "Types: deb\nURIs: http://x\nSigned-By: /y\n", 1));
        assert!(entry("some.sources", "Types: deb\nURIs: http://x\nTrusted: yes\n", 1));
        assert!(is_believed_unsigned("/nonexistent.list:1") && is_believed_unsigned(""));
    }
}
