//! Why something would have been denied, as people sort it: a few causes, each with what it means.

use enforcer_common::Reason;
use serde::{Serialize, Serializer};

use crate::audit::Code;

/// A cause, the most ordinary first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Nobody signed it.
    Unsigned,
    /// Signed by somebody whom the policy does not trust.
    UnknownSigner,
    /// Not what was signed, or not what its package holds.
    Modified,
    /// The signature, or a certificate of it, is past its time.
    Expired,
    /// Taken away on purpose: revoked, or older than what was accepted before.
    Revoked,
    /// A signature that cannot be read or does not hold.
    BadSignature,
    /// Trusted, and not for this use or under this name.
    NotAllowed,
    /// Text that an interpreter was to run, and that is in no file.
    Script,
    /// Executable memory that no signed file stands behind.
    Memory,
    /// On a file system whose content nobody can vouch for.
    Place,
    /// Written to while it is used.
    BeingWritten,
    /// Not looked at in time, or not measurable.
    NotExamined,
    /// Ways into the kernel.
    Kernel,
    /// Processes that reach into others.
    Tracing,
    /// Something of the enforcer's own was to be changed.
    Guarded,
    /// A bug, or a newer kernel side.
    Fault,
}

impl Cause {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 16] = [
        Self::Unsigned,
        Self::UnknownSigner,
        Self::Modified,
        Self::Expired,
        Self::Revoked,
        Self::BadSignature,
        Self::NotAllowed,
        Self::Script,
        Self::Memory,
        Self::Place,
        Self::BeingWritten,
        Self::NotExamined,
        Self::Kernel,
        Self::Tracing,
        Self::Guarded,
        Self::Fault,
    ];

    /// Of an event, by its reason and by what the daemon said about the signature ([`crate::signature::Rejected::code`]).
    pub fn of(reason: Code<Reason>, rejection: Option<&str>) -> Self {
        let Code::Known(reason) = reason else { return Self::Fault };
        match reason {
            Reason::Untrusted => Self::of_rejection(rejection),
            Reason::Expired => Self::Expired,
            Reason::UseNotAllowed | Reason::WrongComponent | Reason::ProtectedProcess => Self::NotAllowed,
            Reason::InlineCode | Reason::CodeFromStdin | Reason::InteractiveInterpreter | Reason::ScriptNotAFile | Reason::ForeignInterpreter => {
                Self::Script
            }
            Reason::AnonymousMemory
            | Reason::WritableAndExecutable
            | Reason::MadeExecutable
            | Reason::ModifiedPages
            | Reason::SuppliedPages
            | Reason::ReadImpliesExec => Self::Memory,
            Reason::VolatileFilesystem | Reason::ForeignFilesystem | Reason::UnknownOverlay | Reason::DividedContent => Self::Place,
            Reason::OpenForWriting | Reason::MappedAsCode | Reason::ChangedWhileMeasured | Reason::UnwrittenTail => Self::BeingWritten,
            Reason::DaemonUnavailable
            | Reason::NoAnswer
            | Reason::TooManyWaiting
            | Reason::MeasurementFailed
            | Reason::NotMeasured
            | Reason::TooLarge
            | Reason::Unreadable
            | Reason::CodeFull
            | Reason::VerdictsFull => Self::NotExamined,
            Reason::LoadedFromMemory | Reason::KernelMemory | Reason::ForeignProgram => Self::Kernel,
            Reason::Tracing | Reason::ExecutableReplaced => Self::Tracing,
            Reason::Guarded => Self::Guarded,
            Reason::Fault => Self::Fault,
        }
    }

    /// Of a file whose signature was not accepted; one that nobody said anything about is taken for unsigned.
    pub fn of_rejection(code: Option<&str>) -> Self {
        match code {
            None | Some("unsigned") => Self::Unsigned,
            Some("unknown-issuer" | "signer-certificate") => Self::UnknownSigner,
            Some("digest-mismatch" | "not-sealed") => Self::Modified,
            Some("certificate-expired" | "certificate-not-yet-valid" | "bad-timestamp" | "stale-crl") => Self::Expired,
            Some("revoked" | "rollback") => Self::Revoked,
            Some("wrong-signer" | "signers-disagree" | "certificate-purpose") => Self::NotAllowed,
            Some(_) => Self::BadSignature,
        }
    }

    /// The name in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::UnknownSigner => "unknown-signer",
            Self::Modified => "modified",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::BadSignature => "bad-signature",
            Self::NotAllowed => "not-allowed",
            Self::Script => "script",
            Self::Memory => "memory",
            Self::Place => "place",
            Self::BeingWritten => "being-written",
            Self::NotExamined => "not-examined",
            Self::Kernel => "kernel",
            Self::Tracing => "tracing",
            Self::Guarded => "guarded",
            Self::Fault => "fault",
        }
    }

    /// The heading for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Unsigned => "Unsigned",
            Self::UnknownSigner => "Unknown signer",
            Self::Modified => "Modified",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked or outdated",
            Self::BadSignature => "Unusable signature",
            Self::NotAllowed => "Not allowed for this",
            Self::Script => "Script text",
            Self::Memory => "Executable memory",
            Self::Place => "Unsafe place",
            Self::BeingWritten => "Being written",
            Self::NotExamined => "Not examined",
            Self::Kernel => "Kernel",
            Self::Tracing => "Tracing",
            Self::Guarded => "Enforcer itself",
            Self::Fault => "Fault",
        }
    }

    /// One sentence for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Unsigned => "Nobody signed these files, and no signed manifest lists them.",
            Self::UnknownSigner => "These files are signed by somebody whom the policy does not trust.",
            Self::Modified => "The content of these files is not what was signed, or not what their package holds.",
            Self::Expired => "The signature of these files, or a certificate of it, is not valid at this time.",
            Self::Revoked => "These files were revoked, or are older than what was accepted before.",
            Self::BadSignature => "The signature of these files cannot be used.",
            Self::NotAllowed => "These files are signed, and the policy does not let the signer sign for this use or this name.",
            Self::Script => "Interpreters were to run text that is in no file, so that nobody can have signed it.",
            Self::Memory => "Programs made memory executable that no signed file stands behind; compilers at run time do that, and exploits.",
            Self::Place => "The file system is one whose content can change after it was verified, or that somebody else controls.",
            Self::BeingWritten => "Somebody wrote to these files while they were to run.",
            Self::NotExamined => "These files were not looked at in time, or could not be measured; they may run when they are tried again.",
            Self::Kernel => "The kernel was to take in code that no file stands behind, or a way into it was to be opened.",
            Self::Tracing => "Processes reached into other processes.",
            Self::Guarded => "Something that belongs to Enforcer was to be changed, stopped or hidden.",
            Self::Fault => "This should not happen: a bug, or events of a newer version.",
        }
    }

    /// Whether it is about what is known of a file's signature, so that a manifest, which says who vouches for its bytes, mends it.
    pub const fn is_about_signatures(self) -> bool {
        matches!(self, Self::Unsigned | Self::UnknownSigner | Self::Modified | Self::Expired | Self::BadSignature | Self::NotExamined)
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
