//! The files of this folder: seeds (`corpus/TARGET/`) and inputs that were found (`regressions/TARGET/`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file that a target is run on.
pub struct Input {
    /// The target's name: its folder's.
    pub target: String,
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Every seed and every input that was found, in the order of their names.
///
/// # Errors
/// The folder cannot be read.
pub fn inputs() -> io::Result<Vec<Input>> {
    let mut found = Vec::new();
    let regressions = root().join("regressions");
    // git keeps no empty folder: it is there as soon as something was found.
    let regressions = if regressions.exists() { listing(&regressions)? } else { Vec::new() };
    for folders in [listing(&root().join("corpus"))?, regressions] {
        for folder in folders {
            let target = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for path in listing(&folder)? {
                found.push(Input { target: target.clone(), bytes: fs::read(&path)?, path });
            }
        }
    }
    Ok(found)
}

/// The names of the dictionaries, without `.dict`.
///
/// # Errors
/// The folder cannot be read.
pub fn dictionaries() -> io::Result<Vec<String>> {
    Ok(listing(&root().join("dictionaries"))?.iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect())
}

fn listing(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
