//! Which installed packages files belong to, and whether they are what was installed, as the package managers say.
//!
//! Their databases are not signed: what they say sorts files for people, and is no ground for trust. That a file *differs* from what they list is certain.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use enforcer_common::Digest;
use serde::Serialize;

use super::debian::{self, DebianError};
use super::rpm_database;
use crate::text::chain;

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Manager {
    /// dpkg and apt.
    Debian,
    /// rpm, with dnf or zypper.
    Rpm,
}

/// The package of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its name, as the package manager wants it.
    pub package: String,
    /// Whose it is.
    pub manager: Manager,
    /// What it says of the file's content.
    pub listed: Listed,
}

/// What a package manager says of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// This is what was installed.
    As(Digest),
    /// It is not what was installed.
    Other,
    /// Nothing.
    Unlisted,
}

/// The owners of some files.
#[derive(Debug, Default)]
pub struct Owners {
    by_path: HashMap<PathBuf, Owner>,
    /// Package managers that are here and could not be asked, and why.
    pub problems: Vec<String>,
}

impl Owners {
    /// Asks every package manager of this machine about these files, whose folders are given as they really are.
    pub fn of(wanted: &HashSet<PathBuf>) -> Self {
        let mut owners = Self::default();
        if wanted.is_empty() {
            return owners;
        }
        let is_here = |error: &std::io::Error| error.kind() != std::io::ErrorKind::NotFound;
        match rpm_database::owners(wanted) {
            Ok(found) => owners.by_path.extend(found),
            Err(error) if is_here(&error) => owners.problems.push(format!("rpm could not be asked: {error}")),
            Err(_) => {}
        }
        match debian::owners(wanted) {
            Ok(found) => owners.by_path.extend(found),
            Err(DebianError::Tool { source, .. }) if !is_here(&source) => {}
            Err(error) => owners.problems.push(format!("dpkg could not be asked: {}", chain(&error))),
        }
        owners
    }

    /// The owner of a file.
    pub fn owner(&self, path: &std::path::Path) -> Option<&Owner> {
        self.by_path.get(path)
    }
}

impl Owner {
    /// Whether content with these digests is certainly not what was installed.
    pub fn contradicts(&self, digests: &[Digest]) -> bool {
        match self.listed {
            Listed::As(digest) => !digests.contains(&digest),
            Listed::Other => true,
            Listed::Unlisted => false,
        }
    }
}
