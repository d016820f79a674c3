//! RPM packages, made by `rpmbuild` and by the library's own builder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use enforcer::inventory::rpm::{RpmError, read};
use enforcer::inventory::{ArchiveError, Bounds};

use crate::workshop::{Workshop, code, status, stderr};

/// A package of a folder, by `rpmbuild`.
fn build(workshop: &Workshop, tree: &Path, payload: &str) -> PathBuf {
    let spec = format!(
        "Name: tool\nVersion: 1\nRelease: 1\nSummary: a tool\nLicense: MIT\nBuildArch: noarch\n%define _binary_payload {payload}\n\
         %define __os_install_post %{{nil}}\n%define _build_id_links none\n%define _binaries_in_noarch_packages_terminate_build 0\nAutoReqProv: no\n\
         %description\nA tool.\n%install\ncp -a {tree}/. %{{buildroot}}\n%files\n%defattr(-,root,root)\n/usr\n/etc\n",
        tree = tree.display()
    );
    workshop.file("tool.spec", spec);
    let top = workshop.path("rpmbuild");
    _ = fs::remove_dir_all(&top);
    let define = |name: &str, value: &Path| format!("{name} {}", value.display());
    let (top, database) = (define("_topdir", &top), define("_dbpath", &workshop.path("rpmdb")));
    workshop.run("rpmbuild", &["-bb", "--quiet", "--define", &top, "--define", &database, "tool.spec"]);
    workshop.path("rpmbuild/RPMS/noarch/tool-1-1.noarch.rpm")
}

/// What `rpm2cpio` and `cpio` unpack is what is listed.
fn agrees_with_rpm(workshop: &Workshop, package: &Path) {
    let unpacked = workshop.path("unpacked");
    _ = fs::remove_dir_all(&unpacked);
    fs::create_dir(&unpacked).unwrap();
    let script = format!("rpm2cpio {} | (cd {} && cpio -idm --quiet)", package.display(), unpacked.display());
    workshop.run("sh", &["-euc", &script]);
    let expected = workshop.digests_of_code(&unpacked);
    assert!(!expected.is_empty());
    assert_eq!(workshop.create(&[package.to_str().unwrap()]), expected, "{}", package.display());
}

#[test]
fn the_code_in_packages_of_every_compression_is_listed_as_rpm_would_install_it() {
    let workshop = Workshop::new();
    let tree = workshop.tree("tree");
    for payload in ["w9.gzdio", "w6.xzdio", "w19.zstdio", "w.ufdio"] {
        let package = build(&workshop, &tree, payload);
        agrees_with_rpm(&workshop, &package);
        let listed = workshop.create(&[package.to_str().unwrap()]);
        assert_eq!(listed["/usr/bin/alias"], listed["/usr/bin/tool"], "{payload}: a hard link has the content of what it links to");
        assert!(!listed.contains_key("/usr/bin/link") && !listed.contains_key("/etc/tool.conf"), "{listed:?}");
    }
}

/// A package with one script, by the library's builder.
fn small() -> Vec<u8> {
    let script = rpm::FileOptions::new("/usr/bin/script").permissions(0o755);
    let configuration = rpm::BuildConfig::default().compression(rpm::CompressionType::Gzip);
    let mut builder = rpm::PackageBuilder::new("tool", "1", "MIT", "noarch", "a tool");
    builder.using_config(configuration).with_file_contents("#!/bin/sh\n", script).unwrap();
    let mut bytes = Vec::new();
    builder.build().unwrap().write(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_package_of_the_librarys_builder_is_listed() {
    let workshop = Workshop::new();
    workshop.file("tool.rpm", small());
    workshop.file("script", "#!/bin/sh\n");
    fs::set_permissions(workshop.path("script"), fs::Permissions::from_mode(0o755)).unwrap();
    let sum = String::from_utf8(workshop.run("sha256sum", &["script"])).unwrap();
    assert_eq!(workshop.create(&["tool.rpm"])["/usr/bin/script"], sum[..64]);
}

#[test]
fn a_package_cut_off_or_changed_anywhere_is_refused_and_never_panics() {
    let package = small();
    let whole = code(&read(&package[..], &Bounds::default()).unwrap());
    for length in (0..package.len()).step_by(64).chain(package.len() - 8..package.len()) {
        assert!(read(&package[..length], &Bounds::default()).is_err(), "{length} of {}", package.len());
    }
    let mut changed = package.clone();
    for at in 0..package.len() {
        for change in [0x01, 0x80, 0xff] {
            changed[at] ^= change;
            if let Ok(contents) = read(&changed[..], &Bounds::default()) {
                assert_eq!(code(&contents), whole, "byte {at}: what is accepted has the same files, since the header's digest holds");
            }
            changed[at] ^= change;
        }
    }
}

#[test]
fn headers_that_announce_more_than_there_is_are_refused_at_once() {
    let package = small();
    let whole = code(&read(&package[..], &Bounds::default()).unwrap());
    // The number of entries and the size of the store, then the fields of the first entries, of both headers.
    let signature = 96;
    let size = |at: usize| u32::from_be_bytes(package[at..at + 4].try_into().unwrap()) as usize;
    let main = signature + 16 + size(signature + 8) * 16 + size(signature + 12).next_multiple_of(8);
    for header in [signature, main] {
        for field in (8..16).step_by(4).chain((16..16 + 16 * 12).step_by(4)) {
            for number in [0_u32, 1, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
                let mut broken = package.clone();
                broken[header + field..header + field + 4].copy_from_slice(&number.to_be_bytes());
                let outcome = read(&broken[..], &Bounds::default());
                // An entry of the signature's header that nobody asks for may say what it likes.
                let harmless =
                    broken == package || (header == signature && field >= 16 && outcome.as_ref().is_ok_and(|contents| code(contents) == whole));
                assert!(outcome.is_err() || harmless, "header {header}, field {field}, {number:#x}");
            }
        }
    }
}

#[test]
fn bombs_and_packages_that_are_none_are_refused_with_a_remedy() {
    let workshop = Workshop::new();
    let tree = workshop.path("tree");
    fs::create_dir_all(tree.join("usr/bin")).unwrap();
    fs::create_dir_all(tree.join("etc")).unwrap();
    fs::File::create(tree.join("usr/bin/zeros")).unwrap().set_len(64 << 20).unwrap();
    let bounds = Bounds { unpacked_freely: 1 << 20, ratio: 100, ..Bounds::default() };
    let bomb = fs::read(build(&workshop, &tree, "w9.gzdio")).unwrap();
    assert!(matches!(read(&bomb[..], &bounds), Err(RpmError::Files(ArchiveError::Bomb { .. }))));
    let few = Bounds { entries: 2, ..Bounds::default() };
    assert!(matches!(read(&bomb[..], &few), Err(RpmError::Files(ArchiveError::TooManyEntries { limit: 2 }))));
    workshop.file("text.rpm", "not a package, but long enough to be one: ".repeat(10));
    let output = workshop.enforcer(&["manifest", "create", "text.rpm"]);
    assert_eq!(status(&output), 2);
    assert!(stderr(&output).contains("it is no RPM package") && stderr(&output).contains("hint"), "{}", stderr(&output));
}
