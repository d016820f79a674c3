//! The test kernels of `tests/kernels.toml`: resolved by meta package, unpacked, and made bootable without an initramfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::archive::Suite;
use super::{guest, pki, vmlinux};
use crate::cache::Item;
use crate::ui::Step;
use crate::{process, workspace};

/// Raised when what is made from a kernel's packages changes.
const RECIPE: u32 = 3;

/// One kernel of `tests/kernels.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Kernel {
    /// What `--kernel` takes.
    pub(crate) name: String,
    /// What its version begins with.
    version: String,
    suites: Vec<String>,
    package: String,
    /// QEMU's `-cpu` for an emulated CPU.
    pub(crate) tcg_cpu: String,
    /// Tests that cannot pass on it.
    pub(crate) lacks: Vec<Lack>,
}

/// A test that a kernel is excused from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lack {
    /// The test's name.
    pub(crate) test: String,
    /// What the kernel lacks.
    pub(crate) reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalog {
    kernel: Vec<Kernel>,
}

/// All kernels of `tests/kernels.toml`, oldest first.
pub(crate) fn catalog() -> Result<Vec<Kernel>> {
    let path = workspace::root().join("tests/kernels.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let catalog: Catalog = toml::from_str(&text).with_context(|| format!("cannot understand `{}`", path.display()))?;
    Ok(catalog.kernel)
}

/// The kernel called `name`.
pub(crate) fn find(name: &str) -> Result<Kernel> {
    let catalog = catalog()?;
    let names: Vec<String> = catalog.iter().map(|kernel| format!("`{}`", kernel.name)).collect();
    let found = catalog.into_iter().find(|kernel| kernel.name == name);
    found.with_context(|| format!("no kernel `{name}`; tests/kernels.toml has {}", names.join(", ")))
}

impl Kernel {
    /// The decompressed kernel.
    pub(crate) fn vmlinux(&self) -> Result<PathBuf> {
        Ok(self.item()?.path().join("vmlinux"))
    }

    /// A file system with the kernel's modules, to be mounted on `/usr/lib/modules`.
    pub(crate) fn modules(&self) -> Result<PathBuf> {
        Ok(self.item()?.path().join("modules.img"))
    }

    /// The signed manifest of those modules; the signature is beside it.
    pub(crate) fn manifest(&self) -> Result<PathBuf> {
        Ok(self.item()?.path().join("modules.sha256"))
    }

    /// The version of its package, once it is in the cache.
    pub(crate) fn release(&self) -> Result<String> {
        let path = self.item()?.path().join("version");
        Ok(fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?.trim().to_owned())
    }

    /// Brings it into the cache, unless it is there and nobody asks for a newer one.
    pub(crate) fn fetch(&self, refresh: bool) -> Result<()> {
        let item = self.item()?;
        if item.is_fresh() && !refresh {
            return Ok(());
        }
        let step = Step::start(format!("kernel {}", self.name));
        let (suite, version) = self.newest(&step)?;
        if refresh && item.is_fresh() && fs::read_to_string(item.path().join("version")).is_ok_and(|old| old == version) {
            step.done(&format!("{version} is still the newest"));
            return Ok(());
        }
        let needs = suite.needs(&format!("{}={version}", self.package), &step)?;
        let parts: Vec<String> = needs.into_iter().filter(|name| is_kernel_part(name)).collect();
        if parts.is_empty() {
            bail!("`{}` {version} depends on no kernel", self.package);
        }
        let dir = item.workshop()?;
        step.note("downloading");
        suite.unpack(&parts, &dir.join("packages"), &step)?;
        assemble(&dir, &step)?;
        fs::write(dir.join("version"), &version)?;
        item.publish(&dir)?;
        step.done(&version);
        Ok(())
    }

    fn item(&self) -> Result<Item> {
        let recipe = format!("{RECIPE} {} {:?} {} {}", self.version, self.suites, self.package, pki::open()?.fingerprint()?);
        Item::new(&format!("kernels/{}", self.name), &recipe)
    }

    fn newest(&self, step: &Step) -> Result<(Suite, String)> {
        let mut newest: Option<(Suite, String)> = None;
        for name in &self.suites {
            step.note(&format!("reading {name}"));
            let suite = Suite::open(name, step)?;
            let fits = suite.versions(&self.package, step)?.into_iter().find(|version| version.starts_with(&self.version));
            let Some(version) = fits else { continue };
            if newest.as_ref().is_none_or(|(_, best)| is_newer(&version, best)) {
                newest = Some((suite, version));
            }
        }
        newest.with_context(|| {
            format!("no `{}` {}* in {}: name another suite in tests/kernels.toml", self.package, self.version, self.suites.join(", "))
        })
    }
}

/// Whether a package holds a part of a kernel: `linux-image-6.1.0-50-cloud-amd64`, and from 7.x on `linux-binary-…`, `linux-modules-…`, `linux-base-…`.
fn is_kernel_part(name: &str) -> bool {
    let rest = ["linux-image-", "linux-binary-", "linux-modules-", "linux-base-"].iter().find_map(|prefix| name.strip_prefix(prefix));
    rest.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
}

fn is_newer(version: &str, other: &str) -> bool {
    Command::new("dpkg").args(["--compare-versions", version, "gt", other]).status().is_ok_and(|status| status.success())
}

/// Unpacks the modules. The guest's kmod would unpack them by itself and hand them to the kernel as memory, of which nobody can say what it is.
fn unpack_modules(folder: &Path, step: &Step) -> Result<()> {
    let packed = |ending: &str| Command::new("find").arg(folder).args(["-name", &format!("*.ko.{ending}"), "-print", "-quit"]).output();
    for (ending, program) in [("xz", "unxz"), ("zst", "unzstd"), ("gz", "gunzip")] {
        if packed(ending)?.stdout.is_empty() {
            continue;
        }
        let remove: &[&str] = if ending == "zst" { &["--rm", "-q"] } else { &[] };
        let mut unpack = Command::new("find");
        unpack.arg(folder).args(["-name", &format!("*.ko.{ending}"), "-exec", program]).args(remove).args(["{}", "+"]);
        process::run(&mut unpack, step)?;
    }
    Ok(())
}

/// Makes `vmlinux`, `config`, `modules.img` and `modules.sha256` from the unpacked packages.
fn assemble(dir: &Path, step: &Step) -> Result<()> {
    let packages = dir.join("packages");
    let folders = [packages.join("usr/lib/modules"), packages.join("lib/modules")];
    let modules = folders.iter().find(|folder| folder.is_dir()).context("the kernel's packages hold no modules")?;
    let release = fs::read_dir(modules)?.next().context("the kernel's packages hold no modules")??.file_name();
    let release = release.to_string_lossy();
    let pick = |in_modules: &str, in_boot: &str| {
        let places = [modules.join(&*release).join(in_modules), packages.join("boot").join(format!("{in_boot}-{release}"))];
        places.into_iter().find(|place| place.is_file()).with_context(|| format!("the kernel's packages hold no `{in_modules}`"))
    };
    step.note("decompressing");
    vmlinux::extract(&pick("vmlinuz", "vmlinuz")?, &dir.join("vmlinux"), step)?;
    fs::copy(pick("config", "config")?, dir.join("config"))?;

    step.note("modules");
    unpack_modules(&modules.join(&*release), step)?;
    // depmod wants them in `lib/modules`, the image has them at its top.
    let base = dir.join("base");
    fs::create_dir_all(base.join("lib"))?;
    fs::rename(modules, base.join("lib/modules"))?;
    process::run(Command::new("depmod").env("PATH", guest::ADMIN_PATH).arg("-b").arg(&base).arg(&*release), step)?;
    guest::write_manifest(&base.join("lib/modules"), "/usr/lib/modules", guest::is_code, &dir.join("modules.sha256"))?;
    pki::open()?.sign(&dir.join("modules.sha256"))?;
    guest::make_ext4(&base.join("lib/modules"), &dir.join("modules.img"), 0, step)?;
    fs::remove_dir_all(base)?;
    Ok(fs::remove_dir_all(packages)?)
}
