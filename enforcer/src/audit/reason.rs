//! What each reason means, and how to mend it.

use std::borrow::Cow;

use enforcer_common::Reason;

use super::Code;
use crate::text::argument;

/// One sentence for people: what happened.
pub fn explain(reason: Reason) -> &'static str {
    match reason {
        Reason::Untrusted => "No signature that the policy trusts covers this file.",
        Reason::DaemonUnavailable => "The file is not known yet, and the daemon, which would verify it, is not running.",
        Reason::NoAnswer => "The file is not known yet, and the daemon did not answer in time.",
        Reason::TooManyWaiting => "The file is not known yet, and too many others were waiting for the daemon.",
        Reason::Expired => "The file was trusted, and its signature has expired since.",
        Reason::UseNotAllowed => "The file is signed, but its signer may not sign for this use.",
        Reason::AnonymousMemory => "The program asked for executable memory that no file stands behind.",
        Reason::WritableAndExecutable => "The program asked for memory that is writable and executable at once.",
        Reason::MadeExecutable => "The program wrote into memory and then asked to execute it.",
        Reason::ModifiedPages => "Pages of this file were rewritten in memory and were then to be executed.",
        Reason::OpenForWriting => "The file is open for writing somewhere, so its content could change while it runs.",
        Reason::VolatileFilesystem => "The file is in memory (tmpfs, /dev/shm, memfd), where its content can change after it was verified.",
        Reason::ForeignFilesystem => "The file is on a file system whose content somebody else controls (FUSE, network).",
        Reason::MeasurementFailed => "The kernel could not read the file to measure it.",
        Reason::ChangedWhileMeasured => "The file changed while it was measured.",
        Reason::NotMeasured => "The file was to become executable at a point where the kernel cannot measure it, and it was not measured before.",
        Reason::TooLarge => "The file is larger than the policy's `max-file-size`.",
        Reason::Unreadable => "The daemon could not find or read the file to look for its signature.",
        Reason::UnknownOverlay => "The file is on an overlay, and Enforcer has not read yet how this kernel's overlays are built.",
        Reason::DividedContent => {
            "The file is on an overlay, and what was opened of it is not what is read now: it was copied up since, or its data is in another layer."
        }
        Reason::UnwrittenTail => {
            "The file was written through a shared mapping and is not on the disk yet: until then, bytes behind its end can be mapped with it."
        }
        Reason::CodeFull => "More files that were to run are in the kernel's memory than Enforcer can keep in mind.",
        Reason::SuppliedPages => {
            "The program asked to supply pages of memory itself (`userfaultfd`), which could put code where nothing may be written."
        }
        Reason::ReadImpliesExec => "The program ran with `personality(READ_IMPLIES_EXEC)`, under which all of its memory is executable.",
        Reason::VerdictsFull => "A signature that the policy trusts covers this file, and there is no room for another verdict.",
        Reason::MappedAsCode => "The file is in use as code (it was let in, and somebody has it open), and was to be opened for writing or cut off.",
        Reason::WrongComponent => "The file is trusted, and goes by a name that the policy keeps for other software.",
        Reason::Tracing => "A process was to be traced, or its memory to be changed from outside of it.",
        Reason::Guarded => "Something that belongs to Enforcer itself was to be changed, stopped or hidden.",
        Reason::LoadedFromMemory => "The kernel was to load a module or a kernel image that came as memory, so that nobody can say which file it is.",
        Reason::KernelMemory => "A way into the kernel's memory was to be opened.",
        Reason::ForeignProgram => "A BPF program that can change what other programs decide was to be loaded.",
        Reason::ExecutableReplaced => "A process was to pass for another program than the one that it runs.",
        Reason::ForeignInterpreter => "An interpreter was to be run by another program (as `ld.so` does), which is not held to what it may read.",
        Reason::InlineCode => "An interpreter was to run text in its arguments or its environment, which nobody signed.",
        Reason::CodeFromStdin => "An interpreter was to run what comes through its standard input, which nobody signed.",
        Reason::InteractiveInterpreter => "An interpreter was to run what somebody types.",
        Reason::ScriptNotAFile => "What an interpreter was to run as a script is no file whose content can be measured.",
        Reason::ProtectedProcess => "A protected process was to load a library of another signer, or to start an interpreter.",
        Reason::Fault => "Something that must not happen happened inside Enforcer's kernel program.",
    }
}

/// One sentence for people: what to do about what was denied for this reason, if the code should have run. `path` is the file's.
pub fn remedy(reason: Code<Reason>, path: Option<&str>) -> String {
    let Code::Known(reason) = reason else {
        return "Update `enforcer`: the kernel side is newer than this program.".to_owned();
    };
    let file = file_argument(path);
    let file = file.as_ref();
    match reason {
        Reason::Untrusted => format!(
            "Run `enforcer verify {file}` to see why; then sign it with `enforcer sign` on the signing machine, or list it in a signed \
                manifest."
        ),
        Reason::DaemonUnavailable => {
            "Start the daemon (`systemctl start enforcer`), see `journalctl -u enforcer` for why it is not running, and try \
                again."
                .to_owned()
        }
        Reason::NoAnswer => "Try again; if it happens often, raise `first-use-deadline-ms` in the policy's [limits], or name the file's folder in \
                [scan] `paths`."
            .to_owned(),
        Reason::TooManyWaiting => {
            "Try again; if it happens often, name the files' folders in [scan] `paths`, or raise `max-waiting` in the policy's \
                [limits]."
                .to_owned()
        }
        Reason::VerdictsFull => "Raise `max-verdicts` in the policy's [limits], and restart the service (`systemctl restart enforcer`).".to_owned(),
        Reason::MappedAsCode => {
            format!("Write a new file and rename it over the old one, as package managers do; `fuser -v {file}` shows who has it open.")
        }
        Reason::Unreadable => format!(
            "Start it from a path that the daemon can reach, on a disk file system; files without a name are covered by a signed \
                manifest or a signature store only. `enforcer verify {file}` tries to read it."
        ),
        Reason::Expired => format!("Sign it anew with a valid certificate; `enforcer verify {file}` shows which one has expired."),
        Reason::UseNotAllowed => {
            format!(
                "Run `enforcer verify {file}` to see the signer; then add the use to that signer's `allow`, or have another signer \
                sign it."
            )
        }
        Reason::AnonymousMemory => memory_remedy("anonymous"),
        Reason::ReadImpliesExec => {
            "Start it without `setarch -X`; or set `anonymous` in the policy's [memory] to \"audit\" or \"allow\", knowing the risk.".to_owned()
        }
        Reason::WritableAndExecutable => memory_remedy("writable-and-executable"),
        Reason::MadeExecutable | Reason::SuppliedPages => memory_remedy("made-executable"),
        Reason::ModifiedPages => {
            "Look for a debugger, hot patch or text relocation (`readelf -d FILE | grep TEXTREL`): rewritten pages are not what was \
                signed."
                .to_owned()
        }
        Reason::OpenForWriting => {
            format!("Find the writer with `fuser -v {file}`, let it finish, and install files by writing a new one and renaming it.")
        }
        Reason::VolatileFilesystem => {
            "Put the file on a disk file system; or, knowing the risk, set `volatile` in the policy's [filesystems].".to_owned()
        }
        Reason::ForeignFilesystem => {
            "Copy the file to a local file system; or, knowing the risk, set `foreign` in the policy's [filesystems].".to_owned()
        }
        Reason::MeasurementFailed => format!("Read the file once (`sha256sum {file}`) and look for I/O errors in `dmesg`."),
        Reason::ChangedWhileMeasured => "Let the installation finish and try again; install files by writing a new one and renaming \
            it."
        .to_owned(),
        Reason::UnknownOverlay => {
            "Try again in a second; if it stays so, see `journalctl -u enforcer` for why the types of the kernel's module `overlay` cannot be read."
                .to_owned()
        }
        Reason::DividedContent => "Start it again, so that the file is opened anew; mount overlays with `metacopy=off`.".to_owned(),
        Reason::UnwrittenTail => format!("Write it to the disk (`sync {file}`), and try again."),
        Reason::CodeFull => {
            "Find who runs so many different files (`enforcer events`); `echo 2 >/proc/sys/vm/drop_caches` makes the kernel forget those that nobody uses."
                .to_owned()
        }
        Reason::NotMeasured => "Start the program again: its files are measured when they are mapped.".to_owned(),
        Reason::TooLarge => "Raise `max-file-size` in the policy's [limits], if a file of this size is meant to run.".to_owned(),
        Reason::WrongComponent => format!(
            "Run `enforcer verify {file}` to see which identifier its signature has; the `[[component]]` of the policy that has this name under `names` \
                or `paths` says which one it must have."
        ),
        Reason::Tracing => {
            "If this program is a debugger that is needed here, sign it with the entitlement `debugger` and grant that to its signer; or set \
            `tracing` in the policy's [memory], knowing the risk."
                .to_owned()
        }
        Reason::Guarded => {
            "To stop or update Enforcer, use `systemctl` on its service; to take it off, `enforcer stop --release`. Whoever tried something \
            else is worth a question."
                .to_owned()
        }
        Reason::LoadedFromMemory => "Load the module by its file (`insmod FILE.ko`, or a kmod that leaves unpacking to the kernel); or set \
            `modules-from-memory` (for kexec: `kexec`) in the policy's [kernel], knowing the risk."
            .to_owned(),
        Reason::KernelMemory => {
            "If this tool is needed here, set `memory` in the policy's [kernel] to \"audit\" or \"allow\", knowing the risk.".to_owned()
        }
        Reason::ForeignProgram => "If this BPF program is meant to run here, set `bpf-programs` in the policy's [kernel] to \"audit\" or \"allow\", \
            knowing the risk."
            .to_owned(),
        Reason::ExecutableReplaced => "Only tools that restore saved processes (CRIU) do this; use them where nothing is enforced.".to_owned(),
        Reason::ForeignInterpreter => "Start the interpreter by its own path.".to_owned(),
        Reason::InlineCode => scripts_remedy("inline"),
        Reason::CodeFromStdin => scripts_remedy("stdin"),
        Reason::InteractiveInterpreter => scripts_remedy("interactive"),
        Reason::ScriptNotAFile => "Put the script into a file on a disk file system, and sign it.".to_owned(),
        Reason::ProtectedProcess => {
            "Have the library signed by the signer of the program; or sign the program without the entitlement `protected`.".to_owned()
        }
        Reason::Fault => "Report this, with the kernel's release and this record: it is a bug in Enforcer.".to_owned(),
    }
}

fn memory_remedy(key: &str) -> String {
    format!("If this program compiles code while it runs, set `{key}` in the policy's [memory] to \"audit\" or \"allow\", knowing the risk.")
}

fn scripts_remedy(key: &str) -> String {
    format!(
        "Put the text into a file and sign that; or sign the program that starts the interpreter with the entitlement `inline-code`; or set `{key}` in the \
            policy's [scripts], or for this `[[interpreter]]`, to \"audit\" or \"allow\", knowing the risk."
    )
}

/// A file as an argument of a command that people may paste, or none in particular.
fn file_argument(path: Option<&str>) -> Cow<'_, str> {
    path.and_then(argument).unwrap_or(Cow::Borrowed("FILE"))
}
