//! The Debian packages that building and testing need. apt is called only when something is missing.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::ui::Step;

/// A package, and the file or program whose presence proves that it is installed. Either may have one `*`, for a version in a name: the first package
/// that fits is taken.
type Package = (&'static str, &'static str);

/// What `build` needs.
pub(crate) const BUILD: &[Package] = &[("gcc", "gcc"), ("libc6-dev", "/usr/include/stdlib.h"), ("xz-utils", "xz")];

/// What the tests of the crates need besides: they sign and look at files with the tools that people use.
pub(crate) const TEST: &[Package] = &[
    ("openssl", "openssl"),
    ("python3", "python3"),
    ("binutils", "readelf"),
    ("util-linux", "setpriv"),
    ("ima-evm-utils", "evmctl"),
    ("attr", "setfattr"),
    // The kernel's own signer of modules, `scripts/sign-file`.
    ("linux-kbuild-*", "/usr/lib/linux-kbuild-*/scripts/sign-file"),
    ("softhsm2", "softhsm2-util"),
    ("xz-utils", "xz"),
    ("zstd", "zstd"),
    ("rpm", "rpmbuild"),
    ("rpm2cpio", "rpm2cpio"),
    ("cpio", "cpio"),
    ("umoci", "umoci"),
    ("skopeo", "skopeo"),
];

/// What `fuzz` needs besides: libFuzzer is C++.
pub(crate) const FUZZ: &[Package] = &[("g++", "g++")];

/// What `package` needs besides what `build` does. dpkg is on every Debian.
pub(crate) const PACKAGE: &[Package] = &[("dpkg", "dpkg-deb"), ("gzip", "gzip")];

/// What the package's tests need besides.
pub(crate) const PACKAGE_TEST: &[Package] = &[("lintian", "lintian"), ("systemd", "systemd-analyze")];

/// What `vm` needs.
pub(crate) const VM: &[Package] = &[
    ("qemu-system-x86", "qemu-system-x86_64"),
    ("mmdebstrap", "mmdebstrap"),
    ("e2fsprogs", "mkfs.ext4"),
    ("kmod", "depmod"),
    ("openssl", "openssl"),
    ("zstd", "zstd"),
    ("lz4", "lz4"),
    ("xz-utils", "xz"),
    ("util-linux", "setpriv"),
    ("debian-archive-keyring", "/usr/share/keyrings/debian-archive-keyring.gpg"),
];

/// What `vm` needs besides when its user is not root: to own files as root inside an image.
const VM_WITHOUT_ROOT: &[Package] = &[("fakeroot", "fakeroot"), ("uidmap", "newuidmap")];

/// Installs those of `packages` that are missing.
pub(crate) fn install(packages: &[Package]) -> Result<()> {
    let extra = if is_root() { &[][..] } else { VM_WITHOUT_ROOT };
    let missing: Vec<&str> = packages.iter().chain(extra).filter(|(_, proof)| !is_present(proof)).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("install them by hand: apt-get install {}", missing.join(" "));
    if !Path::new("/etc/debian_version").exists() {
        bail!("missing {}, and this is no Debian system; {by_hand}", missing.join(", "));
    }
    if !is_root() && !process::is_installed("sudo") {
        bail!("missing {}, and there is neither root nor sudo; as root, {by_hand}", missing.join(", "));
    }
    let step = Step::start(format!("Debian packages {}", missing.join(", ")));
    let install = || {
        let names = missing.iter().map(|name| full_name(name)).collect::<Result<Vec<_>>>()?;
        process::run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(names), &step)
    };
    if install().is_err() {
        process::run(apt_get().arg("update"), &step).context("cannot read the package lists")?;
        install().with_context(|| by_hand.clone())?;
    }
    step.done("installed");
    Ok(())
}

/// Whether this process may do what root may.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The code name of the Debian release that this machine runs.
pub(crate) fn release() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.context("/etc/os-release names no release: the test guests need a Debian stable machine")?.trim_matches('"').to_owned())
}

fn is_present(proof: &str) -> bool {
    match proof.split_once('*') {
        Some((before, after)) => any_version(before, after),
        None if proof.starts_with('/') => Path::new(proof).exists(),
        None => process::is_installed(proof),
    }
}

/// Whether there is a file `before…after`; what stands for the `…` has no slash.
fn any_version(before: &str, after: &str) -> bool {
    let Some((folder, prefix)) = before.rsplit_once('/') else { return false };
    let Ok(entries) = fs::read_dir(folder) else { return false };
    let fits = |entry: fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with(prefix) && Path::new(&format!("{}{after}", entry.path().display())).exists()
    };
    entries.flatten().any(fits)
}

/// The package that `name` stands for in this release.
fn full_name(name: &str) -> Result<String> {
    let Some(prefix) = name.strip_suffix('*') else { return Ok(name.to_owned()) };
    let listed = process::output(Command::new("apt-cache").args(["search", "--names-only", &format!("^{prefix}")])).unwrap_or_default();
    let mut names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    names.sort_unstable();
    names.first().map(|name| (*name).to_owned()).with_context(|| format!("this release has no package `{name}`"))
}

fn apt_get() -> Command {
    let mut command = if is_root() { Command::new("apt-get") } else { Command::new("sudo") };
    if !is_root() {
        command.args(["--non-interactive", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    }
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
