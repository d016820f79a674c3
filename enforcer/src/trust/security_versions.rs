//! The highest security version that was ever accepted of each program: what no later signature may fall below.
//!
//! Decides nothing and never lowers a number. Who may raise one, and where it is kept, is the daemon's business.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::record::{self, RecordError};
use crate::policy::Problem;

/// Identifier to highest accepted security version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityVersions {
    highest: BTreeMap<String, u32>,
}

impl SecurityVersions {
    /// Where the daemon keeps them, in its state folder.
    pub const FILE_NAME: &str = "security-versions.toml";

    /// The lowest security version that may still run; 0 for an identifier that was never seen.
    pub fn floor(&self, identifier: &str) -> u32 {
        self.highest.get(identifier).copied().unwrap_or(0)
    }

    /// Raises the floor; `false` when it was as high before.
    pub fn raise(&mut self, identifier: &str, version: u32) -> bool {
        if version <= self.floor(identifier) {
            return false;
        }
        self.highest.insert(identifier.to_owned(), version);
        true
    }

    /// Every identifier with its floor, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.highest.iter().map(|(identifier, version)| (identifier.as_str(), *version))
    }

    /// Reads them; a file that is not there is empty.
    ///
    /// # Errors
    /// Whatever is wrong with the file: then nobody knows what was accepted.
    pub fn load(path: &Path) -> Result<Self, RecordError> {
        let Some(document) = record::read::<Raw>(path, MAX_SIZE)? else { return Ok(Self::default()) };
        document.settle(|raw, problems| {
            let mut versions = Self::default();
            for (identifier, version) in raw.security_versions {
                match u32::try_from(*version.get_ref()) {
                    Ok(number) => _ = versions.raise(&identifier, number),
                    Err(_) => {
                        let problem = Problem::new(version.span(), format!("{} is no security version", version.get_ref()));
                        problems.push(problem.remedy("a security version is a number from 0 to 4294967295"));
                    }
                }
            }
            versions
        })
    }

    /// Writes them, whole or not at all.
    ///
    /// # Errors
    /// The old file is as it was.
    pub fn save(&self, path: &Path) -> Result<(), RecordError> {
        let numbers = self.highest.iter().map(|(identifier, version)| (identifier.clone(), Spanned::new(0..0, i64::from(*version))));
        record::write(path, COMMENT, &Raw { security_versions: numbers.collect() }, MAX_SIZE)
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    security_versions: BTreeMap<String, Spanned<i64>>,
}

const COMMENT: &str = "# The highest security version that was accepted of each program. The daemon writes this file, and never lowers a number.\n\n";
/// Some 200,000 programs.
const MAX_SIZE: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_is_raised_kept_and_never_lowered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("security-versions.toml");
        let mut versions = SecurityVersions::load(&path).unwrap();
        assert_eq!(versions.floor("org.example.tool"), 0);
        assert!(!versions.raise("org.example.tool", 0));
        assert!(versions.raise("org.example.tool", 7) && versions.raise("a_b-c", u32::MAX));
        assert!(!versions.raise("org.example.tool", 7) && !versions.raise("org.example.tool", 6));
        versions.save(&path).unwrap();
        let read = SecurityVersions::load(&path).unwrap();
        assert_eq!(read, versions);
        assert_eq!(read.iter().collect::<Vec<_>>(), [("a_b-c", u32::MAX), ("org.example.tool", 7)]);
    }

    #[test]
    fn a_damaged_file_is_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("security-versions.toml");
        for text in ["", "[security-versions]\na = -1\n", "[security-versions]\na = 4294967296\n", "[security-versions]\na = \"1\"\n", "[security-"] {
            std::fs::write(&path, text).unwrap();
            assert!(SecurityVersions::load(&path).is_err(), "{text}");
        }
    }
}
