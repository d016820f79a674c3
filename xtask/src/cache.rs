//! The cache outside the clone: everything that `setup` makes, shared by all clones of one user.
//!
//! A thing in the cache is made under a temporary name and renamed when it is whole, so an interrupted setup leaves nothing half-made. A stamp beside it
//! names the recipe it was made from; another recipe makes it anew.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::ui;

/// The cache folder, which exists.
pub(crate) fn dir() -> Result<PathBuf> {
    let chosen = env::var_os("ENFORCER_CACHE").map(PathBuf::from);
    let shared = || env::var_os("XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("enforcer"));
    let home = || env::var_os("HOME").map(|dir| PathBuf::from(dir).join(".cache/enforcer"));
    let Some(dir) = chosen.or_else(shared).or_else(home) else {
        bail!("no place for the cache: set ENFORCER_CACHE, XDG_CACHE_HOME or HOME");
    };
    fs::create_dir_all(&dir).with_context(|| format!("cannot make the cache `{}`", dir.display()))?;
    fs::canonicalize(&dir).with_context(|| format!("cannot resolve the cache `{}`", dir.display()))
}

/// Keeps a second xtask from changing the cache at the same time; given up when dropped.
pub(crate) fn lock() -> Result<File> {
    let path = dir()?.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot make `{}`", path.display()))?;
    if file.try_lock().is_err() {
        ui::remark("waiting until the cache is set up");
        file.lock().with_context(|| format!("cannot lock `{}`", path.display()))?;
    }
    Ok(file)
}

/// Something in the cache, with the recipe it is made from.
pub(crate) struct Item {
    path: PathBuf,
    recipe: String,
}

impl Item {
    /// The item `name` (a path inside the cache), made from `recipe`: whatever text decides its content.
    pub(crate) fn new(name: &str, recipe: &str) -> Result<Self> {
        Ok(Self { path: dir()?.join(name), recipe: hash(recipe.as_bytes()) })
    }

    /// Where it is once it is made.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there, made from this very recipe.
    pub(crate) fn is_fresh(&self) -> bool {
        self.path.exists() && fs::read_to_string(self.stamp()).is_ok_and(|stamp| stamp.trim() == self.recipe)
    }

    /// An empty folder beside it to work in; what an interrupted run left is removed.
    pub(crate) fn workshop(&self) -> Result<PathBuf> {
        let dir = self.beside("new");
        remove(&dir)?;
        fs::create_dir_all(&dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        Ok(dir)
    }

    /// Puts the finished `made` (a file or a folder of the workshop, or the workshop itself) in its place.
    pub(crate) fn publish(&self, made: &Path) -> Result<()> {
        remove(&self.stamp())?;
        remove(&self.path)?;
        fs::rename(made, &self.path).with_context(|| format!("cannot put `{}` in its place", self.path.display()))?;
        remove(&self.beside("new"))?;
        fs::write(self.stamp(), &self.recipe).with_context(|| format!("cannot stamp `{}`", self.path.display()))
    }

    fn stamp(&self) -> PathBuf {
        self.beside("stamp")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(suffix);
        name.into()
    }
}

/// The SHA-256 of `bytes`, in hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn remove(path: &Path) -> Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    result.with_context(|| format!("cannot remove `{}`", path.display()))
}
