//! Memory that is turned into code, with no file behind it or with a trusted one.

use std::process::Command;

use anyhow::Result;
use enforcer_common::Hook::{self, BprmCheckSecurity, Brk, FileMprotect, FileOpen, MmapFile, PathTruncate};
use enforcer_common::Reason::{
    self, AnonymousMemory, MadeExecutable, MappedAsCode, ModifiedPages, NotMeasured, OpenForWriting, ReadImpliesExec, Untrusted, UnwrittenTail,
    VolatileFilesystem, WritableAndExecutable,
};

use super::{EPERM, FOREIGN_RAN, Row, SIGNED_RAN, Shown, Trace, UNSIGNED_ANSWERED};
use crate::scene::Scene;

pub const ROWS: &[Row] = &[
    anonymous("anonymous_rwx", "memory that is writable and executable", |scene| memory(scene, "anonymous-rwx"), MmapFile, WritableAndExecutable),
    anonymous(
        "anonymous_w_to_x",
        "memory that is written, then made executable",
        |scene| memory(scene, "anonymous-w-to-x"),
        FileMprotect,
        MadeExecutable,
    ),
    anonymous(
        "anonymous_w_to_rwx",
        "memory that is written, then made writable and executable",
        |scene| memory(scene, "anonymous-w-to-rwx"),
        FileMprotect,
        WritableAndExecutable,
    ),
    Row::attack(
        "shared_anonymous_w_to_x",
        "shared memory without a file that is written, then made executable",
        |scene| memory(scene, "shared-anonymous-w-to-x"),
        FOREIGN_RAN,
        (Trace::new(FileMprotect, NotMeasured, Shown::Path("zero")), EPERM, "anonymous_data"),
    ),
    anonymous(
        "anonymous_x_to_w_to_x",
        "executable memory that is made writable, written and made executable again",
        |scene| memory(scene, "anonymous-x-to-w-to-x"),
        MmapFile,
        AnonymousMemory,
    ),
    anonymous("stack_w_to_x", "a stack that is made executable", |scene| memory(scene, "stack-w-to-x"), FileMprotect, WritableAndExecutable),
    anonymous("heap_w_to_x", "a heap that is made executable", |scene| memory(scene, "heap-w-to-x"), FileMprotect, MadeExecutable),
    anonymous(
        "read_implies_exec",
        "memory that personality(READ_IMPLIES_EXEC) makes executable",
        |scene| memory(scene, "read-implies-exec"),
        MmapFile,
        WritableAndExecutable,
    ),
    Row::attack(
        "read_implies_exec_of_an_unsigned_file",
        "an unsigned file that personality(READ_IMPLIES_EXEC) makes executable",
        |scene| with(scene, "read-implies-exec-file", "unsigned/libanswer.so"),
        UNSIGNED_ANSWERED,
        (Trace::new(MmapFile, Untrusted, Shown::Path("unsigned/libanswer.so")), EPERM, "signed_library_mapped"),
    ),
    Row::attack(
        "read_implies_exec_and_brk",
        "a heap that personality(READ_IMPLIES_EXEC) makes executable",
        |scene| memory(scene, "read-implies-exec-brk-in-a-child"),
        FOREIGN_RAN,
        (Trace::of_another(Brk, ReadImpliesExec, Shown::Nothing), "SIGKILL", "anonymous_data"),
    ),
    Row::attack(
        "read_implies_exec_at_the_start",
        "a signed program that is started with personality(READ_IMPLIES_EXEC)",
        |scene| {
            let mut command = Command::new("setarch");
            command.args(["x86_64", "--read-implies-exec"]).arg(scene.fixture("bin/static"));
            Ok(command)
        },
        SIGNED_RAN,
        (Trace::new(BprmCheckSecurity, ReadImpliesExec, Shown::Path("bin/static")), EPERM, "signed_static_program"),
    ),
    Row::attack(
        "shm_exec",
        "System V shared memory that is attached with SHM_EXEC",
        |scene| memory(scene, "shm-exec"),
        FOREIGN_RAN,
        (Trace::new(MmapFile, WritableAndExecutable, Shown::Path("SYSV")), EPERM, "anonymous_data"),
    ),
    Row::attack(
        "dual_mapping",
        "a memory file that is mapped twice, to write and to execute",
        |scene| memory(scene, "dual-mapping"),
        FOREIGN_RAN,
        (Trace::new(MmapFile, VolatileFilesystem, Shown::Path("memfd:")), EPERM, "signed_library_in_sealed_memory"),
    ),
    trusted(
        "trusted_library_rwx",
        "a trusted library, mapped writable and executable, and rewritten",
        |scene| with(scene, "file-rwx", "lib/libanswer.so"),
        (MmapFile, WritableAndExecutable),
    ),
    trusted(
        "trusted_library_w_to_x",
        "a trusted library whose page is rewritten, then made executable",
        |scene| with(scene, "file-w-to-x", "lib/libanswer.so"),
        (FileMprotect, ModifiedPages),
    ),
    trusted(
        "trusted_library_x_to_w_to_x",
        "a trusted library whose code is made writable, rewritten and made executable again",
        |scene| with(scene, "file-x-to-w-to-x", "lib/libanswer.so"),
        (FileMprotect, ModifiedPages),
    ),
    trusted(
        "trusted_library_x_to_rwx",
        "a trusted library whose code is made writable while it is executable",
        |scene| with(scene, "file-x-to-rwx", "lib/libanswer.so"),
        (FileMprotect, WritableAndExecutable),
    ),
    trusted(
        "trusted_library_shared_w_to_x",
        "a trusted library, mapped shared, rewritten and made executable",
        |scene| copied(scene, "shared-file-w-to-x"),
        (FileMprotect, NotMeasured),
    ),
    trusted(
        "trusted_library_with_a_shared_writer",
        "a trusted library that is mapped executable while somebody has it mapped writable",
        |scene| copied(scene, "shared-file-and-executable"),
        (MmapFile, OpenForWriting),
    ),
    trusted(
        "trusted_library_with_code_behind_its_end",
        "a trusted library with foreign code behind its end, in its last page",
        |scene| copied(scene, "behind-the-end"),
        (MmapFile, UnwrittenTail),
    ),
    trusted(
        "trusted_library_with_an_open_writer",
        "a trusted library that is mapped executable while somebody has it open for writing",
        |scene| copied(scene, "writer-and-executable"),
        (MmapFile, OpenForWriting),
    ),
    trusted(
        "trusted_library_opened_for_writing_while_mapped",
        "a trusted library that is mapped executable, then opened for writing and rewritten",
        |scene| copied(scene, "executable-then-writer"),
        (FileOpen, MappedAsCode),
    ),
    Row::attack(
        "trusted_library_cut_off_while_mapped",
        "a trusted library that is mapped executable, then cut off by its name",
        |scene| copied(scene, "executable-then-cut-off"),
        "the code has become zeros",
        (Trace::new(PathTruncate, MappedAsCode, Shown::Path("libanswer.so")), EPERM, "signed_library_mapped"),
    ),
    Row::honest("anonymous_data", "memory that is written and read", |scene| memory(scene, "anonymous-data"), "data stayed data"),
];

const fn anonymous(name: &'static str, title: &'static str, command: fn(&Scene) -> Result<Command>, hook: Hook, reason: Reason) -> Row {
    Row::attack(name, title, command, FOREIGN_RAN, (Trace::new(hook, reason, Shown::Nothing), EPERM, "anonymous_data"))
}

const fn trusted(name: &'static str, title: &'static str, command: fn(&Scene) -> Result<Command>, (hook, reason): (Hook, Reason)) -> Row {
    Row::attack(name, title, command, UNSIGNED_ANSWERED, (Trace::new(hook, reason, Shown::Path("libanswer.so")), EPERM, "signed_library_mapped"))
}

fn memory(scene: &Scene, how: &str) -> Result<Command> {
    Ok(scene.attack([how.as_ref()]))
}

fn with(scene: &Scene, how: &str, fixture: &str) -> Result<Command> {
    Ok(scene.attack([how.as_ref(), scene.fixture(fixture).as_os_str()]))
}

/// With a copy that may be changed for good.
fn copied(scene: &Scene, how: &str) -> Result<Command> {
    let copy = scene.copy("lib/libanswer.so", "libanswer.so")?;
    Ok(scene.attack([how.as_ref(), copy.as_os_str()]))
}
