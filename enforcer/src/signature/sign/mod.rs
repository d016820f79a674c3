//! Making signatures, for `enforcer sign` alone: a PEM key and certificate in, a signed file out.
//!
//! Private keys belong to where signing happens; nothing else in this crate reads one. Files are replaced whole or not at all
//! ([`replace`]), and nothing is signed with a certificate that a verifier would refuse.

mod embed;
mod error;
mod key;
mod replace;
mod signed_data;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use enforcer_common::Digest;
use rustls_pki_types::{CertificateDer, UnixTime};

pub use error::{KeyError, SignError};
pub use replace::write_new as write_whole;

use super::cms::MAX_SIGNATURE_SIZE;
use super::{Carrier, elf, find};
use crate::measure::{self, Algorithm, ContentDigest, Part, Plan, Stamp};
use crate::trust::{CertificateFacts, KeyKind, read_certificates};
use key::PrivateKey;

/// Who signs: a key, its certificate, and the certificates between it and the root.
pub struct Identity {
    key: PrivateKey,
    subject: String,
    /// The signer's own comes first.
    certificates: Vec<CertificateDer<'static>>,
    digest: Algorithm,
}

/// Where a signature goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Into the ELF file where that is possible, beside the file otherwise.
    Automatic,
    /// Into the ELF file.
    Embedded,
    /// `FILE.p7s`.
    Detached,
    /// `<sha256>.p7s` in this folder.
    Store(PathBuf),
}

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
    /// Reads a PEM key and certificate, and refuses a pair that could not sign code at this time.
    pub fn load(key: &Path, certificate: &Path, chain: Option<&Path>, now: UnixTime) -> Result<Self, SignError> {
        let unfit = |path: &Path| {
            let path = path.to_owned();
            move |problem| SignError::Certificate { path, problem: Box::new(problem) }
        };
        let mut certificates = read_certificates(certificate).map_err(unfit(certificate))?;
        let refused = |problem| SignError::Unfit { path: certificate.to_owned(), problem };
        let facts = CertificateFacts::of(&certificates[0]).map_err(|problem| refused(problem.into()))?;
        facts.validity.check(&facts.subject, now).map_err(refused)?;
        facts.may_sign_code(false).map_err(refused)?;
        if let Some(path) = chain {
            certificates.extend(read_certificates(path).map_err(unfit(path))?);
        }
        certificates.dedup();
        let kind = facts.key.map_err(|kind| SignError::KeyKind { path: certificate.to_owned(), kind })?;
        let digest = if kind == KeyKind::P384 { Algorithm::Sha384 } else { Algorithm::Sha256 };
        // RFC 8419 §3.1: with signed attributes, Ed25519 goes with SHA-512.
        let digest = if kind == KeyKind::Ed25519 { Algorithm::Sha512 } else { digest };
        let key = PrivateKey::load(key, kind, &facts.public_key).map_err(|problem| SignError::Key { path: key.to_owned(), problem })?;
        Ok(Self { key, subject: facts.subject, certificates, digest })
    }

    /// The subject of the certificate.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Signs one file. On any error the file is as it was.
    pub fn sign(&self, path: &Path, destination: &Destination) -> Result<Signed, SignError> {
        // A symbolic link stays one: what it points to is signed.
        let path = &fs::canonicalize(path).map_err(SignError::name)?;
        let file = measure::open(path)?;
        match destination {
            Destination::Embedded => self.embed(&file, path),
            Destination::Detached => self.detach(&file, find::signature_path(path), Carrier::Detached),
            Destination::Store(folder) => {
                let digest = measure::sha256(&file, u64::MAX)?;
                self.detach(&file, folder.join(find::store_name(&digest)), Carrier::Store)
            }
            Destination::Automatic if elf::is_elf(&file).map_err(SignError::Elf)? => match self.embed(&file, path) {
                Err(SignError::Elf(problem)) if problem.detached_is_possible() => {
                    let mut signed = self.detach(&file, find::signature_path(path), Carrier::Detached)?;
                    signed.notes.push(format!("signed beside the file, because {problem}"));
                    Ok(signed)
                }
                outcome => outcome,
            },
            Destination::Automatic => self.detach(&file, find::signature_path(path), Carrier::Detached),
        }
    }

    fn detach(&self, file: &File, signature: PathBuf, carrier: fn(std::sync::Arc<Path>) -> Carrier) -> Result<Signed, SignError> {
        let part = Part { algorithm: self.digest, zeroed: 0..0 };
        let measurement = measure::measure(file, &Plan { max_size: u64::MAX, parts: vec![part], witnesses: &[] })?;
        let der = self.statement(&measurement.parts[0])?;
        replace::write_new(&signature, &der)?;
        Ok(Signed { digest: measurement.digest, carrier: carrier(signature.into()), notes: Vec::new() })
    }

    fn embed(&self, file: &File, path: &Path) -> Result<Signed, SignError> {
        let original = replace::Original::of(file, path)?;
        let before = Stamp::of(file)?;
        // The signature's size must be known before its content is: the section header that announces it is signed.
        let area = self.area()?;
        let layout = embed::plan(file, area as u64).map_err(SignError::Elf)?;
        let draft = original.draft(layout.kept)?;
        layout.apply(draft.file()).map_err(SignError::write(path))?;
        let part = Part { algorithm: self.digest, zeroed: layout.range.clone() };
        let plan = Plan { max_size: u64::MAX, parts: vec![part], witnesses: &[] };
        let mut signature = self.statement(&measure::measure(draft.file(), &plan)?.parts[0])?;
        if signature.len() > area {
            return Err(SignError::TooLarge { limit: area });
        }
        signature.resize(area, 0);
        draft.file().write_all_at(&signature, layout.range.start).map_err(SignError::write(path))?;
        // What the verifier will look for is there, or the file is not replaced.
        match elf::locate(draft.file()).map_err(SignError::Elf)? {
            Some(section) if section.range == layout.range && section.bytes == signature => {}
            _ => return Err(SignError::Elf(elf::ElfError::Unsuitable)),
        }
        let digest = measure::sha256(draft.file(), u64::MAX)?;
        if Stamp::of(file)? != before {
            return Err(measure::MeasureError::Changed.into());
        }
        let notes = original.notes();
        draft.publish()?;
        Ok(Signed { digest, carrier: Carrier::Embedded, notes })
    }

    /// A detached CMS signature over a content with this digest.
    fn statement(&self, digest: &ContentDigest) -> Result<Vec<u8>, SignError> {
        let der = signed_data::encode(&self.key, &self.certificates, digest)?;
        if der.len() > MAX_SIGNATURE_SIZE { Err(SignError::TooLarge { limit: MAX_SIGNATURE_SIZE }) } else { Ok(der) }
    }

    /// How much room to leave for a signature. An ECDSA signature's size varies by a few bytes.
    fn area(&self) -> Result<usize, SignError> {
        let trial = self.statement(&self.digest.digest(&[]))?.len();
        Ok((trial + ECDSA_SPREAD).next_multiple_of(AREA_STEP).min(MAX_SIGNATURE_SIZE))
    }
}

/// Two integers and the lengths around them.
const ECDSA_SPREAD: usize = 16;
const AREA_STEP: usize = 64;
