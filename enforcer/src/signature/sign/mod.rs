//! Making signatures, for `enforcer sign` alone: a key and certificate in, a signed file out.
//!
//! Private keys belong to where signing happens; nothing else in this crate reads one. Files are replaced whole or not at all
//! ([`replace`]), and nothing is signed with a certificate that a verifier would refuse.

mod appended;
mod comment;
mod embed;
mod error;
mod ima;
mod key;
mod many;
mod plan;
mod replace;
mod scheme;
mod signed_data;
pub mod stamp;
mod template;
mod ticket;
mod token;
pub mod trial;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use enforcer_common::Digest;
use rustls_pki_types::UnixTime;

pub use comment::UnfitScript;
pub use error::{KeyError, SignError};
pub use replace::{rewrite, write_new as write_whole};
pub use scheme::Scheme;
pub use template::Settings;
pub use ticket::{Prepared, TicketError, attach, prepare};
pub use token::TokenError;

use super::Carrier;
use super::cms::MAX_SIGNATURE_SIZE;
use super::comment::Marks;
use crate::measure::{Algorithm, ContentDigest, MeasureError};
use crate::trust::KeyKind;
use key::PrivateKey;
use plan::Work;
use template::Template;
use token::{TokenKey, TokenUri, is_uri};

/// Who signs: a key, its certificate, and the certificates between it and the root.
pub struct Identity {
    key: Key,
    template: Template,
}

/// Where the key is.
enum Key {
    Here(Box<PrivateKey>),
    Token(TokenKey),
}

/// Where a signature goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Into the ELF file where that is possible, beside the file otherwise.
    Automatic,
    /// Into the ELF file.
    Embedded,
    /// Behind the file's bytes, in the kernel's module format.
    Appended,
    /// In comment lines at the end of a script, after these marks, or after those that the script's language asks for.
    Comment(Option<Marks>),
    /// `FILE.p7s`.
    Detached,
    /// `<sha256>.p7s` in this folder.
    Store(PathBuf),
    /// Into the extended attribute [`ATTRIBUTE`].
    Xattr,
    /// Into the extended attribute [`IMA_ATTRIBUTE`].
    Ima,
}

/// A file, and what was done for it.
pub type Answer = (PathBuf, Result<Signed, SignError>);

/// What was done for one file.
#[derive(Debug)]
pub struct Signed {
    /// SHA-256 of the file as it is now.
    pub digest: Digest,
    /// Where the signature is.
    pub carrier: Carrier,
    /// What somebody might not expect.
    pub notes: Vec<String>,
}

impl Identity {
    /// Reads a PEM key (or opens the one that a `pkcs11:` URI names) and a certificate, and refuses a pair that could not sign code at this time.
    pub fn load(key: &Path, certificate: &Path, chain: Option<&Path>, now: UnixTime) -> Result<Self, SignError> {
        Self::with_settings(key, certificate, chain, Settings::default(), now)
    }

    /// The same, for signatures that say more than the customary, or are written in another way.
    pub fn with_settings(key: &Path, certificate: &Path, chain: Option<&Path>, settings: Settings, now: UnixTime) -> Result<Self, SignError> {
        let template = Template::load(certificate, chain, settings, now)?;
        let key = match key.to_str().filter(|key| is_uri(key)) {
            Some(uri) => {
                let key = TokenKey::open(&TokenUri::parse(uri)?)?;
                // One trial, rather than a file for each mistake.
                if !template.verifies(b"trial", &key.sign(b"trial", &template.scheme)?) {
                    return Err(TokenError::Mismatch.into());
                }
                Key::Token(key)
            }
            None => {
                let loaded = PrivateKey::load(key, template.scheme.kind(), &template.facts.public_key);
                Key::Here(Box::new(loaded.map_err(|problem| SignError::Key { path: key.to_owned(), problem })?))
            }
        };
        Ok(Self { key, template })
    }

    /// The subject of the certificate.
    pub fn subject(&self) -> &str {
        &self.template.facts.subject
    }

    /// Signs one file. On any error the file is as it was.
    pub fn sign(&self, path: &Path, destination: &Destination) -> Result<Signed, SignError> {
        let (change, signed) = self.draft(path, destination)?;
        change.commit()?;
        Ok(signed)
    }

    /// Signs many files, on all processors, and tells of each when it is done, until `stop` is set. On an error about a file, that file is as it was.
    pub fn sign_all(
        &self,
        files: impl Iterator<Item = (PathBuf, Result<(), MeasureError>)> + Send,
        destination: &Destination,
        done: impl Fn() + Sync,
        stop: &AtomicBool,
    ) -> Vec<Answer> {
        many::sign(files.map(|(path, found)| ((), path, found)), |(), path| self.draft(path, destination), done, stop)
    }

    fn draft(&self, path: &Path, destination: &Destination) -> Result<(replace::Change, Signed), SignError> {
        let work = Work::plan(&self.template, &settled(path)?, destination)?;
        let value = match &self.key {
            Key::Here(key) => key.sign(work.message(), &self.template.scheme)?,
            Key::Token(key) => {
                let value = key.sign(work.message(), &self.template.scheme)?;
                // What comes over a cable is looked at before it is relied upon.
                if !self.template.verifies(work.message(), &value) {
                    return Err(TokenError::Mismatch.into());
                }
                value
            }
        };
        work.complete(&self.template, &value)
    }
}

/// A symbolic link stays one: what it points to is signed.
fn settled(path: &Path) -> Result<std::borrow::Cow<'_, Path>, SignError> {
    if fs::symlink_metadata(path).map_err(SignError::name)?.is_symlink() {
        return Ok(fs::canonicalize(path).map_err(SignError::name)?.into());
    }
    Ok(path.into())
}

/// The extended attribute that holds a CMS signature over the whole file.
pub const ATTRIBUTE: &str = "user.enforcer.signature";
/// The extended attribute of the kernel's IMA.
pub const IMA_ATTRIBUTE: &str = "security.ima";
