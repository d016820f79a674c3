//! Signed texts that are no code: who stands behind a policy, or an order.

use std::path::{Path, PathBuf};

use super::cms::Signature;
use super::content::Bytes;
use super::rejected::{ManifestProblem, Rejected};
use super::verify::{Facts, Rules, verify_text};
use super::{Release, find};
use crate::measure;
use crate::policy::{Interpreters, SeveralSigners};
use crate::trust::TrustStore;

/// A text with the signature beside it, as they were read: unverified.
#[derive(Debug)]
pub struct SignedText {
    path: PathBuf,
    text: Vec<u8>,
    signature: Signature,
}

/// Somebody who is trusted stands behind a text. Only [`SignedText::endorsement`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endorsement {
    signer: String,
    identifier: Option<String>,
    release: Option<Release>,
}

impl SignedText {
    /// Reads a text of at most so many bytes, and `FILE.p7s` beside it, once.
    ///
    /// # Errors
    /// One of them is not there, too large, or no signature.
    pub fn read(path: &Path, limit: u64) -> Result<Self, ManifestProblem> {
        let text = measure::read_bounded(path, limit)?;
        let signature = find::beside_text(path).ok_or_else(|| ManifestProblem::NoSignature(find::signature_path(path)))?;
        Ok(Self { path: path.to_owned(), text, signature: signature? })
    }

    /// Where it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Decides whose word it is. Of several signers one is enough: while keys change hands, the old one signs beside the new one.
    ///
    /// # Errors
    /// None of those who signed it is trusted, or it is older than what they signed before.
    pub fn endorsement(&self, trust: TrustStore, facts: &Facts<'_>) -> Result<Endorsement, Rejected> {
        let rules = Rules { trust, components: Vec::new(), several_signers: SeveralSigners::One, interpreters: Interpreters::default() };
        let (signer, claims, release) = verify_text(&self.signature, &mut Bytes(&self.text), &rules, facts)?;
        Ok(Endorsement { signer, identifier: claims.identifier, release })
    }
}

impl Endorsement {
    /// The name of the signer.
    pub fn signer(&self) -> &str {
        &self.signer
    }

    /// What the text calls itself.
    pub fn identifier(&self) -> Option<&str> {
        self.identifier.as_deref()
    }

    /// Which release of it this is, if it calls itself anything.
    pub fn release(&self) -> Option<&Release> {
        self.release.as_ref()
    }
}
