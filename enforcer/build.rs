//! Puts the eBPF object, which `cargo xtask build` makes, where the library includes it from.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

fn main() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let object = env::var_os("ENFORCER_EBPF_OBJECT").map_or_else(|| workspace.join("target/ebpf/enforcer.o"), PathBuf::from);
    println!("cargo::rerun-if-env-changed=ENFORCER_EBPF_OBJECT");
    println!("cargo::rerun-if-changed={}", object.display());
    let target = Path::new(&env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("enforcer.o");
    if let Err(error) = fs::copy(&object, &target) {
        println!("cargo::error=no eBPF object at `{}` ({error}): run `cargo xtask build`, which makes it first", object.display());
        process::exit(1);
    }
}
