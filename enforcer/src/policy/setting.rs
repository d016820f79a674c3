//! The settings of a policy that answer what no signature can: memory, file systems, tracing, the kernel, text that interpreters are given.
//!
//! Says which of them an event falls under. What is found of a file is [`crate::signature`]'s business.

use enforcer_common::{Hook, Reason, Response};

use super::{Interpreter, Policy};

/// A setting that is the same for every program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Setting {
    /// `[memory] anonymous`.
    Anonymous,
    /// `[memory] writable-and-executable`.
    WritableAndExecutable,
    /// `[memory] made-executable`.
    MadeExecutable,
    /// `[memory] tracing`.
    Tracing,
    /// `[filesystems] volatile`.
    Volatile,
    /// `[filesystems] foreign`.
    Foreign,
    /// `[kernel] modules`.
    Modules,
    /// `[kernel] modules-from-memory`.
    ModulesFromMemory,
    /// `[kernel] kexec`.
    Kexec,
    /// `[kernel] firmware`.
    Firmware,
    /// `[kernel] memory`.
    KernelMemory,
    /// `[kernel] bpf-programs`.
    BpfPrograms,
}

impl Setting {
    /// The settings that an event for this reason may fall under: several, where the event does not tell which; none, where no setting changes anything.
    pub fn of_event(hook: Hook, reason: Reason) -> &'static [Self] {
        match (reason, hook) {
            (Reason::AnonymousMemory | Reason::ReadImpliesExec, _) => &[Self::Anonymous],
            (Reason::WritableAndExecutable, _) => &[Self::WritableAndExecutable],
            (Reason::MadeExecutable | Reason::ModifiedPages | Reason::SuppliedPages, _) => &[Self::MadeExecutable],
            // Whoever starts the enforcer and traces it acts with its rights.
            (Reason::Tracing, Hook::BprmCheckSecurity) => &[],
            (Reason::Tracing, _) => &[Self::Tracing],
            (Reason::VolatileFilesystem, _) => &[Self::Volatile],
            (Reason::ForeignFilesystem, _) => &[Self::Foreign],
            (Reason::LoadedFromMemory, _) => &[Self::ModulesFromMemory, Self::Kexec],
            (Reason::KernelMemory, _) => &[Self::KernelMemory],
            (Reason::ForeignProgram, _) => &[Self::BpfPrograms],
            _ => &[],
        }
    }

    /// The settings that say what happens to a file without a verdict that the kernel reads for itself, as far as its name tells them apart.
    pub fn of_kernel_file(path: &str) -> &'static [Self] {
        if path.contains(".ko") {
            &[Self::Modules]
        } else if path.contains("/firmware/") {
            &[Self::Firmware]
        } else {
            &[Self::Modules, Self::Kexec, Self::Firmware]
        }
    }

    /// What a policy says.
    pub fn response(self, policy: &Policy) -> Response {
        match self {
            Self::Anonymous => policy.memory.anonymous,
            Self::WritableAndExecutable => policy.memory.writable_and_executable,
            Self::MadeExecutable => policy.memory.made_executable,
            Self::Tracing => policy.memory.tracing,
            Self::Volatile => policy.filesystems.volatile,
            Self::Foreign => policy.filesystems.foreign,
            Self::Modules => policy.kernel.modules,
            Self::ModulesFromMemory => policy.kernel.modules_from_memory,
            Self::Kexec => policy.kernel.kexec,
            Self::Firmware => policy.kernel.firmware,
            Self::KernelMemory => policy.kernel.memory,
            Self::BpfPrograms => policy.kernel.bpf_programs,
        }
    }

    /// The table and the key that it is written under.
    pub const fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Anonymous => ("memory", "anonymous"),
            Self::WritableAndExecutable => ("memory", "writable-and-executable"),
            Self::MadeExecutable => ("memory", "made-executable"),
            Self::Tracing => ("memory", "tracing"),
            Self::Volatile => ("filesystems", "volatile"),
            Self::Foreign => ("filesystems", "foreign"),
            Self::Modules => ("kernel", "modules"),
            Self::ModulesFromMemory => ("kernel", "modules-from-memory"),
            Self::Kexec => ("kernel", "kexec"),
            Self::Firmware => ("kernel", "firmware"),
            Self::KernelMemory => ("kernel", "memory"),
            Self::BpfPrograms => ("kernel", "bpf-programs"),
        }
    }
}

/// A setting that each interpreter may have a word of its own for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScriptSetting {
    /// `unsigned`: scripts.
    Unsigned,
    /// `others`: any other file that it reads.
    Others,
    /// `inline`: text in arguments and variables.
    Inline,
    /// `stdin`: a program that comes through standard input.
    Stdin,
    /// `interactive`: a program that is typed.
    Interactive,
}

impl ScriptSetting {
    /// The setting that an event for this reason falls under, when the interpreter was given text.
    pub const fn of_text(reason: Reason) -> Option<Self> {
        match reason {
            Reason::InlineCode => Some(Self::Inline),
            Reason::CodeFromStdin => Some(Self::Stdin),
            Reason::InteractiveInterpreter => Some(Self::Interactive),
            _ => None,
        }
    }

    /// What is said of this interpreter.
    pub const fn response(self, interpreter: &Interpreter) -> Response {
        match self {
            Self::Unsigned => interpreter.unsigned,
            Self::Others => interpreter.others,
            Self::Inline => interpreter.inline,
            Self::Stdin => interpreter.stdin,
            Self::Interactive => interpreter.interactive,
        }
    }

    /// What is said of all of these alike; `None` where they differ.
    pub fn common_response<'a>(self, interpreters: impl Iterator<Item = &'a Interpreter>) -> Option<Response> {
        let mut all = interpreters.map(|interpreter| self.response(interpreter));
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    /// Its key.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Others => "others",
            Self::Inline => "inline",
            Self::Stdin => "stdin",
            Self::Interactive => "interactive",
        }
    }
}
