//! Programs and scripts that nobody signed, or that are not what was signed.

use std::process::Command;

use anyhow::Result;
use enforcer_common::Hook::BprmCheckSecurity;
use enforcer_common::Reason::{Untrusted, VolatileFilesystem};

use super::{EPERM, MODIFIED_RAN, Row, SIGNED_RAN, Shown, Trace, UNSIGNED_RAN};
use crate::scene::Scene;

pub const ROWS: &[Row] = &[
    Row::attack(
        "unsigned_program",
        "an unsigned program by execve",
        |scene| primitive(scene, "exec", "unsigned/program"),
        UNSIGNED_RAN,
        untrusted("unsigned/program", "signed_program"),
    ),
    Row::attack(
        "unsigned_static_program",
        "an unsigned static program",
        |scene| primitive(scene, "exec", "unsigned/static"),
        UNSIGNED_RAN,
        untrusted("unsigned/static", "signed_static_program"),
    ),
    Row::attack(
        "modified_listed_program",
        "a program of a manifest with one byte changed",
        |scene| primitive(scene, "exec", "modified/listed"),
        MODIFIED_RAN,
        untrusted("modified/listed", "signed_program"),
    ),
    Row::attack(
        "modified_program_beside_its_signature",
        "a program with a detached signature and one byte changed",
        |scene| primitive(scene, "exec", "modified/detached"),
        MODIFIED_RAN,
        untrusted("modified/detached", "program_with_a_detached_signature"),
    ),
    Row::attack(
        "modified_program_around_its_signature",
        "a program with an embedded signature and one byte changed",
        |scene| primitive(scene, "exec", "modified/embedded"),
        MODIFIED_RAN,
        untrusted("modified/embedded", "program_with_an_embedded_signature"),
    ),
    Row::attack(
        "program_with_a_transplanted_signature",
        "an unsigned program beside another file's valid signature",
        |scene| primitive(scene, "exec", "modified/transplanted"),
        UNSIGNED_RAN,
        untrusted("modified/transplanted", "program_with_a_detached_signature"),
    ),
    Row::attack(
        "program_with_a_truncated_signature",
        "a program whose signature was cut short",
        |scene| primitive(scene, "exec", "modified/truncated"),
        SIGNED_RAN,
        untrusted("modified/truncated", "program_with_a_detached_signature"),
    ),
    Row::attack(
        "unsigned_script",
        "an unsigned script with a #! line",
        |scene| primitive(scene, "exec", "unsigned/script.sh"),
        UNSIGNED_RAN,
        untrusted("unsigned/script.sh", "signed_script"),
    ),
    Row::attack(
        "unsigned_interpreter",
        "a signed script whose interpreter is unsigned",
        |scene| primitive(scene, "exec", "bin/unsigned-interpreter.sh"),
        UNSIGNED_RAN,
        untrusted("unsigned/program", "signed_script"),
    ),
    Row::attack(
        "unsigned_program_by_execveat",
        "an unsigned program by its descriptor (AT_EMPTY_PATH)",
        |scene| primitive(scene, "execveat", "unsigned/program"),
        UNSIGNED_RAN,
        untrusted("unsigned/program", "signed_program_by_execveat"),
    ),
    Row::attack(
        "unsigned_program_by_o_path",
        "an unsigned program by an O_PATH descriptor",
        |scene| primitive(scene, "execveat-o-path", "unsigned/program"),
        UNSIGNED_RAN,
        untrusted("unsigned/program", "signed_program_by_o_path"),
    ),
    Row::attack(
        "unsigned_program_by_proc_fd",
        "an unsigned program as /proc/self/fd/N",
        |scene| primitive(scene, "exec-proc-fd", "unsigned/program"),
        UNSIGNED_RAN,
        untrusted("unsigned/program", "signed_program_by_proc_fd"),
    ),
    Row::attack(
        "unsigned_program_without_a_name",
        "an unsigned program in an O_TMPFILE",
        |scene| without_a_name(scene, "unsigned/program"),
        UNSIGNED_RAN,
        untrusted("(deleted)", "signed_program_without_a_name"),
    ),
    Row::attack(
        "unsigned_deleted_program",
        "an unsigned program whose name is gone",
        |scene| deleted(scene, "unsigned/program"),
        UNSIGNED_RAN,
        untrusted("(deleted)", "signed_deleted_program"),
    ),
    Row::attack(
        "unsigned_program_in_memory",
        "an unsigned program in a memory file (memfd, fexecve)",
        |scene| primitive(scene, "exec-memfd", "unsigned/program"),
        UNSIGNED_RAN,
        volatile("signed_program_in_sealed_memory"),
    ),
    Row::attack(
        "unsigned_program_in_sealed_memory",
        "an unsigned program in a sealed memory file",
        |scene| sealed(scene, "unsigned/program"),
        UNSIGNED_RAN,
        untrusted("memfd:", "signed_program_in_sealed_memory"),
    ),
    Row::attack(
        "signed_program_in_unsealed_memory",
        "a signed program in a memory file that can still be changed",
        |scene| primitive(scene, "exec-memfd", "bin/static"),
        SIGNED_RAN,
        volatile("signed_program_in_sealed_memory"),
    ),
    Row::honest("signed_program", "a signed program", |scene| primitive(scene, "exec", "bin/program"), SIGNED_RAN),
    Row::honest("signed_static_program", "a signed static program", |scene| primitive(scene, "exec", "bin/static"), SIGNED_RAN),
    Row::honest(
        "program_with_a_detached_signature",
        "a program with its signature beside it",
        |scene| primitive(scene, "exec", "bin/detached"),
        SIGNED_RAN,
    ),
    Row::honest(
        "program_with_an_embedded_signature",
        "a program with its signature inside",
        |scene| primitive(scene, "exec", "bin/embedded"),
        SIGNED_RAN,
    ),
    Row::honest("signed_script", "a signed script", |scene| primitive(scene, "exec", "bin/script.sh"), SIGNED_RAN),
    Row::honest("signed_program_by_execveat", "a signed program by its descriptor", |scene| primitive(scene, "execveat", "bin/program"), SIGNED_RAN),
    Row::honest(
        "signed_program_by_o_path",
        "a signed program by an O_PATH descriptor",
        |scene| primitive(scene, "execveat-o-path", "bin/program"),
        SIGNED_RAN,
    ),
    Row::honest(
        "signed_program_by_proc_fd",
        "a signed program as /proc/self/fd/N",
        |scene| primitive(scene, "exec-proc-fd", "bin/program"),
        SIGNED_RAN,
    ),
    Row::honest("signed_program_without_a_name", "a signed program in an O_TMPFILE", |scene| without_a_name(scene, "bin/program"), SIGNED_RAN),
    Row::honest("signed_deleted_program", "a signed program whose name is gone", |scene| deleted(scene, "bin/program"), SIGNED_RAN),
    Row::honest(
        "signed_program_in_sealed_memory",
        "a signed program in a memory file that is sealed against change",
        |scene| sealed(scene, "bin/static"),
        SIGNED_RAN,
    ),
];

fn primitive(scene: &Scene, how: &str, fixture: &str) -> Result<Command> {
    Ok(scene.attack([how.as_ref(), scene.fixture(fixture).as_os_str()]))
}

fn sealed(scene: &Scene, fixture: &str) -> Result<Command> {
    Ok(scene.attack(["exec-memfd".as_ref(), "--sealed".as_ref(), scene.fixture(fixture).as_os_str()]))
}

fn without_a_name(scene: &Scene, fixture: &str) -> Result<Command> {
    Ok(scene.attack(["exec-tmpfile".as_ref(), scene.fixture(fixture).as_os_str(), scene.disk("").as_os_str()]))
}

fn deleted(scene: &Scene, fixture: &str) -> Result<Command> {
    Ok(scene.attack(["exec-deleted".as_ref(), scene.fixture(fixture).as_os_str(), scene.disk("deleted").as_os_str()]))
}

const fn untrusted(path: &'static str, twin: &'static str) -> (Trace, &'static str, &'static str) {
    (Trace::new(BprmCheckSecurity, Untrusted, Shown::Path(path)), EPERM, twin)
}

const fn volatile(twin: &'static str) -> (Trace, &'static str, &'static str) {
    (Trace::new(BprmCheckSecurity, VolatileFilesystem, Shown::Path("memfd:")), EPERM, twin)
}
