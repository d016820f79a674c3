//! `cargo xtask build`: the eBPF object first, then the `enforcer` binary that carries it.
//!
//! The object is compiled by the stable compiler with `core` built from source. Its debug paths are remapped, so the same source gives the same
//! bytes in any folder.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::setup::{bpf_linker, rust_src};
use crate::{process, workspace};

/// The feature with `enforcer export`.
pub(crate) const OTLP: &str = "otlp";
const BPF_TARGET: &str = "bpfel-unknown-none";

/// Build the eBPF object and the enforcer.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Build without optimisation
    #[arg(long)]
    debug: bool,
    /// Build optimised, as shipped (the default)
    #[arg(long, conflicts_with = "debug")]
    release: bool,
    /// Build with `enforcer export`, which sends events to an OpenTelemetry collector
    #[arg(long)]
    otlp: bool,
    /// Build the eBPF object only
    #[arg(long)]
    ebpf_only: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let object = ebpf()?;
    let profile = if arguments.debug { Profile::Debug } else { Profile::Release };
    let features: &[&str] = if arguments.otlp { &[OTLP] } else { &[] };
    let made = if arguments.ebpf_only { object } else { enforcer_with(profile, features)? };
    println!("{}", made.display());
    Ok(())
}

/// How the host's binary is optimised.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// Quick to build.
    Debug,
    /// As shipped.
    Release,
}

/// Builds the eBPF object and returns its path.
pub(crate) fn ebpf() -> Result<PathBuf> {
    let target_dir = workspace::root().join("target/ebpf-build");
    let status = process::pass_through(&mut cargo_for_bpf("build", &target_dir)?)?;
    if !status.success() {
        bail!("the eBPF object was not built");
    }
    let built = target_dir.join(BPF_TARGET).join("release/enforcer-ebpf");
    let object = workspace::ebpf_object();
    publish(&built, &object).with_context(|| format!("cannot put `{}` in its place", object.display()))?;
    Ok(object)
}

/// Builds the eBPF object without some clauses of the rule by which a measurement is reused, for the stress test, into a folder of its own: nothing takes
/// it from there by mistake.
pub(crate) fn ebpf_without(clauses: &[&str], into: &Path) -> Result<PathBuf> {
    let target_dir = workspace::root().join("target/ebpf-faulty-build");
    let mut cargo = cargo_for_bpf("build", &target_dir)?;
    cargo.arg("--features").arg(clauses.iter().map(|clause| format!("without-{clause}")).collect::<Vec<_>>().join(","));
    if !process::pass_through(&mut cargo)?.success() {
        bail!("the eBPF object without {clauses:?} was not built");
    }
    let object = into.join(format!("{}.o", clauses.join("+")));
    publish(&target_dir.join(BPF_TARGET).join("release/enforcer-ebpf"), &object)?;
    Ok(object)
}

/// Builds an `enforcer` for the stress test, into a folder of its own: it loads its eBPF object from a file instead of carrying one, and only a faulty one.
pub(crate) fn enforcer_for_faulty_rules(into: &Path) -> Result<PathBuf> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", "--package", "enforcer", "--bin", "enforcer", "--features", "faulty-rule"]);
    if !process::pass_through(&mut cargo)?.success() {
        bail!("the enforcer for faulty rules was not built");
    }
    let binary = into.join("enforcer");
    fs::create_dir_all(into)?;
    fs::copy(workspace::target_dir().join("release/enforcer"), &binary)?;
    // What stands in cargo's own place is the true one again.
    enforcer(Profile::Release)?;
    Ok(binary)
}

/// Builds the `enforcer` binary around the object that [`ebpf`] made, and returns its path.
pub(crate) fn enforcer(profile: Profile) -> Result<PathBuf> {
    enforcer_with(profile, &[])
}

fn enforcer_with(profile: Profile, features: &[&str]) -> Result<PathBuf> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--package", "enforcer", "--bin", "enforcer", "--features", &features.join(",")]);
    let folder = match profile {
        Profile::Debug => "debug",
        Profile::Release => {
            cargo.arg("--release");
            "release"
        }
    };
    if !process::pass_through(&mut cargo)?.success() {
        bail!("the enforcer was not built");
    }
    Ok(workspace::target_dir().join(folder).join("enforcer"))
}

/// `cargo SUBCOMMAND` for the eBPF crate and its target.
pub(crate) fn cargo_for_bpf(subcommand: &str, target_dir: &Path) -> Result<std::process::Command> {
    let library = rust_src::library()?;
    let linker = bpf_linker::binary()?;
    let mut cargo = workspace::cargo();
    cargo
        .args([subcommand, "--package", "enforcer-ebpf", "--release", "--target", BPF_TARGET, "-Z", "build-std=core", "--target-dir"])
        .arg(target_dir)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", &library)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(&linker, &library)?)
        .env_remove("RUSTFLAGS");
    Ok(cargo)
}

fn rustflags(linker: &Path, library: &Path) -> Result<OsString> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let linker_flag = format!("-Clinker={}", linker.display());
    // v3, in every kernel since 5.12, has atomic operations that return a value.
    let fixed = ["--cfg=bpf_target_arch=\"x86_64\"", "-Ctarget-cpu=v3", "-Cdebuginfo=2", "-Clink-arg=--btf"];
    let mut flags: Vec<String> = fixed.into_iter().map(str::to_owned).chain([linker_flag]).collect();
    let remaps = [(Some(workspace::root()), "/enforcer"), (home, "/cargo"), (library.parent().map(Path::to_path_buf), "/rust")];
    for (from, to) in remaps.into_iter().filter_map(|(from, to)| Some((from?, to))) {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    Ok(flags.join("\u{1f}").into())
}

/// Replaces `to` by a copy of `from` in one step, and only if they differ, so that nothing is rebuilt around an unchanged object.
fn publish(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read `{}`", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir)?;
    }
    let new = to.with_extension("o.new");
    fs::write(&new, bytes)?;
    Ok(fs::rename(new, to)?)
}
