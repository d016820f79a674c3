//! The linker of eBPF objects, built from its crate into the cache. It uses the toolchain's own LLVM.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::cache::Item;
use crate::ui::Step;
use crate::{process, workspace};

/// 0.10.4 is the version that links what Rust 1.90 to 1.95 (LLVM 20 to 22) emits.
const VERSION: &str = "0.10.4";

/// The linker, if it was set up; else it is now.
pub(crate) fn binary() -> Result<PathBuf> {
    let item = item()?;
    if !item.is_fresh() {
        install()?;
    }
    Ok(item.path().join("bin/bpf-linker"))
}

/// Builds it, unless it is there.
pub(crate) fn install() -> Result<()> {
    let item = item()?;
    let step = Step::start(format!("bpf-linker {VERSION}"));
    if item.is_fresh() {
        step.done("present");
        return Ok(());
    }
    let dir = item.workshop()?;
    let mut cargo = workspace::cargo();
    // Flags meant for the workspace do not concern the linker.
    cargo.env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    cargo
        .args(["install", "--locked", "bpf-linker", "--version", VERSION, "--no-default-features", "--features", &llvm_feature()?, "--root"])
        .arg(&dir);
    process::run(&mut cargo, &step).context("cannot build bpf-linker (it needs a C compiler and the network)")?;
    item.publish(&dir)?;
    step.done("built");
    Ok(())
}

fn item() -> Result<Item> {
    Item::new("bpf-linker", &format!("{VERSION} {}", llvm_feature()?))
}

/// bpf-linker opens the compiler's own libLLVM, so it is built for that version of it.
fn llvm_feature() -> Result<String> {
    let version =
        process::output(std::process::Command::new("rustc").arg("-vV")).context("cannot run `rustc -vV`: install Rust from https://rustup.rs")?;
    let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: ")).context("`rustc -vV` names no LLVM version")?;
    let major = llvm.split('.').next().unwrap_or_default();
    ensure!(["20", "21", "22"].contains(&major), "bpf-linker {VERSION} does not know LLVM {major}: use Rust 1.95 (`rustup default 1.95.0`)");
    Ok(format!("rust-llvm-{major}"))
}
