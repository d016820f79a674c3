//! OCI images, made by `umoci` and `skopeo`, and by hand where they would not.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::workshop::{Digests, Workshop, status, stderr};

/// The files of an image, as `umoci` unpacks it.
fn as_umoci_unpacks(workshop: &Workshop, image: &str) -> Digests {
    let bundle = workshop.path("bundle");
    _ = fs::remove_dir_all(&bundle);
    workshop.run("umoci", &["unpack", "--rootless", "--image", image, bundle.to_str().unwrap()]);
    workshop.digests_of_code(&bundle.join("rootfs"))
}

/// An image `layout:v1` of two layers by `umoci`: the second one changes, adds and removes files.
fn image(workshop: &Workshop) -> &'static str {
    workshop.run("umoci", &["init", "--layout", "layout"]);
    workshop.run("umoci", &["new", "--image", "layout:v1"]);
    let tree = workshop.tree("tree");
    workshop.run("umoci", &["insert", "--rootless", "--image", "layout:v1", tree.join("usr").to_str().unwrap(), "/usr"]);
    let bundle = workshop.path("work");
    workshop.run("umoci", &["unpack", "--rootless", "--image", "layout:v1", bundle.to_str().unwrap()]);
    let root = bundle.join("rootfs");
    fs::remove_file(root.join("usr/bin/alias")).unwrap();
    fs::remove_dir_all(root.join("usr/lib")).unwrap();
    fs::write(root.join("usr/bin/script"), "#!/bin/sh\nanother\n").unwrap();
    fs::create_dir_all(root.join("usr/lib/tool")).unwrap();
    fs::copy("/bin/echo", root.join("usr/lib/tool/new")).unwrap();
    workshop.run("umoci", &["repack", "--image", "layout:v1", bundle.to_str().unwrap()]);
    "layout:v1"
}

#[test]
fn what_remains_of_an_images_layers_is_listed_as_umoci_unpacks_it() {
    let workshop = Workshop::new();
    let image = image(&workshop);
    let expected = as_umoci_unpacks(&workshop, image);
    assert!(expected.contains_key("/usr/lib/tool/new") && !expected.contains_key("/usr/bin/alias"), "{expected:?}");
    assert_eq!(workshop.create(&["--oci", image]), expected);
    assert_eq!(workshop.create(&["--oci", "layout"]), expected, "the only image needs no name");
    let index: Value = serde_json::from_slice(&fs::read(workshop.path("layout/index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    assert_eq!(workshop.create(&["--oci", &format!("layout@{digest}")]), expected);
}

#[test]
fn archives_and_other_compressions_made_by_skopeo_and_tar_hold_the_same_image() {
    let workshop = Workshop::new();
    let image = image(&workshop);
    let expected = as_umoci_unpacks(&workshop, image);
    workshop.run("skopeo", &["--insecure-policy", "copy", "-q", &format!("oci:{image}"), "oci-archive:image.tar:v1"]);
    assert_eq!(workshop.create(&["--oci", "image.tar:v1"]), expected);
    workshop.run("skopeo", &["--insecure-policy", "copy", "-q", "--dest-compress-format", "zstd", &format!("oci:{image}"), "oci:zstd:v1"]);
    workshop.run("sh", &["-euc", "grep -rq 'layer.v1.tar+zstd' zstd/blobs"]);
    assert_eq!(workshop.create(&["--oci", "zstd:v1"]), expected);
    workshop.run("tar", &["-C", "layout", "-cf", "plain.tar", "."]);
    assert_eq!(workshop.create(&["--oci", "plain.tar"]), expected);
}

/// A layout of layers given as scripts, each writing a tar archive to its stdout, with `sha256sum` for the digests.
struct ByHand<'a> {
    workshop: &'a Workshop,
    layout: PathBuf,
}

impl<'a> ByHand<'a> {
    fn new(workshop: &'a Workshop) -> Self {
        let layout = workshop.path("hand");
        fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
        Self { workshop, layout }
    }

    fn sum(&self, bytes: &[u8]) -> String {
        let path = self.workshop.file("to-sum", bytes);
        String::from_utf8(self.workshop.run("sha256sum", &[path])).unwrap()[..64].to_owned()
    }

    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let sum = self.sum(bytes);
        fs::write(self.layout.join("blobs/sha256").join(&sum), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": format!("sha256:{sum}"), "size": bytes.len() })
    }

    fn manifest(&self, layers: &[&str], architecture: &str) -> Value {
        let mut descriptors = Vec::new();
        let mut plain = Vec::new();
        for script in layers {
            let folder = tempfile::tempdir().unwrap();
            let archive = self.workshop.run("sh", &["-euc", &format!("cd {}; {script}", folder.path().display())]);
            plain.push(format!("sha256:{}", self.sum(&archive)));
            descriptors.push(self.blob("application/vnd.oci.image.layer.v1.tar", &archive));
        }
        self.manifest_of(descriptors, &plain, architecture)
    }

    fn manifest_of(&self, layers: Vec<Value>, plain: &[String], architecture: &str) -> Value {
        let config = json!({ "os": "linux", "architecture": architecture, "rootfs": { "type": "layers", "diff_ids": plain } });
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        self.blob("application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes())
    }

    fn index(&self, manifests: &[Value]) {
        fs::write(self.layout.join("index.json"), json!({ "schemaVersion": 2, "manifests": manifests }).to_string()).unwrap();
    }
}

fn paths(digests: &Digests) -> Vec<&str> {
    digests.keys().map(String::as_str).collect()
}

#[test]
fn whiteouts_take_away_what_lower_layers_have_and_nothing_of_their_own() {
    let workshop = Workshop::new();
    let by_hand = ByHand::new(&workshop);
    let script = |layers: &[&str]| {
        by_hand.index(&[by_hand.manifest(layers, "amd64")]);
        workshop.create(&["--oci", "hand", "--platform", "linux/amd64"])
    };
    let base = "mkdir -p a/b; for f in a/one a/two a/b/three; do echo $f > $f; chmod 755 $f; done; tar -cf - a";
    assert_eq!(paths(&script(&[base])), ["/a/b/three", "/a/one", "/a/two"]);
    assert_eq!(paths(&script(&[base, "mkdir a; touch a/.wh.one a/.wh.b; tar -cf - a"])), ["/a/two"]);
    let opaque = "mkdir a; echo new > a/new; chmod 755 a/new; touch a/.wh..wh..opq; tar -cf - a/new a/.wh..wh..opq";
    assert_eq!(paths(&script(&[base, opaque])), ["/a/new"], "a whiteout behind a file of its own layer");
    assert_eq!(paths(&script(&[base, "touch .wh.a; tar -cf - .wh.a", base])), ["/a/b/three", "/a/one", "/a/two"], "it may come back");
    assert_eq!(paths(&script(&[base, "echo x > a; chmod 755 a; tar -cf - a"])), ["/a"], "a file in the place of a folder");
    assert_eq!(paths(&script(&[base, "ln -s a c; tar -cf - c", "mkdir c; touch c/.wh.one; tar -cf - c/.wh.one"])), ["/a/b/three", "/a/two"]);
}

#[test]
fn the_platform_chooses_among_several_images() {
    let workshop = Workshop::new();
    let by_hand = ByHand::new(&workshop);
    let with_platform = |mut manifest: Value, architecture: &str| {
        manifest["platform"] = json!({ "os": "linux", "architecture": architecture });
        manifest
    };
    let layer = |name: &str| format!("echo x > {name}; chmod 755 {name}; tar -cf - {name}");
    let one = with_platform(by_hand.manifest(&[&layer("one")], "amd64"), "amd64");
    let two = with_platform(by_hand.manifest(&[&layer("two")], "arm64"), "arm64");
    let inner = json!({ "schemaVersion": 2, "manifests": [one, two] });
    let mut nested = by_hand.blob("application/vnd.oci.image.index.v1+json", inner.to_string().as_bytes());
    nested["annotations"] = json!({ "org.opencontainers.image.ref.name": "v1" });
    let mut alone = by_hand.manifest(&[&layer("three")], "amd64");
    alone["annotations"] = json!({ "org.opencontainers.image.ref.name": "v2" });
    by_hand.index(&[nested, alone]);
    assert_eq!(paths(&workshop.create(&["--oci", "hand:v1", "--platform", "linux/amd64"])), ["/one"]);
    assert_eq!(paths(&workshop.create(&["--oci", "hand:v1", "--platform", "linux/arm64"])), ["/two"]);
    assert_eq!(paths(&workshop.create(&["--oci", "hand:v2", "--platform", "linux/amd64"])), ["/three"]);
    assert_eq!(paths(&workshop.create(&["--oci", "hand:v1", "--oci", "hand:v2", "--platform", "linux/amd64"])), ["/one", "/three"]);
    for (arguments, message, hint) in [
        (["--oci", "hand:v1", "--platform", "linux/riscv64"], "it has linux/amd64, linux/arm64", "--platform"),
        (["--oci", "hand:v2", "--platform", "linux/arm64"], "no image for linux/arm64", "--platform"),
        (["--oci", "hand:v3", "--platform", "linux/amd64"], "it has v1, v2", "--oci DIR:TAG"),
        (["--oci", "hand", "--platform", "linux/amd64"], "several images: v1, v2", "--oci DIR:TAG"),
        (["--oci", "hand:v1", "--platform", "linux"], "OS/ARCHITECTURE", "--help"),
    ] {
        let output = workshop.enforcer(&[&["manifest", "create"], &arguments[..]].concat());
        assert_eq!(status(&output), 2, "{message}: {}", stderr(&output));
        assert!(stderr(&output).contains(message) && stderr(&output).contains(hint), "{message}: {}", stderr(&output));
    }
}

#[test]
fn every_blob_must_have_its_digest() {
    let workshop = Workshop::new();
    let by_hand = ByHand::new(&workshop);
    by_hand.index(&[by_hand.manifest(&["echo x > f; chmod 755 f; tar -cf - f"], "amd64")]);
    let create = || workshop.enforcer(&["manifest", "create", "--oci", "hand", "--platform", "linux/amd64", "-o", "made"]);
    assert_eq!(status(&create()), 0);
    fs::remove_file(workshop.path("made")).unwrap();
    let blobs: Vec<PathBuf> = fs::read_dir(by_hand.layout.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(blobs.len(), 3);
    for blob in blobs {
        let original = fs::read(&blob).unwrap();
        let mut changed = original.clone();
        changed[5] ^= 1;
        for (bytes, message) in [(changed.as_slice(), "has the digest"), (&original[..original.len() - 1], "its descriptor says")] {
            fs::write(&blob, bytes).unwrap();
            let output = create();
            assert_eq!(status(&output), 2, "{}", stderr(&output));
            assert!(stderr(&output).contains(message) && stderr(&output).contains("copy the image again"), "{}", stderr(&output));
        }
        fs::remove_file(&blob).unwrap();
        assert_eq!(status(&create()), 3, "{}", stderr(&create()));
        fs::write(&blob, original).unwrap();
    }
    assert!(!workshop.path("made").exists());
}

#[test]
fn layouts_that_were_made_to_do_harm_are_refused() {
    let workshop = Workshop::new();
    let by_hand = ByHand::new(&workshop);
    let refused = |message: &str| {
        let output = workshop.enforcer(&["manifest", "create", "--oci", "hand", "--platform", "linux/amd64"]);
        assert_eq!(status(&output), 2, "{message}: {}", stderr(&output));
        assert!(stderr(&output).contains(message) && stderr(&output).contains("hint"), "{message}: {}", stderr(&output));
    };
    for digest in ["sha256:../../../../etc/passwd", "sha256:00", "md5:00", "nothing", &format!("sha256:{}", "AB".repeat(32))] {
        by_hand.index(&[json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1 })]);
        refused("is no SHA-256 or SHA-512 digest");
    }
    // An index that is a manifest too, and one that holds itself cannot be made; a deep one can.
    let both = json!({ "manifests": [], "layers": [], "config": { "digest": "sha256:00", "size": 1 } });
    by_hand.index(&[by_hand.blob("application/vnd.oci.image.index.v1+json", both.to_string().as_bytes())]);
    refused("an index and an image manifest at once");
    let mut deep = by_hand.manifest(&["touch f; tar -cf - f"], "amd64");
    for _ in 0..8 {
        deep = by_hand.blob("application/vnd.oci.image.index.v1+json", json!({ "manifests": [deep] }).to_string().as_bytes());
    }
    by_hand.index(&[deep]);
    refused("too deep");
    by_hand.index(&[by_hand.manifest(&["echo x > f; tar -P -cf - --transform 's,f,../f,' f"], "amd64")]);
    refused("leads out of the archive");
    let strange = by_hand.blob("application/vnd.example", b"x");
    by_hand.index(&[by_hand.manifest_of(vec![strange], &["sha256:00".to_owned()], "amd64")]);
    refused("no file system layer");
    let archive = workshop.run("sh", &["-euc", "touch f; tar -cf - f"]);
    let layer = by_hand.blob("application/vnd.oci.image.layer.v1.tar", &archive);
    by_hand.index(&[by_hand.manifest_of(vec![layer.clone()], &[format!("sha256:{}", "00".repeat(32))], "amd64")]);
    refused("has the digest");
    by_hand.index(&[by_hand.manifest_of(vec![layer], &[], "amd64")]);
    refused("another number of layers");
    let large = by_hand.blob("application/vnd.oci.image.manifest.v1+json", " ".repeat(5 << 20).as_bytes());
    by_hand.index(&[large]);
    refused("more than 4194304");
    fs::write(by_hand.layout.join("index.json"), "[".repeat(100_000)).unwrap();
    refused("index.json");
    fs::write(by_hand.layout.join("oci-layout"), r#"{"imageLayoutVersion": "9"}"#).unwrap();
    refused("no image layout of version 1.0.0");
    workshop.file("archive", "no archive".repeat(100));
    let output = workshop.enforcer(&["manifest", "create", "--oci", "archive"]);
    assert_eq!(status(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("no tar archive of an image layout"), "{}", stderr(&output));
    assert_eq!(status(&workshop.enforcer(&["manifest", "create", "--oci", "missing"])), 3);
}

#[test]
fn an_archive_cut_off_anywhere_is_refused() {
    let workshop = Workshop::new();
    let by_hand = ByHand::new(&workshop);
    by_hand.index(&[by_hand.manifest(&["echo x > f; chmod 755 f; tar -cf - f"], "amd64")]);
    workshop.run("tar", &["-C", "hand", "-b1", "-cf", "whole.tar", "oci-layout", "blobs", "index.json"]);
    let whole = fs::read(workshop.path("whole.tar")).unwrap();
    let reference = enforcer::inventory::oci::Reference::parse(workshop.path("part.tar").to_str().unwrap());
    let platform = "linux/amd64".parse().unwrap();
    let read = |bytes: &[u8]| {
        fs::write(workshop.path("part.tar"), bytes).unwrap();
        enforcer::inventory::oci::read(&reference, &platform, &enforcer::inventory::Bounds::default(), &|_| ())
    };
    assert_eq!(read(&whole).unwrap().files[0].path, Path::new("/f"));
    // The last file ends before the two blocks of zeros that end the archive, and its own padding.
    let end = whole.len() - 1024 - 512 + fs::metadata(by_hand.layout.join("index.json")).unwrap().len() as usize % 512;
    for length in (0..end).step_by(64) {
        assert!(read(&whole[..length]).is_err(), "{length} of {}", whole.len());
    }
}
