//! Runs other programs: quietly while they work, with everything they said when they fail.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::ui::Step;

/// Lines of a failed program's output that are worth repeating.
const TAIL: usize = 25;

/// Runs `command` to its end and returns its stdout; its latest line of stderr is shown beside the step.
pub(crate) fn run(command: &mut Command, step: &Step) -> Result<String> {
    let shown = shown(command);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        bail!("`{shown}` has no pipes");
    };
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stdout.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut tail = VecDeque::new();
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        step.note(&line);
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(line);
    }
    let status = child.wait().with_context(|| format!("cannot wait for `{shown}`"))?;
    let stdout = reader.join().unwrap_or_default();
    if !status.success() {
        let said = tail.into_iter().collect::<Vec<_>>().join("\n");
        bail!("`{shown}` ended with {status}:\n{said}{}", if said.is_empty() { stdout.as_str() } else { "" });
    }
    Ok(stdout)
}

/// Runs `command` on the user's own terminal and returns how it ended.
pub(crate) fn pass_through(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("cannot start `{}`", shown(command)))
}

/// The stdout of a short `command`, or `None` when it cannot be started or fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Whether `program` is somewhere on `PATH` (or in a system administrator's folder, which ordinary users' `PATH` lacks).
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).any(|dir| dir.join(program).is_file())
}

/// A command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
