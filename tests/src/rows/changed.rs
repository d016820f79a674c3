//! Trusted libraries that change between two uses, in the ways that a cache of measurements could miss.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;
use enforcer_common::Hook::{FileMprotect, InodeInitSecurityAnon, MmapFile};
use enforcer_common::Reason::{AnonymousMemory, ModifiedPages, OpenForWriting, SuppliedPages, Untrusted, WritableAndExecutable};

use super::{EPERM, FOREIGN_RAN, Row, SIGNED_ANSWERED, Shown, Trace, UNSIGNED_ANSWERED};
use crate::scene::Scene;
use crate::service;

pub const ROWS: &[Row] = &[
    // What was cut off or zeroed is not needed to run: the function is the signed one, and the file is not.
    attack("trusted_library_with_a_hole", "a hole punched into a known library", |scene| change(scene, "punch-hole", None))
        .with_proof(SIGNED_ANSWERED),
    attack("trusted_library_zeroed_by_fallocate", "a range of a known library zeroed by fallocate", |scene| change(scene, "zero-range", None))
        .with_proof(SIGNED_ANSWERED),
    attack("trusted_library_truncated", "a known library cut off by truncate", |scene| change(scene, "truncate", None)).with_proof(SIGNED_ANSWERED),
    attack("trusted_library_spliced_into", "code spliced into a known library from a pipe", |scene| change(scene, "splice", None)),
    attack("trusted_library_written_through_a_hard_link", "a known library changed through another name of it", |scene| {
        change(scene, "hard-link", None)
    }),
    attack("trusted_library_removed_and_made_anew", "a known library removed, and another by its name", |scene| {
        change(scene, "recreate", Some("unsigned/libanswer.so"))
    }),
    attack("trusted_library_whose_inode_is_used_again", "a known library removed, and another with its inode number", |scene| {
        change(scene, "reuse-inode", Some("unsigned/libanswer.so"))
    }),
    attack("trusted_library_reflinked", "a known library on xfs given the blocks of another (FICLONE)", |scene| {
        reflinked(scene, "unsigned/libanswer.so")
    }),
    Row::attack(
        "trusted_library_rewritten_for_a_child",
        "a trusted library rewritten in memory, and made executable by a child process",
        |scene| Ok(scene.attack(["cow-in-a-child".as_ref(), scene.fixture("lib/libanswer.so").as_os_str()])),
        UNSIGNED_ANSWERED,
        (Trace::of_another(FileMprotect, ModifiedPages, Shown::Path("libanswer.so")), EPERM, "signed_library_mapped"),
    ),
    Row::attack(
        "userfaultfd_supplies_executable_memory",
        "executable memory whose page is supplied by userfaultfd",
        |scene| Ok(scene.attack(["supply-anonymous".as_ref()])),
        FOREIGN_RAN,
        (Trace::new(MmapFile, AnonymousMemory, Shown::Nothing), EPERM, "anonymous_data"),
    ),
    Row::attack(
        "userfaultfd_supplies_a_page_of_a_sealed_library",
        "a trusted library in a sealed memory file, and a page of its mapping supplied by userfaultfd",
        |scene| Ok(scene.attack(["supply-sealed".as_ref(), scene.fixture("lib/libanswer.so").as_os_str()])),
        UNSIGNED_ANSWERED,
        (Trace::new(InodeInitSecurityAnon, SuppliedPages, Shown::Nothing), EPERM, "signed_library_in_sealed_memory"),
    ),
    Row::attack(
        "read_implies_exec_by_remap_file_pages",
        "an unsigned file mapped shared, and mapped anew by remap_file_pages with READ_IMPLIES_EXEC",
        |scene| Ok(scene.attack(["remap-file-pages".as_ref(), scene.copy("unsigned/libanswer.so", "libanswer.so")?.as_os_str()])),
        UNSIGNED_ANSWERED,
        (Trace::new(MmapFile, OpenForWriting, Shown::Path("libanswer.so")), EPERM, "signed_library_mapped"),
    ),
    Row::attack(
        "code_at_address_zero",
        "code at address 0, once vm.mmap_min_addr allows it",
        |scene| Ok(scene.attack(["address-zero".as_ref()])),
        FOREIGN_RAN,
        (Trace::new(MmapFile, WritableAndExecutable, Shown::Nothing), EPERM, "anonymous_data"),
    ),
    Row::honest(TWIN, "a known library changed to another trusted one", |scene| change(scene, "copy", Some("lib/libsays.so")), SIGNED_ANSWERED),
    Row::honest(
        "trusted_library_reflinked_to_another_trusted_one",
        "a known library on xfs given the blocks of another trusted one",
        |scene| reflinked(scene, "lib/libsays.so"),
        SIGNED_ANSWERED,
    ),
];

const fn attack(name: &'static str, title: &'static str, command: fn(&Scene) -> Result<Command>) -> Row {
    Row::attack(name, title, command, UNSIGNED_ANSWERED, (Trace::new(MmapFile, Untrusted, Shown::Path("libanswer.so")), EPERM, TWIN))
}

fn change(scene: &Scene, how: &str, to: Option<&str>) -> Result<Command> {
    let library = scene.copy("lib/libanswer.so", "libanswer.so")?;
    let mut arguments: Vec<OsString> = vec!["change".into(), how.into(), library.into()];
    arguments.extend(to.map(|to| scene.fixture(to).into_os_string()));
    Ok(scene.attack(arguments.iter().map(OsString::as_os_str)))
}

/// On a file system that shares blocks.
fn reflinked(scene: &Scene, to: &str) -> Result<Command> {
    let [tool, image, folder, library, to] =
        [scene.tool().to_owned(), scene.disk("image"), scene.disk("xfs"), scene.fixture("lib/libanswer.so"), scene.fixture(to)]
            .map(|path| path.display().to_string());
    // What takes its time is done before, so that the denial's own time can be judged.
    service::succeed("truncate", &["-s", "320M", &image])?;
    service::succeed("mkfs.xfs", &["-q", "-m", "reflink=1", &image])?;
    service::succeed("modprobe", &["-a", "loop", "xfs"])?;
    super::privately(&format!(
        "set -e
        mkdir {folder}
        mount -o loop {image} {folder}
        cp {library} {folder}/libanswer.so
        cp {to} {folder}/other
        # xfs moves a file's stamp once more when it writes the file back, which is too soon for a measurement.
        sync --file-system {folder}/other
        exec {tool} attack change reflink {folder}/libanswer.so {folder}/other"
    ))
}

const TWIN: &str = "trusted_library_changed_to_another_trusted_one";
