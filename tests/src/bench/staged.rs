//! Manifests of made-up digests, which the host signed: they are put in force to see what many verdicts cost.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::service;

/// The manifests that the host staged, each named by how many entries it has. One begins with all entries of the one before it.
pub struct Staged {
    /// Numbers of entries, the smallest first.
    pub sizes: Vec<u64>,
    folder: PathBuf,
}

impl Staged {
    /// Those in a folder.
    pub fn open(folder: &Path) -> Result<Self> {
        let mut sizes = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| format!("`{}`", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "manifest") {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                sizes.push(stem.parse().with_context(|| format!("`{}` is not named by a number", path.display()))?);
            }
        }
        sizes.sort_unstable();
        ensure!(!sizes.is_empty(), "there are no manifests in `{}`", folder.display());
        Ok(Self { sizes, folder: folder.to_owned() })
    }

    /// Puts one of them in the place of the one before it. The next start or reload has it in force.
    pub fn install(&self, size: u64) -> Result<()> {
        for end in ["manifest", "manifest.p7s"] {
            let from = self.folder.join(format!("{size}.{end}"));
            fs::copy(&from, format!("{INSTALLED}.{end}")).with_context(|| format!("`{}`", from.display()))?;
        }
        Ok(())
    }
}

/// How many verdicts the kernel has, which must be those of a manifest of this size and some thousand of the system's own.
pub fn verdicts(size: u64) -> Result<u64> {
    let verdicts = service::status()?["verdicts"].as_u64().context("`enforcer status` tells no number of verdicts")?;
    ensure!((size..size + MOST_OF_THE_SYSTEM).contains(&verdicts), "there are {verdicts} verdicts with a manifest of {size} entries");
    Ok(verdicts)
}

/// Takes enforcement off and starts the service anew, so that every map is made anew as well.
pub fn start_afresh() -> Result<()> {
    service::succeed("enforcer", &["stop", "--release"])?;
    service::start()
}

const INSTALLED: &str = "/etc/enforcer/manifests/bench";
const MOST_OF_THE_SYSTEM: u64 = 20_000;
