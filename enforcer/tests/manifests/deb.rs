//! Debian packages, made by `dpkg-deb` and by Debian.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::workshop::{Digests, Workshop, is_code, status, stderr};

/// A package of a folder, by `dpkg-deb`.
pub fn build(workshop: &Workshop, tree: &Path, compression: &str) -> PathBuf {
    let control = tree.join("DEBIAN");
    fs::create_dir_all(&control).unwrap();
    fs::write(control.join("control"), "Package: tool\nVersion: 1:2-3\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: a tool\n")
        .unwrap();
    for script in ["preinst", "postrm"] {
        fs::write(control.join(script), format!("#!/bin/sh\necho {script}\n")).unwrap();
        workshop.run("chmod", &["755".as_ref(), control.join(script).as_os_str()]);
    }
    let package = workshop.path(&format!("tool-{compression}.deb"));
    let flag = format!("-Z{compression}");
    workshop.run("dpkg-deb", &["--root-owner-group".as_ref(), flag.as_ref(), "--build".as_ref(), tree.as_os_str(), package.as_os_str()]);
    fs::remove_dir_all(control).unwrap();
    package
}

/// What `dpkg-deb` unpacks is what is listed, with the maintainer scripts where dpkg runs them.
fn agrees_with_dpkg(workshop: &Workshop, package: &Path) {
    let unpacked = workshop.path("unpacked");
    _ = fs::remove_dir_all(&unpacked);
    workshop.run("dpkg-deb", &["-x".as_ref(), package.as_os_str(), unpacked.as_os_str()]);
    let mut expected = workshop.digests_of_code(&unpacked);
    assert!(!expected.is_empty());
    let control = workshop.path("control");
    _ = fs::remove_dir_all(&control);
    workshop.run("dpkg-deb", &["-e".as_ref(), package.as_os_str(), control.as_os_str()]);
    expected.extend(scripts(workshop, &control));
    assert_eq!(workshop.create(&[package.to_str().unwrap()]), expected, "{}", package.display());
}

/// The maintainer scripts in a folder, under the paths at which dpkg runs them.
fn scripts(workshop: &Workshop, control: &Path) -> Digests {
    let scripts: Vec<PathBuf> = fs::read_dir(control).unwrap().map(|entry| entry.unwrap().path()).filter(|path| is_code(path)).collect();
    if scripts.is_empty() {
        return Digests::default();
    }
    let sums = String::from_utf8(workshop.run("sha256sum", &scripts)).unwrap();
    let listed_as = |path: &str| format!("/var/lib/dpkg/tmp.ci/{}", Path::new(path).file_name().unwrap().to_str().unwrap());
    sums.lines().map(|line| (listed_as(&line[66..]), line[..64].to_owned())).collect()
}

#[test]
fn the_code_in_packages_of_every_compression_is_listed_as_dpkg_would_install_it() {
    let workshop = Workshop::new();
    let tree = workshop.tree("tree");
    for compression in ["xz", "zstd", "gzip", "none"] {
        let package = build(&workshop, &tree, compression);
        agrees_with_dpkg(&workshop, &package);
        let listed = workshop.create(&[package.to_str().unwrap()]);
        assert_eq!(listed["/usr/bin/alias"], listed["/usr/bin/tool"], "a hard link has the content of what it links to");
        assert!(!listed.contains_key("/usr/bin/link") && !listed.contains_key("/etc/tool.conf"), "{listed:?}");
        assert!(listed.contains_key("/var/lib/dpkg/tmp.ci/preinst") && !listed.contains_key("/var/lib/dpkg/tmp.ci/control"), "{listed:?}");
    }
}

#[test]
fn a_package_from_debian_is_listed_as_dpkg_unpacks_it() {
    let workshop = Workshop::new();
    // A machine whose package lists are missing or old reads them first.
    workshop.run("sh", &["-c", "download='apt-get download -q -o APT::Sandbox::User=root hello'; $download || { apt-get update -q && $download; }"]);
    let package = fs::read_dir(workshop.path("")).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some()).unwrap();
    agrees_with_dpkg(&workshop, &package);
}

#[test]
fn packages_and_folders_are_listed_together_and_nothing_twice() {
    let workshop = Workshop::new();
    let tree = workshop.tree("tree");
    let package = build(&workshop, &tree, "xz");
    let package = package.to_str().unwrap();
    let control = workshop.path("control");
    workshop.run("dpkg-deb", &["-e", package, control.to_str().unwrap()]);
    let mut expected = workshop.digests_of_code(&tree);
    expected.extend(scripts(&workshop, &control));
    for (path, digest) in workshop.digests_of_code(&tree) {
        expected.insert(format!("{}{path}", tree.display()), digest);
    }
    assert_eq!(workshop.create(&["tree", package]), expected);
    let twice = workshop.enforcer(&["manifest", "create", package, package]);
    let once = workshop.enforcer(&["manifest", "create", package]);
    assert_eq!(twice.stdout, once.stdout);
}

#[test]
fn links_between_folders_of_a_package_are_followed() {
    let workshop = Workshop::new();
    let tree = workshop.tree("tree");
    symlink("usr/bin", tree.join("bin")).unwrap();
    symlink("/bin", tree.join("sbin")).unwrap();
    let archive = workshop.path("data.tar");
    workshop.run("tar", &["-C".as_ref(), tree.as_os_str(), "-cf".as_ref(), archive.as_os_str(), ".".as_ref()]);
    let more = workshop.path("more");
    fs::create_dir_all(more.join("sbin")).unwrap();
    fs::write(more.join("sbin/script"), "#!/bin/sh\nanother\n").unwrap();
    workshop.run("chmod", &["755", more.join("sbin/script").to_str().unwrap()]);
    workshop.run("tar", &["-C".as_ref(), more.as_os_str(), "-rf".as_ref(), archive.as_os_str(), "sbin/script".as_ref()]);
    let package = assemble(&workshop, &[("debian-binary", b"2.0\n"), ("control.tar", b""), ("data.tar", &fs::read(&archive).unwrap())]);
    let listed = workshop.create(&[package.to_str().unwrap()]);
    let sum = String::from_utf8(workshop.run("sha256sum", &[more.join("sbin/script")])).unwrap();
    assert_eq!(listed["/usr/bin/script"], sum[..64], "{listed:?}");
}

/// Names and contents.
type Members<'a> = &'a [(&'a str, &'a [u8])];

/// An archive of these members, by `ar`.
pub fn assemble(workshop: &Workshop, members: Members<'_>) -> PathBuf {
    let package = workshop.path("assembled.deb");
    _ = fs::remove_file(&package);
    for (name, content) in members {
        workshop.file(name, content);
        workshop.run("ar", &["-qS", package.to_str().unwrap(), name]);
    }
    package
}

#[test]
fn what_is_no_package_is_refused_with_its_reason_and_no_manifest_is_made() {
    let workshop = Workshop::new();
    let tree = workshop.tree("tree");
    let data = workshop.path("data");
    workshop.run("tar", &["-C".as_ref(), tree.as_os_str(), "-cf".as_ref(), data.as_os_str(), ".".as_ref()]);
    let data = fs::read(data).unwrap();
    let data = data.as_slice();
    let members: [(Members<'_>, &str); 7] = [
        (&[("debian-binary", b"2.0\n"), ("control.tar", b"")], "ends before its files"),
        (&[("debian-binary", b"3.0\n"), ("control.tar", b""), ("data.tar", data)], "its format is `3.0`"),
        (&[("control.tar", b""), ("debian-binary", b"2.0\n"), ("data.tar", data)], "it begins with `control.tar`"),
        (&[("debian-binary", b"2.0\n"), ("control.tar", b""), ("data.tar", data), ("data.tar.xz", data)], "a member `data.tar.xz`"),
        (&[("debian-binary", b"2.0\n"), ("control.tar", b""), ("another", data), ("data.tar", data)], "a member `another`"),
        (&[("debian-binary", b"2.0\n"), ("control.tar", b""), ("data.tar", &data[..data.len() / 3])], "cannot be read"),
        (&[("debian-binary", b"2.0\n"), ("control.tar", b""), ("data.tar.bz2", b"BZh91AY&SY")], "bzip2"),
    ];
    for (members, message) in members {
        let package = assemble(&workshop, members);
        let output = workshop.enforcer(&["manifest", "create", package.to_str().unwrap(), "-o", "made.manifest"]);
        assert_eq!(status(&output), 2, "{message}: {}", stderr(&output));
        assert!(
            stderr(&output).contains(message) && stderr(&output).contains("hint") && stderr(&output).contains("no manifest was made"),
            "{}",
            stderr(&output)
        );
        assert!(!workshop.path("made.manifest").exists());
    }
    workshop.file("text.deb", "not a package");
    assert!(stderr(&workshop.enforcer(&["manifest", "create", "text.deb"])).contains("it is no Debian package"));
    assert_eq!(status(&workshop.enforcer(&["manifest", "create", "missing.deb"])), 3);
}
