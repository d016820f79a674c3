//! The decision: does this signature, by somebody the policy trusts, speak about this content?
//!
//! The only maker of [`Verified`]. Reads no clock; reads content only through [`Content`].

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use der::asn1::AnyRef;
use der::{Decode, Tag, Tagged};
use enforcer_common::{Digest, USE_EXEC, USE_LIBRARY, USE_SCRIPT};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::carrier::Carrier;
use super::claims::Claims;
use super::cms::{self, Attributes, MAX_SIGNATURE_SIZE, Scheme, Signature, Signed, SignerId, Statement};
use super::content::{Bytes, Content, FileContent};
use super::manifest::{self, LineError};
use super::timestamp::TimestampError;
use super::value::{self, Message, Unfit};
use super::{Rejected, ima, timestamp};
use crate::policy::{Component, Evidence, Interpreters, Label, SeveralSigners};
use crate::text::hex;
use crate::trust::{Authority, CertificateFacts, ChainError, SecurityVersions, TrustStore, Validity, fingerprint};

/// What a decision rests on besides policy and content.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The time.
    pub now: UnixTime,
    /// The highest security version that was accepted of each identifier.
    pub security_versions: &'a SecurityVersions,
}

impl Facts<'static> {
    /// The facts at this time where nothing was accepted yet.
    pub fn at(now: UnixTime) -> Self {
        static NOTHING: LazyLock<SecurityVersions> = LazyLock::new(SecurityVersions::default);
        Self { now, security_versions: &NOTHING }
    }
}

/// By what signatures are judged.
pub(super) struct Rules {
    pub(super) trust: TrustStore,
    pub(super) components: Vec<Component>,
    pub(super) several_signers: SeveralSigners,
    pub(super) interpreters: Interpreters,
}

/// A content whose signature leads to a signer of the policy. Only [`verify_file`] and [`ManifestInForce`] make one.
#[derive(Clone, Debug)]
pub struct Verified {
    digest: Digest,
    fsverity: Option<Digest>,
    accepted: Arc<Accepted>,
    carrier: Carrier,
    /// The interpreter that it is.
    interpreter: Option<Label>,
    /// The digests of what its signatures sign: the same program with another signature has the same ones.
    contents: Vec<Digest>,
}

/// Which release of which program a content is, for telling older ones from newer ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The line of releases: the identifier, where a component of the policy says who signs it; else `identifier@signer`.
    pub line: String,
    /// Its security version; 0 where none is claimed.
    pub version: u32,
}

/// What an accepted signature amounts to.
#[derive(Debug)]
struct Accepted {
    release: Option<Release>,
    authority: Arc<Authority>,
    uses: u32,
    claims: Claims,
    /// Those that were asked for and are granted.
    entitlements: Vec<String>,
    component: u32,
    not_after: Option<UnixTime>,
}

/// One signer of a signature, as far as it was looked at: for people who want to know why.
#[derive(Clone, Debug)]
pub struct SignerReport {
    /// The subject of the signer's certificate, and its issuer; none when the certificate was not found.
    pub certificate: Option<(String, String)>,
    /// SHA-256 of that certificate.
    pub fingerprint: Option<[u8; 32]>,
    /// The signature algorithm and the digest.
    pub algorithm: String,
    /// What is claimed about the content, true or not.
    pub claims: Claims,
    /// Whether a timestamp came along.
    pub timestamped: bool,
    /// Why a timestamp that came along does not count.
    pub timestamp_problem: Option<String>,
    /// The signer of the policy, where one accepted it.
    pub authority: Option<Arc<Authority>>,
    /// What is wrong with it.
    pub problem: Option<String>,
}

impl Verified {
    /// The digest that was verified: SHA-256 of the file, or what the manifest's entry says.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The same content's fs-verity digest, where the kernel guarantees one.
    pub fn fsverity(&self) -> Option<Digest> {
        self.fsverity
    }

    /// Whether this is about the content that the kernel calls `digest`.
    pub fn covers(&self, digest: &Digest) -> bool {
        self.digest == *digest || self.fsverity == Some(*digest)
    }

    /// The number of the policy's signer rule that accepted it.
    pub fn signer(&self) -> u32 {
        self.accepted.authority.signer()
    }

    /// The name of that rule.
    pub fn signer_name(&self) -> &str {
        self.accepted.authority.name()
    }

    /// Who signed, and by which chain.
    pub fn authority(&self) -> &Authority {
        &self.accepted.authority
    }

    /// The subject of the signer's certificate.
    pub fn subject(&self) -> &str {
        self.accepted.authority.subject()
    }

    /// SHA-256 of the signer's certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.accepted.authority.fingerprint()
    }

    /// Bits of [`enforcer_common::USE_EXEC`] and its like.
    pub fn uses(&self) -> u32 {
        self.accepted.uses
    }

    /// The same, with what follows from them: a program that may start is mapped as code when it does, and whoever may sign programs may sign scripts.
    pub fn all_uses(&self) -> u32 {
        let uses = self.accepted.uses;
        if uses & USE_EXEC != 0 { uses | USE_LIBRARY | USE_SCRIPT } else { uses }
    }

    /// Whether it may be used so.
    pub fn allows(&self, wanted: u32) -> bool {
        self.all_uses() & wanted == wanted
    }

    /// What the signature says about the content; for an entry of a manifest, what the manifest's signature says.
    pub fn claims(&self) -> &Claims {
        &self.accepted.claims
    }

    /// Which release it is, if it says what it is.
    pub fn release(&self) -> Option<&Release> {
        self.accepted.release.as_ref()
    }

    /// The rights that the signature asks for and the policy grants.
    pub fn entitlements(&self) -> &[String] {
        &self.accepted.entitlements
    }

    /// The component of the policy that it is: its place there, from 1, or 0.
    pub fn component(&self) -> u32 {
        self.accepted.component
    }

    /// The interpreter of the policy that it is.
    pub fn interpreter(&self) -> Option<Label> {
        self.interpreter
    }

    /// The digests of what is signed in it, without the signatures.
    pub fn contents(&self) -> &[Digest] {
        &self.contents
    }

    /// The same, knowing where the file lies and what is in it.
    pub(super) fn seen(mut self, evidence: Evidence<'_>, contents: Vec<Digest>, rules: &Rules) -> Self {
        let entitlements = self.accepted.entitlements.iter().map(String::as_str);
        let label = rules.interpreters.label(evidence, entitlements);
        self.interpreter = [self.interpreter, label].into_iter().flatten().max_by_key(|label| label.rank);
        self.contents = contents;
        self
    }

    /// The last second at which the decision holds; `None` is for ever.
    pub fn not_after(&self) -> Option<UnixTime> {
        self.accepted.not_after
    }

    /// Where the signature was.
    pub fn carrier(&self) -> &Carrier {
        &self.carrier
    }
}

/// Decides about a file.
pub(super) fn verify_file(
    file: &mut FileContent<'_>,
    signature: &Signature,
    carrier: Carrier,
    rules: &Rules,
    facts: &Facts<'_>,
) -> (Vec<SignerReport>, Result<Verified, Rejected>) {
    let (signers, outcome) = verify(signature, file, rules, facts);
    let verified = |accepted| Verified {
        digest: file.digest(),
        fsverity: file.fsverity(),
        accepted: Arc::new(accepted),
        carrier,
        interpreter: None,
        contents: Vec::new(),
    };
    (signers, outcome.map(verified))
}

/// Decides about a text that is no code: the signer's name, what it claims, and which release it is.
pub(super) fn verify_text(
    signature: &Signature,
    text: &mut Bytes<'_>,
    rules: &Rules,
    facts: &Facts<'_>,
) -> Result<(String, Claims, Option<Release>), Rejected> {
    let accepted = verify(signature, text, rules, facts).1?;
    Ok((accepted.authority.name().to_owned(), accepted.claims, accepted.release))
}

/// A manifest whose signature was accepted: it vouches for its digests.
pub(super) struct ManifestInForce {
    carrier: Carrier,
    accepted: Arc<Accepted>,
    /// Sorted.
    digests: Vec<Digest>,
    /// The numbers of those that are interpreters, by their paths or by what the manifest's signature says.
    interpreters: HashMap<Digest, Label>,
}

impl ManifestInForce {
    /// Decides about a manifest. Its text is parsed only after its signature was accepted.
    pub(super) fn verify(text: &[u8], signature: &Signature, carrier: Carrier, rules: &Rules, facts: &Facts<'_>) -> Result<Self, ManifestFault> {
        let accepted = verify(signature, &mut Bytes(text), rules, facts).1.map_err(ManifestFault::Signature)?;
        let mut interpreters = HashMap::new();
        let entries = manifest::entries(text).map(|entry| {
            entry.map(|entry| {
                let entitlements = accepted.entitlements.iter().map(String::as_str);
                let label = rules.interpreters.label(Evidence::Listed(Path::new(OsStr::from_bytes(&entry.path))), entitlements);
                interpreters.extend(label.map(|label| (entry.digest, label)));
                entry.digest
            })
        });
        let mut digests = entries.collect::<Result<Vec<_>, _>>().map_err(ManifestFault::Line)?;
        digests.sort_unstable();
        digests.dedup();
        digests.retain(|digest| !rules.trust.revoked().has_digest(digest));
        digests.shrink_to_fit();
        Ok(Self { carrier, accepted: Arc::new(accepted), digests, interpreters })
    }

    /// Whether it vouches for either digest of a file; `None` when it does not list it.
    pub(super) fn vouches_for(&self, digest: Digest, fsverity: Option<Digest>, facts: &Facts<'_>) -> Option<Result<Verified, Rejected>> {
        let listed = |digest: &Digest| self.digests.binary_search(digest).is_ok();
        if !listed(&digest) && !fsverity.as_ref().is_some_and(listed) {
            return None;
        }
        // Accepted when it was loaded, which may be long ago.
        let still = self.accepted.check(facts.now).map_err(Rejected::Chain).and_then(|()| not_rolled_back(self.accepted.release.as_ref(), 0, facts));
        Some(still.map(|()| self.verified(digest, fsverity)))
    }

    /// Everything that it vouches for.
    pub(super) fn entries(&self) -> impl Iterator<Item = Verified> {
        self.digests.iter().map(|digest| self.verified(*digest, None))
    }

    pub(super) fn carrier(&self) -> &Carrier {
        &self.carrier
    }

    fn verified(&self, digest: Digest, fsverity: Option<Digest>) -> Verified {
        let interpreter = self.interpreters.get(&digest).or_else(|| self.interpreters.get(fsverity.as_ref()?)).copied();
        Verified { digest, fsverity, accepted: Arc::clone(&self.accepted), carrier: self.carrier.clone(), interpreter, contents: Vec::new() }
    }
}

/// Why a manifest is not in force.
pub(super) enum ManifestFault {
    Signature(Rejected),
    Line(LineError),
}

/// Decides about each signer, and then about all of them together.
fn verify(signature: &Signature, content: &mut impl Content, rules: &Rules, facts: &Facts<'_>) -> (Vec<SignerReport>, Result<Accepted, Rejected>) {
    let mut reports = Vec::with_capacity(signature.statements.len());
    let mut accepted: Vec<(Arc<Authority>, Claims)> = Vec::new();
    let mut failure = None;
    for statement in &signature.statements {
        let mut report = SignerReport::new(statement);
        let judged = same_content(signature, statement, content).and_then(|()| authority(statement, signature, content, rules, facts, &mut report));
        match judged {
            Ok(authority) => {
                report.authority = Some(Arc::clone(&authority));
                accepted.push((authority, statement.claims()));
            }
            Err(rejected) => {
                report.problem = Some(rejected.to_string());
                if rejected.is_exhaustion() {
                    reports.push(report);
                    return (reports, Err(rejected));
                }
                failure = failure.or(Some(rejected));
            }
        }
        reports.push(report);
    }
    let outcome = match (failure, rules.several_signers) {
        (Some(failure), SeveralSigners::All) => Err(failure),
        (Some(failure), SeveralSigners::One) if accepted.is_empty() => Err(failure),
        _ => Accepted::of(&accepted, rules, facts),
    };
    (reports, outcome)
}

impl Accepted {
    /// Whether it holds at this time, with each of its signers.
    fn check(&self, now: UnixTime) -> Result<(), ChainError> {
        Validity { not_after: self.not_after, ..self.authority.validity() }.check(self.authority.subject(), now)
    }

    /// What several accepted signers amount to: what all of them say and may.
    fn of(signers: &[(Arc<Authority>, Claims)], rules: &Rules, facts: &Facts<'_>) -> Result<Self, Rejected> {
        let [(authority, claims), others @ ..] = signers else { return Err(Rejected::SignerUnknown) };
        if others.iter().any(|(_, other)| other != claims) {
            return Err(Rejected::ClaimsDiffer);
        }
        let uses = signers.iter().fold(u32::MAX, |uses, (authority, _)| uses & authority.uses());
        if uses == 0 {
            return Err(Rejected::NoCommonUse);
        }
        let granted = |name: &&String| signers.iter().all(|(authority, _)| authority.entitlements().contains(name));
        let place = rules.components.iter().position(|component| Some(&component.identifier) == claims.identifier.as_ref());
        let component = place.map(|place| &rules.components[place]);
        if let Some(component) = component
            && !component.signers.is_empty()
            && !signers.iter().any(|(authority, _)| component.signers.iter().any(|name| name == authority.name()))
        {
            return Err(Rejected::WrongSigner { identifier: component.identifier.clone(), signer: authority.name().to_owned() });
        }
        let release = Release::of(claims, component, authority);
        not_rolled_back(release.as_ref(), component.map_or(0, |component| component.min_security_version), facts)?;
        Ok(Self {
            release,
            uses,
            entitlements: claims.entitlements.iter().filter(granted).cloned().collect(),
            component: place.map_or(0, |place| u32::try_from(place + 1).unwrap_or(0)),
            not_after: signers.iter().filter_map(|(authority, _)| authority.validity().not_after).min(),
            authority: Arc::clone(authority),
            claims: claims.clone(),
        })
    }
}

/// Refuses what is older than something that was accepted before (T1601.002).
fn not_rolled_back(release: Option<&Release>, lowest: u32, facts: &Facts<'_>) -> Result<(), Rejected> {
    let Some(Release { line, version }) = release else { return Ok(()) };
    let floor = lowest.max(facts.security_versions.floor(line));
    if *version < floor { Err(Rejected::Rollback { identifier: line.clone(), version: *version, floor }) } else { Ok(()) }
}

impl Release {
    /// A signer who is trusted for something else must not be able to make all releases of this program too old. So each signer's releases stand by
    /// themselves, unless a component says whose releases are one line.
    fn of(claims: &Claims, component: Option<&Component>, authority: &Authority) -> Option<Self> {
        let identifier = claims.identifier.as_ref()?;
        let is_bound = component.is_some_and(|component| !component.signers.is_empty());
        let line = if is_bound { identifier.clone() } else { format!("{identifier}@{}", authority.name()) };
        Some(Self { line, version: claims.security_version.unwrap_or(0) })
    }
}

/// A copy of the content inside of the signature decides nothing, but a copy of something else would be a signature that two readers understand in two ways.
fn same_content(signature: &Signature, statement: &Statement, content: &mut impl Content) -> Result<(), Rejected> {
    match &signature.content {
        Some(inside) if statement.digest.digest(inside).bytes() != content.content_digest(statement.digest)?.bytes() => Err(Rejected::DigestMismatch),
        _ => Ok(()),
    }
}

/// RFC 5652 §5.6, then the chain. The cheap checks come first; each must hold.
fn authority(
    statement: &Statement,
    signature: &Signature,
    content: &mut impl Content,
    rules: &Rules,
    facts: &Facts<'_>,
    report: &mut SignerReport,
) -> Result<Arc<Authority>, Rejected> {
    let mut failure = Rejected::SignerUnknown;
    let mut tried = 0;
    // All of them are read, so that a broken one is an error wherever it stands.
    let inside = signature.certificates.iter().map(|certificate| Ok((certificate, CertificateFacts::of(certificate)?)));
    let inside = inside.collect::<Result<Vec<_>, Rejected>>()?;
    let inside = inside.iter().map(|(certificate, facts)| (*certificate, facts));
    for (certificate, certificate_facts) in inside.chain(rules.trust.certificates()) {
        if !statement.signer.names(certificate_facts) {
            continue;
        }
        tried += 1;
        if tried > MAX_NAMESAKES {
            return Err(Rejected::SignerAmbiguous);
        }
        report.certificate = Some((certificate_facts.subject.clone(), certificate_facts.issuer.clone()));
        report.fingerprint = Some(fingerprint(certificate));
        match authenticate(statement, certificate_facts, content) {
            Ok(()) => {
                let authority = accept(statement, certificate, signature, rules, facts, report)?;
                // What is claimed was parsed by somebody else, while it was a stranger's. Only now is it known whose it is.
                if let Signed::Attributes(attributes) = &statement.signed {
                    attributes.check(cms::Content::Detached)?;
                }
                return Ok(authority);
            }
            // The content is another one, whoever signed it.
            Err(
                error @ (Rejected::DigestMismatch
                | Rejected::ContentTooLarge { .. }
                | Rejected::File(_)
                | Rejected::NotSealed
                | Rejected::LooksLikeAttributes),
            ) => {
                return Err(error);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Whether the certificate's key made this statement about this content.
fn authenticate(statement: &Statement, certificate: &CertificateFacts, content: &mut impl Content) -> Result<(), Rejected> {
    let check = |message: Message<'_>| value::check(certificate, statement.scheme, statement.digest, &message, &statement.value);
    let outcome = match &statement.signed {
        Signed::Attributes(Attributes { der, message_digest, .. }) => {
            if content.content_digest(statement.digest)?.bytes() != message_digest.as_slice() {
                return Err(Rejected::DigestMismatch);
            }
            match statement.scheme {
                Scheme::Ed25519 => check(Message::Bytes(der)),
                _ => check(Message::Digest(statement.digest.digest(der))),
            }
        }
        Signed::Content if content.size() <= MAX_SIGNATURE_SIZE as u64 && looks_like_attributes(&content.bytes()?) => {
            return Err(Rejected::LooksLikeAttributes);
        }
        Signed::Content if statement.scheme == Scheme::Ed25519 => check(Message::Bytes(&content.bytes()?)),
        Signed::Content => check(Message::Digest(content.content_digest(statement.digest)?)),
        Signed::FsVerity => {
            let digest = content.fsverity().ok_or(Rejected::NotSealed)?;
            check(Message::Digest(statement.digest.digest(&ima::file_id(&digest))))
        }
    };
    outcome.map_err(|unfit| {
        let subject = certificate.subject.clone();
        match unfit {
            Unfit::KeyKind => Rejected::KeyKind { subject },
            Unfit::Value => Rejected::BadSignature { subject },
        }
    })
}

/// Whether the policy trusts the certificate: at the time that a timestamp proves, or now.
fn accept(
    statement: &Statement,
    certificate: &CertificateDer<'_>,
    signature: &Signature,
    rules: &Rules,
    facts: &Facts<'_>,
    report: &mut SignerReport,
) -> Result<Arc<Authority>, Rejected> {
    let accept = |signed_at| rules.trust.accept(certificate, &signature.certificates, signed_at, facts.now);
    let Some(token) = &statement.timestamp else { return Ok(accept(None)?) };
    let signed_at = match &**token {
        Ok(token) => timestamp::verify_token(token, &statement.value, &rules.trust, facts.now),
        Err(problem) => Err(problem.clone()),
    };
    let problem = match signed_at {
        Ok(signed_at) => match accept(Some(signed_at)) {
            Ok(authority) => return Ok(authority),
            Err(error) if error.is_exhaustion() => return Err(error.into()),
            Err(error) => {
                report.timestamp_problem = Some(error.to_string());
                return Ok(accept(None).map_err(|_| error)?);
            }
        },
        Err(TimestampError::Chain(problem)) if problem.is_exhaustion() => return Err(problem.into()),
        Err(problem) => problem,
    };
    report.timestamp_problem = Some(problem.to_string());
    // A signature whose certificate is valid needs no timestamp.
    accept(None).map_err(|error| match error {
        ChainError::Expired { subject, not_after } => Rejected::Timestamp { subject, not_after, problem },
        error => error.into(),
    })
}

/// Whether a content could be the signed attributes of something else. Whoever cuts the attributes out of a signature would otherwise have a signature
/// without attributes whose content they are (RFC 9814 §5 warns of it for all of CMS).
fn looks_like_attributes(content: &[u8]) -> bool {
    AnyRef::from_der(content).is_ok_and(|set| set.tag() == Tag::Set)
}

impl SignerId {
    /// Whether this certificate is meant.
    pub(super) fn names(&self, certificate: &CertificateFacts) -> bool {
        match self {
            Self::IssuerAndSerial { issuer, serial } => *issuer == certificate.issuer_der && *serial == certificate.serial,
            Self::KeyId(id) => certificate.key_id.as_ref() == Some(id),
            Self::KeyIdTail(tail) => certificate.ima_key_id() == *tail,
        }
    }
}

impl SignerReport {
    fn new(statement: &Statement) -> Self {
        Self {
            certificate: None,
            fingerprint: None,
            algorithm: match statement.scheme {
                Scheme::Ed25519 => statement.scheme.name().to_owned(),
                scheme => format!("{} with {}", scheme.name(), statement.digest.name()),
            },
            claims: statement.claims(),
            timestamped: statement.timestamp.is_some(),
            timestamp_problem: None,
            authority: None,
            problem: None,
        }
    }

    /// The signer's certificate as hexadecimal digits.
    pub fn fingerprint_hex(&self) -> Option<String> {
        self.fingerprint.map(|bytes| hex(&bytes))
    }
}

/// Certificates that answer to one signer's name: renewed ones with the same key, and the few whose key ids collide.
const MAX_NAMESAKES: usize = 8;
