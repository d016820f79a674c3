//! `cargo xtask test package`: what is in the package, what Debian's own checker says of it, and its life on plain Debian 12 and 13, from before it is
//! installed until nothing of it is left (`xtask/guest/package.sh`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::make;
use super::signing::Signing;
use crate::lanes::{Job, Lanes};
use crate::setup::guest::{Image, Release, manifest_line};
use crate::setup::{self, kernels, pki};
use crate::test::run_machine;
use crate::ui::Step;
use crate::vm::{self, Accel, Spec};
use crate::{process, server, ui, workspace};

/// What happens in the guest.
const LIFE: &str = include_str!("../../guest/package.sh");
const POLICY: &str = include_str!("../../guest/policy.toml");
/// Where the guest has it all.
const FOLDER: &str = "/root/package";
/// What `systemd-analyze security` may say at most, times ten: its score of the unit, with room for what another release of systemd counts.
const EXPOSURE: u32 = 78;

/// What must be in it, whatever else is.
const FILES: [(&str, &str); 15] = [
    ("-rwxr-xr-x", "./usr/sbin/enforcer"),
    ("-rwxr-xr-x", "./usr/lib/enforcer/init"),
    ("-rw-r--r--", "./usr/lib/systemd/system/enforcer.service"),
    ("-rw-r--r--", "./etc/enforcer/policy.toml"),
    ("-rw-r--r--", "./usr/share/man/man1/enforcer.1.gz"),
    ("-rw-r--r--", "./usr/share/man/man1/enforcer-policy-check.1.gz"),
    ("-rw-r--r--", "./usr/share/man/man5/enforcer-policy.5.gz"),
    ("-rw-r--r--", "./usr/share/bash-completion/completions/enforcer"),
    ("-rw-r--r--", "./usr/share/zsh/vendor-completions/_enforcer"),
    ("-rw-r--r--", "./usr/share/fish/vendor_completions.d/enforcer.fish"),
    ("-rw-r--r--", "./usr/share/doc/enforcer/README.md"),
    ("-rw-r--r--", "./usr/share/doc/enforcer/docs/operations.md"),
    ("-rw-r--r--", "./usr/share/doc/enforcer/copyright"),
    ("-rw-r--r--", "./usr/share/doc/enforcer/changelog.Debian.gz"),
    ("-rw-r--r--", "./usr/share/doc/enforcer/changelog.gz"),
];

/// On this machine, and on a plain server of each release.
pub(crate) fn run(lanes: &Lanes, accel: Accel) -> Result<()> {
    setup::for_package_tests()?;
    let enforcer = vm::enforcer()?;
    let first = on_this_machine(&enforcer)?;
    for release in Release::ALL {
        setup::for_vm(Image::Server(release), false)?;
    }
    let packages = &Packages::make(&enforcer, first)?;
    let jobs = Release::ALL.map(|release| -> Job<'_, Result<()>> {
        Box::new(move || {
            ui::remark(&format!("the package's life on a plain {}", release.name()));
            live(packages, release, accel).with_context(|| format!("the package on {}", release.name()))
        })
    });
    let failed = lanes.run(jobs.into()).into_iter().filter_map(Result::err).inspect(ui::error).count();
    if failed == 0 { Ok(()) } else { bail!("the package does not live as it should on {failed} of {} releases", Release::ALL.len()) }
}

/// Everything about the archive itself, which is returned.
fn on_this_machine(enforcer: &Path) -> Result<PathBuf> {
    let package = make(enforcer, "0.0.1-1", None)?;
    let bytes = fs::read(&package)?;
    ensure!(fs::read(make(enforcer, "0.0.1-1", None)?)? == bytes, "the same binary made another package");

    let step = Step::start("what is in the package");
    let ask = |option: &str| process::run(Command::new("dpkg-deb").arg(option).arg(&package), &step);
    let info = ask("--info")?;
    for field in ["Package: enforcer", "Version: 0.0.1-1", "Installed-Size: ", "Depends: libc6 (>= "] {
        ensure!(info.contains(field), "the control data does not say `{field}`:\n{info}");
    }
    let contents = ask("--contents")?;
    for line in contents.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, ..] = words.as_slice() else { bail!("dpkg-deb lists `{line}`") };
        ensure!(*owner == "root/root" && mode.as_bytes()[5] == b'-' && mode.as_bytes()[8] == b'-', "somebody else may write to it: {line}");
    }
    for (mode, path) in FILES {
        let is_there = contents.lines().any(|line| line.starts_with(mode) && line.ends_with(&format!(" {path}")));
        ensure!(is_there, "`{path}` is not in the package as {mode}");
    }
    sums_are_right(&package, &step)?;
    step.done("all that should be");

    let step = Step::start("lintian");
    process::run(Command::new("lintian").args(["--fail-on", "error,warning", "--allow-root"]).arg(&package), &step)?;
    step.done("clean");
    let step = Step::start("systemd-analyze security");
    let unit = workspace::root().join("packaging/enforcer.service");
    let threshold = format!("--threshold={EXPOSURE}");
    let said = process::run(Command::new("systemd-analyze").args(["security", "--no-pager", "--offline=true", &threshold]).arg(unit), &step)?;
    step.done(said.lines().last().unwrap_or_default().trim());
    Ok(package)
}

/// The checksums are those of the files.
fn sums_are_right(package: &Path, step: &Step) -> Result<()> {
    let (files, control) = (TempDir::new()?, TempDir::new()?);
    process::run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(files.path()), step)?;
    process::run(Command::new("dpkg-deb").arg("--control").arg(package).arg(control.path()), step)?;
    let sums = control.path().join("md5sums");
    process::run(Command::new("md5sum").args(["--check", "--strict", "--quiet"]).arg(&sums).current_dir(files.path()), step)?;
    let (listed, _) = super::tree::Tree::open(files.path()).files()?;
    ensure!(listed.len() == fs::read_to_string(sums)?.lines().count(), "a file has no checksum");
    Ok(())
}

/// What the guests get.
struct Packages {
    first: PathBuf,
    second: PathBuf,
    third: PathBuf,
    unsigned: PathBuf,
}

impl Packages {
    /// Two more versions, which the demo's signer signs; and a fourth that nobody signs.
    fn make(enforcer: &Path, first: PathBuf) -> Result<Self> {
        let pki = pki::open()?;
        let signing = |security_version| Signing {
            key: pki.signer_key(),
            certificate: pki.signer(),
            chain: None,
            security_version: Some(security_version),
            with_certificate: true,
        };
        Ok(Self {
            first,
            second: make(enforcer, "0.0.2-1", Some(&signing(2)))?,
            third: make(enforcer, "0.0.3-1", Some(&signing(3)))?,
            unsigned: make(enforcer, "0.0.4-1", None)?,
        })
    }
}

/// Boots a plain server and runs [`LIFE`] there.
fn live(packages: &Packages, release: Release, accel: Accel) -> Result<()> {
    let image = Image::Server(release);
    let kernel = kernels::find(release.kernel())?;
    let pki = pki::open()?;
    let files = TempDir::new()?;
    let mut spec = Spec::new(["bash".to_owned(), format!("{FOLDER}/life.sh")]);
    let mut add = |host: PathBuf, at: &str| spec.add.push((host, format!("{FOLDER}/{at}")));
    let written = |name: &str, text: &[u8]| -> Result<PathBuf> {
        let path = files.path().join(name);
        fs::write(&path, text)?;
        Ok(path)
    };
    add(written("life.sh", LIFE.as_bytes())?, "life.sh");
    for (package, name) in [(&packages.first, "first"), (&packages.second, "second"), (&packages.third, "third"), (&packages.unsigned, "unsigned")] {
        add(package.clone(), &format!("{name}.deb"));
    }
    add(pki.authority(), "trust/demo-ca.pem");
    add(written("policy.toml", POLICY.as_bytes())?, "policy.toml");
    // The same policy, which its signer alone may change: with the signed list of what it consists of (`enforcer policy list`).
    let chartered = format!("{POLICY}\n[protection]\npolicy-signers = [\"demo\"]\n");
    let list = ["# enforcer policy\n".to_owned(), manifest_line("/etc/enforcer/policy.toml", chartered.as_bytes())].concat()
        + &manifest_line("/etc/enforcer/trust/demo-ca.pem", &fs::read(pki.authority())?);
    let list = written("policy.toml.manifest", list.as_bytes())?;
    add(pki.sign(&list)?, "charter/policy.toml.manifest.p7s");
    add(list, "charter/policy.toml.manifest");
    add(written("chartered.toml", chartered.as_bytes())?, "charter/policy.toml");

    server::settle(&mut spec, FOLDER, (image, kernel), accel)?;
    spec.label = Some(release.name().to_owned());
    let outcome = run_machine(&spec)?;
    ensure!(outcome.status == 0, "its life ended with status {}; the console's log is `{}`", outcome.status, outcome.console.display());
    Ok(())
}
