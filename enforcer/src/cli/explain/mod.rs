//! `enforcer explain`: what was decided about an event, a file or a process, on which facts, by which rule, and what would have to change?
//!
//! [`ground`] is what all three are explained by, [`verdict`] how a decision is told.

mod event;
mod file;
mod ground;
mod process;
mod verdict;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use enforcer_common::{USE_EXEC, USE_LIBRARY, USE_MODULE, USE_SCRIPT};

use super::{Exit, Failure, Output, PolicyOption, ReportOption};
use crate::audit::DEFAULT_PATH as DEFAULT_LOG;
use crate::judge::Use;
use ground::Ground;

/// What was decided about an event, a file or a process, on which facts, by which rule, and what would have to change?
///
/// An event is called by its name, which `enforcer events` shows, or by the beginning of it; a process by its number. A file may lie anywhere. The decision is that of the
/// policy's file; where root asks on a machine that enforces, a mode in force that is another one is told.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo enforcer explain 3f9a0c1b              the event of that name
  enforcer explain /opt/tool/bin/tool         a file, as what it looks like
  enforcer explain --use library ./plugin     a file that would be mapped
  sudo enforcer explain 1234                  a process: all that it runs

Exit status: 0 when it is allowed by the policy, 1 when it is not, or not known.")]
pub(super) struct Arguments {
    /// An event's name, a file, or a process's number. What could be two of them is a file with `./` before it.
    #[arg(value_name = "EVENT|FILE|PID")]
    subject: OsString,
    #[command(flatten)]
    policy: PolicyOption,
    /// What a file is used for, if that is something else than it looks like.
    #[arg(long = "use", value_name = "USE", value_parser = ["exec", "library", "script", "module"])]
    wanted: Option<String>,
    /// The event log.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_LOG)]
    log: PathBuf,
    #[command(flatten)]
    report: ReportOption,
}

pub(super) fn run(arguments: Arguments, output: &mut Output) -> Result<Exit, Failure> {
    let subject = Subject::of(&arguments.subject);
    if arguments.wanted.is_some() && !matches!(subject, Subject::File(_)) {
        return Err(Failure::new(Exit::Usage, "`--use` says what a file is used for, and this is no file").hint("leave it out"));
    }
    match subject {
        Subject::Event(name) => {
            let record = event::find(&arguments.log, &name)?;
            let ground = Ground::load(&arguments.policy.policy)?.within(record.cgroup.as_deref());
            event::explain(&ground, &record, arguments.report.json, output)
        }
        Subject::Process(pid) => process::explain(Ground::load(&arguments.policy.policy)?, pid, arguments.report.json, output),
        Subject::File(path) => {
            let wanted = arguments.wanted.as_deref().and_then(|word| USES.into_iter().map(Use).find(|wanted| wanted.word() == word));
            file::explain(&Ground::load(&arguments.policy.policy)?, &path, wanted, arguments.report.json, output)
        }
    }
}

/// What is to be explained.
#[derive(Debug, PartialEq, Eq)]
enum Subject {
    Event(String),
    File(PathBuf),
    Process(u32),
}

impl Subject {
    /// A path is a file; few digits are a process, as none has more; more digits, hexadecimal ones, are an event, unless there is a file of that name.
    fn of(word: &OsStr) -> Self {
        let path = Path::new(word);
        let text = word.to_str().unwrap_or_default();
        if text.len() < SHORTEST_ID
            && !text.starts_with('+')
            && let Ok(pid) = text.parse()
        {
            return Self::Process(pid);
        }
        let is_name = text.len() >= SHORTEST_PREFIX && text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase());
        if is_name && path.symlink_metadata().is_err() { Self::Event(text.to_owned()) } else { Self::File(path.to_owned()) }
    }
}

const USES: [u32; 4] = [USE_EXEC, USE_LIBRARY, USE_SCRIPT, USE_MODULE];
/// Digits that are no process any more: the kernel's numbers end at 4194304 (`proc_sys_kernel(5)`, `pid_max`), and events are shown with so many.
const SHORTEST_ID: usize = super::events::ID_LENGTH;
/// Letters by which an event may be called at least.
const SHORTEST_PREFIX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_process_an_event_or_a_file_by_its_looks() {
        let subject = |word: &str| Subject::of(OsStr::new(word));
        assert_eq!((subject("1"), subject("4194304")), (Subject::Process(1), Subject::Process(4_194_304)));
        assert_eq!(subject("12345678"), Subject::Event("12345678".to_owned()));
        assert_eq!(subject("3f9a"), Subject::Event("3f9a".to_owned()));
        for file in ["3f9", "3F9A0C1B", "/proc/1/exe", "./1234", "tool", "+5", ""] {
            assert_eq!(subject(file), Subject::File(PathBuf::from(file)), "{file}");
        }
    }
}
