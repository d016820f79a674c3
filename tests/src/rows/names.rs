//! Names that belong to a component: a trusted signature is not enough to go by the name of other software.
//!
//! The masquerader is a program that runs everywhere else. `tests/policy.toml` says which names are bound.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use enforcer_common::Hook::{BprmCheckSecurity, MmapFile};
use enforcer_common::Reason::{Untrusted, WrongComponent};

use super::{EPERM, NOT_MAPPED, Row, SIGNED_ANSWERED, SIGNED_RAN, Shown, Trace};
use crate::scene::{Scene, install};

pub const ROWS: &[Row] = &[
    Row::attack("program_copied_over_a_bound_name", "a signed program copied to another's name", copied, SIGNED_RAN, wrong("bound-server", BY_NAME)),
    Row::attack(
        "program_linked_to_a_bound_name",
        "a hard link of a signed program by another's name",
        linked,
        SIGNED_RAN,
        wrong("bound-server", BY_NAME),
    ),
    Row::attack("program_renamed_to_a_bound_name", "a signed program renamed to another's name", renamed, SIGNED_RAN, wrong("bound-server", BY_NAME)),
    Row::attack(
        "program_mounted_over_a_bound_name",
        "a signed program mounted over another's name",
        mounted,
        SIGNED_RAN,
        wrong("bound-server", BY_NAME),
    ),
    Row::attack(
        "program_mounted_twice_over_a_bound_name",
        "a signed program mounted over another, twice, by the dynamic loader",
        mounted_twice,
        SIGNED_RAN,
        (Trace::new(MmapFile, WrongComponent, Shown::Path("bound-server")), NOT_MAPPED, BY_NAME),
    ),
    Row::attack("program_called_by_a_bound_name", "a symbolic link of another's name", called, SIGNED_RAN, wrong("client", BY_NAME)),
    Row::attack("program_copied_over_a_bound_path", "a signed program copied to another's path", at_path, SIGNED_RAN, wrong("path-server", BY_PATH)),
    Row::attack(
        "program_mounted_over_a_bound_path",
        "a signed program mounted over another's path",
        mounted_at_path,
        SIGNED_RAN,
        wrong("path-server", BY_PATH),
    ),
    Row::attack("program_called_by_a_bound_path", "a symbolic link at another's path", called_by_path, SIGNED_RAN, wrong("client", BY_PATH)),
    Row::attack(
        "program_by_the_loader_by_a_bound_name",
        "a signed program by another's name, by `ld.so ./program`",
        by_loader,
        SIGNED_RAN,
        (Trace::new(MmapFile, WrongComponent, Shown::Path("bound-server")), NOT_MAPPED, BY_NAME),
    ),
    Row::attack(
        "library_by_a_bound_name",
        "a signed library by another's name, by dlopen",
        |scene| {
            let library = scene.copy("lib/libanswer.so", "libbound.so")?;
            Ok(scene.attack(["dlopen".as_ref(), library.as_os_str()]))
        },
        SIGNED_ANSWERED,
        (Trace::new(MmapFile, WrongComponent, Shown::Path("libbound.so")), NOT_MAPPED, BY_NAME),
    ),
    Row::attack(
        "component_by_the_wrong_signer",
        "a program with the right identifier by a signer that may not sign it",
        |scene| exec(scene, scene.copy("claims/server-by-another", "bound-server")?),
        SIGNED_RAN,
        (Trace::new(BprmCheckSecurity, Untrusted, Shown::Path("bound-server")), EPERM, BY_NAME),
    ),
    Row::honest(BY_NAME, "a component by its name", |scene| exec(scene, scene.copy("claims/server", "bound-server")?), SIGNED_RAN),
    Row::honest(BY_PATH, "a component at its path", |scene| exec(scene, bound(scene, "claims/server")?), SIGNED_RAN),
    Row::honest("component_by_another_name", "a component by a free name", |scene| exec(scene, scene.copy("claims/server", "free")?), SIGNED_RAN),
    Row::honest(
        "program_by_a_free_name",
        "a signed program by a name that begins like a bound one",
        |scene| exec(scene, scene.copy("bin/program", "bound-server2")?),
        SIGNED_RAN,
    ),
    Row::honest(
        "program_at_a_free_path",
        "a signed program whose path ends like a bound one",
        |scene| exec(scene, scene.copy("bin/program", "path-server")?),
        SIGNED_RAN,
    ),
    Row::honest(
        "script_that_is_no_component",
        "a script whose interpreter was not called by its name",
        |scene| exec(scene, scene.copy("bin/script.sh", "script")?),
        SIGNED_RAN,
    ),
];

const BY_NAME: &str = "component_by_its_name";
const BY_PATH: &str = "component_at_its_path";

fn exec(scene: &Scene, program: PathBuf) -> Result<Command> {
    Ok(scene.attack(["exec".as_ref(), program.as_os_str()]))
}

fn copied(scene: &Scene) -> Result<Command> {
    exec(scene, scene.copy("bin/program", "bound-server")?)
}

fn linked(scene: &Scene) -> Result<Command> {
    let link = scene.disk("bound-server");
    fs::hard_link(scene.copy("bin/program", "client")?, &link)?;
    exec(scene, link)
}

/// Known by its old name before.
fn renamed(scene: &Scene) -> Result<Command> {
    let client = scene.copy("bin/program", "client")?;
    crate::child::run(&mut Command::new(&client))?;
    fs::rename(client, scene.disk("bound-server"))?;
    exec(scene, scene.disk("bound-server"))
}

fn called(scene: &Scene) -> Result<Command> {
    symlink(scene.copy("bin/program", "client")?, scene.disk("bound-server"))?;
    exec(scene, scene.disk("bound-server"))
}

fn mounted(scene: &Scene) -> Result<Command> {
    mount(scene, scene.copy("claims/server", "bound-server")?, 1, "")
}

fn mounted_twice(scene: &Scene) -> Result<Command> {
    mount(scene, scene.copy("claims/server", "bound-server")?, 2, super::LOADER)
}

/// In a mount namespace of its own.
fn mount(scene: &Scene, over: PathBuf, times: usize, loader: &str) -> Result<Command> {
    let (client, over) = (scene.copy("bin/program", "client")?, over.display().to_string());
    let mounts = format!("mount --bind {} {over} && ", client.display()).repeat(times);
    let mut command = Command::new("unshare");
    command.args(["--mount", "bash", "-c", &format!("{mounts} exec {loader} {over}")]);
    Ok(command)
}

fn bound(scene: &Scene, fixture: &str) -> Result<PathBuf> {
    fs::create_dir_all(scene.disk("bound"))?;
    install(&scene.fixture(fixture), &scene.disk("bound/path-server"))
}

fn at_path(scene: &Scene) -> Result<Command> {
    exec(scene, bound(scene, "bin/program")?)
}

fn mounted_at_path(scene: &Scene) -> Result<Command> {
    mount(scene, bound(scene, "claims/server")?, 1, "")
}

fn called_by_path(scene: &Scene) -> Result<Command> {
    fs::create_dir_all(scene.disk("bound"))?;
    symlink(scene.copy("bin/program", "client")?, scene.disk("bound/path-server"))?;
    exec(scene, scene.disk("bound/path-server"))
}

fn by_loader(scene: &Scene) -> Result<Command> {
    let mut command = Command::new(super::LOADER);
    command.arg(scene.copy("bin/program", "bound-server")?);
    Ok(command)
}

const fn wrong(path: &'static str, twin: &'static str) -> (Trace, &'static str, &'static str) {
    (Trace::new(BprmCheckSecurity, WrongComponent, Shown::Path(path)), EPERM, twin)
}
