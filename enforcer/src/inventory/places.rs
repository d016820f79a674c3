//! Where files of packages lie, however their package calls the folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Where paths of packages really lie: `/bin` may be a link to `/usr/bin`.
#[derive(Default)]
pub(super) struct Places(HashMap<PathBuf, PathBuf>);

impl Places {
    /// The path with its folder resolved; its last component is left as it is.
    pub(super) fn real(&mut self, path: &Path) -> PathBuf {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return path.to_owned() };
        if let Some(real) = self.0.get(folder) {
            return real.join(name);
        }
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        self.0.insert(folder.to_owned(), real.clone());
        real.join(name)
    }
}
