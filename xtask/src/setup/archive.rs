//! Debian's archive through an apt of our own: other suites than the machine's, with the machine's apt left as it is.
//!
//! Only the archive's address is taken from the machine. What comes in is verified with Debian's own keyring.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::ui::Step;
use crate::{cache, process};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One suite of the archive, with its package lists.
pub(crate) struct Suite {
    dir: PathBuf,
}

impl Suite {
    /// Fetches the package lists of `suite`.
    pub(crate) fn open(suite: &str, step: &Step) -> Result<Self> {
        let dir = cache::dir()?.join("apt").join(suite);
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(folder)).with_context(|| format!("cannot make a private apt in `{}`", dir.display()))?;
        }
        fs::write(dir.join("status"), "")?;
        fs::write(dir.join("sources.list"), format!("deb [signed-by={KEYRING}] {} {suite} main\n", address_of(suite)?))?;
        let archive = Self { dir };
        process::run(archive.apt("apt-get").arg("update"), step).with_context(|| format!("cannot read Debian's suite `{suite}`"))?;
        Ok(archive)
    }

    /// The versions of `package`, newest first.
    pub(crate) fn versions(&self, package: &str, step: &Step) -> Result<Vec<String>> {
        let table = process::run(self.apt("apt-cache").args(["madison", package]), step)?;
        Ok(table.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned())).collect())
    }

    /// The names of all packages that `package` needs, itself included.
    pub(crate) fn needs(&self, package: &str, step: &Step) -> Result<Vec<String>> {
        let only_needs = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map(|kind| format!("--no-{kind}"));
        let text = process::run(self.apt("apt-cache").args(["depends", "--recurse"]).args(only_needs).arg(package), step)?;
        Ok(text.lines().filter(|line| !line.starts_with([' ', '<', '|'])).map(str::to_owned).collect())
    }

    /// Downloads `packages` and unpacks them into `into`.
    pub(crate) fn unpack(&self, packages: &[String], into: &Path, step: &Step) -> Result<()> {
        let debs = tempfile::tempdir_in(&self.dir)?;
        process::run(self.apt("apt-get").args(["download", "--quiet"]).args(packages).current_dir(debs.path()), step)?;
        for deb in fs::read_dir(debs.path())? {
            process::run(Command::new("dpkg-deb").arg("--extract").arg(deb?.path()).arg(into), step)?;
        }
        Ok(())
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let own = |name: &str| self.dir.join(name).display().to_string();
        for option in [
            format!("Dir::Etc::sourcelist={}", own("sources.list")),
            "Dir::Etc::sourceparts=/dev/null".into(),
            "Dir::Etc::preferences=/dev/null".into(),
            "Dir::Etc::preferencesparts=/dev/null".into(),
            format!("Dir::State={}", own("")),
            format!("Dir::State::lists={}", own("lists")),
            format!("Dir::State::status={}", own("status")),
            format!("Dir::Cache={}", own("cache")),
            "APT::Architecture=amd64".into(),
            "APT::Architectures=amd64".into(),
            "APT::Sandbox::User=".into(),
            "Acquire::Languages=none".into(),
        ] {
            command.args(["-o", &option]);
        }
        command.env("LC_ALL", "C");
        command
    }
}

/// The address of the archive that holds `suite`. Security suites live in one of their own, beside the main one.
fn address_of(suite: &str) -> Result<String> {
    if !suite.ends_with("-security") {
        return address();
    }
    Ok(match address_ending_with("/debian-security") {
        Some(address) => address,
        None => format!("{}-security", address()?),
    })
}

/// The address of Debian's main archive.
pub(crate) fn address() -> Result<String> {
    address_ending_with("/debian")
        .context("apt's sources name no Debian archive (an address that ends with `/debian`): the test kernels come from there")
}

/// The first such address in the machine's own apt sources (one-line and deb822 style alike).
fn address_ending_with(end: &str) -> Option<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())));
    files.iter().filter_map(|file| fs::read_to_string(file).ok()).find_map(|text| {
        let words = text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace);
        words.map(|word| word.trim_end_matches('/')).find(|word| word.contains("://") && word.ends_with(end)).map(str::to_owned)
    })
}
