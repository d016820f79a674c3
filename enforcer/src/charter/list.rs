//! The signed list beside a policy: a manifest that begins with a line of its own, so that no list of files that somebody signed for another purpose can
//! pass for one.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use enforcer_common::{ALGORITHM_SHA256, Digest};

use super::CharterError;
use crate::policy::Policy;
use crate::signature::SignedText;
use crate::signature::manifest::{Entry, entries, write_entry};
use crate::trust::TrustStore;

/// Reads the list beside a policy: `policy.toml.manifest`, with its `policy.toml.manifest.p7s`.
///
/// # Errors
/// One of them is not there, or not readable.
pub fn beside(policy: &Path) -> Result<SignedText, CharterError> {
    let path = path_beside(policy);
    SignedText::read(&path, MAX_LIST_SIZE).map_err(|problem| CharterError::NoList { policy: policy.to_owned(), path, problem: problem.into() })
}

/// The list that a policy signer has to sign for this policy: the policy, every file that certificates are read from, and the file of revocations if
/// there is one.
pub fn write(policy: &Policy, trust: &TrustStore) -> Vec<u8> {
    let mut text = format!("{HEADER}\n").into_bytes();
    let certificates = trust.files().iter().map(|(path, sha256)| (path, *sha256));
    let revoked = trust.revoked().sha256().map(|sha256| (&policy.revocation.file, sha256));
    let mut written: HashSet<&PathBuf> = HashSet::new();
    for (path, sha256) in std::iter::once((&policy.path, policy.sha256)).chain(certificates).chain(revoked) {
        if written.insert(path) {
            write_entry(&Entry { digest: Digest::sha256(sha256), path: Cow::Borrowed(path.as_os_str().as_bytes()) }, &mut text);
        }
    }
    text
}

/// `policy.toml.manifest`.
pub fn path_beside(policy: &Path) -> PathBuf {
    let mut name = OsString::from(policy);
    name.push(".manifest");
    name.into()
}

pub(super) fn require_header(list: &SignedText) -> Result<(), CharterError> {
    let has_header = list.text().strip_prefix(HEADER.as_bytes()).is_some_and(|rest| rest.starts_with(b"\n"));
    if has_header { Ok(()) } else { Err(CharterError::NoHeader { path: list.path().to_owned() }) }
}

/// The SHA-256 digests that it lists.
pub(super) fn digests(list: &SignedText) -> Result<HashSet<[u8; 32]>, CharterError> {
    let wrong = |problem| CharterError::Line { path: list.path().to_owned(), problem };
    let listed = entries(list.text()).map(|entry| entry.map(|entry| entry.digest)).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    Ok(listed.into_iter().filter(|digest| digest.algorithm == ALGORITHM_SHA256).map(|digest| digest.bytes).collect())
}

/// The first line.
pub const HEADER: &str = "# enforcer policy";
/// Thousands of files.
const MAX_LIST_SIZE: u64 = 1 << 20;
