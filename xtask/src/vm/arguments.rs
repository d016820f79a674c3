//! The command line of `cargo xtask vm`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use super::{Accel, MACHINE_FAILED, Mode, Output, Spec, enforcer, run};
use crate::setup::guest::Image;
use crate::{ui, workspace};

/// Boot a Debian guest under the enforcer and run a command in it.
///
/// The command is executed as given, as root, in /root, with no input and without a shell: for shell syntax run `bash -c '…'`. Its stdout and stderr
/// are passed through, and its status becomes xtask's; 124 means that it did not end in time, 125 that the machine itself failed. The guest's root
/// is the same at each boot: whatever a command changes is gone afterwards.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The kernel: a name in tests/kernels.toml
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// What the enforcer does [default: enforce, or what --policy says]
    #[arg(long)]
    mode: Option<Mode>,
    /// A policy instead of the demo's, which trusts the demo's signer only
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Copy a file or folder into the guest, unsigned
    #[arg(long, value_name = "HOST_PATH:GUEST_PATH", value_parser = host_and_guest)]
    add: Vec<(PathBuf, String)>,
    /// Let the demo's signer sign for an added file, or for all code in an added folder
    #[arg(long, value_name = "GUEST_PATH")]
    sign: Vec<String>,
    /// How the guest's CPU is made; auto takes KVM if a guest boots with it
    #[arg(long, default_value = "auto")]
    accel: Accel,
    /// Seconds the command may take
    #[arg(long, value_name = "S", default_value_t = 600)]
    timeout: u64,
    /// Processors
    #[arg(long, default_value_t = 2)]
    smp: u32,
    /// Mebibytes of memory
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// One emulated CPU whose time stamp counter counts instructions
    #[arg(long)]
    icount: bool,
    /// More for the kernel's command line
    #[arg(long, value_name = "TEXT", default_value = "")]
    append: String,
    /// Take the enforcer that was built before
    #[arg(long)]
    no_build: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command and takes over its status.
pub(crate) fn main(arguments: Arguments) -> ExitCode {
    let status = match arguments.spec().and_then(|spec| run(&spec)) {
        Ok(outcome) => outcome.status,
        Err(error) => {
            ui::error(&error);
            MACHINE_FAILED
        }
    };
    ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX))
}

impl Arguments {
    fn spec(self) -> Result<Spec> {
        let built = workspace::target_dir().join("release/enforcer");
        // A guest in which nothing enforces is useful even when the enforcer does not build.
        let optional = self.no_build || self.mode == Some(Mode::Off);
        Ok(Spec {
            enforcer: if optional { built.is_file().then_some(built) } else { Some(enforcer()?) },
            kernel: self.kernel,
            image: Image::Plain,
            mode: self.mode,
            policy: self.policy,
            add: self.add,
            sign: self.sign,
            accel: self.accel,
            smp: self.smp,
            memory: self.memory,
            icount: self.icount,
            append: self.append,
            timeout: Duration::from_secs(self.timeout),
            command: self.command,
            output: Output::PassThrough,
            label: None,
        })
    }
}

fn host_and_guest(text: &str) -> Result<(PathBuf, String)> {
    let (host, guest) = text.rsplit_once(':').context("expected HOST_PATH:GUEST_PATH")?;
    anyhow::ensure!(guest.starts_with('/'), "the guest's path must begin with `/`");
    anyhow::ensure!(PathBuf::from(host).exists(), "there is no `{host}`");
    Ok((host.into(), guest.to_owned()))
}
