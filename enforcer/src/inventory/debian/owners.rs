//! Which installed Debian packages files belong to.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::PathBuf;

use super::super::places::Places;
use super::super::{Listed, Manager, Owner};
use super::{DebianError, dpkg};

/// The packages of these files, by dpkg's database.
///
/// # Errors
/// [`DebianError`]: dpkg is not here, or failed.
pub(in crate::inventory) fn owners(wanted: &HashSet<PathBuf>) -> Result<HashMap<PathBuf, Owner>, DebianError> {
    let packages = dpkg::installed(&[])?;
    let names: HashSet<&OsStr> = wanted.iter().filter_map(|path| path.file_name()).collect();
    let mut places = Places::default();
    let mut found = HashMap::new();
    let mut owning = HashMap::new();
    dpkg::each_path(&packages, |package, path| {
        // Most paths are of no interest; their folders need not be looked at.
        if !names.contains(path.file_name().unwrap_or_default()) {
            return;
        }
        let path = places.real(path);
        if wanted.contains(&path) {
            found.insert(path, Owner { package: package.name.clone(), manager: Manager::Debian, listed: Listed::Unlisted });
            owning.insert(&package.name, package);
        }
    })?;
    let owning: Vec<_> = owning.into_values().collect();
    for path in dpkg::modified(&owning)? {
        if let Some(owner) = found.get_mut(&places.real(&path)) {
            owner.listed = Listed::Other;
        }
    }
    Ok(found)
}
