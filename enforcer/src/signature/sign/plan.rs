//! From a file to what has to be signed, and from the signed value to a file that is ready to be put in its place.
//!
//! The two halves are apart because a key may be somewhere else: [`Work::plan`] decides everything that is signed, down to the layout of the file,
//! and gives the same answer whenever it is asked about the same file.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use enforcer_common::Digest;

use super::replace::{Attribute, Change, Draft, Original};
use super::template::Template;
use super::{ATTRIBUTE, ContentDigest, Destination, IMA_ATTRIBUTE, MAX_SIGNATURE_SIZE, SignError, Signed, appended, comment, embed, ima};
use crate::measure::{self, Measurement, Part, Plan, Region, Stamp};
use crate::signature::comment::Marks;
use crate::signature::{Carrier, elf, find, trailer};

/// One file, about to be signed.
pub(super) struct Work {
    path: PathBuf,
    place: Place,
    /// Exactly the bytes that are signed.
    message: Vec<u8>,
    /// Whether these are the signed attributes rather than the content.
    has_attributes: bool,
    content: ContentDigest,
    digest: Digest,
    notes: Vec<String>,
}

/// Where the signature will be.
enum Place {
    Embedded { draft: Draft, range: Range<u64> },
    Appended { draft: Draft, content: u64 },
    Comment { draft: Draft, content: u64, marks: Marks },
    Detached(PathBuf),
    Store(PathBuf),
    Xattr { file: File, stamp: Stamp },
    Ima { file: File, stamp: Stamp },
}

impl Work {
    /// Finds out what is to be signed. `path` is no symbolic link.
    pub(super) fn plan(template: &Template, path: &Path, destination: &Destination) -> Result<Self, SignError> {
        let file = measure::open(path)?;
        match destination {
            Destination::Automatic if elf::is_elf(&file).map_err(SignError::Elf)? => match Self::embedded(template, file, path) {
                Err(SignError::Elf(problem)) if problem.detached_is_possible() => {
                    let mut work = Self::plan(template, path, &Destination::Detached)?;
                    work.notes.push(format!("signed beside the file, because {problem}"));
                    Ok(work)
                }
                outcome => outcome,
            },
            Destination::Embedded => Self::embedded(template, file, path),
            Destination::Appended => Self::appended(template, file, path),
            Destination::Comment(marks) => Self::comment(template, file, path, marks.as_ref()),
            Destination::Automatic | Destination::Detached => {
                Self::whole(template, file, path, destination, |_, _| Place::Detached(find::signature_path(path)))
            }
            Destination::Store(folder) => {
                Self::whole(template, file, path, destination, |digest, _| Place::Store(folder.join(find::store_name(digest))))
            }
            Destination::Xattr => {
                let stamp = Stamp::of(&file)?;
                Self::whole(template, file, path, destination, |_, file| Place::Xattr { file, stamp })
            }
            Destination::Ima => {
                ima::check(&template.scheme)?;
                let stamp = Stamp::of(&file)?;
                Self::whole(template, file, path, destination, |_, file| Place::Ima { file, stamp })
            }
        }
    }

    fn embedded(template: &Template, file: File, path: &Path) -> Result<Self, SignError> {
        // The signature's size must be known before its content is: the section header that announces it is signed.
        let area = template.area()?;
        let layout = embed::plan(&file, area as u64).map_err(SignError::Elf)?;
        let original = Original::of(file, path)?;
        let notes = original.notes();
        let draft = original.draft(layout.kept)?;
        layout.apply(draft.file()).map_err(SignError::write(path))?;
        let measurement = measured(draft.file(), template, layout.range.clone())?;
        let message = template.message(&Destination::Embedded, &measurement, draft.file())?;
        Self::new(path, Place::Embedded { draft, range: layout.range }, message, &measurement, notes)
    }

    fn appended(template: &Template, file: File, path: &Path) -> Result<Self, SignError> {
        let content = appended::content_size(&file)?;
        trailer::may_follow(&file, content)?;
        let original = Original::of(file, path)?;
        let notes = original.notes();
        let draft = original.draft(content)?;
        let measurement = measured(draft.file(), template, 0..0)?;
        let message = template.message(&Destination::Appended, &measurement, draft.file())?;
        Self::new(path, Place::Appended { draft, content }, message, &measurement, notes)
    }

    fn comment(template: &Template, file: File, path: &Path, marks: Option<&Marks>) -> Result<Self, SignError> {
        let layout = comment::plan(&file, path, marks)?;
        let original = Original::of(file, path)?;
        let notes = original.notes().into_iter().chain(layout.note.clone()).collect();
        let draft = original.draft(layout.kept)?;
        layout.apply(draft.file()).map_err(SignError::write(path))?;
        let measurement = measured(draft.file(), template, 0..0)?;
        let message = template.message(&Destination::Comment(None), &measurement, draft.file())?;
        Self::new(path, Place::Comment { draft, content: measurement.size, marks: layout.marks }, message, &measurement, notes)
    }

    /// The content is the file as it is.
    fn whole(
        template: &Template,
        file: File,
        path: &Path,
        destination: &Destination,
        place: impl FnOnce(&Digest, File) -> Place,
    ) -> Result<Self, SignError> {
        let measurement = measured(&file, template, 0..0)?;
        let message = template.message(destination, &measurement, &file)?;
        Self::new(path, place(&measurement.digest, file), message, &measurement, Vec::new())
    }

    fn new(path: &Path, place: Place, message: Message, measurement: &Measurement, notes: Vec<String>) -> Result<Self, SignError> {
        let (message, has_attributes) = match message {
            Message::Attributes(der) => (der, true),
            Message::Content(bytes) => (bytes, false),
        };
        Ok(Self { path: path.to_owned(), place, message, has_attributes, content: measurement.parts[0], digest: measurement.digest, notes })
    }

    /// Exactly the bytes that are signed.
    pub(super) fn message(&self) -> &[u8] {
        &self.message
    }

    /// The content's digest.
    pub(super) fn content(&self) -> &ContentDigest {
        &self.content
    }

    /// Where the signature will go, settled.
    pub(super) fn destination(&self) -> Destination {
        match &self.place {
            Place::Embedded { .. } => Destination::Embedded,
            Place::Appended { .. } => Destination::Appended,
            Place::Comment { marks, .. } => Destination::Comment(Some(marks.clone())),
            Place::Detached(_) => Destination::Detached,
            Place::Store(path) => Destination::Store(path.parent().unwrap_or(Path::new(".")).to_owned()),
            Place::Xattr { .. } => Destination::Xattr,
            Place::Ima { .. } => Destination::Ima,
        }
    }

    /// The file with the signature that this value makes, ready to be put in its place.
    pub(super) fn complete(self, template: &Template, value: &[u8]) -> Result<(Change, Signed), SignError> {
        if let Place::Ima { file, stamp } = self.place {
            let value = ima::encode(&template.scheme, &template.facts, value)?;
            let change = Change::Attribute(Attribute { file, path: self.path, name: IMA_ATTRIBUTE, value, stamp });
            return Ok((change, Signed { digest: self.digest, carrier: Carrier::Ima, notes: self.notes }));
        }
        let frame = template.frame(&self.destination());
        let mut signature = frame.encode(self.has_attributes.then_some(self.message.as_slice()), value)?;
        if signature.len() > MAX_SIGNATURE_SIZE {
            return Err(SignError::TooLarge { limit: MAX_SIGNATURE_SIZE });
        }
        let path = self.path;
        let mut digest = self.digest;
        let (change, carrier) = match self.place {
            Place::Detached(path) => (Change::Draft(Draft::new(&path, &signature)?), Carrier::Detached(path.into())),
            Place::Store(path) => (Change::Draft(Draft::new(&path, &signature)?), Carrier::Store(path.into())),
            Place::Xattr { file, stamp } => (Change::Attribute(Attribute { file, path, name: ATTRIBUTE, value: signature, stamp }), Carrier::Xattr),
            Place::Embedded { draft, range } => {
                let area = (range.end - range.start) as usize;
                if signature.len() > area {
                    return Err(SignError::TooLarge { limit: area });
                }
                signature.resize(area, 0);
                draft.file().write_all_at(&signature, range.start).map_err(SignError::write(&path))?;
                // What the verifier will look for is there, or the file is not replaced.
                match elf::locate(draft.file()).map_err(SignError::Elf)? {
                    Some(section) if section.range == range && section.bytes == signature => {}
                    _ => return Err(SignError::Elf(elf::ElfError::Unsuitable)),
                }
                digest = measure::sha256(draft.file(), u64::MAX)?;
                (Change::Draft(draft), Carrier::Embedded)
            }
            Place::Appended { draft, content } => {
                appended::write(draft.file(), content, &signature).map_err(SignError::write(&path))?;
                digest = measure::sha256(draft.file(), u64::MAX)?;
                (Change::Draft(draft), Carrier::Appended)
            }
            Place::Comment { draft, content, marks } => {
                comment::write(draft.file(), content, &marks, &signature, &path)?;
                digest = measure::sha256(draft.file(), u64::MAX)?;
                (Change::Draft(draft), Carrier::Comment)
            }
            Place::Ima { .. } => return Err(SignError::Signing),
        };
        Ok((change, Signed { digest, carrier, notes: self.notes }))
    }
}

/// What is signed.
pub(super) enum Message {
    /// The DER of the signed attributes.
    Attributes(Vec<u8>),
    /// The content itself.
    Content(Vec<u8>),
}

impl Template {
    fn message(&self, destination: &Destination, measurement: &Measurement, content: &File) -> Result<Message, SignError> {
        let attributes = match destination {
            Destination::Ima => None,
            _ => self.frame(destination).signed_attributes(&measurement.parts[0])?,
        };
        match attributes {
            Some(der) => Ok(Message::Attributes(der)),
            None => Ok(Message::Content(read(content, measurement)?)),
        }
    }
}

/// The content itself, bounded; signatures over it are made and checked in memory.
fn read(mut file: &File, measurement: &Measurement) -> Result<Vec<u8>, SignError> {
    let size = measurement.size;
    if size > MAX_CONTENT_IN_MEMORY {
        return Err(SignError::ContentTooLarge { size, limit: MAX_CONTENT_IN_MEMORY });
    }
    let mut bytes = Vec::with_capacity(size as usize);
    let unreadable = |source| SignError::File(measure::MeasureError::Read { source });
    std::io::Seek::rewind(&mut file).map_err(unreadable)?;
    file.take(MAX_CONTENT_IN_MEMORY + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if measure::Algorithm::Sha256.digest(&bytes).bytes() != measurement.digest.bytes {
        return Err(measure::MeasureError::Changed.into());
    }
    Ok(bytes)
}

fn measured(file: &File, template: &Template, zeroed: Range<u64>) -> Result<Measurement, SignError> {
    let part = Part { algorithm: template.scheme.digest(), region: Region::zeroed(zeroed) };
    Ok(measure::measure(file, &Plan { max_size: u64::MAX, parts: vec![part], witnesses: &[] })?)
}

/// What `verify` reads into memory too.
const MAX_CONTENT_IN_MEMORY: u64 = 64 << 20;
