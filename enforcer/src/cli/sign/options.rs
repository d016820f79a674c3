//! The options of the commands that sign, and what they come to.

use std::path::PathBuf;

use clap::ValueEnum;
use rustls_pki_types::UnixTime;

use super::failure;
use crate::cli::{Exit, Failure};
use crate::measure::Algorithm;
use crate::signature::claims::Claims;
use crate::signature::comment::Marks;
use crate::signature::sign::{Destination, Identity, Settings, SignError};
use crate::text::printable;

/// Who signs.
#[derive(clap::Args)]
pub(in crate::cli) struct SignerOption {
    /// The private key: PEM, not encrypted, or a PKCS #11 URI (RFC 7512) of a key in a token.
    #[arg(long, value_name = "PEM|URI")]
    key: PathBuf,
    /// Its code-signing certificate, PEM.
    #[arg(long, value_name = "PEM")]
    certificate: PathBuf,
    /// The certificates between it and the root, PEM.
    #[arg(long, value_name = "PEM")]
    chain: Option<PathBuf>,
}

/// Signing in two steps, for a key that never meets the files.
#[derive(clap::Args)]
#[command(next_help_heading = "Signing in two steps")]
pub(super) struct StepOption {
    /// Write what is to be signed into this new folder, without a key.
    #[arg(long, value_name = "DIR", conflicts_with = "key")]
    pub(super) prepare: Option<PathBuf>,
    /// Take the values that were added to that folder, and put the signatures in.
    #[arg(long, value_name = "DIR", exclusive = true)]
    pub(super) attach: Option<PathBuf>,
}

/// What the signature says beside the digest.
#[derive(clap::Args)]
#[command(next_help_heading = "Claims")]
pub(in crate::cli) struct ClaimsOption {
    /// Which program this is, over all its versions, like `com.example.tool`.
    #[arg(long, value_name = "NAME")]
    identifier: Option<String>,
    /// The version that people speak of.
    #[arg(long, value_name = "TEXT", requires = "identifier")]
    software_version: Option<String>,
    /// A number that grows when older versions must not run any more.
    #[arg(long, value_name = "NUMBER", requires = "identifier")]
    security_version: Option<u32>,
    /// A right that it asks for; may be given several times.
    #[arg(long = "entitlement", value_name = "NAME", requires = "identifier")]
    entitlements: Vec<String>,
}

/// How the signature is written.
#[derive(clap::Args)]
#[command(next_help_heading = "Form of the signature")]
pub(super) struct FormOption {
    /// The digest, where the key leaves a choice (RSA).
    #[arg(long, value_name = "NAME")]
    digest: Option<DigestName>,
    /// RSA-PSS instead of PKCS #1 v1.5.
    #[arg(long)]
    rsa_pss: bool,
    /// Sign the content itself, at most 64 MiB, without signed attributes (always so with `--append`, unless there are claims).
    #[arg(long, conflicts_with_all = ["identifier"])]
    no_attributes: bool,
    /// Leave the certificates out (always so with `--append`, unless `--certificates` is given).
    #[arg(long)]
    no_certificates: bool,
    /// Put the certificates in, with `--append` too.
    #[arg(long, conflicts_with = "no_certificates")]
    certificates: bool,
    /// Leave this much room inside an ELF file, for a timestamp.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    reserve: usize,
}

/// Where the signature goes.
#[derive(clap::Args)]
#[group(multiple = false)]
#[command(next_help_heading = "Where the signature goes (by default: into ELF files, beside others)")]
pub(super) struct DestinationOption {
    /// Into the file; ELF files only.
    #[arg(long)]
    embed: bool,
    /// Behind an ELF file, as the kernel's `sign-file` does for modules.
    #[arg(long)]
    append: bool,
    /// Into the script, as comments at its end that begin with these marks; by default those of its language, by suffix or first line, else `#`.
    #[arg(long, value_name = "MARKS", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    comment: Option<String>,
    /// Beside the file, as FILE.p7s.
    #[arg(long)]
    detach: bool,
    /// Into this folder, named by the file's SHA-256.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Into the extended attribute `user.enforcer.signature`.
    #[arg(long)]
    xattr: bool,
    /// Into the extended attribute `security.ima`, as `evmctl ima_sign` does (as root).
    #[arg(long)]
    ima: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum DigestName {
    Sha256,
    Sha384,
    Sha512,
}

impl SignerOption {
    /// For signatures that claim this.
    pub(in crate::cli) fn load(&self, claims: Claims) -> Result<Identity, Failure> {
        let settings = Settings { claims, ..Settings::default() };
        Identity::with_settings(&self.key, &self.certificate, self.chain.as_deref(), settings, UnixTime::now()).map_err(|error| failure(&error))
    }
}

impl FormOption {
    /// With what is claimed, everything that a signature's bytes depend on but key and file.
    pub(super) fn settle(self, claims: ClaimsOption) -> Settings {
        Settings {
            claims: claims.settle(),
            digest: self.digest.map(|name| match name {
                DigestName::Sha256 => Algorithm::Sha256,
                DigestName::Sha384 => Algorithm::Sha384,
                DigestName::Sha512 => Algorithm::Sha512,
            }),
            rsa_pss: self.rsa_pss,
            no_attributes: self.no_attributes,
            certificates: (self.certificates || self.no_certificates).then_some(self.certificates),
            reserve: self.reserve,
        }
    }
}

impl ClaimsOption {
    pub(in crate::cli) fn settle(mut self) -> Claims {
        self.entitlements.sort();
        self.entitlements.dedup();
        Claims {
            identifier: self.identifier,
            version: self.software_version,
            security_version: self.security_version,
            entitlements: self.entitlements,
        }
    }
}

impl DestinationOption {
    /// A store that is not there is told of once, not for each file.
    pub(super) fn settle(self) -> Result<Destination, Failure> {
        Ok(match self {
            Self { store: Some(folder), .. } if !folder.is_dir() => {
                let name = printable(&folder.to_string_lossy()).into_owned();
                return Err(Failure::new(Exit::Usage, format!("the store `{name}` is no folder")).hint(format!("make it first: `mkdir -p {name}`")));
            }
            Self { store: Some(folder), .. } => Destination::Store(folder),
            Self { append: true, .. } => Destination::Appended,
            Self { comment: Some(marks), .. } => Destination::Comment(settled(&marks)?),
            Self { detach: true, .. } => Destination::Detached,
            Self { embed: true, .. } => Destination::Embedded,
            Self { xattr: true, .. } => Destination::Xattr,
            Self { ima: true, .. } => Destination::Ima,
            _ => Destination::Automatic,
        })
    }
}

/// The marks that were named, with or without the blank behind them; none where none were.
fn settled(marks: &str) -> Result<Option<Marks>, Failure> {
    let marks = marks.trim_end_matches(' ');
    if marks.is_empty() {
        return Ok(None);
    }
    Ok(Some(marks.parse().map_err(|problem| failure(&SignError::Comment(problem)))?))
}
