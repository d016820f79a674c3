//! Looking into what strangers wrote: the work that a worker without rights does for the daemon.
//!
//! A [`Job`] is a descriptor and opaque bytes, an [`Answer`] is plain: which bytes the file says are signed, and signatures as found. Nothing is verified
//! here, and nothing in an answer is believed: the daemon measures the file itself, checks each value and each chain itself, and once it knows that a
//! trusted signer made a statement, it reads again what the statement says ([`super::cms::Attributes`]) and where it lies ([`Inside::lies_there`]).

use std::convert::Infallible;
use std::fs::File;

use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::cms::{self, Signature};
use super::elf::{self, ElfError};
use super::source::Source;
use super::{Rejected, comment, ima, trailer};
use crate::measure::{Region, Witness};
use crate::trust;

/// What is to be looked into.
pub struct Job<'a> {
    /// The file, for signatures inside of it.
    pub file: Option<&'a File>,
    /// Signatures that lie elsewhere, and what they should be.
    pub values: Vec<(Form, &'a [u8])>,
}

/// What some bytes should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// A CMS signature: DER, BER or PEM.
    Cms,
    /// The value of `security.ima`.
    Ima,
}

/// What was found.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    /// In the file.
    pub(super) inside: Vec<Inside>,
    /// In each of the values, in their order; `None` where it is no signature and need not be one.
    pub(super) values: Vec<Option<Result<Signature, Rejected>>>,
}

/// A signature inside of the file that it is about.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Inside {
    pub(super) place: Place,
    pub(super) signature: Result<Signature, Rejected>,
    /// The bytes of the file that are signed.
    pub(super) region: Region,
    /// The bytes of the file that told where the signature lies.
    pub(super) witnesses: Vec<Witness>,
}

/// Where in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    Embedded,
    Appended,
    Comment,
}

/// Whoever looks into things.
pub trait Parser {
    /// Why there is no answer.
    type Fault: std::error::Error;
    /// Looks into this.
    fn parse(&self, job: &Job<'_>) -> Result<Answer, Self::Fault>;
}

/// No worker: for commands, which have the rights of whoever calls them.
pub struct InThisProcess;

impl Parser for InThisProcess {
    type Fault = Infallible;

    fn parse(&self, job: &Job<'_>) -> Result<Answer, Infallible> {
        Ok(Answer::to(job))
    }
}

impl Answer {
    /// Looks into it here and now.
    pub fn to(job: &Job<'_>) -> Self {
        let inside = job.file.iter().flat_map(|file| [embedded(file), appended(file), comment(file)]).flatten().collect();
        let read = |(form, bytes): &(Form, &[u8])| match form {
            Form::Cms => Some(Signature::parse(bytes).map_err(Rejected::Cms)),
            Form::Ima => ima::parse(bytes).map(|signature| signature.map_err(Rejected::Ima)),
        };
        Self { inside, values: job.values.iter().map(read).collect() }
    }

    /// Whether it has the form of an answer to this job: the bounds that no honest one passes.
    pub fn fits(&self, job: &Job<'_>) -> bool {
        let most_inside = if job.file.is_some() { 3 } else { 0 };
        self.values.len() == job.values.len()
            && self.inside.len() <= most_inside
            && self.inside.iter().all(|inside| inside.witnesses.len() <= MAX_WITNESSES)
            && self.signatures().all(Signature::is_bounded)
    }

    fn signatures(&self) -> impl Iterator<Item = &Signature> {
        let inside = self.inside.iter().filter_map(|inside| inside.signature.as_ref().ok());
        inside.chain(self.values.iter().filter_map(|value| value.as_ref()?.as_ref().ok()))
    }

    /// The certificates of all signatures and timestamps in it.
    fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.signatures().flat_map(Signature::all_certificates)
    }
}

impl Inside {
    /// Whether the signature lies where it was said to lie: the same search once more, in those bytes of the file that were seen, and of which the pass over
    /// the content has proven that they are there.
    pub(super) fn lies_there(place: Place, region: &Region, witnesses: &[Witness], size: u64) -> bool {
        let seen = Source::Seen { witnesses, size };
        let found = match place {
            Place::Embedded => elf::locate(seen).ok().flatten().map(|section| Region::zeroed(section.range)),
            Place::Appended => trailer::locate(seen).ok().flatten().map(|trailer| Region::up_to(trailer.content)),
            Place::Comment => comment::locate(seen).ok().flatten().map(|block| Region::up_to(block.content)),
        };
        found.as_ref() == Some(region)
    }
}

/// Reads every certificate of an answer as the daemon will: what one of them does to its reader, it does to the worker first.
pub fn rehearse(answer: &Answer) {
    for certificate in answer.certificates() {
        trust::rehearse(certificate);
    }
}

/// The signature in an ELF section, if there is one.
pub(super) fn embedded(file: &File) -> Option<Inside> {
    let place = Place::Embedded;
    match elf::locate(file) {
        Ok(None) => None,
        Ok(Some(section)) => {
            Some(Inside { place, signature: signature_in(&section.bytes), region: Region::zeroed(section.range), witnesses: section.witnesses })
        }
        Err(problem) => Some(Inside { place, signature: Err(problem.into()), region: Region::WHOLE, witnesses: Vec::new() }),
    }
}

/// Zeros may follow the signature in a section, and nothing else.
fn signature_in(section: &[u8]) -> Result<Signature, Rejected> {
    let (der, size) = cms::first_signature(section)?;
    if section[size..].iter().any(|byte| *byte != 0) {
        return Err(ElfError::Padding.into());
    }
    Ok(Signature::from_der(&der, cms::Content::Detached)?)
}

/// The signature at the end of the file, if there is one.
pub(super) fn appended(file: &File) -> Option<Inside> {
    let place = Place::Appended;
    match trailer::locate(file) {
        Ok(None) => None,
        Ok(Some(trailer)) => Some(Inside {
            place,
            signature: Signature::parse(&trailer.signature).map_err(Rejected::Cms),
            region: Region::up_to(trailer.content),
            witnesses: trailer.witnesses,
        }),
        Err(problem) => Some(Inside { place, signature: Err(problem.into()), region: Region::WHOLE, witnesses: Vec::new() }),
    }
}

/// The signature in comment lines at the end of the file, if there is one.
pub(super) fn comment(file: &File) -> Option<Inside> {
    let place = Place::Comment;
    match comment::locate(file) {
        Ok(None) => None,
        Ok(Some(block)) => Some(Inside {
            place,
            signature: Signature::parse(&block.signature).map_err(Rejected::Cms),
            region: Region::up_to(block.content),
            witnesses: block.witnesses,
        }),
        Err(problem) => Some(Inside { place, signature: Err(problem.into()), region: Region::WHOLE, witnesses: Vec::new() }),
    }
}

/// Headers are read in a handful of pieces.
const MAX_WITNESSES: usize = 256;
