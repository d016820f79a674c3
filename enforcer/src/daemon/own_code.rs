//! The daemon's own code: what must be allowed for it to start again.
//!
//! Enforcing a policy under which this very program or one of its libraries may not be loaded would lock the administrator out: neither a restart nor
//! `enforcer stop` would run.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use enforcer_common::{USE_EXEC, USE_LIBRARY};

use super::locate::open_regular;
use crate::kernel::{own_program, own_text, without_mark};
use crate::processes::Mapping;
use crate::signature::{Examiner, Facts, Verified};

/// A part of the daemon that the policy would not let in.
#[derive(Debug)]
pub struct Refused {
    /// The program, or one of its libraries.
    pub path: PathBuf,
    /// Why.
    pub detail: String,
}

/// Where this program is, also when the file has been replaced since it was started.
pub fn program() -> io::Result<PathBuf> {
    own_program().map(without_mark)
}

/// What is decided about each file that this process runs.
pub fn examine(examiner: &Examiner, facts: &Facts<'_>) -> io::Result<Vec<Result<Verified, Refused>>> {
    let program = program()?;
    Ok(mapped_files()?
        .into_iter()
        .map(|path| {
            let wanted = if path == program { USE_EXEC } else { USE_LIBRARY };
            examine_one(examiner, &path, wanted, facts).map_err(|detail| Refused { path, detail })
        })
        .collect())
}

fn examine_one(examiner: &Examiner, path: &Path, wanted: u32, facts: &Facts<'_>) -> Result<Verified, String> {
    let file = open_regular(path).ok_or("cannot be opened")?;
    let examination = examiner.examine(&file, Some(path), facts).map_err(|error| error.to_string())?;
    match examination.outcome() {
        Ok(verified) if verified.uses() & wanted == wanted => Ok(verified.clone()),
        Ok(verified) => Err(format!("is signed by `{}`, which may not sign for this use", verified.signer_name())),
        Err(rejected) => Err(rejected.to_string()),
    }
}

/// The files behind this process's executable mappings.
fn mapped_files() -> io::Result<BTreeSet<PathBuf>> {
    let maps = own_text("maps")?;
    let code = maps.lines().filter_map(Mapping::parse).filter(|mapping| mapping.is_code);
    let paths = code.filter_map(|mapping| mapping.path).filter(|path| path.starts_with('/'));
    // Replaced since it was started: what matters is what stands there now, and would be started next.
    Ok(paths.map(|path| without_mark(path.into())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_itself_and_its_c_library_are_found() {
        let files = mapped_files().expect("proc is mounted");
        assert!(files.contains(&std::env::current_exe().expect("a program has a path")), "{files:?}");
        assert!(files.iter().any(|path| path.to_string_lossy().contains("libc")), "{files:?}");
    }
}
