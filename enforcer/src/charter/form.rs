//! A charter as bytes, for the kernel's map: JSON with the certificates in PEM, which people can read there too.

use pem_rfc7468::LineEnding;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};

use super::{Charter, CharterError, Edition};
use crate::text::hex;
use crate::trust::{ListMark, NamedCertificates, parse_sha256};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCharter {
    signers: Vec<RawNamed>,
    clocks: Vec<RawNamed>,
    edition: Option<(String, u32)>,
    lists: Vec<ListMark>,
    kept: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNamed {
    name: String,
    anchors: String,
    pinned: String,
    intermediates: String,
}

impl Charter {
    /// Its bytes, of which there may be so many; none for an empty one.
    ///
    /// # Errors
    /// There are more.
    pub fn to_bytes(&self, limit: usize) -> Result<Vec<u8>, CharterError> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let damaged = |error: &dyn std::fmt::Display| CharterError::Damaged { detail: error.to_string() };
        let named = |all: &[NamedCertificates]| all.iter().map(RawNamed::of).collect::<Result<Vec<_>, _>>();
        let raw = RawCharter {
            signers: named(&self.signers).map_err(|error| damaged(&error))?,
            clocks: named(&self.clocks).map_err(|error| damaged(&error))?,
            edition: self.edition.as_ref().map(|edition| (edition.identifier.clone(), edition.security_version)),
            lists: self.lists.clone(),
            kept: self.kept.map(|sha256| hex(&sha256)),
        };
        let bytes = serde_json::to_vec(&raw).map_err(|error| damaged(&error))?;
        if bytes.len() > limit { Err(CharterError::TooLarge { size: bytes.len(), limit }) } else { Ok(bytes) }
    }

    /// What these bytes say; none are an empty one.
    ///
    /// # Errors
    /// They are not what [`Charter::to_bytes`] makes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CharterError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let damaged = |detail: String| CharterError::Damaged { detail };
        let raw: RawCharter = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
        if raw.signers.is_empty() {
            return Err(damaged("it names nobody".to_owned()));
        }
        let named = |all: Vec<RawNamed>| all.into_iter().map(RawNamed::settle).collect::<Result<Vec<_>, _>>();
        let kept = raw.kept.map(|digits| parse_sha256(&digits).ok_or_else(|| damaged("it holds no SHA-256".to_owned()))).transpose()?;
        Ok(Self {
            signers: named(raw.signers)?,
            clocks: named(raw.clocks)?,
            edition: raw.edition.map(|(identifier, security_version)| Edition { identifier, security_version }),
            lists: raw.lists,
            kept,
        })
    }
}

impl RawNamed {
    fn of(named: &NamedCertificates) -> Result<Self, pem_rfc7468::Error> {
        let pem = |all: &[CertificateDer<'static>]| {
            all.iter().map(|der| pem_rfc7468::encode_string("CERTIFICATE", LineEnding::LF, der)).collect::<Result<String, _>>()
        };
        Ok(Self { name: named.name.clone(), anchors: pem(&named.anchors)?, pinned: pem(&named.pinned)?, intermediates: pem(&named.intermediates)? })
    }

    fn settle(self) -> Result<NamedCertificates, CharterError> {
        let certificates = |pem: &str| {
            CertificateDer::pem_slice_iter(pem.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| CharterError::Damaged { detail: error.to_string() })
        };
        Ok(NamedCertificates {
            anchors: certificates(&self.anchors)?,
            pinned: certificates(&self.pinned)?,
            intermediates: certificates(&self.intermediates)?,
            name: self.name,
        })
    }
}
