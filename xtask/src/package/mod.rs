//! `cargo xtask package`: the Debian package, from one binary and the clone's own files.
//!
//! The archive is Debian's own tool's (`dpkg-deb`). From the same binary and commit it is the same, byte for byte, unless it is signed: signatures of most
//! keys differ each time.

mod control;
mod needs;
mod signing;
pub(crate) mod test;
mod tree;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::needs::Needs;
pub(crate) use self::signing::Signing;
use self::tree::Tree;
use crate::ui::{self, Step};
use crate::{process, setup, vm, workspace};

/// Make the Debian package, target/debian/enforcer_VERSION_ARCHITECTURE.deb.
///
/// It holds the binary with the eBPF object inside, the unit, the policy of a first day (audit), manual pages, completions and documents. It is the same,
/// byte for byte, when it is made again from the same binary and commit. With --key and --certificate every program and script in it is signed, so that a
/// machine that enforces and trusts that signer takes the next version.
#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask package
  cargo xtask package --package-version 0.1.0-1+acme2
  cargo xtask package --key key.pem --certificate signer.pem --security-version 3 --with-certificate

SOURCE_DATE_EPOCH, in seconds, stands for the last commit's date.")]
pub(crate) struct Arguments {
    /// The package's version, as of deb-version(7)
    #[arg(long, value_name = "VERSION", default_value = concat!(env!("CARGO_PKG_VERSION"), "-1"), value_parser = version)]
    package_version: String,
    /// Take the enforcer that was built before
    #[arg(long)]
    no_build: bool,
    #[command(flatten)]
    signing: Option<Signing>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if let Some(signing) = &arguments.signing {
        signing.check()?;
    }
    let binary = if arguments.no_build { workspace::target_dir().join("release/enforcer") } else { vm::enforcer()? };
    let made = make(&binary, &arguments.package_version, arguments.signing.as_ref())?;
    println!("{}", made.display());
    Ok(())
}

/// Makes the package of this version around this enforcer, and returns its path.
pub(crate) fn make(binary: &Path, version: &str, signing: Option<&Signing>) -> Result<PathBuf> {
    setup::for_package()?;
    let step = Step::start(format!("package {version}"));
    let needs = Needs::of(&fs::read(binary).with_context(|| format!("cannot read `{}`: build it first, or leave --no-build out", binary.display()))?)
        .with_context(|| format!("cannot tell what `{}` needs", binary.display()))?;
    if let Some(libc) = needs.libc_beyond_debian_12() {
        ui::remark(&format!("the binary needs glibc {libc}, and so the package cannot be installed on Debian 12: build it there"));
    }
    let folder = workspace::target_dir().join("debian");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    // Beside the package, which is renamed into its place when it is whole.
    let workshop = tempfile::Builder::new().prefix(".new-").tempdir_in(&folder)?;
    let date = source_date()?;
    let tree = Tree::new(workshop.path().join("root"))?;
    tree.install(binary, &step)?;
    tree.changelog(version, date, &step)?;
    if let Some(signing) = signing {
        signing.sign(binary, version, &tree, &step)?;
    }
    control::write(&tree, version, &needs, &step)?;
    tree.settle(SystemTime::UNIX_EPOCH + Duration::from_secs(date))?;

    step.note("compressing");
    let name = format!("enforcer_{version}_{}.deb", needs.architecture());
    let unfinished = workshop.path().join(&name);
    let mut build = Command::new("dpkg-deb");
    // One thread: xz divides its work by their number, and so its output depends on it.
    build.args(["--root-owner-group", "-Zxz", "--threads-max=1", "--build"]).arg(tree.root()).arg(&unfinished);
    process::run(build.env("SOURCE_DATE_EPOCH", date.to_string()), &step)?;
    let made = folder.join(name);
    fs::rename(&unfinished, &made).with_context(|| format!("cannot put `{}` in its place", made.display()))?;
    step.done(&format!("{} KiB", fs::metadata(&made)?.len().div_ceil(1024)));
    Ok(made)
}

/// The time that everything in the package has, in seconds since 1970: `SOURCE_DATE_EPOCH` (reproducible-builds.org), or the last commit's.
fn source_date() -> Result<u64> {
    if let Ok(text) = env::var("SOURCE_DATE_EPOCH") {
        return text.parse().with_context(|| format!("SOURCE_DATE_EPOCH is `{text}`, and no number of seconds"));
    }
    let mut git = Command::new("git");
    let said = process::output(git.args(["log", "-1", "--format=%ct"]).current_dir(workspace::root()));
    said.and_then(|text| text.parse().ok()).context("git tells no date of the last commit: set SOURCE_DATE_EPOCH, in seconds since 1970")
}

/// Versions become part of a file's name, and dpkg refuses others.
fn version(text: &str) -> Result<String> {
    let is_known = |character: char| character.is_ascii_alphanumeric() || ".+~-".contains(character);
    ensure!(text.starts_with(|first: char| first.is_ascii_digit()), "a version begins with a digit");
    ensure!(text.chars().all(is_known), "a version has letters, digits, and `.+~-`");
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_debians_and_lead_nowhere_else() {
        for good in ["0.1.0-1", "1.0~rc1+acme2", "2"] {
            assert_eq!(version(good).unwrap(), good);
        }
        for bad in ["", "v1", "1/../../x", "1 2", "1\n2", "1:2", "1_2"] {
            assert!(version(bad).is_err(), "{bad:?}");
        }
    }
}
