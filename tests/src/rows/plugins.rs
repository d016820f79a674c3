//! Plug-ins that nobody signed, brought into ordinary programs of the system by the ways that those have.

use std::fs;
use std::process::Command;

use anyhow::Result;
use enforcer_common::Hook::{FileMprotect, MmapFile};
use enforcer_common::Reason::{MadeExecutable, Untrusted};

use super::{EPERM, NOT_MAPPED, Row, SIGNED_ANSWERED, SIGNED_RAN, Shown, Trace, UNSIGNED_ANSWERED, UNSIGNED_RAN};
use crate::scene::{Scene, install};

pub const ROWS: &[Row] = &[
    attack(
        "unsigned_gconv_module",
        "an unsigned module for iconv, by GCONV_PATH",
        gconv,
        ("plugins/module.so", "conversion"),
        "gconv_module_of_the_system",
    ),
    attack(
        "unsigned_nss_module",
        "an unsigned name service for getent",
        |scene| nss(scene, "unsigned/libsays.so"),
        ("plugins/libnss_plugin.so.2", ""),
        "signed_nss_module",
    ),
    attack(
        "unsigned_openssl_provider",
        "an unsigned provider for openssl",
        |scene| provider(scene, &scene.fixture("unsigned/libsays.so").display().to_string()),
        ("plugins/plugin.so", NOT_MAPPED),
        "openssl_provider_of_the_system",
    ),
    attack(
        "unsigned_openssl_engine",
        "an unsigned engine for openssl",
        |scene| engine(scene, "unsigned/libsays.so"),
        ("plugins/plugin.so", NOT_MAPPED),
        "signed_openssl_engine",
    ),
    attack(
        "unsigned_library_by_perl",
        "an unsigned library loaded by Perl's DynaLoader",
        |scene| perl(scene, "unsigned/libsays.so"),
        ("unsigned/libsays.so", NOT_MAPPED),
        "signed_library_by_perl",
    ),
    attack(
        "unsigned_library_by_java",
        "an unsigned agent for Java's virtual machine",
        |scene| java(scene, "unsigned/libsays.so"),
        ("unsigned/libsays.so", NOT_MAPPED),
        "signed_library_by_java",
    ),
    Row::attack(
        "unsigned_library_opened_by_io_uring",
        "an unsigned library opened by io_uring, mapped executable",
        |scene| uring(scene, "uring-open", "unsigned/libanswer.so"),
        UNSIGNED_ANSWERED,
        (Trace::new(MmapFile, Untrusted, Shown::Path("unsigned/libanswer.so")), EPERM, "signed_library_opened_by_io_uring"),
    ),
    Row::attack(
        "unsigned_library_read_by_io_uring",
        "an unsigned library read into memory by io_uring, made executable",
        |scene| uring(scene, "uring-read", "unsigned/libanswer.so"),
        UNSIGNED_ANSWERED,
        (Trace::new(FileMprotect, MadeExecutable, Shown::Nothing), EPERM, "signed_library_opened_by_io_uring"),
    ),
    Row::honest(
        "gconv_module_of_the_system",
        "modules of the system for iconv",
        |_| super::bash("echo converted | iconv -f UTF-8 -t UTF-16 | iconv -f UTF-16 -t UTF-8"),
        "converted",
    ),
    Row::honest("signed_nss_module", "a signed name service for getent", |scene| nss(scene, "lib/libsays.so"), SIGNED_RAN),
    Row::honest(
        "openssl_provider_of_the_system",
        "a provider of the system for openssl",
        |scene| provider(scene, "/usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so"),
        "status: active",
    ),
    Row::honest("signed_openssl_engine", "a signed library in place of an engine for openssl", |scene| engine(scene, "lib/libsays.so"), SIGNED_RAN),
    Row::honest("signed_library_by_perl", "a signed library loaded by Perl's DynaLoader", |scene| perl(scene, "lib/libsays.so"), SIGNED_RAN),
    Row::honest("signed_library_by_java", "a signed agent for Java's virtual machine", |scene| java(scene, "lib/libsays.so"), SIGNED_RAN),
    Row::honest(
        "signed_library_opened_by_io_uring",
        "a signed library opened by io_uring, mapped executable",
        |scene| uring(scene, "uring-open", "lib/libanswer.so"),
        SIGNED_ANSWERED,
    ),
];

const fn attack(
    name: &'static str,
    title: &'static str,
    command: fn(&Scene) -> Result<Command>,
    (path, stopped): (&'static str, &'static str),
    twin: &'static str,
) -> Row {
    // The plug-in's host goes on or gives up in its own words, which are not always the loader's.
    Row::attack(name, title, command, UNSIGNED_RAN, (Trace::of_another(MmapFile, Untrusted, Shown::Path(path)), stopped, twin))
}

/// A copy of a file in a folder of plug-ins, which is returned.
fn plugin(scene: &Scene, from: &str, name: &str) -> Result<String> {
    let folder = scene.disk("plugins");
    fs::create_dir_all(&folder)?;
    install(&scene.fixture(from), &folder.join(name))?;
    Ok(folder.display().to_string())
}

fn gconv(scene: &Scene) -> Result<Command> {
    let folder = plugin(scene, "unsigned/libsays.so", "module.so")?;
    fs::write(scene.disk("plugins/gconv-modules"), "module PLUGIN// INTERNAL module 1\nmodule INTERNAL PLUGIN// module 1\n")?;
    super::bash(&format!("echo text | GCONV_PATH={folder} iconv -f UTF-8 -t PLUGIN; exit 0"))
}

fn nss(scene: &Scene, from: &str) -> Result<Command> {
    let folder = plugin(scene, from, "libnss_plugin.so.2")?;
    super::bash(&format!("LD_LIBRARY_PATH={folder} getent -s plugin passwd nobody-of-this-name; exit 0"))
}

fn provider(scene: &Scene, from: &str) -> Result<Command> {
    let folder = plugin(scene, from, "plugin.so")?;
    super::bash(&format!("openssl list -providers -provider-path {folder} -provider plugin; exit 0"))
}

fn engine(scene: &Scene, from: &str) -> Result<Command> {
    let folder = plugin(scene, from, "plugin.so")?;
    super::bash(&format!("openssl engine -t -pre SO_PATH:{folder}/plugin.so -pre LOAD dynamic | tee /dev/stderr; exit 0"))
}

fn perl(scene: &Scene, from: &str) -> Result<Command> {
    let script = format!(
        "perl -MDynaLoader -e 'DynaLoader::dl_load_file($ARGV[0], 0) or die DynaLoader::dl_error()' {}; exit 0",
        scene.fixture(from).display()
    );
    super::bash(&script)
}

/// `-agentpath` is loaded as `System.load` loads what a class names.
fn java(scene: &Scene, fixture: &str) -> Result<Command> {
    let library = scene.fixture(fixture);
    super::bash(&format!("java -Xmx64m -XX:+DisplayVMOutputToStderr -agentpath:{} -version; exit 0", library.display()))
}

fn uring(scene: &Scene, how: &str, fixture: &str) -> Result<Command> {
    Ok(scene.attack([how.as_ref(), scene.fixture(fixture).as_os_str()]))
}
