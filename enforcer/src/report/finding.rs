//! One thing that was or would have been denied, with everything that is known about it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use enforcer_common::{Digest, Hook, Mode, Reason, USE_EXEC, USE_LIBRARY, USE_MODULE, USE_SCRIPT};
use serde::{Serialize, Serializer};

use super::{Cause, Service};
use crate::audit::{Code, Record, Timestamp};

/// What was denied, however often.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// Why, as people sort it.
    pub cause: Cause,
    /// The reason of its events.
    pub reason: Code<Reason>,
    /// What it is about.
    #[serde(flatten)]
    pub subject: Subject,
    /// The digest of the file, as `algorithm:hex`.
    pub digest: Option<String>,
    /// What the daemon found out about it when it was last looked at.
    pub explanation: Option<String>,
    /// How often, and when.
    pub tally: Tally,
    /// Command names of the processes; at most [`MOST_NAMES`].
    pub programs: BTreeSet<String>,
    /// Where the processes ran; at most [`MOST_NAMES`].
    pub services: BTreeSet<Service>,
    /// User ids; at most [`MOST_NAMES`].
    pub users: BTreeSet<u32>,
    /// The package that the file belongs to, where it is a file of this machine.
    pub package: Option<Owner>,
    /// What the file is now.
    pub state: State,
    /// What to do, in a sentence.
    pub remedy: String,
    /// The command that mends it, or leads there; it can be pasted into a shell.
    pub command: Option<String>,
    /// What was tried with it.
    #[serde(skip)]
    pub hooks: BTreeSet<Code<Hook>>,
    /// The digest, where this version knows its algorithm.
    #[serde(skip)]
    pub content: Option<Digest>,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A file, by its full path as the process saw it.
    File(PathBuf),
    /// The last component of a path, or another name.
    Name(String),
    /// No file: the command name of the process.
    Process(String),
}

/// How often something happened, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// All events.
    pub events: u64,
    /// What was stopped.
    pub denied: u64,
    /// What would have been stopped in enforce mode.
    pub would_be_denied: u64,
    /// What the policy lets through, and has reported.
    pub let_through: u64,
    /// The first.
    pub first: Option<Timestamp>,
    /// The last.
    pub last: Option<Timestamp>,
}

/// The package of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// Its name, as its package manager wants it.
    pub name: String,
    /// Whose package it is.
    pub manager: crate::inventory::Manager,
    /// Whether the package manager says that the file is not what it installed.
    pub modified: bool,
}

/// What a file is at the time of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The policy on this machine lets it run by now.
    Runs,
    /// It has the content that it had, and would be denied, for this reason ([`crate::signature::Rejected::code`]).
    Denied(&'static str),
    /// It has the content that it had.
    Unchanged,
    /// It has another content, which would be denied too.
    Changed,
    /// It is not there any more.
    Gone,
    /// It cannot be read.
    Unreadable(String),
    /// Nobody looked: there is no file of this machine to look at, or too many others.
    Unknown,
}

impl Finding {
    pub(super) fn new(cause: Cause, reason: Code<Reason>, subject: Subject, digest: Option<String>) -> Self {
        Self {
            cause,
            reason,
            subject,
            digest,
            explanation: None,
            tally: Tally::default(),
            programs: BTreeSet::new(),
            services: BTreeSet::new(),
            users: BTreeSet::new(),
            package: None,
            state: State::Unknown,
            remedy: String::new(),
            command: None,
            hooks: BTreeSet::new(),
            content: None,
        }
    }

    /// Whether it would be denied in enforce mode, as far as anybody knows.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Runs | State::Gone) && self.tally.denied + self.tally.would_be_denied > 0
    }

    /// The file, if it is one of this machine's.
    pub fn local_file(&self) -> Option<&Path> {
        // Who ended before anybody asked where it was, was in a container if others were.
        match &self.subject {
            Subject::File(path) if self.services.iter().any(Service::is_local) || !self.is_in_container() => Some(path),
            _ => None,
        }
    }

    /// Whether it was seen in a container, were it only in one.
    pub fn is_in_container(&self) -> bool {
        self.services.iter().any(Service::is_container)
    }

    /// The uses that it needs a signature for, each as the bits of which one is enough.
    pub(super) fn needs(&self) -> impl Iterator<Item = u32> {
        self.hooks.iter().map(|hook| match hook {
            Code::Known(Hook::BprmCheckSecurity) => USE_EXEC,
            Code::Known(Hook::FilePostOpen | Hook::BprmCredsForExec) => USE_SCRIPT | USE_EXEC,
            Code::Known(Hook::KernelReadFile | Hook::KernelPostReadFile) => USE_MODULE,
            _ => USE_LIBRARY | USE_EXEC,
        })
    }
}

impl Subject {
    /// Of an event.
    pub(super) fn of(record: &Record) -> Self {
        let Some(path) = &record.path else { return Self::Process(record.comm.clone()) };
        if record.path_kind != Code::Known(enforcer_common::PathKind::Full) || !path.starts_with('/') {
            return Self::Name(path.clone());
        }
        // A log may hold anything.
        let exact = record.path_as_it_is().filter(|path| path.is_absolute() && !path.as_os_str().as_encoded_bytes().contains(&0));
        Self::File(exact.unwrap_or_else(|| path.into()))
    }

    /// For people.
    pub fn text(&self) -> String {
        match self {
            Self::File(path) => path.to_string_lossy().into_owned(),
            Self::Name(name) => format!("…/{name}"),
            Self::Process(name) => name.clone(),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let (kind, name) = match self {
            Self::File(path) => ("file", path.to_string_lossy().into_owned()),
            Self::Name(name) => ("name", name.clone()),
            Self::Process(name) => ("process", name.clone()),
        };
        let mut fields = serializer.serialize_struct("Subject", 2)?;
        fields.serialize_field("kind", kind)?;
        fields.serialize_field("name", &name)?;
        fields.end()
    }
}

impl Tally {
    pub(super) fn add(&mut self, record: &Record) {
        self.events += 1;
        match (record.denied, record.mode) {
            (true, _) => self.denied += 1,
            (false, Code::Known(Mode::Enforce)) => self.let_through += 1,
            (false, _) => self.would_be_denied += 1,
        }
        self.span(Some(record.time), Some(record.time));
    }

    /// Takes another one in.
    pub fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.denied += other.denied;
        self.would_be_denied += other.would_be_denied;
        self.let_through += other.let_through;
        self.span(other.first, other.last);
    }

    /// The clock may have been set: the first is the earliest, wherever it stands in the log.
    fn span(&mut self, first: Option<Timestamp>, last: Option<Timestamp>) {
        self.first = [self.first, first].into_iter().flatten().min();
        self.last = [self.last, last].into_iter().flatten().max();
    }
}

impl State {
    /// What it is, for people.
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Runs => "runs by now",
            Self::Denied(_) => "would be denied",
            Self::Unchanged => "unchanged",
            Self::Changed => "changed since",
            Self::Gone => "gone",
            Self::Unreadable(_) => "unreadable",
            Self::Unknown => "not known",
        }
    }

    /// The name in JSON.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Denied(_) => "denied",
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::Unreadable(_) => "unreadable",
            Self::Unknown => "unknown",
        }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Names of one kind that are kept of a finding.
pub(super) const MOST_NAMES: usize = 16;
