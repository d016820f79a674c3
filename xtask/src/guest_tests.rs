//! The program `guest-tests` and its files, brought into a machine; and the results that it prints.
//!
//! The files are built and signed here, where the demo's key is: there is no private key in a guest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::setup::guest::Image;
use crate::setup::{self, pki};
use crate::ui::Step;
use crate::vm::{self, Outcome, Output, Spec};
use crate::{process, workspace};

/// Where the files are in the guest.
const FIXTURES: &str = "/opt/enforcer-tests";
const PROGRAM: &str = "/usr/local/bin/guest-tests";

/// Everything that a machine needs to run `guest-tests`.
pub(crate) struct GuestTests {
    enforcer: PathBuf,
    program: PathBuf,
    fixtures: TempDir,
    image: Image,
}

/// One result: a JSON line of `guest-tests`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Line {
    /// `phase::what_it_proves`.
    pub(crate) name: String,
    /// The same without mode and outcome.
    pub(crate) test: String,
    /// `attack`, `absent`, `honest`, `lifecycle` or `stress`.
    pub(crate) kind: String,
    /// What was tried, in words.
    pub(crate) title: String,
    /// An attack's honest twin.
    pub(crate) twin: Option<String>,
    /// What should happen.
    pub(crate) expected: String,
    /// What happened.
    pub(crate) happened: String,
    /// What of it is wrong.
    pub(crate) detail: String,
    /// The event that proves it.
    pub(crate) event: Option<serde_json::Value>,
    /// Whether it is as expected.
    pub(crate) pass: bool,
}

impl GuestTests {
    /// Builds the enforcer, the program and its files.
    pub(crate) fn prepare() -> Result<Self> {
        setup::for_vm(Image::Plain, false)?;
        Self::build(Image::Plain, &vm::enforcer()?)
    }

    /// The same for the tests of scripts.
    pub(crate) fn prepare_for_scripts() -> Result<Self> {
        setup::for_vm(Image::Scripts, false)?;
        Self::build(Image::Scripts, &vm::enforcer()?)
    }

    /// The same for the measurements.
    pub(crate) fn prepare_for_bench() -> Result<Self> {
        setup::for_vm(Image::Bench, false)?;
        Self::build(Image::Bench, &vm::enforcer()?)
    }

    /// The first around an enforcer that was built before.
    pub(crate) fn prepare_with(enforcer: &Path) -> Result<Self> {
        Self::build(Image::Plain, enforcer)
    }

    fn build(image: Image, enforcer: &Path) -> Result<Self> {
        let mut cargo = workspace::cargo();
        if !process::pass_through(cargo.args(["build", "--release", "--package", "enforcer-guest-tests"]))?.success() {
            bail!("the guest's tests were not built");
        }
        let program = workspace::target_dir().join("release/guest-tests");
        let fixtures = tempfile::Builder::new().prefix("enforcer-fixtures-").tempdir()?;
        let pki = pki::open()?;
        let step = Step::start("the guest's test files");
        let mut build = Command::new(&program);
        let more = match image {
            Image::Plain | Image::Server(_) | Image::Containers(_) => None,
            Image::Scripts => Some("--scripts"),
            Image::Bench => Some("--bench"),
        };
        build.arg("fixtures").args(more).arg("--out").arg(fixtures.path()).arg("--prefix").arg(FIXTURES);
        build.arg("--key").arg(pki.signer_key()).arg("--certificate").arg(pki.signer()).arg("--enforcer").arg(enforcer);
        process::run(&mut build, &step)?;
        entitle(image, enforcer, &fixtures.path().join("manifests").join(COMPILERS), &step)?;
        step.done("built and signed");
        Ok(Self { enforcer: enforcer.to_owned(), program, fixtures, image })
    }

    /// The enforcer that was built.
    pub(crate) fn enforcer(&self) -> &Path {
        &self.enforcer
    }

    /// One of the files that guests get.
    pub(crate) fn fixture(&self, name: &str) -> PathBuf {
        self.fixtures.path().join(name)
    }

    /// A machine with the program and its files, running this shell command.
    pub(crate) fn machine(&self, script: &str) -> Spec {
        let mut spec = Spec::new(["bash", "-c", script]);
        spec.enforcer = Some(self.enforcer.clone());
        spec.image = self.image;
        spec.policy = match self.image {
            Image::Plain | Image::Server(_) | Image::Containers(_) => Some(workspace::root().join("tests/policy.toml")),
            Image::Scripts => Some(workspace::root().join("tests/scripts.toml")),
            // The demo's: no names are bound.
            Image::Bench => None,
        };
        let manifests = self.fixtures.path().join("manifests");
        spec.add = vec![(self.program.clone(), PROGRAM.to_owned()), (self.fixtures.path().to_owned(), FIXTURES.to_owned())];
        for name in ["fixtures.manifest", COMPILERS] {
            spec.add_signed(&manifests.join(name), &format!("/etc/enforcer/manifests/{name}"));
        }
        spec.sign = vec![PROGRAM.to_owned()];
        spec.output = Output::Captured;
        spec
    }
}

/// Writes a second manifest of those of Debian's programs that compile while they run, which asks for the entitlement `jit`. What the guest's own
/// manifest says of them is not changed by it.
fn entitle(image: Image, enforcer: &Path, manifest: &Path, step: &Step) -> Result<()> {
    let whole = fs::read_to_string(image.manifest()?)?;
    let compilers: Vec<&str> = whole.lines().filter(|line| ["/bin/node)", "/bin/java)"].iter().any(|end| line.contains(end))).collect();
    ensure!(compilers.len() == 2, "node and java are not in the guest's root, or more than once: {compilers:?}");
    fs::write(manifest, compilers.join("\n") + "\n")?;
    let pki = pki::open()?;
    let mut sign = Command::new(enforcer);
    sign.args(["manifest", "sign", "--entitlement", "jit", "--identifier", "test.compilers"]).arg(manifest);
    process::run(sign.arg("--key").arg(pki.signer_key()).arg("--certificate").arg(pki.signer()), step).map(drop)
}

/// Node.js and Java.
const COMPILERS: &str = "compilers.manifest";

/// The results in what a machine printed. A line that is none is an error: a result must not get lost in it.
pub(crate) fn lines<T: DeserializeOwned>(outcome: &Outcome) -> Result<Vec<T>> {
    String::from_utf8_lossy(&outcome.stdout)
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).with_context(|| format!("the guest printed `{line}`, which is no result")))
        .collect()
}
