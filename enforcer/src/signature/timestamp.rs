//! Timestamps (RFC 3161): when was a signature made, according to an authority that the policy names?
//!
//! A token is a CMS signature over a TSTInfo, which contains the digest of the signature value that it is about. Never reads a clock; a time that
//! lies in the future is refused.

use ::cms::cert::x509::spki::AlgorithmIdentifierRef;
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, Sequence, SliceReader, Tag, Tagged};
use rustls_pki_types::UnixTime;
use serde::{Deserialize, Serialize};
use x509_parser::asn1_rs::{FromDer, GeneralizedTime};

use super::cms::{self, CmsError, Content, Signature, Signed, Statement, digest_algorithm};
use super::value::{self, Message};
use super::wire;
use crate::measure::Algorithm;
use crate::trust::{CertificateFacts, CertificateProblem, ChainError, TrustStore, date};

/// Why a timestamp does not count.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampError {
    /// The token's CMS is bad.
    #[error("{0}")]
    Cms(#[from] CmsError),
    /// The token's content is bad.
    #[error("its TSTInfo is not well-formed")]
    Info,
    /// Not about this signature.
    #[error("it is about another signature")]
    Imprint,
    /// Its authority's certificate is not there.
    #[error("the certificate of its authority is not in it")]
    SignerUnknown,
    /// Not exactly one signer.
    #[error("it has {count} signers, and must have one")]
    SignerCount {
        /// How many.
        count: usize,
    },
    /// A certificate in it is bad.
    #[error("a certificate in it is {0}")]
    Certificate(#[from] CertificateProblem),
    /// The authority's signature does not verify.
    #[error("it does not verify with the key of `{subject}`")]
    BadSignature {
        /// The authority's certificate.
        subject: String,
    },
    /// The authority is not trusted.
    #[error("{0}")]
    Chain(#[from] ChainError),
    /// Made tomorrow.
    #[error("it says {}, which lies in the future", date(*time))]
    Future {
        /// What it says.
        time: UnixTime,
    },
    /// What the worker that looked into it said.
    #[error("{0}")]
    Told(String),
}

impl TimestampError {
    /// What a user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Cms(problem) => problem.hint(),
            Self::Chain(ChainError::UnknownIssuer { .. }) => "if you trust the authority, add its root to a `[[timestamp-authority]]`",
            Self::Chain(problem) => problem.hint(),
            Self::SignerUnknown => "ask for the timestamp with `-cert`, or add the certificate to `intermediates` of the `[[timestamp-authority]]`",
            Self::Future { .. } => "check the clock (`date -u`)",
            _ => "ask for a new timestamp: `enforcer timestamp query`",
        }
    }
}

/// A timestamp as found: well-formed, and nothing more.
#[derive(Debug, Serialize, Deserialize)]
pub struct Token {
    /// The authority's signature, with its content.
    pub(crate) signature: Signature,
    info: TstInfo,
}

impl Token {
    /// Parses the DER of a token.
    pub(super) fn parse(der: &[u8]) -> Result<Self, TimestampError> {
        let signature = Signature::from_der(der, Content::Timestamp)?;
        let info = TstInfo::parse(signature.content.as_deref().ok_or(TimestampError::Info)?)?;
        Ok(Self { signature, info })
    }
}

/// When a signature value was made, by the word of a timestamp authority, whose token is this DER.
pub fn verify(token: &[u8], value: &[u8], trust: &TrustStore, now: UnixTime) -> Result<UnixTime, TimestampError> {
    verify_token(&Token::parse(token)?, value, trust, now)
}

/// The same with a token that was parsed before.
pub(super) fn verify_token(token: &Token, value: &[u8], trust: &TrustStore, now: UnixTime) -> Result<UnixTime, TimestampError> {
    let Token { signature, info } = token;
    let content = signature.content.as_deref().ok_or(TimestampError::Info)?;
    if info.algorithm.digest(value).bytes() != info.imprint {
        return Err(TimestampError::Imprint);
    }
    if info.time > now {
        return Err(TimestampError::Future { time: info.time });
    }
    let [statement] = &signature.statements[..] else {
        return Err(TimestampError::SignerCount { count: signature.statements.len() });
    };
    let Signed::Attributes(attributes) = &statement.signed else { return Err(TimestampError::Info) };
    if statement.digest.digest(content).bytes() != attributes.message_digest {
        return Err(TimestampError::Imprint);
    }
    let mut failure = TimestampError::SignerUnknown;
    for certificate in signature.certificates.iter().chain(trust.timestamp_certificates()) {
        let facts = CertificateFacts::of(certificate)?;
        // RFC 5816: the signed attribute says which certificate it was, so that no other one with the same key is put in its place.
        let is_meant =
            attributes.certificate_digest.as_ref().is_none_or(|(algorithm, digest)| algorithm.digest(certificate).bytes() == digest.as_slice());
        if !statement.signer.names(&facts) || !is_meant {
            continue;
        }
        failure = match authenticate(statement, &attributes.der, &facts) {
            Err(error) => error,
            Ok(()) => match trust.accept_timestamp(certificate, &signature.certificates, info.time, now) {
                Ok(_) => {
                    // Parsed by somebody else, while nobody knew whose it was.
                    attributes.check(Content::Timestamp)?;
                    return if TstInfo::parse(content)? == *info { Ok(info.time) } else { Err(CmsError::Misread.into()) };
                }
                Err(error) if error.is_exhaustion() => return Err(error.into()),
                Err(error) => error.into(),
            },
        };
    }
    Err(failure)
}

fn authenticate(statement: &Statement, message: &[u8], facts: &CertificateFacts) -> Result<(), TimestampError> {
    let message = match statement.scheme {
        cms::Scheme::Ed25519 => Message::Bytes(message),
        _ => Message::Digest(statement.digest.digest(message)),
    };
    value::check(facts, statement.scheme, statement.digest, &message, &statement.value)
        .map_err(|_| TimestampError::BadSignature { subject: facts.subject.clone() })
}

/// What is used of RFC 3161 §2.4.2, TSTInfo.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TstInfo {
    algorithm: Algorithm,
    imprint: Vec<u8>,
    #[serde(with = "wire::time")]
    time: UnixTime,
}

/// RFC 3161 §2.4.1.
#[derive(Sequence)]
struct MessageImprint<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    message: OctetStringRef<'a>,
}

impl TstInfo {
    fn parse(der: &[u8]) -> Result<Self, TimestampError> {
        let malformed = |_| TimestampError::Info;
        let outer = AnyRef::from_der(der).map_err(malformed)?;
        outer.tag().assert_eq(Tag::Sequence).map_err(malformed)?;
        let mut reader = SliceReader::new(outer.value()).map_err(malformed)?;
        let version: u8 = reader.decode().map_err(malformed)?;
        let _policy: ObjectIdentifier = reader.decode().map_err(malformed)?;
        let imprint: MessageImprint<'_> = reader.decode().map_err(malformed)?;
        let serial: AnyRef<'_> = reader.decode().map_err(malformed)?;
        serial.tag().assert_eq(Tag::Integer).map_err(malformed)?;
        // The rest says how exact the time is, and who says so in other words: nothing is decided by it.
        let time = reader.tlv_bytes().map_err(malformed)?;
        let (_, time) = GeneralizedTime::from_der(time).map_err(|_| TimestampError::Info)?;
        let time = time.utc_datetime().ok().and_then(|time| u64::try_from(time.unix_timestamp()).ok()).ok_or(TimestampError::Info)?;
        if version != 1 {
            return Err(TimestampError::Info);
        }
        Ok(Self {
            algorithm: digest_algorithm(&imprint.algorithm)?,
            imprint: imprint.message.as_bytes().to_vec(),
            time: UnixTime::since_unix_epoch(std::time::Duration::from_secs(time)),
        })
    }
}
