//! Certificate revocation lists (RFC 5280 §5): loading them, and what they say about a chain.
//!
//! rustls-webpki parses the lists and checks their signatures while it builds a path. Decided here: which list of several counts, when one is
//! stale, and that a certificate that any list of its issuer names is revoked, whatever part of the issuer's certificates the list is for.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateRevocationListDer, UnixTime};
use serde::{Deserialize, Serialize};
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::certificate::{moment, name};
use super::error::TrustProblem;
use super::{CertificateFacts, ChainError, NextUpdate, TrustError};
use crate::measure;
use crate::policy::{Revocation, StaleCrl};
use crate::text::{hex, sha256};

/// The revocation lists of a policy.
pub(super) struct Crls {
    lists: Vec<Crl>,
    /// Older than one of `lists` for the same.
    superseded: Vec<Crl>,
    stale: StaleCrl,
}

/// One list.
struct Crl {
    path: PathBuf,
    list: CertRevocationList<'static>,
    issuer: String,
    issuer_der: Vec<u8>,
    this_update: UnixTime,
    next_update: Option<UnixTime>,
}

/// A list whose next update is overdue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverdueCrl {
    /// The file.
    pub path: PathBuf,
    /// Whose list it is.
    pub issuer: String,
    /// When the next one was due.
    pub next_update: UnixTime,
}

/// Which list, and of when: what a later one must not fall behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListMark {
    /// Whose list it is, for people.
    pub issuer: String,
    /// SHA-256 over the issuer's name and the part of its certificates that the list is for, as they are encoded.
    pub of: String,
    /// When it was issued, in seconds since 1970.
    pub this_update: u64,
}

impl Crls {
    /// Without any list.
    pub(super) fn none() -> Self {
        Self { lists: Vec::new(), superseded: Vec::new(), stale: StaleCrl::HardFail }
    }

    /// Which lists there are.
    pub(super) fn marks(&self) -> Vec<ListMark> {
        let mark = |crl: &Crl| ListMark { issuer: crl.issuer.clone(), of: crl.id(), this_update: crl.this_update.as_secs() };
        self.lists.iter().map(mark).collect()
    }

    /// Reads every list that the policy names. All or nothing: one that cannot be read is an error.
    pub(super) fn load(revocation: &Revocation) -> Result<Self, TrustError> {
        let mut lists: Vec<Crl> = Vec::new();
        let mut superseded = Vec::new();
        for source in &revocation.crls {
            let blame = |path: &Path| {
                let path = path.to_owned();
                move |problem| TrustError { whose: "revocation list".to_owned(), path, problem: Box::new(problem) }
            };
            for path in crl_files(source).map_err(blame(source))? {
                for crl in read(&path).map_err(blame(&path))? {
                    match lists.iter_mut().find(|other| other.is_for_the_same(&crl)) {
                        // The newer one says all that the older one said, or takes it back on purpose.
                        Some(other) if other.this_update < crl.this_update => superseded.push(std::mem::replace(other, crl)),
                        Some(_) => superseded.push(crl),
                        None => lists.push(crl),
                    }
                }
                if lists.len() + superseded.len() > MAX_LISTS {
                    return Err(blame(&path)(TrustProblem::TooManyLists { limit: MAX_LISTS }));
                }
            }
        }
        Ok(Self { lists, superseded, stale: revocation.stale_crl })
    }

    /// For rustls-webpki.
    pub(super) fn lists(&self) -> Vec<&CertRevocationList<'static>> {
        self.lists.iter().map(|crl| &crl.list).collect()
    }

    /// Whether a certificate of an accepted path is revoked, or its status unknown because the list is stale.
    pub(super) fn check(&self, certificate: &CertificateFacts, now: UnixTime) -> Result<(), ChainError> {
        for crl in self.of(certificate) {
            let broken = |source| ChainError::Refused { subject: certificate.subject.clone(), source };
            if crl.list.find_serial(&certificate.serial).map_err(broken)?.is_some() {
                return Err(ChainError::Revoked { subject: certificate.subject.clone(), by: crl.issuer.clone() });
            }
            if let Some(next_update) = crl.next_update.filter(|due| *due < now && self.stale == StaleCrl::HardFail) {
                return Err(ChainError::StaleCrl { issuer: crl.issuer.clone(), path: crl.path.clone(), next_update });
            }
        }
        Ok(())
    }

    /// Whether any list with the name of this certificate's issuer revokes it: for pinned certificates, whose issuer nobody knows. There is no key to
    /// check a list with then, so a newer one, which anybody may have made, takes nothing back.
    pub(super) fn check_unverified(&self, certificate: &CertificateFacts) -> Result<(), ChainError> {
        for crl in self.superseded.iter().filter(|crl| crl.issuer_der == certificate.issuer_der) {
            let broken = |source| ChainError::Refused { subject: certificate.subject.clone(), source };
            if crl.list.find_serial(&certificate.serial).map_err(broken)?.is_some() {
                return Err(ChainError::Revoked { subject: certificate.subject.clone(), by: crl.issuer.clone() });
            }
        }
        Ok(())
    }

    /// Until when this certificate's status is known; `None` is for ever.
    pub(super) fn known_until(&self, certificate: &CertificateFacts) -> Option<UnixTime> {
        match self.stale {
            StaleCrl::HardFail => self.of(certificate).filter_map(|crl| crl.next_update).min(),
            StaleCrl::Warn => None,
        }
    }

    /// The lists whose next update is overdue.
    pub(super) fn overdue(&self, now: UnixTime) -> Vec<OverdueCrl> {
        let overdue = |crl: &Crl| {
            let next_update = crl.next_update.filter(|due| *due < now)?;
            Some(OverdueCrl { path: crl.path.clone(), issuer: crl.issuer.clone(), next_update })
        };
        self.lists.iter().filter_map(overdue).collect()
    }

    /// When the next list of each issuer is due, by the issuers' names.
    pub(super) fn next_updates(&self) -> Vec<NextUpdate> {
        let mut found: BTreeMap<&str, u64> = BTreeMap::new();
        for (issuer, due) in self.lists.iter().filter_map(|crl| Some((crl.issuer.as_str(), crl.next_update?.as_secs()))) {
            let first = found.entry(issuer).or_insert(due);
            *first = due.min(*first);
        }
        found.into_iter().map(|(issuer, next_update_seconds)| NextUpdate { issuer: issuer.to_owned(), next_update_seconds }).collect()
    }

    fn of(&self, certificate: &CertificateFacts) -> impl Iterator<Item = &Crl> {
        self.lists.iter().filter(|crl| crl.issuer_der == certificate.issuer_der)
    }
}

impl Crl {
    fn id(&self) -> String {
        let part = self.list.issuing_distribution_point().unwrap_or_default();
        hex(&sha256(&[self.issuer_der.as_slice(), part].concat()))
    }

    fn is_for_the_same(&self, other: &Self) -> bool {
        self.issuer_der == other.issuer_der && self.list.issuing_distribution_point() == other.list.issuing_distribution_point()
    }
}

fn read(path: &Path) -> Result<Vec<Crl>, TrustProblem> {
    let bytes = measure::read_bounded(path, MAX_CRL_SIZE).map_err(|problem| match problem {
        measure::MeasureError::TooLarge { limit, .. } => TrustProblem::TooLarge { limit },
        problem => problem.into(),
    })?;
    if bytes.starts_with(&[0x30]) {
        return Ok(vec![crl(&bytes, path)?]);
    }
    let broken = |error: rustls_pki_types::pem::Error| TrustProblem::BrokenPem { reason: error.to_string() };
    let all = CertificateRevocationListDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>().map_err(broken)?;
    if all.is_empty() {
        return Err(TrustProblem::NoCrl);
    }
    all.iter().map(|der| crl(der, path)).collect()
}

fn crl(der: &[u8], path: &Path) -> Result<Crl, TrustProblem> {
    let broken = |reason: String| TrustProblem::Crl { reason };
    let (rest, parsed) = CertificateRevocationList::from_der(der).map_err(|error| broken(error.to_string()))?;
    if !rest.is_empty() {
        return Err(broken(format!("{} bytes follow it", rest.len())));
    }
    if parsed.version().is_none() {
        return Err(broken("it has version 1, and RFC 5280 wants 2 (with `openssl ca`: set `crlnumber`)".to_owned()));
    }
    let list = OwnedCertRevocationList::from_der(der).map_err(|error| broken(error.to_string()))?;
    Ok(Crl {
        path: path.to_owned(),
        list: list.into(),
        issuer: name(parsed.issuer()),
        issuer_der: parsed.issuer().as_raw().to_vec(),
        this_update: moment(parsed.last_update()),
        next_update: parsed.next_update().map(moment),
    })
}

/// A file names itself; a folder stands for its `*.crl` and `*.pem`. What is not there is empty: the policy's default names a folder before
/// anybody has put a list there; a file that is named must exist.
fn crl_files(source: &Path) -> Result<Vec<PathBuf>, TrustProblem> {
    if !source.is_dir() {
        let absent = source.extension().is_none() && source.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        return Ok(if absent { Vec::new() } else { vec![source.to_owned()] });
    }
    let mut paths = fs::read_dir(source)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "crl" || extension == "pem"));
    paths.sort();
    Ok(paths)
}

/// The largest lists of public authorities have some megabytes.
const MAX_CRL_SIZE: u64 = 16 << 20;
const MAX_LISTS: usize = 256;
