//! What the world's tools sign: `openssl cms`, `openssl smime`, the kernel's `sign-file` and `evmctl`; and what `openssl` says of ours.
//!
//! `evmctl` writes an extended attribute that only root may write, so that part needs root, as `cargo xtask test` in a machine of its own has it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::certificates::{Draft, Identity, NOW, basic_constraints, subject_key_id};
use crate::chains::replacing;
use crate::compare::{Accepted, Trust, Variant, Verdict, group, settle};
use crate::differences::Outcome;
use crate::keys::{Key, openssl_with_input};
use crate::scene::{Shelf, examine, pem, policy};

const CONTENT: &[u8] = b"#!/bin/sh\necho what is signed\n";
const KINDS: [&str; 5] = ["rsa2048", "rsa3072", "rsa4096", "p256", "p384"];

/// Root → intermediate → one signer for each kind of key, as files.
struct World {
    folder: TempDir,
    root: Identity,
    intermediate: Identity,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let root = Draft::authority("root").self_signed();
    let intermediate = Draft::authority("intermediate").signed_by(&root);
    fs::write(folder.path().join("chain.pem"), pem("CERTIFICATE", &intermediate.certificate)).unwrap();
    fs::write(folder.path().join("content"), CONTENT).unwrap();
    World { folder, root, intermediate }
});

impl World {
    fn signer(&self, kind: &str) -> Identity {
        let key = Key::shared(kind);
        let draft = replacing(Draft::leaf(kind), "2.5.29.14", Some(subject_key_id(&key))).key(key);
        let identity = draft.signed_by(&self.intermediate);
        fs::write(self.certificate(&identity), pem("CERTIFICATE", &identity.certificate)).unwrap();
        fs::write(self.key(&identity), openssl_with_input(&["pkey", "-inform", "DER"], &fs::read(identity.key.path()).unwrap())).unwrap();
        identity
    }

    fn certificate(&self, identity: &Identity) -> String {
        format!("{}/{:02x?}.pem", self.folder.path().display(), identity.serial)
    }

    fn key(&self, identity: &Identity) -> String {
        format!("{}/{:02x?}.key", self.folder.path().display(), identity.serial)
    }

    fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.folder.path().display())
    }

    /// `openssl cms -sign` or `smime -sign` with these arguments.
    fn openssl(&self, command: &str, signers: &[&Identity], arguments: &[&str]) -> Vec<u8> {
        let mut all =
            vec![command.to_owned(), "-sign".into(), "-binary".into(), "-in".into(), self.at("content"), "-certfile".into(), self.at("chain.pem")];
        for signer in signers {
            all.extend(["-signer".into(), self.certificate(signer), "-inkey".into(), self.key(signer)]);
            if arguments.contains(&"rsa_padding_mode:pss") {
                all.extend(arguments.chunks(2).take_while(|pair| pair[0] == "-keyopt").flatten().map(|word| (*word).to_owned()));
            }
        }
        let rest = arguments.chunks(2).skip_while(|pair| pair[0] == "-keyopt").flatten();
        all.extend(rest.map(|word| (*word).to_owned()));
        if !arguments.contains(&"PEM") {
            all.extend(["-outform".to_owned(), "DER".to_owned()]);
        }
        openssl_with_input(&all.iter().map(String::as_str).collect::<Vec<_>>(), &[])
    }

    fn variant(&self, name: String, signature: Vec<u8>) -> Variant {
        Variant::new(name, CONTENT, signature, &Trust::anchor(&self.root)).ought(Accepted)
    }
}

#[test]
fn openssl_signs() {
    let world = &*WORLD;
    let mut variants = Vec::new();
    for kind in KINDS {
        let signer = world.signer(kind);
        for md in ["sha256", "sha384", "sha512"] {
            for (style, arguments) in STYLES {
                let signature = world.openssl("cms", &[&signer], &[arguments, &["-md", md]].concat());
                let mut variant = world.variant(format!("cms/{kind}-{md}{style}"), signature);
                if arguments.contains(&"-nocerts") {
                    variant.trust = variant.trust.intermediates(&[&signer, &world.intermediate]);
                }
                variants.push(variant);
            }
        }
        let smime: [(&str, &[&str]); 3] = [("", &[]), ("-noattr", &["-noattr"]), ("-pem", &["-outform", "PEM"])];
        for (style, arguments) in smime {
            variants.push(world.variant(format!("smime/{kind}{style}"), world.openssl("smime", &[&signer], arguments)));
        }
    }
    for kind in ["rsa2048", "rsa3072", "rsa4096"] {
        let signer = world.signer(kind);
        for md in ["sha256", "sha384", "sha512"] {
            for (style, arguments) in [("", &[][..]), ("-noattr", &["-noattr"])] {
                let pss = ["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"];
                let signature = world.openssl("cms", &[&signer], &[&pss, arguments, &["-md", md]].concat());
                variants.push(world.variant(format!("pss/{kind}-{md}{style}"), signature));
            }
            let longest = ["-keyopt", "rsa_padding_mode:pss", "-md", md];
            let mut variant = world.variant(format!("pss-longest-salt/{kind}-{md}"), world.openssl("cms", &[&signer], &longest));
            variant.ours = None;
            variants.push(variant);
        }
    }
    let (first, second, third) = (world.signer("rsa2048"), world.signer("p256"), world.signer("p384"));
    for (name, signers) in [("two", vec![&first, &second]), ("three", vec![&first, &second, &third])] {
        for (style, arguments) in [("", &[][..]), ("-noattr", &["-noattr"]), ("-keyid", &["-keyid"]), ("-pem", &["-outform", "PEM"])] {
            variants.push(world.variant(format!("several/{name}{style}"), world.openssl("cms", &signers, arguments)));
        }
    }
    group("openssl-signs", "openssl", &variants);
}

const STYLES: [(&str, &[&str]); 9] = [
    ("", &[]),
    ("-noattr", &["-noattr"]),
    ("-keyid", &["-keyid"]),
    ("-nocerts", &["-nocerts"]),
    ("-stream", &["-stream"]),
    ("-stream-noattr", &["-stream", "-noattr"]),
    ("-pem", &["-outform", "PEM"]),
    ("-cades", &["-cades"]),
    ("-nosmimecap", &["-nosmimecap"]),
];

/// A tool that made a file, and whether it is accepted by us.
fn made(name: String, policy: &str, file: &Path, theirs: Verdict) -> Outcome {
    let (ours, our_reason) = examine(policy, file, NOW);
    Outcome { variant: name, ought: Some(theirs), ours, our_reason, theirs, their_reason: "by the tool".to_owned() }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// `scripts/sign-file` of whatever kernel's build tools are installed.
fn sign_file() -> PathBuf {
    let kbuild = fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path().join("scripts/sign-file"));
    kbuild.into_iter().find(|path| path.exists()).expect("the kernel's sign-file is needed: apt install linux-kbuild-*")
}

#[test]
fn the_kernel_s_sign_file_signs() {
    let (world, sign_file, shelf) = (&*WORLD, sign_file(), Shelf::new());
    let mut outcomes = Vec::new();
    for kind in KINDS {
        let signer = world.signer(kind);
        // It leaves certificates out: the policy has to bring them.
        let known = Trust::anchor(&world.root).intermediates(&[&signer, &world.intermediate]);
        let pinned = Trust { pinned: vec![signer.certificate.clone()], ..Trust::default() };
        for md in ["sha256", "sha384", "sha512"] {
            let sign = |options: &[&str], name: &str| {
                let file = PathBuf::from(world.at(&format!("{kind}-{md}-{name}")));
                fs::copy("/bin/true", &file).unwrap();
                run(Command::new(&sign_file).args(options).args([md, &world.key(&signer), &world.certificate(&signer)]).arg(&file));
                file
            };
            let appended = sign(&[], "appended");
            outcomes.push(made(format!("appended/{kind}-{md}"), &policy(&shelf, &known), &appended, Accepted));
            outcomes.push(made(format!("appended-pinned/{kind}-{md}"), &policy(&shelf, &pinned), &appended, Accepted));
            outcomes.push(made(
                format!("appended-unknown/{kind}-{md}"),
                &policy(&shelf, &Trust::anchor(&world.root)),
                &appended,
                crate::compare::Refused,
            ));
            let detached = sign(&["-d"], "detached");
            outcomes.push(made(format!("detached/{kind}-{md}"), &policy(&shelf, &known), &detached, Accepted));
            let mut changed = fs::read(&appended).unwrap();
            // Padding of the ELF header, which changes nothing but the content.
            changed[10] ^= 1;
            let file = PathBuf::from(world.at(&format!("{kind}-{md}-changed")));
            fs::write(&file, changed).unwrap();
            outcomes.push(made(format!("appended-changed/{kind}-{md}"), &policy(&shelf, &known), &file, crate::compare::Refused));
        }
    }
    settle("sign-file", "sign-file", outcomes);
}

#[test]
fn evmctl_signs() {
    let (world, shelf) = (&*WORLD, Shelf::new());
    let mut outcomes = Vec::new();
    for kind in KINDS {
        let signer = world.signer(kind);
        let der = world.at(&format!("{kind}.der"));
        fs::write(&der, &signer.certificate).unwrap();
        let trusts = [
            ("pinned", Trust { pinned: vec![signer.certificate.clone()], ..Trust::default() }),
            ("known", Trust::anchor(&world.root).intermediates(&[&signer, &world.intermediate])),
        ];
        for md in ["sha256", "sha384", "sha512"] {
            let file = PathBuf::from(world.at(&format!("{kind}-{md}-ima")));
            fs::write(&file, CONTENT).unwrap();
            run(Command::new("evmctl").args(["ima_sign", "--hashalgo", md, "--key", &world.key(&signer)]).arg(&file));
            let verify = || {
                let status = Command::new("evmctl").args(["ima_verify", "--key", &der]).arg(&file).output().unwrap().status;
                Verdict::of(status.success())
            };
            for (name, trust) in &trusts {
                outcomes.push(made(format!("{name}/{kind}-{md}"), &policy(&shelf, trust), &file, verify()));
            }
            fs::write(&file, b"another content").unwrap();
            outcomes.push(made(format!("changed/{kind}-{md}"), &policy(&shelf, &trusts[0].1), &file, verify()));
        }
    }
    settle("evmctl", "evmctl", outcomes);
}

#[test]
fn openssl_verifies_what_enforcer_signs() {
    let world = &*WORLD;
    let mut variants = Vec::new();
    for kind in KINDS {
        let signer = world.signer(kind);
        let file = PathBuf::from(world.at(&format!("{kind}-ours")));
        fs::write(&file, CONTENT).unwrap();
        let mut sign = Command::new(env!("CARGO_BIN_EXE_enforcer"));
        sign.args([
            "sign",
            "--detach",
            "--key",
            &world.key(&signer),
            "--certificate",
            &world.certificate(&signer),
            "--chain",
            &world.at("chain.pem"),
        ]);
        run(sign.arg(&file));
        let signature = fs::read(format!("{}.p7s", file.display())).unwrap();
        variants.push(world.variant(kind.to_owned(), signature));
    }
    group("ours", "openssl", &variants);
}

#[test]
fn evmctl_verifies_what_enforcer_signs() {
    let (world, shelf) = (&*WORLD, Shelf::new());
    let mut outcomes = Vec::new();
    for kind in KINDS {
        let signer = world.signer(kind);
        let der = world.at(&format!("{kind}-signer.der"));
        fs::write(&der, &signer.certificate).unwrap();
        let file = PathBuf::from(world.at(&format!("{kind}-our-ima")));
        fs::write(&file, CONTENT).unwrap();
        let mut sign = Command::new(env!("CARGO_BIN_EXE_enforcer"));
        run(sign.args(["sign", "--ima", "--key", &world.key(&signer), "--certificate", &world.certificate(&signer)]).arg(&file));
        let theirs = Command::new("evmctl").args(["ima_verify", "--key", &der]).arg(&file).output().unwrap().status.success();
        let pinned = Trust { pinned: vec![signer.certificate.clone()], ..Trust::default() };
        outcomes.push(made(kind.to_owned(), &policy(&shelf, &pinned), &file, Verdict::of(theirs)));
    }
    assert!(outcomes.iter().all(|outcome| outcome.theirs == Accepted), "evmctl does not verify what `enforcer sign --ima` signed");
    settle("ours-ima", "evmctl", outcomes);
}

/// Such a certificate is what `make modules_install` signs with.
#[test]
fn a_self_signed_module_key_that_is_pinned_counts() {
    let (world, shelf) = (&*WORLD, Shelf::new());
    let key = Key::shared("rsa2048");
    let identity = Draft::new("module signing key", key).with(vec![basic_constraints(None, true)]).self_signed();
    fs::write(world.certificate(&identity), pem("CERTIFICATE", &identity.certificate)).unwrap();
    fs::write(world.key(&identity), openssl_with_input(&["pkey", "-inform", "DER"], &fs::read(identity.key.path()).unwrap())).unwrap();
    let file = PathBuf::from(world.at("module"));
    fs::copy("/bin/true", &file).unwrap();
    run(Command::new(sign_file()).args(["sha512", &world.key(&identity), &world.certificate(&identity)]).arg(&file));
    let pinned = Trust { pinned: vec![identity.certificate], ..Trust::default() };
    let (verdict, reason) = examine(&policy(&shelf, &pinned), &file, NOW);
    assert_eq!(verdict, Accepted, "{reason}");
}
