//! Records for people: one line, or a line with everything that is known below it.
//!
//! Paths and command names are chosen by whoever is watched: all of them pass [`printable`].

use enforcer_common::{Hook, Mode, PathKind};

use super::{Code, Record, explain};
use crate::policy::display_size;
use crate::text::{clipped, printable};

impl Record {
    /// What happened, on one line, without the time.
    pub fn line(&self) -> String {
        format!("{} {}: {} ({}, pid {}, uid {})", self.outcome(), self.attempt(), self.reason, shown(&self.comm), self.pid, self.uid)
    }

    /// Whether it was stopped, in words.
    pub fn outcome(&self) -> &'static str {
        match (self.denied, self.mode) {
            (true, _) => "denied",
            (false, Code::Known(Mode::Enforce)) => "let through",
            (false, _) => "would deny",
        }
    }

    /// What else is known, as names and texts.
    pub fn details(&self) -> Vec<(&'static str, String)> {
        let mut details = Vec::new();
        if let Code::Known(reason) = self.reason {
            details.push(("why", explain(reason).to_owned()));
        }
        if let Some(explanation) = &self.explanation {
            details.push(("verifier", shown(explanation)));
        }
        if self.detail != 0 {
            details.push(("detail", errno_text(self.detail)));
        }
        details.push(("remedy", shown(&self.remedy)));
        details.extend(self.digest.as_ref().map(|digest| ("digest", shown(digest))));
        details.extend(self.file().map(|file| ("file", file)));
        details
            .push(("process", format!("{}, pid {}, thread {}, parent {}, uid {}", shown(&self.comm), self.pid, self.tid, self.parent_pid, self.uid)));
        let cgroup = self.cgroup.as_ref().map_or_else(|| format!("id {}", self.cgroup_id), |path| shown(path));
        details.push(("cgroup", cgroup));
        details.push(("hook", format!("{} in mode {}", self.hook, self.mode)));
        details
    }

    /// What was tried.
    fn attempt(&self) -> String {
        let file = match (&self.path, self.path_kind) {
            (Some(path), Code::Known(PathKind::Name)) => Some(format!("…/{}", shown(path))),
            (Some(path), _) => Some(shown(path)),
            (None, _) => self.inode.map(|inode| format!("inode {inode}")),
        };
        match (self.hook, file) {
            (Code::Known(Hook::BprmCheckSecurity), Some(file)) => format!("start of {file}"),
            (Code::Known(Hook::MmapFile), Some(file)) => format!("mapping of {file} as code"),
            (Code::Known(Hook::FileMprotect), Some(file)) => format!("making {file} executable"),
            (Code::Known(Hook::FileOpen), Some(file)) => format!("opening of {file} for writing"),
            (Code::Known(Hook::FileOpen), None) => "opening of a file for writing".to_owned(),
            (Code::Known(Hook::BprmCheckSecurity), None) => "start of a program".to_owned(),
            (Code::Known(Hook::MmapFile), None) => "executable memory".to_owned(),
            (Code::Known(Hook::FileMprotect), None) => "making memory executable".to_owned(),
            (hook @ Code::Unknown(_), Some(file)) => format!("{hook} of {file}"),
            (hook @ Code::Unknown(_), None) => hook.to_string(),
        }
    }

    fn file(&self) -> Option<String> {
        let (device, inode, size) = (self.device.as_ref()?, self.inode?, self.size?);
        Some(format!("device {}, inode {inode}, {}", shown(device), display_size(size)))
    }
}

/// Made safe to print, and short enough for a line: a log may hold anything, whoever wrote it.
fn shown(text: &str) -> String {
    printable(clipped(text, LONGEST)).into_owned()
}

fn errno_text(detail: i32) -> String {
    match detail {
        -4095..=-1 => format!("{} ({detail})", std::io::Error::from_raw_os_error(-detail)),
        _ => detail.to_string(),
    }
}

const LONGEST: usize = 4096;
