//! `cargo xtask lint`: format, clippy with every warning denied, and [`tidy`].

use anyhow::{Result, bail};
use clap::Args;

use crate::ui::Step;
use crate::{build, process, setup, tidy, workspace};

/// Check format, clippy's advice and the tree's own rules.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only the format and the tree's own rules, which take a second
    #[arg(long)]
    quick: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut failed = Vec::new();
    let mut check = |name: &str, passed: bool| {
        if !passed {
            failed.push(name.to_owned());
        }
    };
    check("tidy", tidied()?);
    check("format", process::pass_through(workspace::cargo().args(["fmt", "--all", "--check"]))?.success());
    if !arguments.quick {
        setup::for_build()?;
        // The daemon carries the object, so the object comes first.
        build::ebpf()?;
        let mut host = workspace::cargo();
        host.args(["clippy", "--workspace", "--exclude", "enforcer-ebpf", "--all-targets", "--", "-D", "warnings"]);
        check("clippy", process::pass_through(&mut host)?.success());
        let mut with_otlp = workspace::cargo();
        with_otlp.args(["clippy", "--package", "enforcer", "--features", build::OTLP, "--all-targets", "--", "-D", "warnings"]);
        check("clippy with `enforcer export`", process::pass_through(&mut with_otlp)?.success());
        let mut bpf = build::cargo_for_bpf("clippy", &workspace::root().join("target/ebpf-build"))?;
        check("clippy for BPF", process::pass_through(bpf.args(["--", "-D", "warnings"]))?.success());
    }
    if failed.is_empty() { Ok(()) } else { bail!("not clean: {}", failed.join(", ")) }
}

fn tidied() -> Result<bool> {
    let step = Step::start("tidy");
    let complaints = tidy::complaints(&workspace::root())?;
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    step.done(&format!("{} complaints", complaints.len()));
    Ok(complaints.is_empty())
}
