//! Files that decide who is trusted must not be writable by anybody but root.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::policy::Policy;

/// A file or folder that somebody else than root may change.
#[derive(Debug, thiserror::Error)]
#[error("`{}` decides who is trusted, and {why}", path.display())]
pub struct Unprotected {
    /// The file, or a folder above it.
    pub path: PathBuf,
    /// Who may change it.
    pub why: String,
}

/// Looks at the policy, at the certificates and revocations that it names, at the daemon's state, and at every folder above them. A missing file is somebody else's error.
pub fn require_protected(policy: &Policy) -> Result<(), Unprotected> {
    let certificates = policy.signers.iter().flat_map(|signer| signer.anchors.iter().chain(&signer.pinned));
    let times = policy.timestamp_authorities.iter().flat_map(|authority| &authority.anchors);
    let revocation = std::iter::once(&policy.revocation.file).chain(&policy.revocation.crls);
    let state = Path::new(super::STATE_FOLDER).to_owned();
    for file in [&policy.path, &state].into_iter().chain(certificates).chain(times).chain(revocation) {
        let Ok(file) = file.canonicalize() else { continue };
        for path in file.ancestors() {
            require(path)?;
        }
    }
    Ok(())
}

fn require(path: &Path) -> Result<(), Unprotected> {
    let Ok(found) = fs::metadata(path) else { return Ok(()) };
    let refuse = |why: String| Err(Unprotected { path: path.to_owned(), why });
    if found.uid() != 0 {
        return refuse(format!("belongs to user {}: `chown root {}`", found.uid(), path.display()));
    }
    // In a sticky folder such as /tmp nobody can replace what root owns.
    let is_sticky_folder = found.is_dir() && found.mode() & 0o1000 != 0;
    if found.mode() & 0o022 != 0 && !is_sticky_folder {
        return refuse(format!("others may write to it: `chmod go-w {}`", path.display()));
    }
    Ok(())
}
