//! The source of `core`, of exactly the compiler's version: from the toolchain, from rustup, from Debian, or from a copy beside the clone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::archive::Suite;
use crate::cache::Item;
use crate::ui::Step;
use crate::{process, workspace};

/// A place to take the folder `library` from: the compiler's version, and where to put it.
type Source = fn(&str, &Path, &Step) -> Result<()>;

/// The suites of Debian that have had newer compilers than its stable release.
const SUITES: [&str; 3] = ["trixie-backports", "trixie", "sid"];

/// The `library` folder to build `core` from; brought now if it was not there.
pub(crate) fn library() -> Result<PathBuf> {
    if let Some(library) = in_toolchain()? {
        return Ok(library);
    }
    let version = compiler_version()?;
    let item = Item::new(&format!("rust-src/{version}"), &version)?;
    let library = item.path().join("library");
    if item.is_fresh() {
        return Ok(library);
    }
    let step = Step::start(format!("source of core for Rust {version}"));
    let mut refusals = Vec::new();
    step.note("rustup component add rust-src");
    match process::run(Command::new("rustup").args(["component", "add", "rust-src"]), &step) {
        Ok(_) if in_toolchain()?.is_some() => {
            step.done("from rustup");
            return in_toolchain()?.context("rustup's rust-src has gone");
        }
        Ok(_) => refusals.push("rustup added no source to this toolchain".to_owned()),
        Err(error) => refusals.push(format!("{error:#}")),
    }
    for (name, source) in [("from Debian", from_debian as Source), ("from the copy beside the clone", from_copy)] {
        step.note(name);
        let dir = item.workshop()?;
        match source(&version, &dir, &step) {
            Ok(()) => {
                item.publish(&dir)?;
                step.done(name);
                return Ok(library);
            }
            Err(error) => refusals.push(format!("{error:#}")),
        }
    }
    bail!("the source of `core` for Rust {version} is nowhere: run `rustup component add rust-src`\n{}", refusals.join("\n"))
}

fn in_toolchain() -> Result<Option<PathBuf>> {
    let sysroot =
        process::output(Command::new("rustc").args(["--print", "sysroot"])).context("cannot run `rustc`: install Rust from https://rustup.rs")?;
    let library = PathBuf::from(sysroot).join("lib/rustlib/src/rust/library");
    Ok(library.join("core/src/lib.rs").is_file().then_some(library))
}

fn compiler_version() -> Result<String> {
    let version = process::output(Command::new("rustc").arg("-vV")).context("cannot run `rustc -vV`: install Rust from https://rustup.rs")?;
    let release = version.lines().find_map(|line| line.strip_prefix("release: "));
    Ok(release.context("`rustc -vV` names no release")?.to_owned())
}

fn from_debian(version: &str, dir: &Path, step: &Step) -> Result<()> {
    for suite in SUITES {
        let suite = Suite::open(suite, step)?;
        let packages = suite.versions("rust-src", step)?;
        let Some(package) =
            packages.iter().find(|package| package.starts_with(&format!("{version}+")) || package.starts_with(&format!("{version}-")))
        else {
            continue;
        };
        let packages = dir.join("packages");
        suite.unpack(&[format!("rust-src={package}")], &packages, step)?;
        fs::rename(packages.join(format!("usr/src/rustc-{version}/library")), dir.join("library")).context("Debian's rust-src has no `library`")?;
        fs::remove_dir_all(packages)?;
        return check(dir);
    }
    bail!("no suite of Debian in {} has rust-src {version}", SUITES.join(", "))
}

fn from_copy(version: &str, dir: &Path, step: &Step) -> Result<()> {
    let name = format!("rust-src-{version}-library.tar.xz");
    let root = workspace::root();
    let copy = root.ancestors().map(|place| place.join("shared/toolchain").join(&name)).find(|copy| copy.is_file());
    let copy = copy.with_context(|| format!("no copy `shared/toolchain/{name}` beside the clone"))?;
    process::run(Command::new("tar").arg("-xJf").arg(&copy).arg("-C").arg(dir), step)?;
    check(dir)
}

fn check(dir: &Path) -> Result<()> {
    if dir.join("library/core/src/lib.rs").is_file() { Ok(()) } else { bail!("there is no `library/core` in it") }
}
