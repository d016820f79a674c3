//! Replacing a file whole or not at all: a draft in the same folder, synced, put in the original's place.
//!
//! Mode, owner and extended attributes are kept, or the file is not replaced. What a power cut leaves is the old file or the new one. A draft of
//! a new file has no name where the file system can do without, so that a killed process leaves none behind. Many drafts are synced at once
//! ([`commit`]): one wait for the disk instead of one for each file.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, XattrFlags};
use tempfile::TempPath;

use super::SignError;
use crate::measure::{self, MeasureError, Stamp};

/// The file that will be replaced.
pub(super) struct Original {
    file: File,
    path: PathBuf,
    metadata: Metadata,
    stamp: Stamp,
}

/// A file to be, or the successor of one, not visible under its name yet. Dropped, it leaves nothing behind.
pub(super) struct Draft {
    file: File,
    /// On file systems that know no files without a name.
    name: Option<TempPath>,
    path: PathBuf,
    /// What it replaces.
    original: Option<(File, Stamp)>,
}

/// Something that is ready to be done.
pub(super) enum Change {
    /// A file is put in its place.
    Draft(Draft),
    /// An extended attribute is set.
    Attribute(Attribute),
}

/// An extended attribute to be.
pub(super) struct Attribute {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) name: &'static str,
    pub(super) value: Vec<u8>,
    /// The version of the file that it is about.
    pub(super) stamp: Stamp,
}

impl Original {
    pub(super) fn of(file: File, path: &Path) -> Result<Self, SignError> {
        let metadata = file.metadata().map_err(SignError::write(path))?;
        let stamp = Stamp::of(&file)?;
        Ok(Self { file, path: path.to_owned(), metadata, stamp })
    }

    /// What somebody might not expect.
    pub(super) fn notes(&self) -> Vec<String> {
        match self.metadata.nlink() {
            0 | 1 => Vec::new(),
            links => vec![format!("it had {links} hard links: the other names still mean the unsigned file")],
        }
    }

    /// A copy of its first bytes, with its owner, mode and extended attributes.
    pub(super) fn draft(self, bytes: u64) -> Result<Draft, SignError> {
        let failed = || SignError::write(&self.path);
        let mut draft = Draft::of(&self.path).map_err(failed())?;
        let mut source = &self.file;
        io::Seek::rewind(&mut source).map_err(failed())?;
        let copied = io::copy(&mut source.take(bytes), &mut draft.file).map_err(failed())?;
        if copied != bytes {
            return Err(MeasureError::Changed.into());
        }
        self.keep_attributes(&draft.file)?;
        draft.original = Some((self.file, self.stamp));
        Ok(draft)
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
        for name in attribute_names(&self.file).map_err(lost("the extended attributes"))? {
            let text = String::from_utf8_lossy(&name).into_owned();
            // These are about the old content, and wrong for the new one.
            if ABOUT_CONTENT.contains(&text.as_str()) {
                continue;
            }
            let result = copy_attribute(&self.file, draft, &name);
            result.map_err(lost(&format!("the extended attribute `{text}`")))?;
        }
        Ok(())
    }
}

impl Draft {
    /// A new file, readable by everybody.
    pub(super) fn new(path: &Path, content: &[u8]) -> Result<Self, SignError> {
        let write = || {
            let mut draft = Self::of(path)?;
            draft.file.write_all(content)?;
            draft.file.set_permissions(Permissions::from_mode(0o644))?;
            Ok(draft)
        };
        write().map_err(SignError::write(path))
    }

    fn of(path: &Path) -> io::Result<Self> {
        let folder = folder_of(path);
        // Where something is to be replaced, a name is needed anyway before the rename, and ext4 is many times slower that way round.
        if *NAMES_BY_DESCRIPTOR && path.symlink_metadata().is_err() {
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => return Ok(Self { file: file.into(), name: None, path: path.to_owned(), original: None }),
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let (file, name) = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder)?.into_parts();
        Ok(Self { file, name: Some(name), path: path.to_owned(), original: None })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Puts it in its place, if what it replaces is still as it was.
    fn publish(self) -> Result<(), SignError> {
        if let Some((file, stamp)) = &self.original
            && Stamp::of(file)? != *stamp
        {
            return Err(MeasureError::Changed.into());
        }
        let path = self.path.clone();
        self.rename().map_err(SignError::write(&path))
    }

    fn rename(self) -> io::Result<()> {
        if let Some(name) = self.name {
            return name.persist(&self.path).map_err(|error| error.error);
        }
        let here = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let link = |name: &Path| rustix::fs::linkat(CWD, &here, CWD, name, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from);
        match link(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => return outcome,
        }
        // Somebody was faster. A link never replaces anything, a rename does.
        let (_, name) = tempfile::Builder::new().prefix(PREFIX).make_in(folder_of(&self.path), link)?.into_parts();
        name.persist(&self.path).map_err(|error| error.error)
    }
}

impl Attribute {
    fn publish(self) -> Result<(), SignError> {
        if Stamp::of(&self.file)? != self.stamp {
            return Err(MeasureError::Changed.into());
        }
        let set = rustix::fs::fsetxattr(&self.file, self.name, &self.value, XattrFlags::empty());
        set.map_err(|errno| SignError::Attribute { path: self.path, name: self.name, size: self.value.len(), source: errno.into() })
    }
}

impl Change {
    fn file(&self) -> &File {
        match self {
            Self::Draft(draft) => &draft.file,
            Self::Attribute(attribute) => &attribute.file,
        }
    }

    fn publish(self) -> Result<(), SignError> {
        match self {
            Self::Draft(draft) => draft.publish(),
            Self::Attribute(attribute) => attribute.publish(),
        }
    }

    /// Does it alone; when this returns, it is on the disk.
    pub(super) fn commit(self) -> Result<(), SignError> {
        match self {
            Self::Draft(draft) => {
                let path = draft.path.clone();
                draft.file.sync_all().map_err(SignError::write(&path))?;
                draft.publish()?;
                File::open(folder_of(&path)).and_then(|folder| folder.sync_all()).map_err(SignError::write(&path))
            }
            Self::Attribute(attribute) => {
                let (file, path) = (attribute.file.try_clone(), attribute.path.clone());
                attribute.publish()?;
                file.and_then(|file| file.sync_all()).map_err(SignError::write(&path))
            }
        }
    }
}

/// The file systems that were changed, each with a file of it.
#[derive(Default)]
pub(super) struct Volumes(BTreeMap<u64, File>);

impl Volumes {
    /// Waits until everything that was done is on the disk, names too.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.values().try_for_each(|file| Ok(rustix::fs::syncfs(file)?))
    }

    pub(super) fn join(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

/// Does many changes: first the bytes of all drafts reach the disk, in one go for each file system, then each is put in its place. The new names
/// reach the disk with [`Volumes::sync`].
pub(super) fn commit(changes: Vec<Change>) -> (Vec<Result<(), SignError>>, Volumes) {
    let mut volumes = Volumes::default();
    let drafts = || changes.iter().map(Change::file);
    let gathered: io::Result<()> = drafts().try_for_each(|file| {
        let device = file.metadata()?.dev();
        if let Entry::Vacant(place) = volumes.0.entry(device) {
            place.insert(file.try_clone()?);
        }
        Ok(())
    });
    // Each draft was opened before it was written, so syncfs reports whatever went wrong with it.
    match gathered.and_then(|()| volumes.sync()) {
        Ok(()) => (changes.into_iter().map(Change::publish).collect(), volumes),
        Err(error) => {
            let failed = |change: Change| {
                let path = match &change {
                    Change::Draft(draft) => &draft.path,
                    Change::Attribute(attribute) => &attribute.path,
                };
                Err(SignError::write(path)(io::Error::new(error.kind(), error.to_string())))
            };
            (changes.into_iter().map(failed).collect(), volumes)
        }
    }
}

/// Writes a new file, readable by everybody, whole or not at all.
pub fn write_new(path: &Path, content: &[u8]) -> Result<(), SignError> {
    Change::Draft(Draft::new(path, content)?).commit()
}

/// Gives a file another content, whole or not at all. Its mode, owner and extended attributes stay, and so does a symbolic link that leads to it: what is replaced
/// is the file itself. One that is not there yet becomes a new one.
pub fn rewrite(path: &Path, content: &[u8]) -> Result<(), SignError> {
    if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return write_new(path, content);
    }
    let path = path.canonicalize().map_err(SignError::Name)?;
    let mut draft = Original::of(measure::open(&path)?, &path)?.draft(0)?;
    draft.file.write_all(content).map_err(SignError::write(&path))?;
    Change::Draft(draft).commit()
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

const ABOUT_CONTENT: [&str; 3] = [super::IMA_ATTRIBUTE, "security.evm", super::ATTRIBUTE];
/// Whether a file without a name can be given one: `linkat` takes it from `/proc`.
static NAMES_BY_DESCRIPTOR: LazyLock<bool> = LazyLock::new(|| Path::new("/proc/self/fd").exists());
const PREFIX: &str = ".enforcer-";
/// `<linux/limits.h>`.
const XATTR_LIST_MAX: usize = 65536;
const XATTR_SIZE_MAX: usize = 65536;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_that_is_rewritten_keeps_its_mode_and_the_links_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let [real, link, missing] = ["kept/policy.toml", "policy.toml", "new.toml"].map(|name| folder.path().join(name));
        fs::create_dir(folder.path().join("kept")).unwrap();
        fs::write(&real, "a longer text than the new one").unwrap();
        fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
        symlink("kept/policy.toml", &link).unwrap();
        let before = fs::metadata(&real).unwrap();

        rewrite(&link, b"new").unwrap();
        let after = fs::metadata(&real).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink(), "the link is a file now");
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
        assert_ne!(after.ino(), before.ino(), "written in its place, where a reader could see half of it");

        rewrite(&missing, b"new").unwrap();
        assert_eq!(fs::read(&missing).unwrap(), b"new");
        symlink("nowhere", folder.path().join("dangling")).unwrap();
        assert!(matches!(rewrite(&folder.path().join("dangling"), b"new"), Err(SignError::Name(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "a draft is left");
        assert_eq!(fs::read_dir(folder.path().join("kept")).unwrap().count(), 1, "a draft is left");
    }

    #[test]
    fn extended_attributes_of_a_file_that_is_rewritten_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        fs::write(&path, "old").unwrap();
        match rustix::fs::setxattr(&path, "user.note", b"kept", XattrFlags::empty()) {
            // Not every temporary folder can.
            Err(rustix::io::Errno::OPNOTSUPP) => return,
            outcome => outcome.unwrap(),
        }
        rewrite(&path, b"new").unwrap();
        let mut value = [0; 16];
        let length = rustix::fs::getxattr(&path, "user.note", &mut value).unwrap();
        assert_eq!(&value[..length], b"kept");
    }
}
