//! Replacing a file whole or not at all: a draft in the same folder, synced, renamed over the original, folder synced.
//!
//! Mode, owner and extended attributes are kept, or the file is not replaced. What a power cut leaves is the old file or the new one.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Uid, XattrFlags};
use tempfile::NamedTempFile;

use super::SignError;

/// The file that will be replaced.
pub(super) struct Original<'a> {
    file: &'a File,
    path: PathBuf,
    metadata: Metadata,
}

/// Its successor, not visible under its name yet. Dropped, it leaves nothing behind.
pub(super) struct Draft {
    draft: NamedTempFile,
    path: PathBuf,
}

impl<'a> Original<'a> {
    pub(super) fn of(file: &'a File, path: &Path) -> Result<Self, SignError> {
        let metadata = file.metadata().map_err(SignError::write(path))?;
        Ok(Self { file, path: path.to_owned(), metadata })
    }

    /// What somebody might not expect.
    pub(super) fn notes(&self) -> Vec<String> {
        match self.metadata.nlink() {
            0 | 1 => Vec::new(),
            links => vec![format!("it had {links} hard links: the other names still mean the unsigned file")],
        }
    }

    /// A copy of its first bytes, with its owner, mode and extended attributes.
    pub(super) fn draft(&self, bytes: u64) -> Result<Draft, SignError> {
        let failed = || SignError::write(&self.path);
        let mut draft = draft_in(&self.path).map_err(failed())?;
        let mut source: &File = self.file;
        io::Seek::rewind(&mut source).map_err(failed())?;
        let copied = io::copy(&mut source.take(bytes), draft.as_file_mut()).map_err(failed())?;
        if copied != bytes {
            return Err(crate::measure::MeasureError::Changed.into());
        }
        self.keep_attributes(draft.as_file())?;
        Ok(Draft { draft, path: self.path.clone() })
    }

    /// Owner first, because changing it clears set-user-ID bits and file capabilities.
    fn keep_attributes(&self, draft: &File) -> Result<(), SignError> {
        let lost = |what: &str| {
            let (path, what) = (self.path.clone(), what.to_owned());
            move |source: io::Error| SignError::Keep { path, what, source }
        };
        let theirs = draft.metadata().map_err(lost("the owner"))?;
        if (theirs.uid(), theirs.gid()) != (self.metadata.uid(), self.metadata.gid()) {
            let (uid, gid) = (Uid::from_raw(self.metadata.uid()), Gid::from_raw(self.metadata.gid()));
            rustix::fs::fchown(draft, Some(uid), Some(gid)).map_err(|errno| lost("the owner")(errno.into()))?;
        }
        draft.set_permissions(Permissions::from_mode(self.metadata.mode() & 0o7777)).map_err(lost("the mode"))?;
        for name in attribute_names(self.file).map_err(lost("the extended attributes"))? {
            let text = String::from_utf8_lossy(&name).into_owned();
            // These are about the old content, and wrong for the new one.
            if ABOUT_CONTENT.contains(&text.as_str()) {
                continue;
            }
            let result = copy_attribute(self.file, draft, &name);
            result.map_err(lost(&format!("the extended attribute `{text}`")))?;
        }
        Ok(())
    }
}

impl Draft {
    pub(super) fn file(&self) -> &File {
        self.draft.as_file()
    }

    /// Puts it in the original's place.
    pub(super) fn publish(self) -> Result<(), SignError> {
        publish(self.draft, &self.path).map_err(SignError::write(&self.path))
    }
}

/// Writes a new file, readable by everybody, whole or not at all.
pub fn write_new(path: &Path, content: &[u8]) -> Result<(), SignError> {
    let write = || {
        let mut draft = draft_in(path)?;
        draft.write_all(content)?;
        draft.as_file().set_permissions(Permissions::from_mode(0o644))?;
        publish(draft, path)
    };
    write().map_err(SignError::write(path))
}

fn draft_in(path: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".enforcer-").tempfile_in(folder_of(path))
}

fn publish(draft: NamedTempFile, path: &Path) -> io::Result<()> {
    draft.as_file().sync_all()?;
    draft.persist(path).map_err(|error| error.error)?;
    File::open(folder_of(path))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn attribute_names(file: &File) -> io::Result<Vec<Vec<u8>>> {
    let mut buffer = vec![0; XATTR_LIST_MAX];
    match rustix::fs::flistxattr(file, &mut buffer) {
        Ok(length) => Ok(buffer[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()),
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(Vec::new()),
        Err(errno) => Err(errno.into()),
    }
}

fn copy_attribute(from: &File, to: &File, name: &[u8]) -> io::Result<()> {
    let mut value = vec![0; XATTR_SIZE_MAX];
    let length = rustix::fs::fgetxattr(from, name, &mut value)?;
    Ok(rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty())?)
}

const ABOUT_CONTENT: [&str; 3] = ["security.ima", "security.evm", "user.enforcer.signature"];
/// `<linux/limits.h>`.
const XATTR_LIST_MAX: usize = 65536;
const XATTR_SIZE_MAX: usize = 65536;
