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
    pub fn attempt(&self) -> String {
        let file = match (&self.path, self.path_kind) {
            (Some(path), Code::Known(PathKind::Name)) => Some(format!("…/{}", shown(path))),
            (Some(path), _) => Some(shown(path)),
            (None, _) => self.inode.map(|inode| format!("inode {inode}")),
        };
        let Code::Known(hook) = self.hook else {
            return file.map_or_else(|| self.hook.to_string(), |file| format!("{} of {file}", self.hook));
        };
        let (before, after, alone) = words(hook);
        file.map_or_else(|| alone.to_owned(), |file| format!("{before}{file}{after}"))
    }

    fn file(&self) -> Option<String> {
        let (device, inode, size) = (self.device.as_ref()?, self.inode?, self.size?);
        Some(format!("device {}, inode {inode}, {}", shown(device), display_size(size)))
    }
}

/// What a hook is asked about, in words: before and behind what the record names, and where it names nothing.
fn words(hook: Hook) -> (&'static str, &'static str, &'static str) {
    match hook {
        Hook::BprmCheckSecurity => ("start of ", "", "start of a program"),
        Hook::MmapFile => ("mapping of ", " as code", "executable memory"),
        Hook::FileMprotect => ("making ", " executable", "making memory executable"),
        Hook::FileOpen => ("opening of ", " for writing", "opening of a file for writing"),
        Hook::FilePostOpen => ("reading of ", " by an interpreter", "reading of a file by an interpreter"),
        Hook::BprmCommittedCreds => ("start of ", " with text to run", "start of an interpreter with text to run"),
        Hook::BprmCredsForExec => ("question about ", "", "an interpreter's question about a script"),
        Hook::PathTruncate => ("truncation of ", "", "truncation of a file"),
        Hook::KernelReadFile | Hook::KernelPostReadFile => ("loading of ", " into the kernel", "loading of a file into the kernel"),
        Hook::KernelLoadData => ("loading of ", " into the kernel", "loading of code from memory into the kernel"),
        Hook::PtraceAccessCheck => ("tracing of ", "", "reaching into another process"),
        Hook::PtraceTraceme => ("tracing by ", "", "being traced by the parent"),
        Hook::PerfEventAlloc => ("probe in ", "", "a probe in a program"),
        Hook::TaskPrctl => ("passing for ", "", "passing for another program"),
        Hook::Bpf => ("BPF: ", "", "a system call `bpf`"),
        Hook::BpfMap => ("descriptor for the BPF map ", "", "a descriptor for a BPF map of the enforcer's"),
        Hook::BpfProg => ("descriptor for the BPF program ", "", "a descriptor for a BPF program of the enforcer's"),
        Hook::TaskKill => ("signal to ", "", "a signal to the enforcer"),
        Hook::FileSendSigiotask => ("signal to ", "", "a signal of a descriptor to the enforcer"),
        Hook::TaskSetrlimit => ("limits of ", "", "a change of the enforcer's limits"),
        Hook::TaskSetscheduler => ("scheduling of ", "", "a change of the enforcer's scheduling"),
        Hook::TaskSetioprio => ("I/O priority of ", "", "a change of the enforcer's I/O priority"),
        Hook::TaskSetnice => ("nice level of ", "", "a change of the enforcer's nice level"),
        Hook::InodeCreate | Hook::InodeMkdir | Hook::InodeSymlink | Hook::InodeMknod => ("making of ", "", "making of a file"),
        Hook::InodeLink => ("another name for ", "", "another name for a file"),
        Hook::InodeUnlink | Hook::InodeRmdir => ("removal of ", "", "removal of a file"),
        Hook::InodeRename => ("renaming of ", "", "renaming of a file"),
        Hook::SbMount => ("mounting over ", "", "a mount"),
        Hook::SbUmount => ("unmounting of ", "", "an unmount"),
        Hook::MoveMount => ("moving of a mount to ", "", "moving of a mount"),
        Hook::InodeInitSecurityAnon => ("supplying of pages by ", "", "supplying of pages by `userfaultfd`"),
        Hook::Brk => ("growing of ", "", "growing of an executable heap"),
        Hook::LockedDown => ("opening of ", " to the kernel's memory", "opening of a way into the kernel's memory"),
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
