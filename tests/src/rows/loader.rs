//! Other kinds of program, odd `#!` lines, and formats of one's own: whatever else `execve` starts.

use std::process::Command;

use anyhow::Result;
use enforcer_common::Hook::{BprmCheckSecurity, MmapFile};
use enforcer_common::Reason::{Untrusted, WritableAndExecutable};

use super::{EPERM, Row, SIGNED_RAN, Shown, Trace, UNSIGNED_ANSWERED, UNSIGNED_RAN};
use crate::fixtures::odd::MAGIC;
use crate::scene::Scene;

pub const ROWS: &[Row] = &[
    attack(
        "unsigned_static_pie_program",
        "an unsigned static program at any address",
        |scene| exec(scene, "unsigned/static-pie"),
        "unsigned/static-pie",
        "signed_static_pie_program",
    ),
    attack(
        "unsigned_32_bit_program",
        "an unsigned program of 32 bits",
        |scene| exec(scene, "unsigned/ia32"),
        "unsigned/ia32",
        "signed_32_bit_program",
    ),
    attack(
        "unsigned_script_with_spaces_and_arguments",
        "an unsigned script whose #! line has spaces and arguments",
        |scene| exec(scene, "unsigned/spaces.sh"),
        "unsigned/spaces.sh",
        "signed_script_with_spaces_and_arguments",
    ),
    attack(
        "unsigned_script_for_the_program_itself",
        "an unsigned script whose interpreter is /proc/self/exe",
        |scene| itself(scene, "unsigned/itself.py"),
        "unsigned/itself.py",
        "signed_script_for_the_program_itself",
    ),
    attack(
        "unsigned_script_as_interpreter",
        "a signed script whose interpreter is an unsigned script",
        |scene| exec(scene, "bin/nested-unsigned.sh"),
        "unsigned/script.sh",
        "signed_script_as_interpreter",
    ),
    attack(
        "unsigned_interpreter_by_binfmt_misc",
        "a signed file, and a binfmt with an unsigned interpreter",
        |scene| binfmt(scene, "", "unsigned/program", "bin/magic"),
        "unsigned/program",
        BINFMT,
    ),
    attack(
        "unsigned_interpreter_by_binfmt_misc_opened_before",
        "a signed file, and a binfmt whose unsigned interpreter was opened at registration (F)",
        |scene| binfmt(scene, "F", "unsigned/program", "bin/magic"),
        "unsigned/program",
        BINFMT,
    ),
    attack(
        "unsigned_interpreter_by_binfmt_misc_with_descriptor",
        "a signed file, and a binfmt whose unsigned interpreter gets the open file (O)",
        |scene| binfmt(scene, "O", "unsigned/program", "bin/magic"),
        "unsigned/program",
        BINFMT,
    ),
    attack(
        "unsigned_file_by_binfmt_misc",
        "an unsigned file, and a binfmt with a signed interpreter",
        |scene| binfmt(scene, "F", "bin/program", "unsigned/magic"),
        "unsigned/magic",
        BINFMT,
    )
    .with_proof(SIGNED_RAN),
    Row::absent("a_out_program", "a program in the format a.out", |scene| unknown(scene, "bin/a.out"), UNSIGNED_RAN, ENOEXEC),
    Row::absent("flat_program", "a program in the flat format", |scene| unknown(scene, "bin/flat"), UNSIGNED_RAN, ENOEXEC),
    Row::absent("x32_program", "a program with short pointers (x32)", |scene| unknown(scene, "bin/x32"), UNSIGNED_RAN, ENOEXEC),
    Row::attack(
        "unsigned_library_by_uselib",
        "an unsigned library by the system call uselib",
        |scene| Ok(scene.attack(["uselib".as_ref(), scene.fixture("unsigned/uselib").as_os_str()])),
        UNSIGNED_ANSWERED,
        (Trace::new(MmapFile, WritableAndExecutable, Shown::Path("unsigned/uselib")), EPERM, "signed_library_by_dlopen"),
    ),
    Row::honest("signed_static_pie_program", "a signed static program at any address", |scene| exec(scene, "bin/static-pie"), SIGNED_RAN),
    Row::honest("signed_32_bit_program", "a signed program of 32 bits", |scene| exec(scene, "bin/ia32"), SIGNED_RAN),
    Row::honest(
        "signed_script_with_spaces_and_arguments",
        "a signed script whose #! line has spaces and arguments",
        |scene| exec(scene, "bin/spaces.sh"),
        SIGNED_RAN,
    ),
    Row::honest(
        "signed_script_for_the_program_itself",
        "a signed script whose interpreter is /proc/self/exe",
        |scene| itself(scene, "bin/itself.py"),
        SIGNED_RAN,
    ),
    Row::honest(
        "signed_script_as_interpreter",
        "a signed script whose interpreter is a signed script",
        |scene| exec(scene, "bin/nested-bin.sh"),
        SIGNED_RAN,
    ),
    Row::honest(BINFMT, "a signed file, and a binfmt with a signed interpreter", |scene| binfmt(scene, "F", "bin/program", "bin/magic"), SIGNED_RAN),
];

const fn attack(name: &'static str, title: &'static str, command: fn(&Scene) -> Result<Command>, path: &'static str, twin: &'static str) -> Row {
    Row::attack(name, title, command, UNSIGNED_RAN, (Trace::new(BprmCheckSecurity, Untrusted, Shown::Path(path)), EPERM, twin))
}

fn exec(scene: &Scene, fixture: &str) -> Result<Command> {
    Ok(scene.attack(["exec".as_ref(), scene.fixture(fixture).as_os_str()]))
}

/// Without the C library, which takes what the kernel does not know for a script.
fn unknown(scene: &Scene, fixture: &str) -> Result<Command> {
    Ok(scene.attack(["execveat".as_ref(), scene.fixture(fixture).as_os_str()]))
}

/// Python starts a script whose interpreter is Python.
fn itself(scene: &Scene, fixture: &str) -> Result<Command> {
    let mut command = Command::new("python3");
    command.args(["-I", "-c", "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"]).arg(scene.fixture(fixture));
    Ok(command)
}

/// Registers an interpreter with a binfmt_misc that nobody else sees, and starts a file.
fn binfmt(scene: &Scene, flags: &str, interpreter: &str, file: &str) -> Result<Command> {
    let [tool, interpreter, file] = [scene.tool().to_owned(), scene.fixture(interpreter), scene.fixture(file)].map(|path| path.display().to_string());
    let script = format!(
        "set -e
        mount -t binfmt_misc none {FOLDER}
        [ ! -e {FOLDER}/enforcer ] || echo -1 > {FOLDER}/enforcer
        echo ':enforcer:M::{MAGIC}::{interpreter}:{flags}' > {FOLDER}/register
        exec {tool} attack exec {file}"
    );
    super::privately(&script)
}

const BINFMT: &str = "signed_file_by_binfmt_misc";
const FOLDER: &str = "/proc/sys/fs/binfmt_misc";
const ENOEXEC: &str = "Exec format error";
