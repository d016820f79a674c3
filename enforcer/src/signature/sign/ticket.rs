//! Signing in two steps, for keys that never meet the files: [`prepare`] writes what is to be signed, [`attach`] takes the values.
//!
//! A folder goes to where the key is and comes back: `ticket.json` (what is signed how, written here and read here), `certificates.pem`, and for
//! each file `NAME.tbs`, the exact bytes to be signed, to which `NAME.sig` is added. Whatever was done to the folder on its way, nothing but a
//! value of the certificate's key over the file as it is now is ever attached.

mod error;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::AtomicBool;

use der::asn1::UintRef;
use der::{Encode, Sequence};
use pem_rfc7468::LineEnding;
use rustls_pki_types::UnixTime;
use serde::{Deserialize, Serialize};

pub use error::TicketError;

use super::plan::Work;
use super::template::Template;
use super::{Algorithm, Answer, Destination, KeyKind, MeasureError, Scheme, Settings, SignError, many, settled, write_whole};
use crate::measure;
use crate::signature::claims::Claims;
use crate::signature::comment::Marks;
use crate::text::hex;

/// What there is to do between the two steps.
pub struct Prepared {
    /// How each value is to be made.
    pub scheme: Scheme,
    /// Each file with its `NAME.tbs`, or why there is none.
    pub files: Vec<(PathBuf, Result<PathBuf, SignError>)>,
}

/// Writes what is to be signed for each of the files. The folder is new or empty.
pub fn prepare(
    folder: &Path,
    (certificate, chain): (&Path, Option<&Path>),
    settings: Settings,
    files: impl Iterator<Item = (PathBuf, Result<(), MeasureError>)> + Send,
    destination: &Destination,
    now: UnixTime,
) -> Result<Prepared, SignError> {
    let template = Template::load(certificate, chain, settings, now)?;
    let failed = |source| TicketError::Folder { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    if fs::read_dir(folder).map_err(failed)?.next().is_some() {
        return Err(TicketError::NotEmpty(folder.to_owned()).into());
    }
    let prepared = measure::in_parallel(files.zip(1_usize..), |((path, found), number)| {
        let entry = found.map_err(SignError::from).and_then(|()| prepare_one(folder, &template, &path, number, destination));
        (path, entry)
    });
    let entries = prepared.iter().filter_map(|(_, entry)| entry.as_ref().ok());
    let ticket = Ticket::new(&template, entries.cloned().collect());
    let text = serde_json::to_string_pretty(&ticket).map_err(TicketError::Json)?;
    let certificates = template.certificates.iter().map(|certificate| pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, certificate));
    let certificates = certificates.collect::<Result<String, _>>().map_err(|_| SignError::Signing)?;
    write_whole(&folder.join(CERTIFICATES), certificates.as_bytes())?;
    write_whole(&folder.join(TICKET), text.as_bytes())?;
    let files = prepared.into_iter().map(|(path, entry)| (path, entry.map(|entry| entry.at(folder, "tbs"))));
    Ok(Prepared { scheme: template.scheme, files: files.collect() })
}

fn prepare_one(folder: &Path, template: &Template, path: &Path, number: usize, destination: &Destination) -> Result<Entry, SignError> {
    let path = settled(path)?;
    let work = Work::plan(template, &path, destination)?;
    let text = |path: &Path| -> Result<String, SignError> {
        let path = std::path::absolute(path).map_err(SignError::name)?;
        path.into_os_string().into_string().map_err(|path| TicketError::NotText(path.into()).into())
    };
    let name: String = path.file_name().unwrap_or(OsStr::new("file")).to_string_lossy().chars().map(plain).take(MAX_NAME).collect();
    let (carrier, store, marks) = match work.destination() {
        Destination::Store(folder) => (Place::Store, Some(text(&folder)?), None),
        Destination::Embedded => (Place::Embedded, None, None),
        Destination::Appended => (Place::Appended, None, None),
        Destination::Comment(marks) => (Place::Comment, None, marks.as_ref().map(Marks::to_string)),
        Destination::Xattr => (Place::Xattr, None, None),
        Destination::Ima => (Place::Ima, None, None),
        Destination::Detached | Destination::Automatic => (Place::Detached, None, None),
    };
    let (name, path, content_digest) = (format!("{number:04}-{name}"), text(&path)?, hex(work.content().bytes()));
    let entry = Entry { name, path, carrier, store, marks, content_digest };
    let tbs = entry.at(folder, "tbs");
    // In a folder that somebody else may write to, a link of that name could lead anywhere.
    let file = fs::OpenOptions::new().write(true).create_new(true).open(&tbs);
    file.and_then(|mut file| file.write_all(work.message())).map_err(SignError::write(&tbs))?;
    Ok(entry)
}

/// Puts the values of a prepared folder into the files. Every one of them is checked before the first file is touched.
pub fn attach(folder: &Path, now: UnixTime, done: impl Fn() + Sync, stop: &AtomicBool) -> Result<Vec<Answer>, SignError> {
    let text = measure::read_bounded(&folder.join(TICKET), MAX_TICKET).map_err(TicketError::Unreadable)?;
    let ticket: Ticket = serde_json::from_slice(&text).map_err(TicketError::Json)?;
    if ticket.format != FORMAT {
        return Err(TicketError::Format(ticket.format).into());
    }
    let template = Template::load(&folder.join(CERTIFICATES), None, ticket.settings(), now)?;
    let answers = measure::in_parallel(ticket.files.iter(), |entry| (PathBuf::from(&entry.path), entry.work(folder, &template).map(drop)));
    if answers.iter().any(|(_, answer)| answer.is_err()) {
        let failed = answers.into_iter().filter_map(|(path, answer)| Some((path, Err(answer.err()?))));
        return Ok(failed.collect());
    }
    let files = ticket.files.iter().map(|entry| (entry, PathBuf::from(&entry.path), Ok(())));
    Ok(many::sign(
        files,
        |entry, _| {
            let (work, value) = entry.work(folder, &template)?;
            work.complete(&template, &value)
        },
        done,
        stop,
    ))
}

/// `ticket.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ticket {
    format: u32,
    /// For people.
    algorithm: String,
    digest: Digest,
    rsa_pss: bool,
    attributes: bool,
    certificates: Option<bool>,
    reserve: usize,
    identifier: Option<String>,
    software_version: Option<String>,
    security_version: Option<u32>,
    entitlements: Vec<String>,
    files: Vec<Entry>,
}

/// One file of a ticket.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Of `NAME.tbs` and `NAME.sig`.
    name: String,
    path: String,
    carrier: Place,
    store: Option<String>,
    marks: Option<String>,
    content_digest: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Digest {
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Embedded,
    Appended,
    Comment,
    Detached,
    Store,
    Xattr,
    Ima,
}

impl Ticket {
    fn new(template: &Template, files: Vec<Entry>) -> Self {
        let Settings { claims, rsa_pss, no_attributes, certificates, reserve, digest: _ } = template.settings.clone();
        let digest = match template.scheme.digest() {
            Algorithm::Sha256 => Digest::Sha256,
            Algorithm::Sha384 => Digest::Sha384,
            Algorithm::Sha512 => Digest::Sha512,
        };
        Self {
            format: FORMAT,
            algorithm: template.scheme.name(),
            digest,
            rsa_pss,
            attributes: !no_attributes,
            certificates,
            reserve,
            identifier: claims.identifier,
            software_version: claims.version,
            security_version: claims.security_version,
            entitlements: claims.entitlements,
            files,
        }
    }

    fn settings(&self) -> Settings {
        let digest = match self.digest {
            Digest::Sha256 => Algorithm::Sha256,
            Digest::Sha384 => Algorithm::Sha384,
            Digest::Sha512 => Algorithm::Sha512,
        };
        let claims = Claims {
            identifier: self.identifier.clone(),
            version: self.software_version.clone(),
            security_version: self.security_version,
            entitlements: self.entitlements.clone(),
        };
        let (rsa_pss, no_attributes, reserve) = (self.rsa_pss, !self.attributes, self.reserve);
        Settings { claims, digest: Some(digest), rsa_pss, no_attributes, certificates: self.certificates, reserve }
    }
}

impl Entry {
    fn at(&self, folder: &Path, extension: &str) -> PathBuf {
        folder.join(format!("{}.{extension}", self.name))
    }

    /// The file as it is now, with a value that signs it.
    fn work(&self, folder: &Path, template: &Template) -> Result<(Work, Vec<u8>), SignError> {
        let path = Path::new(&self.path);
        if !matches!(Path::new(&self.name).components().collect::<Vec<_>>()[..], [Component::Normal(_)]) {
            return Err(TicketError::Name(self.name.clone()).into());
        }
        let value_path = self.at(folder, "sig");
        let value = measure::read_bounded(&value_path, MAX_VALUE).map_err(|source| TicketError::Value { path: value_path.clone(), source })?;
        let destination = match (self.carrier, &self.store) {
            (Place::Store, Some(folder)) => Destination::Store(folder.into()),
            (Place::Store, None) => return Err(TicketError::NoStore.into()),
            (Place::Embedded, _) => Destination::Embedded,
            (Place::Appended, _) => Destination::Appended,
            (Place::Comment, _) => Destination::Comment(self.marks.as_deref().map(str::parse).transpose()?),
            (Place::Detached, _) => Destination::Detached,
            (Place::Xattr, _) => Destination::Xattr,
            (Place::Ima, _) => Destination::Ima,
        };
        let work = Work::plan(template, path, &destination)?;
        if hex(work.content().bytes()) != self.content_digest {
            return Err(TicketError::Changed.into());
        }
        let value = fitting(template, work.message(), value).ok_or(TicketError::WrongValue(value_path))?;
        Ok((work, value))
    }
}

/// The value as CMS has it, if the certificate's key made it.
fn fitting(template: &Template, message: &[u8], value: Vec<u8>) -> Option<Vec<u8>> {
    if template.verifies(message, &value) {
        return Some(value);
    }
    let value = ecdsa_der(&template.scheme, &value)?;
    template.verifies(message, &value).then_some(value)
}

/// r and s side by side, as PKCS #11 gives them, as the DER that CMS has (RFC 3279 §2.2.3).
pub(super) fn ecdsa_der(scheme: &Scheme, value: &[u8]) -> Option<Vec<u8>> {
    let size = match scheme.kind() {
        KeyKind::P256 => 32,
        KeyKind::P384 => 48,
        KeyKind::Rsa(_) | KeyKind::Ed25519 => return None,
    };
    let (r, s) = value.split_at_checked(size).filter(|(_, s)| s.len() == size)?;
    EcdsaValue { r: UintRef::new(r).ok()?, s: UintRef::new(s).ok()? }.to_der().ok()
}

#[derive(Sequence)]
struct EcdsaValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// What may stand in a file name without quotes in a shell.
fn plain(character: char) -> char {
    if character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '+') { character } else { '-' }
}

const TICKET: &str = "ticket.json";
const CERTIFICATES: &str = "certificates.pem";
const FORMAT: u32 = 1;
const MAX_NAME: usize = 80;
/// A million files.
const MAX_TICKET: u64 = 512 << 20;
const MAX_VALUE: u64 = 4096;
