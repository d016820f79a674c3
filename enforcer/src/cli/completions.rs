//! `enforcer completions`: what a shell needs to complete this command line.

use super::{Exit, Failure, Output};

/// Print completions for a shell.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  enforcer completions bash > /etc/bash_completion.d/enforcer
  enforcer completions zsh > /usr/local/share/zsh/site-functions/_enforcer
  enforcer completions fish > ~/.config/fish/completions/enforcer.fish")]
pub(super) struct Arguments {
    /// The shell.
    shell: clap_complete::Shell,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::definition(), "enforcer", &mut script);
    let script = String::from_utf8(script).map_err(|error| Failure::because(Exit::System, &error))?;
    output.line(script.trim_end())?;
    Ok(Exit::Yes)
}
