//! Signed manifests of made-up digests, brought into a machine beside the tests: they fill the kernel's map.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::guest_tests::GuestTests;
use crate::setup::{guest, pki};
use crate::ui::Step;
use crate::vm::{Mode, Spec};

/// Manifests, and a policy with room for the largest.
pub(super) struct Staged {
    folder: TempDir,
}

impl Staged {
    /// Makes and signs one manifest of each size. The digests are the same from run to run, and a manifest begins with those of the smaller ones.
    pub(super) fn make(sizes: &[u32]) -> Result<Self> {
        let step = Step::start(format!("signed manifests of up to {} entries", sizes.iter().max().copied().unwrap_or_default()));
        let folder = tempfile::Builder::new().prefix("enforcer-bench-").tempdir()?;
        let (pki, manifests) = (pki::open()?, folder.path().join("manifests"));
        fs::create_dir(&manifests)?;
        for size in sizes {
            let path = manifests.join(format!("{size}.manifest"));
            let text: String = (0..*size).map(line).collect();
            fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
            pki.sign(&path)?;
        }
        step.done("");
        Ok(Self { folder })
    }

    /// A machine that runs this command with the manifests at hand, enforcing the demo's policy with these `[limits]` besides. No names are bound, and
    /// nothing of the manifests is in force until the command asks for it.
    pub(super) fn machine(&self, tests: &GuestTests, kernel: &str, limits: &str, command: &str) -> Result<Spec> {
        let policy = self.folder.path().join("policy.toml");
        // The limits are the demo policy's last section.
        fs::write(&policy, format!("{}{limits}\n", include_str!("../../guest/policy.toml")))?;
        let mut spec = tests.machine(&format!("{command} --staged {GUEST_FOLDER}"));
        spec.policy = Some(policy);
        spec.add.push((self.manifests(), GUEST_FOLDER.to_owned()));
        kernel.clone_into(&mut spec.kernel);
        spec.mode = Some(Mode::Enforce);
        Ok(spec)
    }

    fn manifests(&self) -> PathBuf {
        self.folder.path().join("manifests")
    }
}

/// A path as long as they are on a Debian system, and a digest that no file has.
fn line(number: u32) -> String {
    guest::manifest_line(&format!("/usr/lib/x86_64-linux-gnu/made-up/{:03}/library-{number:07}.so", number / 1000), &number.to_le_bytes())
}

const GUEST_FOLDER: &str = "/opt/enforcer-bench";
