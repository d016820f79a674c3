//! Unsigned programs brought to where trusted ones are expected, by mounts and file systems of all kinds.

use std::fs;
use std::process::Command;

use anyhow::Result;
use enforcer_common::Hook::BprmCheckSecurity;
use enforcer_common::Reason::{self, ForeignFilesystem, Untrusted, VolatileFilesystem};

use super::{EPERM, Row, SIGNED_RAN, Shown, Trace, UNSIGNED_RAN};
use crate::scene::Scene;

pub const ROWS: &[Row] = &[
    attack(
        "unsigned_program_mounted_over_a_signed_one",
        "an unsigned program mounted over a signed one",
        |scene| bound(scene, "unsigned/program"),
        BY_BIND,
    ),
    attack(
        "unsigned_program_in_namespaces_of_a_users_own",
        "an unsigned program mounted over a signed one by an ordinary user, in namespaces of their own",
        |scene| namespaces(scene, "mount --bind {unsigned} {signed} && exec {signed}"),
        (Untrusted, "bin/program", "signed_program_in_namespaces_of_a_users_own"),
    ),
    attack(
        "unsigned_program_on_a_users_own_tmpfs",
        "an unsigned program on a tmpfs that an ordinary user mounted",
        |scene| namespaces(scene, "mount -t tmpfs none {folder} && cp {unsigned} {folder}/program && exec {folder}/program"),
        (VolatileFilesystem, "program", "signed_program_in_namespaces_of_a_users_own"),
    ),
    attack("unsigned_program_on_a_loop_device", "an unsigned program on ext4 on a loop device", |scene| looped(scene, "unsigned"), LOOP),
    attack("unsigned_program_on_squashfs", "an unsigned program on squashfs", |scene| squashed(scene, "unsigned"), SQUASHFS),
    attack(
        "unsigned_program_remounted_exec",
        "an unsigned program on a mount from which noexec and nosuid are taken",
        |scene| remounted(scene, "unsigned"),
        REMOUNT,
    ),
    attack(
        "unsigned_program_on_an_idmapped_mount",
        "an unsigned program on a mount that maps its owner",
        |scene| idmapped(scene, "unsigned"),
        IDMAPPED,
    ),
    attack(
        "program_on_fuse_that_changes_its_face",
        "a program on FUSE whose bytes are signed at the first reading and others later",
        |scene| fuse(scene, "bin/static", "unsigned/static"),
        (ForeignFilesystem, "fuse/program", "copy_of_a_signed_program"),
    ),
    Row::honest("signed_program_mounted_over_another", "a signed program mounted over another", |scene| bound(scene, "bin/detached"), SIGNED_RAN),
    Row::honest(
        "signed_program_in_namespaces_of_a_users_own",
        "a signed program started by an ordinary user in namespaces of their own",
        |scene| namespaces(scene, "mount --bind {signed} {signed} && exec {signed}"),
        SIGNED_RAN,
    ),
    Row::honest("signed_program_on_a_loop_device", "a signed program on ext4 on a loop device", |scene| looped(scene, "bin"), SIGNED_RAN),
    Row::honest("signed_program_on_squashfs", "a signed program on squashfs", |scene| squashed(scene, "bin"), SIGNED_RAN),
    Row::honest(
        "signed_program_remounted_exec",
        "a signed program on a mount from which noexec is taken",
        |scene| remounted(scene, "bin"),
        SIGNED_RAN,
    ),
    Row::honest("signed_program_on_an_idmapped_mount", "a signed program on a mount that maps its owner", |scene| idmapped(scene, "bin"), SIGNED_RAN),
];

const BY_BIND: (Reason, &str, &str) = (Untrusted, "bin/program", "signed_program_mounted_over_another");
const LOOP: (Reason, &str, &str) = (Untrusted, "mounted/program", "signed_program_on_a_loop_device");
const SQUASHFS: (Reason, &str, &str) = (Untrusted, "mounted/program", "signed_program_on_squashfs");
const REMOUNT: (Reason, &str, &str) = (Untrusted, "folder/program", "signed_program_remounted_exec");
const IDMAPPED: (Reason, &str, &str) = (Untrusted, "mounted/program", "signed_program_on_an_idmapped_mount");

const fn attack(
    name: &'static str,
    title: &'static str,
    command: fn(&Scene) -> Result<Command>,
    (reason, path, twin): (Reason, &'static str, &'static str),
) -> Row {
    Row::attack(name, title, command, UNSIGNED_RAN, (Trace::new(BprmCheckSecurity, reason, Shown::Path(path)), EPERM, twin))
}

fn bound(scene: &Scene, fixture: &str) -> Result<Command> {
    let [from, over] = [fixture, "bin/program"].map(|name| scene.fixture(name).display().to_string());
    super::privately(&format!("mount --bind {from} {over} && exec {over}"))
}

/// A shell's script as the user nobody, who is root in a user namespace of their own.
fn namespaces(scene: &Scene, script: &str) -> Result<Command> {
    let names = [("{unsigned}", scene.fixture("unsigned/program")), ("{signed}", scene.fixture("bin/program")), ("{folder}", "/mnt".into())];
    let script = names.into_iter().fold(script.to_owned(), |script, (name, path)| script.replace(name, &path.display().to_string()));
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "--user", "--map-root-user", "--mount", "bash", "-c", &script]);
    Ok(command)
}

/// A folder with a copy of the program, and an empty one to mount it on.
fn folders(scene: &Scene, from: &str) -> Result<[String; 2]> {
    for folder in ["folder", "mounted"] {
        fs::create_dir(scene.disk(folder))?;
    }
    scene.copy(&format!("{from}/program"), "folder/program")?;
    Ok(["folder", "mounted"].map(|name| scene.disk(name).display().to_string()))
}

fn looped(scene: &Scene, from: &str) -> Result<Command> {
    let ([folder, mounted], image) = (folders(scene, from)?, scene.disk("image"));
    let image = image.display();
    super::privately(&format!(
        "set -e; modprobe loop; truncate -s 8M {image}; mkfs.ext4 -q -d {folder} {image}; mount -o loop {image} {mounted}; exec {mounted}/program"
    ))
}

fn squashed(scene: &Scene, from: &str) -> Result<Command> {
    let ([folder, mounted], image) = (folders(scene, from)?, scene.disk("image"));
    let image = image.display();
    super::privately(&format!(
        "set -e; modprobe loop; mksquashfs {folder} {image} -quiet -no-progress; mount -t squashfs -o loop {image} {mounted}; exec {mounted}/program"
    ))
}

fn remounted(scene: &Scene, from: &str) -> Result<Command> {
    let [folder, _] = folders(scene, from)?;
    super::privately(&format!(
        "set -e; mount --bind {folder} {folder}; mount -o remount,bind,noexec,nosuid {folder}; ! {folder}/program 2> /dev/null; \
        mount -o remount,bind,exec,suid {folder}; exec {folder}/program"
    ))
}

fn idmapped(scene: &Scene, from: &str) -> Result<Command> {
    let ([folder, mounted], tool) = (folders(scene, from)?, scene.tool().display());
    super::privately(&format!("exec {tool} attack idmapped-exec {folder} {mounted} program"))
}

fn fuse(scene: &Scene, first: &str, then: &str) -> Result<Command> {
    let ([first, then], tool, folder) =
        ([first, then].map(|name| scene.fixture(name).display().to_string()), scene.tool().display(), scene.disk("fuse"));
    fs::create_dir(&folder)?;
    super::privately(&format!("modprobe fuse; exec {tool} attack fuse-exec {first} {then} {}", folder.display()))
}
