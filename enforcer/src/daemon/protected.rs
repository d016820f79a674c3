//! Files that decide who is trusted must not be writable by anybody but root.

use std::collections::VecDeque;
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

/// Looks at the policy, at every certificate, revocation and list that it names, at the daemon's state, and at every folder and link on the way there.
/// Certificates that add no trust count too: one that cannot be read keeps the whole policy from being loaded, and nothing is enforced after the next
/// start. A missing file is somebody else's error.
pub fn require_protected(policy: &Policy) -> Result<(), Unprotected> {
    let certificates = policy.signers.iter().flat_map(|signer| signer.anchors.iter().chain(&signer.pinned).chain(&signer.intermediates));
    let times = policy.timestamp_authorities.iter().flat_map(|authority| authority.anchors.iter().chain(&authority.intermediates));
    let lists = policy.revocation.crls.iter();
    let listed = lists.clone().filter_map(|folder| fs::read_dir(folder).ok()).flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let state = Path::new(super::STATE_FOLDER).to_owned();
    let signed = (!policy.protection.policy_signers.is_empty()).then(|| crate::charter::list_beside(&policy.path));
    let named = [&policy.path, &state, &policy.revocation.file].into_iter().chain(certificates).chain(times).chain(lists).cloned();
    named.chain(listed).chain(signed).flat_map(|file| way_to(&file)).try_for_each(|place| require(&place))
}

/// Everything that decides what is found under this name: each folder and each link on the way, and the file.
fn way_to(path: &Path) -> Vec<PathBuf> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut rest: VecDeque<PathBuf> = path.components().map(|part| PathBuf::from(part.as_os_str())).collect();
    let (mut place, mut way) = (PathBuf::new(), Vec::new());
    while let Some(part) = rest.pop_front() {
        if part == Path::new("..") {
            place.pop();
            continue;
        }
        // The root, with which an absolute link begins too, takes the place of everything before it.
        place.push(part);
        way.push(place.clone());
        if let Ok(target) = fs::read_link(&place) {
            place.pop();
            target.components().rev().for_each(|part| rest.push_front(part.as_os_str().into()));
        }
        if way.len() > LONGEST_WAY {
            break;
        }
    }
    way
}

fn require(path: &Path) -> Result<(), Unprotected> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let refuse = |why: String| Err(Unprotected { path: path.to_owned(), why });
    if found.uid() != 0 {
        return refuse(format!("belongs to user {}: `chown -h root {}`", found.uid(), path.display()));
    }
    // In a sticky folder such as /tmp nobody can replace what root owns. The mode of a link means nothing.
    let is_sticky_folder = found.is_dir() && found.mode() & 0o1000 != 0;
    if found.mode() & 0o022 != 0 && !is_sticky_folder && !found.is_symlink() {
        return refuse(format!("others may write to it: `chmod go-w {}`", path.display()));
    }
    Ok(())
}

/// Names on the way to a file, links and all: the kernel follows 40 links.
const LONGEST_WAY: usize = 4096;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn the_way_goes_through_every_link_and_the_folders_that_they_lie_in() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let at = |name: &str| root.join(name);
        for name in ["open", "closed"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("closed/root.pem"), "").unwrap();
        symlink("../closed/root.pem", at("open/link")).unwrap();
        symlink(at("open/link"), at("closed/link")).unwrap();
        let way = way_to(&at("closed/link"));
        for name in ["closed", "closed/link", "open", "open/link", "closed/root.pem"] {
            assert!(way.contains(&at(name)), "{name}: {way:?}");
        }
        assert_eq!(way.last(), Some(&at("closed/root.pem")));
        symlink("loop", at("loop")).unwrap();
        assert!(way_to(&at("loop")).len() <= LONGEST_WAY + 1);
        // Whoever may write to the folder of a link may lead it elsewhere.
        fs::set_permissions(at("open"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(require(&at("open")).is_err());
    }
}
