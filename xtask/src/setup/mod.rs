//! `cargo xtask setup`: everything the other subcommands need, from nothing, on a Debian machine with Rust.
//!
//! Each step looks for what it made before and does nothing when that is still good, so an interrupted setup goes on where it stopped.

mod archive;
pub(crate) mod bpf_linker;
pub(crate) mod browser;
pub(crate) mod guest;
pub(crate) mod kernels;
mod packages;
mod peers;
pub(crate) mod pki;
pub(crate) mod rust_src;
mod scripts;
mod vmlinux;

use anyhow::Result;
use clap::Args;

use self::guest::{Image, Release};
use crate::cache;

/// Bring everything that building and testing need (idempotent, resumable).
#[derive(Args)]
pub(crate) struct Arguments {
    /// Look for newer kernels and a newer guest system than those in the cache
    #[arg(long)]
    refresh: bool,
    /// Also the guest system of the tests of scripts, which they bring themselves otherwise
    #[arg(long)]
    scripts: bool,
    /// Also the guest system of the measurements, which they bring themselves otherwise
    #[arg(long)]
    bench: bool,
    /// Also the plain servers of the package's tests, which they bring themselves otherwise
    #[arg(long)]
    package: bool,
    /// Also the servers of the tests of containers, which they bring themselves otherwise
    #[arg(long)]
    containers: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    for_vm(Image::Plain, arguments.refresh)?;
    let servers = Release::ALL.map(|release| (Image::Server(release), arguments.package));
    let engines = Release::ALL.map(|release| (Image::Containers(release), arguments.containers));
    for (image, wanted) in [(Image::Scripts, arguments.scripts), (Image::Bench, arguments.bench)].into_iter().chain(servers).chain(engines) {
        if wanted || (arguments.refresh && image.exists()?) {
            for_vm(image, arguments.refresh)?;
        }
    }
    for_build()?;
    println!("{}", cache::dir()?.display());
    Ok(())
}

/// What `build` needs.
pub(crate) fn for_build() -> Result<()> {
    let _lock = cache::lock()?;
    packages::install(packages::BUILD)?;
    rust_src::library()?;
    bpf_linker::binary()?;
    Ok(())
}

/// What the tests of the crates need.
pub(crate) fn for_tests() -> Result<()> {
    for_build()?;
    packages::install(packages::TEST)
}

/// What `package` needs.
pub(crate) fn for_package() -> Result<()> {
    let _lock = cache::lock()?;
    packages::install(packages::PACKAGE)
}

/// What the package's tests need.
pub(crate) fn for_package_tests() -> Result<()> {
    let _lock = cache::lock()?;
    packages::install(packages::PACKAGE_TEST)
}

/// What `fuzz` needs.
pub(crate) fn for_fuzzing() -> Result<()> {
    for_build()?;
    packages::install(packages::FUZZ)
}

/// What `vm` needs for a machine with this root.
pub(crate) fn for_vm(image: Image, refresh: bool) -> Result<()> {
    let _lock = cache::lock()?;
    packages::install(packages::VM)?;
    pki::make()?;
    for kernel in kernels::catalog()? {
        kernel.fetch(refresh)?;
    }
    guest::make(image, refresh)
}
