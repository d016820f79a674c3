//! Libraries that nobody signed, brought into signed programs.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;
use enforcer_common::Hook::{FileMprotect, MmapFile};
use enforcer_common::Reason::{NotMeasured, Untrusted, VolatileFilesystem};

use super::{EPERM, MODIFIED_RAN, NOT_MAPPED, NOT_PRELOADED, Row, SIGNED_ANSWERED, SIGNED_RAN, Shown, Trace, UNSIGNED_ANSWERED, UNSIGNED_RAN};
use crate::scene::Scene;

pub const ROWS: &[Row] = &[
    Row::attack(
        "unsigned_library_by_dlopen",
        "an unsigned library by dlopen",
        |scene| primitive(scene, "dlopen", "unsigned/libanswer.so"),
        UNSIGNED_ANSWERED,
        untrusted("unsigned/libanswer.so", NOT_MAPPED, "signed_library_by_dlopen"),
    ),
    Row::attack(
        "modified_library_by_dlopen",
        "a signed library with one byte changed, by dlopen",
        |scene| primitive(scene, "dlopen", "modified/libsays.so"),
        MODIFIED_RAN,
        untrusted("modified/libsays.so", NOT_MAPPED, "signed_library_by_dlopen"),
    ),
    Row::attack(
        "unsigned_library_by_ctypes",
        "an unsigned library loaded by Python",
        |scene| ctypes(scene, "unsigned/libanswer.so"),
        UNSIGNED_ANSWERED,
        untrusted("unsigned/libanswer.so", NOT_MAPPED, "signed_library_by_ctypes"),
    ),
    Row::attack(
        "unsigned_library_by_ld_preload",
        "an unsigned library by LD_PRELOAD",
        |scene| with(scene, "LD_PRELOAD", "unsigned/libsays.so"),
        UNSIGNED_RAN,
        untrusted("unsigned/libsays.so", NOT_PRELOADED, "signed_library_by_ld_preload"),
    ),
    Row::attack(
        "unsigned_library_by_ld_audit",
        "an unsigned library by LD_AUDIT",
        |scene| with(scene, "LD_AUDIT", "unsigned/libsays.so"),
        UNSIGNED_RAN,
        untrusted("unsigned/libsays.so", "cannot be loaded as audit interface", "signed_library_by_ld_preload"),
    ),
    Row::attack(
        "unsigned_library_by_ld_library_path",
        "an unsigned library in the place of a signed one, by LD_LIBRARY_PATH",
        |scene| with(scene, "LD_LIBRARY_PATH", "unsigned"),
        UNSIGNED_ANSWERED,
        untrusted("unsigned/libanswer.so", NOT_MAPPED, "program_with_a_signed_library"),
    ),
    Row::attack(
        "unsigned_library_by_the_loaders_preload",
        "an unsigned library by `ld.so --preload`",
        |scene| loader(scene, &["--preload", "unsigned/libsays.so", "bin/asks"]),
        UNSIGNED_RAN,
        untrusted("unsigned/libsays.so", NOT_PRELOADED, "signed_program_by_the_loader"),
    ),
    Row::attack(
        "unsigned_program_by_the_loader",
        "an unsigned program by `ld.so ./program`",
        |scene| loader(scene, &["unsigned/program"]),
        UNSIGNED_RAN,
        untrusted("unsigned/program", NOT_MAPPED, "signed_program_by_the_loader"),
    ),
    Row::attack(
        "unsigned_library_mapped",
        "an unsigned library mapped executable without a loader",
        |scene| primitive(scene, "map", "unsigned/libanswer.so"),
        UNSIGNED_ANSWERED,
        untrusted("unsigned/libanswer.so", EPERM, "signed_library_mapped"),
    ),
    Row::attack(
        "unsigned_library_made_executable",
        "an unsigned library mapped readable and then made executable",
        |scene| primitive(scene, "map-then-protect", "unsigned/libmapped.so"),
        UNSIGNED_ANSWERED,
        (Trace::new(FileMprotect, NotMeasured, Shown::Path("libmapped.so")), EPERM, "known_library_made_executable"),
    ),
    Row::attack(
        "unsigned_library_in_memory",
        "an unsigned library in a memory file, by dlopen",
        |scene| primitive(scene, "dlopen-memfd", "unsigned/libanswer.so"),
        UNSIGNED_ANSWERED,
        volatile("signed_library_in_sealed_memory"),
    ),
    Row::attack(
        "signed_library_in_unsealed_memory",
        "a signed library in a memory file that can still be changed, by dlopen",
        |scene| primitive(scene, "dlopen-memfd", "lib/libanswer.so"),
        SIGNED_ANSWERED,
        volatile("signed_library_in_sealed_memory"),
    ),
    Row::honest("signed_library_by_dlopen", "a signed library by dlopen", |scene| primitive(scene, "dlopen", "lib/libanswer.so"), SIGNED_ANSWERED),
    Row::honest(
        "library_with_a_detached_signature",
        "a library with its signature beside it, by dlopen",
        |scene| primitive(scene, "dlopen", "lib/libdetached.so"),
        SIGNED_ANSWERED,
    ),
    Row::honest("signed_library_by_ctypes", "a signed library loaded by Python", |scene| ctypes(scene, "lib/libanswer.so"), SIGNED_ANSWERED),
    Row::honest("signed_library_by_ld_preload", "a signed library by LD_PRELOAD", |scene| with(scene, "LD_PRELOAD", "lib/libsays.so"), SIGNED_RAN),
    Row::honest(
        "program_with_a_signed_library",
        "a program that is linked with a library",
        |scene| with(scene, "LD_LIBRARY_PATH", "lib"),
        SIGNED_ANSWERED,
    ),
    Row::honest(
        "program_with_thirty_libraries",
        "a program that is linked with thirty libraries",
        |scene| Ok(Command::new(scene.fixture("bin/thirty"))),
        "the libraries answered 435",
    ),
    Row::honest("signed_program_by_the_loader", "a signed program by `ld.so ./program`", |scene| loader(scene, &["bin/program"]), SIGNED_RAN),
    Row::honest(
        "signed_library_mapped",
        "a signed library mapped executable without a loader",
        |scene| primitive(scene, "map", "lib/libanswer.so"),
        SIGNED_ANSWERED,
    ),
    Row::honest(
        "known_library_made_executable",
        "a signed library that was in use before, mapped readable and then made executable",
        known,
        SIGNED_ANSWERED,
    ),
    Row::honest(
        "signed_library_in_sealed_memory",
        "a signed library in a sealed memory file, by dlopen",
        |scene| Ok(scene.attack(["dlopen-memfd".as_ref(), "--sealed".as_ref(), scene.fixture("lib/libanswer.so").as_os_str()])),
        SIGNED_ANSWERED,
    ),
];

fn primitive(scene: &Scene, how: &str, fixture: &str) -> Result<Command> {
    Ok(scene.attack([how.as_ref(), scene.fixture(fixture).as_os_str()]))
}

fn known(scene: &Scene) -> Result<Command> {
    Ok(scene.attack(["map-then-protect".as_ref(), "--known".as_ref(), scene.fixture("lib/libanswer.so").as_os_str()]))
}

/// A signed program with a variable of the dynamic loader's.
fn with(scene: &Scene, variable: &str, fixture: &str) -> Result<Command> {
    let mut command = Command::new(scene.fixture("bin/asks"));
    command.env(variable, scene.fixture(fixture));
    Ok(command)
}

/// The dynamic loader as a program. Names with a slash are prepared files.
fn loader(scene: &Scene, arguments: &[&str]) -> Result<Command> {
    let settle = |argument: &&str| {
        if argument.contains('/') { scene.fixture(argument).into_os_string() } else { OsString::from(argument) }
    };
    let mut command = Command::new(super::LOADER);
    command.args(arguments.iter().map(settle));
    Ok(command)
}

fn ctypes(scene: &Scene, fixture: &str) -> Result<Command> {
    let mut command = Command::new("python3");
    command.args(["-I", "-c", "import ctypes, sys; print('the library answered', ctypes.CDLL(sys.argv[1]).answer())"]).arg(scene.fixture(fixture));
    Ok(command)
}

const fn untrusted(path: &'static str, stopped: &'static str, twin: &'static str) -> (Trace, &'static str, &'static str) {
    (Trace::new(MmapFile, Untrusted, Shown::Path(path)), stopped, twin)
}

const fn volatile(twin: &'static str) -> (Trace, &'static str, &'static str) {
    (Trace::new(MmapFile, VolatileFilesystem, Shown::Path("memfd:")), NOT_MAPPED, twin)
}
